"""The clean-up on a real OpenSearch: what it deletes, what it leaves, and that a kill or a race changes neither."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.index_state import META_KEY
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.cleanup import CleanUpPorts, CleanUpReport, CleanUpSettings, clean_up
from dynamo_opensearch.core.rebuild.kept import HOUR_US, KeptIndex, load_kept, note_kept
from dynamo_opensearch.core.rebuild.swap import SwapReport, swap
from dynamo_opensearch.core.rebuild.swap_plan import SwapLostError, SwapPlan
from dynamo_opensearch.core.state.holder import REBUILD, ROLLBACK, TargetHold
from tests.integration.conftest import MakeRig
from tests.support.fakes import FakeClock
from tests.support.rig import ANYTHING
from tests.support.swaps import Died, DyingCluster, SwapRig, race

DAG = "sync_index_cleanup"


@dataclass
class CleanUpRig:
    """A target after a swap: ``old`` is kept; the clock is the test's."""

    swapping: SwapRig
    clock: FakeClock = field(default_factory=FakeClock)
    finished: set[str] = field(default_factory=set)

    def after_a_swap(self) -> "CleanUpRig":
        """``new`` behind the alias, ``old`` kept for a day."""
        self.swapping.create()
        swap(self.swapping.plan(), self.ports_of_swap())
        return self

    def ports_of_swap(self) -> Any:
        ports = self.swapping.ports()
        return type(ports)(**{**ports.__dict__, "clock": self.clock})

    def is_finished(self, dag_id: str, run_id: str) -> bool:
        return run_id in self.finished

    def hold(self, cluster: Cluster | None = None) -> TargetHold:
        return TargetHold(self.swapping.store("holder", self._patient(cluster)), self, self.clock, "test")

    def _patient(self, cluster: Cluster | None) -> PatientCluster:
        rig = self.swapping.rig
        return PatientCluster(cluster or rig.cluster, rig.clock, rig.retry)

    def run(self, cluster: Cluster | None = None, run_id: str = "hour 1") -> CleanUpReport:
        """One clean-up."""
        patient = self._patient(cluster)
        settings = CleanUpSettings(alias=self.swapping.alias, index_base=self.swapping.rig.base, keep_h=24)
        ports = CleanUpPorts(
            cluster=cluster or self.swapping.rig.cluster,
            patient=patient,
            hold=self.hold(cluster),
            kept=self.swapping.store("kept", patient),
            block_notes=self.swapping.store("swap", patient),
            is_rebuild_finished=lambda one: one in self.finished,
            clock=self.clock,
        )
        return clean_up(settings, DAG, run_id, ports)

    def pass_h(self, hours: float) -> None:
        self.clock.pass_s(hours * 3600)

    def make_next(self, number: int, run_id: str = "run 7", note: bool = True) -> str:
        """What a rebuild has left."""
        index = f"{self.swapping.rig.base}-v{number}"
        meta = {"_meta": {META_KEY: {"run_id": run_id, "created_us": self.clock.time_us()}}} if note else {}
        self.swapping.rig.create_index({**ANYTHING, **meta}, index=index, aliases={self.swapping.next: {}})
        return index


@pytest.fixture
def cleaning(make_rig: MakeRig) -> CleanUpRig:
    return CleanUpRig(SwapRig(make_rig()))


def test_a_kept_index_is_deleted_when_its_time_is_over_and_not_before(cleaning: CleanUpRig) -> None:
    cleaning.after_a_swap()
    swapping = cleaning.swapping
    cleaning.pass_h(23.9)
    report = cleaning.run()
    assert [one.index for one in report.kept] == [swapping.old]
    assert set(swapping.aliases()) == {swapping.old, swapping.new}
    cleaning.pass_h(0.2)
    assert cleaning.run().deleted == [swapping.old]
    assert swapping.aliases() == {swapping.new: {swapping.alias}}
    assert load_kept(swapping.store("kept")).kept is None
    assert str(cleaning.run()).endswith("nothing to do")
    assert cleaning.hold().holder() is None


