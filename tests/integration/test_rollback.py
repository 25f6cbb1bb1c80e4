"""What a rollback looks at before it swaps, on a real OpenSearch."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.opensearch.index_life import NewIndex, create_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.rebuild.kept import KeptIndex, note_kept
from dynamo_opensearch.core.rebuild.rollback import RollbackPlan, RollbackPorts, RollbackRefusedError, plan_rollback
from dynamo_opensearch.core.rebuild.swap import swap
from dynamo_opensearch.core.targets.model import Target
from tests.integration.conftest import MakeRig
from tests.support.fakes import MemoryStore
from tests.support.swaps import SwapRig

FILE = MappingFile("m.json", {"enabled": False}, {"index.number_of_replicas": 0})


def target_of(swapping: SwapRig) -> Target:
    values = {
        "name": swapping.rig.base,
        "table": swapping.rig.table,
        "key": ["id"],
        "alias": swapping.alias,
        "mapping": "m.json",
        "indexer_writes": "versioned",
        "environments": {"local": {}},
    }
    return Target.model_validate(values)


def plan(swapping: SwapRig, follow: dict[str, Any] | None = None) -> RollbackPlan:
    ports = RollbackPorts(
        cluster=swapping.rig.patient,
        kept=swapping.store("kept"),
        block_notes=swapping.store("swap"),
        follow=MemoryStore(follow),
        clock=swapping.rig.clock,
    )
    return plan_rollback(target_of(swapping), ports)


def followed(swapping: SwapRig, **changes: Any) -> dict[str, Any]:
    """The follower's state when all is well."""
    now_us = swapping.rig.clock.time_us()
    return {"joined": {swapping.uuid(swapping.old): {}}, "head_us": now_us, "gaps": [], "rejects": {}, **changes}


def note_of(swapping: SwapRig, **changes: Any) -> dict[str, Any]:
    builder = DocumentBuilder(("id",), target_of(swapping).documents)
    return {"field_rules": {}, "rules_fingerprint": builder.fingerprint(), "run_id": "run 0", **changes}


@pytest.fixture
def swapping(make_rig: MakeRig) -> SwapRig:
    return SwapRig(make_rig())


def swapped(swapping: SwapRig, note: dict[str, Any] | None = None, properties: dict[str, Any] | None = None) -> None:
    """``old``, made with this note, has just been replaced by ``new``."""
    given = AliasProperties.from_json(properties or {})
    for index, alias, own in ((swapping.old, swapping.alias, given), (swapping.new, swapping.next, given.for_marker)):
        new = NewIndex(index=index, alias=alias, mapping=FILE, note=note or note_of(swapping), alias_properties=own)
        create_index(swapping.rig.patient, new)
    swap(swapping.plan(properties=given), swapping.ports())


def test_a_plan_names_both_indices_and_the_time_left_and_its_swap_goes_back(swapping: SwapRig) -> None:
    swapped(swapping, properties={"filter": {"match_all": {}}, "index_routing": "a"})
    made = plan(swapping, followed(swapping))
    assert (made.from_index, made.to_index, made.warnings) == (swapping.new, swapping.old, ())
    assert (made.from_uuid, made.to_uuid) == (swapping.uuid(swapping.new), swapping.uuid(swapping.old))
    assert "is kept for another 24.0 h" in str(made)
    swap(made.swap_plan("run 2"), swapping.ports())
    assert swapping.aliases() == {swapping.old: {swapping.alias}, swapping.new: {swapping.previous}}
    assert swapping.properties(swapping.old, swapping.alias) == {"filter": {"match_all": {}}, "index_routing": "a"}


def test_without_a_previous_index_there_is_nothing_to_go_back_to(swapping: SwapRig) -> None:
    with pytest.raises(RollbackRefusedError, match="no index is behind"):
        plan(swapping)
    swapping.create()
    with pytest.raises(RollbackRefusedError, match="none was replaced, or clean-up has deleted it"):
        plan(swapping)


