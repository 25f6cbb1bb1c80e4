"""Who holds a target: one run at a time, by what is known of runs, never by a clock."""

from typing import Any

import pytest

from dynamo_opensearch.core.state.holder import (
    CLEAN_UP,
    REBUILD,
    ROLLBACK,
    Holder,
    HolderLostError,
    TargetHeldError,
    TargetHold,
)
from dynamo_opensearch.core.state.index_store import StateConflictError
from dynamo_opensearch.core.state.updating import update
from tests.support.fakes import NOW_US, FakeClock, MemoryStore

DOCUMENT = "/.state/_doc/holder%7Cmembers-live"


class Runs:
    """RunStates that a test sets."""

    def __init__(self) -> None:
        self.finished: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str]] = []

    def is_finished(self, dag_id: str, run_id: str) -> bool:
        self.asked.append((dag_id, run_id))
        return (dag_id, run_id) in self.finished


class RacingStore(MemoryStore):
    """Another process saves before ours does, so often."""

    def __init__(self, others: list[dict[str, Any]]) -> None:
        super().__init__()
        self.others = others

    def save(self, value: dict[str, Any]) -> None:
        if self.others:
            self.value = self.others.pop(0)
            raise StateConflictError("holder|members-live")
        super().save(value)


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def hold(store: MemoryStore, runs: Runs, deployment: str = "production", clock: FakeClock | None = None) -> TargetHold:
    return TargetHold(store, runs, clock or FakeClock(), deployment, DOCUMENT)


def test_a_free_target_is_taken_and_the_same_run_keeps_it(store: MemoryStore, runs: Runs) -> None:
    clock = FakeClock()
    mine = hold(store, runs, clock=clock)
    taken = mine.take("members_reindex", "run 1", REBUILD)
    assert taken == Holder(
        deployment="production", dag_id="members_reindex", run_id="run 1", purpose=REBUILD, since_us=NOW_US
    )
    clock.pass_s(3600)
    assert mine.take("members_reindex", "run 1", REBUILD) == taken
    assert mine.check("members_reindex", "run 1") == taken
    assert len(store.saved) == 1


def test_a_run_that_the_holder_started_inherits_by_its_ids(store: MemoryStore, runs: Runs) -> None:
    hold(store, runs).take("members_reindex", "run 1", REBUILD)
    child = hold(store, runs)
    assert child.take("members_reindex", "run 1", "reconcile").purpose == REBUILD
    child.check("members_reindex", "run 1")


def test_another_run_is_refused_with_who_holds_it_since_when_and_how_to_break_it(
    store: MemoryStore, runs: Runs
) -> None:
    hold(store, runs).take("members_reindex", "run 1", REBUILD)
    with pytest.raises(TargetHeldError) as error:
        hold(store, runs).take("members_rollback_index", "run 1", ROLLBACK)
    text = str(error.value)
    assert "rebuild (run 'run 1' of DAG 'members_reindex', deployment 'production', since 2027-01-15 08:00:00" in text
    assert f"curl -X DELETE $OPENSEARCH{DOCUMENT}" in text
    assert not hold(store, runs).take_if_free("sync_index_cleanup", "run 9", CLEAN_UP)


def test_a_finished_run_gives_way_and_time_alone_does_not(store: MemoryStore, runs: Runs) -> None:
    hold(store, runs).take("members_reindex", "run 1", REBUILD)
    later = FakeClock(NOW_US + 10**13)
    with pytest.raises(TargetHeldError):
        hold(store, runs, clock=later).take("members_reindex", "run 2", REBUILD)
    runs.finished.add(("members_reindex", "run 1"))
    assert hold(store, runs, clock=later).take("members_reindex", "run 2", REBUILD).run_id == "run 2"