def test_a_kept_index_without_a_note_gets_one_and_its_whole_time(cleaning: CleanUpRig) -> None:
    cleaning.after_a_swap()
    swapping = cleaning.swapping
    note_kept(swapping.store("kept"), KeptIndex.of("another", "another-uuid", -100, cleaning.clock))
    cleaning.pass_h(100)
    report = cleaning.run()
    assert report.deleted == []
    noted = load_kept(swapping.store("kept")).kept
    assert noted is not None
    assert (noted.uuid, noted.until_us) == (swapping.uuid(swapping.old), cleaning.clock.time_us() + 24 * HOUR_US)
    cleaning.pass_h(24.1)
    assert cleaning.run().deleted == [swapping.old]


def test_an_index_that_was_dropped_by_a_later_swap_is_kept_as_long_as_was_promised(cleaning: CleanUpRig) -> None:
    cleaning.after_a_swap()
    swapping = cleaning.swapping
    cleaning.pass_h(10)
    newest = swapping.add_index(3, **{swapping.next: {}})
    swap(swapping.plan(from_index=swapping.new, to_index=newest), cleaning.ports_of_swap())
    assert swapping.aliases()[swapping.old] == set()
    report = cleaning.run()
    assert sorted(one.index for one in report.kept) == [swapping.old, swapping.new]
    cleaning.pass_h(14.1)
    assert cleaning.run().deleted == [swapping.old]
    cleaning.pass_h(10)
    assert cleaning.run().deleted == [swapping.new]
    assert swapping.aliases() == {newest: {swapping.alias}}


def test_a_dropped_index_that_got_an_alias_again_stays(cleaning: CleanUpRig) -> None:
    cleaning.after_a_swap()
    swapping = cleaning.swapping
    newest = swapping.add_index(3, **{swapping.next: {}})
    swap(swapping.plan(from_index=swapping.new, to_index=newest), cleaning.ports_of_swap())
    add = {"add": {"index": swapping.old, "alias": f"{swapping.rig.base}-someone"}}
    swapping.rig.call("_aliases", "POST", {"actions": [add]})
    cleaning.pass_h(100)
    assert swapping.old not in cleaning.run().deleted
    assert swapping.aliases()[swapping.old] == {f"{swapping.rig.base}-someone"}
    assert load_kept(swapping.store("kept")).leaving == ()


def test_an_index_with_another_alias_is_left_and_told(cleaning: CleanUpRig) -> None:
    cleaning.after_a_swap()
    swapping = cleaning.swapping
    add = {"add": {"index": swapping.old, "alias": f"{swapping.rig.base}-other"}}
    swapping.rig.call("_aliases", "POST", {"actions": [add]})
    cleaning.pass_h(25)
    report = cleaning.run()
    assert report.left == {swapping.old: f"it carries {swapping.rig.base}-other as well"}
    assert swapping.aliases()[swapping.old] == {swapping.previous, f"{swapping.rig.base}-other"}


@pytest.mark.parametrize("name", ["-v2-by-hand", "-v", "-v2x", "-w2"])
def test_an_index_with_another_name_is_left_and_told(cleaning: CleanUpRig, name: str) -> None:
    index = f"{cleaning.swapping.rig.base}{name}"
    cleaning.swapping.rig.create_index(index=index, aliases={cleaning.swapping.previous: {}})
    assert [one.index for one in cleaning.run().kept] == [index]
    cleaning.pass_h(25)
    assert "is not named" in cleaning.run().left[index]
    assert index in cleaning.swapping.rig.indices()


def test_two_indices_with_the_marker_are_told_and_neither_is_deleted(cleaning: CleanUpRig) -> None:
    both = [cleaning.swapping.add_index(number, **{cleaning.swapping.previous: {}}) for number in (5, 6)]
    for _ in range(3):
        assert sorted(cleaning.run().left) == both
        cleaning.pass_h(25)
    assert sorted(cleaning.swapping.aliases()) == both