def test_everything_that_is_wrong_is_told_at_once(swapping: SwapRig) -> None:
    swapped(swapping, note_of(swapping, field_rules={"no_such_rule": 1}))
    note_kept(swapping.store("kept"), KeptIndex.of(swapping.old, "another-uuid", 24, swapping.rig.clock))
    add = {"add": {"index": swapping.new, "alias": swapping.alias, "index_routing": "b"}}
    swapping.rig.call("_aliases", "POST", {"actions": [add]})
    swapping.rig.call(f"{swapping.new}/_settings", "PUT", {"index.blocks.write": True})
    swapping.rig.call(f"{swapping.old}/_close", "POST")
    with pytest.raises(RollbackRefusedError) as error:
        plan(swapping, followed(swapping))
    text = str(error.value)
    assert "Problems: 5" in text
    for part in ("is blocked (write)", "is closed", "made anew since", "index_routing 'b'", "another version"):
        assert part in text


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (lambda state: state.update(joined={}), "has not fed index"),
        (lambda state: state.update(head_us=state["head_us"] - 600_000_000), "the head of the stream 600 s ago"),
        (lambda state: state.update(head_us=0), "never yet"),
        (
            lambda state: state.update(gaps=[{"shard": "s", "from": None, "at_us": 1_800_000_000_000_000}]),
            "1 gaps, the last noted 2027-01-15",
        ),
    ],
)
def test_what_the_follower_lacks_is_a_warning(
    swapping: SwapRig, change: Callable[[dict[str, Any]], None], warning: str
) -> None:
    swapped(swapping)
    state = followed(swapping)
    change(state)
    (told,) = plan(swapping, state).warnings
    assert warning in told


def test_documents_that_the_old_mapping_refused_are_counted_before_the_rollback(swapping: SwapRig) -> None:
    swapped(swapping)
    rejects = {swapping.old: {"strict_dynamic_mapping_exception, field 'later'": 3}, swapping.new: {"other": 9}}
    (told,) = plan(swapping, followed(swapping, rejects=rejects)).warnings
    assert "refused 3 documents of the follower" in told
    assert "field 'later'" in told


def test_an_adopted_index_and_a_changed_transform_are_warned_of(swapping: SwapRig) -> None:
    swapping.create()
    swap(swapping.plan(), swapping.ports())
    assert any("has no note of this package" in one for one in plan(swapping, followed(swapping)).warnings)


def test_an_index_made_with_another_transform_is_warned_of(swapping: SwapRig) -> None:
    swapped(swapping, note_of(swapping, rules_fingerprint="of-older-code"))
    assert any("transform was changed" in one for one in plan(swapping, followed(swapping)).warnings)


def test_an_index_past_its_time_may_still_be_gone_back_to(swapping: SwapRig) -> None:
    swapped(swapping)
    past = KeptIndex.of(swapping.old, swapping.uuid(swapping.old), -1, swapping.rig.clock)
    note_kept(swapping.store("kept"), past)
    made = plan(swapping, followed(swapping))
    assert any("past its time" in one for one in made.warnings)
    swap(replace(made, warnings=()).swap_plan("run 2"), swapping.ports())
    assert swapping.aliases()[swapping.old] == {swapping.alias}


def test_an_index_that_is_being_built_does_not_matter(swapping: SwapRig) -> None:
    swapped(swapping)
    third = swapping.add_index(3, **{swapping.next: {}})
    swap(plan(swapping, followed(swapping)).swap_plan("run 2"), swapping.ports())
    assert swapping.aliases()[third] == {swapping.next}


def test_a_block_that_a_killed_swap_left_on_the_previous_index_is_taken_away_by_the_rollback(
    swapping: SwapRig,
) -> None:
    swapped(swapping)
    put = {"index": swapping.old, "uuid": swapping.uuid(swapping.old), "run_id": "run 1", "since_us": 1}
    notes = swapping.store("swap")
    notes.load()
    notes.save(put)
    swapping.rig.call(f"{swapping.old}/_block/write", "PUT")
    swap(plan(swapping, followed(swapping)).swap_plan("run 2"), swapping.ports())
    assert swapping.aliases()[swapping.old] == {swapping.alias}
    assert not swapping.is_blocked(swapping.old)
    assert not swapping.is_blocked(swapping.new)
