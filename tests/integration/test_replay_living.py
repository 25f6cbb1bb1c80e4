"""A replay offers every item to every living index, by that one's own rules, while aliases move."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dynamo_opensearch.core.dead_letters.replay.consumer import Replay
from dynamo_opensearch.core.look.living import NoLivingIndexError
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.rebuild.swap import SwapPorts, swap
from dynamo_opensearch.core.rebuild.swap_plan import SwapPlan
from tests.support import oracle
from tests.support.dead_letter_rig import DeadLetterRig, MakeDeadLetterRig
from tests.support.failing_indexer import fail_on, failing_indexer, record_of
from tests.support.indexing import Churn
from tests.support.rig import small_item


def without_value(document: oracle.Plain) -> oracle.Plain:
    return {name: value for name, value in document.items() if name != "value"}


def renamed(document: oracle.Plain) -> oracle.Plain:
    return {"text" if name == "value" else name: value for name, value in document.items()}


class Three:
    """An index that is kept, one that is live and one that is being built, by rules of their own."""

    def __init__(self, letters: DeadLetterRig) -> None:
        rig, self.letters = letters.rig, letters
        self.previous, self.live, self.coming = f"{rig.base}-v0", rig.index, f"{rig.base}-v2"
        rig.rules_of = {self.previous: {"exclude_fields": ["value"]}, self.coming: {"renames": {"value": "text"}}}
        letters.create_index(self.previous, f"{rig.alias}-previous")
        letters.create_index(self.live, rig.alias)
        letters.create_index(self.coming, f"{rig.alias}-next")

    def differences(self) -> list[str]:
        found = self.letters.differences(self.previous, without_value) + self.letters.rig.differences()
        return found + self.letters.differences(self.coming, renamed)


@pytest.fixture
def three(make_dead_letters: MakeDeadLetterRig) -> Three:
    return Three(make_dead_letters(mappings=None))


def test_every_living_index_gets_every_item_by_its_own_rules(three: Three) -> None:
    letters = three.letters
    fail_on(letters, range(200))
    letters.rig.boto.delete_item(TableName=letters.rig.table, Key={"id": {"S": "k0007"}})
    report = letters.replay()
    assert three.differences() == []
    assert letters.depth() == (0, 0)
    assert report.offer.offered >= 3 * 200


class Swapping:
    """A rebuild's swap, a rollback, and another one, each a second after the one before."""

    def __init__(self, letters: DeadLetterRig, coming: str) -> None:
        self._letters, self._indices = letters, (letters.rig.index, coming)
        self.swaps: list[str] = []

    def run(self) -> None:
        for number, marker in enumerate(("next", "previous", "previous")):
            time.sleep(1)
            self._swap(number, f"{self._letters.rig.alias}-{marker}")

    def _swap(self, number: int, marker: str) -> None:
        letters, rig = self._letters, self._letters.rig
        plan = SwapPlan(
            alias=rig.alias,
            from_index=self._indices[number % 2],
            to_index=self._indices[(number + 1) % 2],
            to_marker=marker,
            uses_write_block=True,
            properties=AliasProperties(),
            run_id=f"run {number}",
            keep_h=24.0,
        )
        ports = SwapPorts(
            cluster=rig.cluster,
            patient=rig.patient,
            catch_up=lambda: 0,
            block_notes=letters.store("swap"),
            kept=letters.store("kept"),
            clock=rig.clock,
        )
        swap(plan, ports)
        self.swaps.append(plan.to_index)


def test_a_rebuilds_swap_and_its_rollback_in_mid_replay_end_with_both_indices_equal(
    make_dead_letters: MakeDeadLetterRig,
) -> None:
    """Beside writers whose every change is a dead letter, so that only the replay brings anything to any index."""
    letters = make_dead_letters()
    rig = letters.rig
    coming = f"{rig.base}-v2"
    rig.rules_of = {coming: {"renames": {"value": "text"}}}
    letters.create_index(coming, f"{rig.alias}-next")
    swapping = Swapping(letters, coming)
    with failing_indexer(letters, batch_size=20) as mapping:
        rig.put([small_item(number) for number in range(200)])
        with Churn(rig, keys=200, writers=1, pause_s=0.1).going_on(), ThreadPoolExecutor(1) as threads:
            swapped = threads.submit(swapping.run)
            while not swapped.done():
                letters.replay(messages_per_pass=20)
            swapped.result()
        mapping.wait_until_caught_up()
    assert swapping.swaps == [coming, rig.index, coming]
    letters.replay()
    assert letters.depth() == (0, 0)
    assert letters.differences(rig.index) == []
    assert letters.differences(coming, renamed) == []
    assert (letters.sinks, letters.parking.parked) == ({}, {})


def test_without_a_living_index_nothing_is_taken(make_dead_letters: MakeDeadLetterRig) -> None:
    letters = make_dead_letters(mappings=None)
    letters.send(record_of(letters, 1))
    with pytest.raises(NoLivingIndexError, match="nothing was taken"), letters.queue() as queue:
        Replay(letters.replay_settings(letters.intake()), letters.replay_ports(queue)).run()
    assert letters.depth() == (1, 0)