def test_an_adopted_index_is_kept_and_told_about(cleaning: CleanUpRig) -> None:
    swapping = cleaning.swapping
    swapping.rig.create_index(index=f"{swapping.rig.base}-hand", aliases={swapping.alias: {}})
    swapping.add_index(2, **{swapping.next: {}})
    swap(swapping.plan(from_index=f"{swapping.rig.base}-hand"), cleaning.ports_of_swap())
    cleaning.pass_h(25)
    report = cleaning.run()
    assert "was not made by this package" in report.left[f"{swapping.rig.base}-hand"]
    assert swapping.rig.call(f"{swapping.rig.base}-hand/_alias")[f"{swapping.rig.base}-hand"]["aliases"] == {
        swapping.previous: {}
    }


def test_what_a_failed_rebuild_left_is_deleted_once_its_run_has_ended_and_its_time_is_over(
    cleaning: CleanUpRig,
) -> None:
    cleaning.swapping.rig.create_index()
    left = cleaning.make_next(2)
    cleaning.pass_h(25)
    assert "run 7" in cleaning.run().left[left]
    cleaning.finished.add("run 7")
    assert cleaning.run().deleted == [left]
    assert cleaning.swapping.aliases() == {cleaning.swapping.old: {cleaning.swapping.alias}}


def test_a_fresh_one_and_one_that_somebody_else_made_are_left(cleaning: CleanUpRig) -> None:
    cleaning.swapping.rig.create_index()
    cleaning.finished.add("run 7")
    fresh = cleaning.make_next(2)
    assert [one.index for one in cleaning.run().kept] == [fresh]
    other = cleaning.make_next(3, note=False)
    cleaning.pass_h(25)
    report = cleaning.run()
    assert report.deleted == [fresh]
    assert "no note of a rebuild" in report.left[other]


def test_a_target_that_a_live_run_holds_is_left_alone_and_a_finished_runs_hold_does_not_count(
    cleaning: CleanUpRig,
) -> None:
    cleaning.after_a_swap()
    cleaning.hold().take("members_reindex", "run 8", REBUILD)
    cleaning.pass_h(25)
    report = cleaning.run()
    assert report.held_by is not None
    assert "run 8" in report.held_by
    assert set(cleaning.swapping.aliases()) == {cleaning.swapping.old, cleaning.swapping.new}
    cleaning.finished.add("run 8")
    assert cleaning.run().deleted == [cleaning.swapping.old]


def test_a_write_block_that_a_killed_swap_left_is_taken_away(cleaning: CleanUpRig) -> None:
    swapping = cleaning.swapping
    swapping.create()
    put = {"index": swapping.old, "uuid": swapping.uuid(swapping.old), "run_id": "run 1", "since_us": 1}
    swapping.store("swap").save(put)
    swapping.rig.call(f"{swapping.old}/_block/write", "PUT")
    assert cleaning.run().unblocked == swapping.old
    assert not swapping.is_blocked(swapping.old)


# Killed at any request


def prepared_to_delete_three(cleaning: CleanUpRig) -> CleanUpRig:
    """A dropped index, a previous one and a left next one, all past their time."""
    cleaning.after_a_swap()
    swapping = cleaning.swapping
    newest = swapping.add_index(3, **{swapping.next: {}})
    swap(swapping.plan(from_index=swapping.new, to_index=newest), cleaning.ports_of_swap())
    cleaning.make_next(4)
    cleaning.finished.add("run 7")
    cleaning.pass_h(25)
    return cleaning


def test_a_clean_up_killed_after_any_change_is_finished_by_the_next(make_rig: MakeRig) -> None:
    rehearsal = prepared_to_delete_three(CleanUpRig(SwapRig(make_rig())))
    counter = DyingCluster(rehearsal.swapping.rig.cluster, survived=1_000)
    assert len(rehearsal.run(counter).deleted) == 3
    assert len(counter.changes) > 12
    for survived in range(len(counter.changes)):
        cleaning = prepared_to_delete_three(CleanUpRig(SwapRig(make_rig())))
        with pytest.raises(Died):
            cleaning.run(DyingCluster(cleaning.swapping.rig.cluster, survived))
        cleaning.finished.add("hour 1")
        assert cleaning.run(run_id="hour 2").held_by is None
        swapping = cleaning.swapping
        assert swapping.aliases() == {f"{swapping.rig.base}-v3": {swapping.alias}}, survived
        noted = load_kept(swapping.store("kept"))
        assert (noted.kept, noted.leaving) == (None, ()), survived
        assert cleaning.hold().holder() is None