def test_another_deployments_run_is_never_asked_about(store: MemoryStore, runs: Runs) -> None:
    hold(store, runs, "blue").take("members_reindex", "run 1", REBUILD)
    runs.finished.add(("members_reindex", "run 1"))
    with pytest.raises(TargetHeldError, match="deployment 'blue'"):
        hold(store, runs, "green").take("members_reindex", "run 2", REBUILD)
    assert runs.asked == []


def test_a_rollback_pre_empts_a_rebuild_which_learns_of_it_at_its_next_check(store: MemoryStore, runs: Runs) -> None:
    rebuild, rollback = hold(store, runs), hold(store, runs)
    rebuild.take("members_reindex", "run 1", REBUILD)
    rollback.take("members_rollback_index", "run 5", ROLLBACK, frozenset({REBUILD}))
    with pytest.raises(HolderLostError, match="the holder is rollback"):
        rebuild.check("members_reindex", "run 1")
    assert not rebuild.release("members_reindex", "run 1")
    rollback.check("members_rollback_index", "run 5")
    with pytest.raises(TargetHeldError):
        rebuild.take("members_reindex", "run 1", REBUILD)


def test_a_rollback_does_not_pre_empt_another_rollback(store: MemoryStore, runs: Runs) -> None:
    hold(store, runs).take("members_rollback_index", "run 5", ROLLBACK, frozenset({REBUILD}))
    with pytest.raises(TargetHeldError):
        hold(store, runs).take("members_rollback_index", "run 6", ROLLBACK, frozenset({REBUILD}))


def test_letting_go_twice_is_once_and_only_ones_own(store: MemoryStore, runs: Runs) -> None:
    mine = hold(store, runs)
    mine.take("members_reindex", "run 1", REBUILD)
    assert not hold(store, runs).release("members_reindex", "run 2")
    assert not hold(store, runs, "blue").release("members_reindex", "run 1")
    assert mine.release("members_reindex", "run 1")
    assert not mine.release("members_reindex", "run 1")
    with pytest.raises(HolderLostError, match="nobody"):
        mine.check("members_reindex", "run 1")
    assert hold(store, runs).take_if_free("sync_index_cleanup", "run 9", CLEAN_UP)


def test_a_hold_that_was_broken_by_hand_is_lost(store: MemoryStore, runs: Runs) -> None:
    mine = hold(store, runs)
    mine.take("members_reindex", "run 1", REBUILD)
    store.value = None
    with pytest.raises(HolderLostError):
        mine.check("members_reindex", "run 1")


def other(run_id: str) -> dict[str, Any]:
    return Holder(
        deployment="production", dag_id="members_reindex", run_id=run_id, purpose=REBUILD, since_us=1
    ).to_json()


def test_whoever_was_faster_has_it(runs: Runs) -> None:
    with pytest.raises(TargetHeldError, match="run 8"):
        hold(RacingStore([other("run 8")]), runs).take("members_reindex", "run 1", REBUILD)
    assert hold(RacingStore([{}]), runs).take("members_reindex", "run 1", REBUILD).run_id == "run 1"
    with pytest.raises(StateConflictError):
        hold(RacingStore([{}] * 9), runs).take("members_reindex", "run 1", REBUILD)


def test_letting_go_of_what_was_just_taken_over_is_not_an_error(runs: Runs) -> None:
    store = RacingStore([])
    mine = hold(store, runs)
    mine.take("members_reindex", "run 1", REBUILD)
    store.others = [other("run 8")]
    assert not mine.release("members_reindex", "run 1")


def test_an_update_is_made_again_on_what_another_process_saved() -> None:
    store = RacingStore([{"theirs": 1}])
    assert update(store, lambda value: {**value, "ours": 2}) == {"theirs": 1, "ours": 2}
    assert update(store, lambda value: value) == {"theirs": 1, "ours": 2}
    assert len(store.saved) == 1
    with pytest.raises(StateConflictError):
        update(RacingStore([{"n": number} for number in range(20)]), lambda value: {**value, "ours": 2})