# Races with a rollback


class Meddling:
    """Does something once, just before a request of this kind goes out."""

    def __init__(self, cluster: Cluster, before: Callable[[str, str], bool], deed: Callable[[], object]) -> None:
        self._cluster, self._before, self._deed, self.meddled = cluster, before, deed, False

    def request(self, method: str, path: str, **more: Any) -> Any:
        if not self.meddled and self._before(method, path):
            self.meddled = True
            self._deed()
        return self._cluster.request(method, path, **more)


def rollback_plan(swapping: SwapRig) -> SwapPlan:
    return swapping.back()


def test_a_rollback_that_comes_before_the_marker_is_removed_wins_and_nothing_is_deleted(cleaning: CleanUpRig) -> None:
    cleaning.after_a_swap()
    cleaning.pass_h(25)
    swapping = cleaning.swapping
    cluster = Meddling(
        swapping.rig.cluster,
        lambda _, path: path == "/_aliases",
        lambda: swap(rollback_plan(swapping), cleaning.ports_of_swap()),
    )
    report = cleaning.run(cluster)
    assert cluster.meddled
    assert report.deleted == []
    assert "another run was faster" in report.left[swapping.old]
    assert swapping.aliases() == {swapping.old: {swapping.alias}, swapping.new: {swapping.previous}}
    assert load_kept(swapping.store("kept")).leaving == ()


def test_a_rollback_that_comes_after_the_marker_is_removed_loses_and_the_alias_stays(cleaning: CleanUpRig) -> None:
    cleaning.after_a_swap()
    cleaning.pass_h(25)
    swapping, outcomes = cleaning.swapping, list[Any]()
    cluster = Meddling(
        swapping.rig.cluster,
        lambda method, _: method == "DELETE",
        lambda: outcomes.extend(race([lambda: swap(rollback_plan(swapping), cleaning.ports_of_swap())])),
    )
    assert cleaning.run(cluster).deleted == [swapping.old]
    assert isinstance(outcomes[0], SwapLostError)
    assert swapping.aliases() == {swapping.new: {swapping.alias}}
    assert not swapping.is_blocked(swapping.new)


@pytest.mark.parametrize("attempt", range(4))
def test_of_a_rollback_and_a_clean_up_at_once_exactly_one_wins(cleaning: CleanUpRig, attempt: int) -> None:
    cleaning.after_a_swap()
    cleaning.pass_h(25)
    swapping = cleaning.swapping
    plan = rollback_plan(swapping)
    swapped, cleaned = race([lambda: swap(plan, cleaning.ports_of_swap()), cleaning.run])
    assert isinstance(cleaned, CleanUpReport), cleaned
    if isinstance(swapped, SwapReport):
        assert cleaned.deleted == []
        assert swapping.aliases() == {swapping.old: {swapping.alias}, swapping.new: {swapping.previous}}
    else:
        assert isinstance(swapped, SwapLostError), swapped
        assert cleaned.deleted == [swapping.old]
        assert swapping.aliases() == {swapping.new: {swapping.alias}}
    assert not swapping.is_blocked(swapping.new)


def test_a_rollback_takes_the_target_from_a_rebuild_and_the_rebuilds_index_stays_for_it(cleaning: CleanUpRig) -> None:
    cleaning.after_a_swap()
    swapping = cleaning.swapping
    third = cleaning.make_next(3)
    cleaning.hold().take("members_reindex", "run 7", REBUILD)
    cleaning.hold().take("members_rollback_index", "run 9", ROLLBACK, frozenset({REBUILD}))
    swap(rollback_plan(swapping), cleaning.ports_of_swap())
    with pytest.raises(SwapLostError):
        swap(swapping.plan(from_index=swapping.new, to_index=third, run_id="run 7"), cleaning.ports_of_swap())
    assert swapping.aliases() == {
        swapping.old: {swapping.alias},
        swapping.new: {swapping.previous},
        third: {swapping.next},
    }
