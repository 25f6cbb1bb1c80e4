"""The parts of a swap that need no server."""

import pytest

from dynamo_opensearch.core.opensearch.alias import TargetAliases
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.rebuild.deadline import Deadline, SwapTooSlowError
from dynamo_opensearch.core.rebuild.kept import (
    HOUR_US,
    KeptIndex,
    KeptNote,
    forget,
    load_kept,
    note_kept,
    note_leaving,
    note_not_leaving,
)
from dynamo_opensearch.core.rebuild.rollback import RollbackPlan
from dynamo_opensearch.core.rebuild.swap_plan import SwapLostError, SwapPlan
from tests.support.fakes import NOW_US, FakeClock, MemoryStore

PLAIN = AliasProperties()


def plan(to_marker: str = "members-live-next") -> SwapPlan:
    return SwapPlan(
        alias="members-live",
        from_index="members-v1",
        to_index="members-v2",
        to_marker=to_marker,
        uses_write_block=True,
        properties=PLAIN,
        run_id="run 1",
        keep_h=24,
    )


def seen(live: str = "", following: str = "", previous: str = "") -> TargetAliases:
    return TargetAliases(*(dict.fromkeys(names.split(), PLAIN) for names in (live, following, previous)))


def test_a_swap_is_one_list_of_actions_each_removal_of_which_must_find_its_alias() -> None:
    actions = plan().actions(seen("members-v1", "members-v2", "members-v0"))
    assert actions == [
        {"remove": {"index": "members-v2", "alias": "members-live-next", "must_exist": True}},
        {"remove": {"index": "members-v1", "alias": "members-live", "must_exist": True}},
        {"remove": {"index": "members-v0", "alias": "members-live-previous", "must_exist": True}},
        {"add": {"index": "members-v2", "alias": "members-live"}},
        {"add": {"index": "members-v1", "alias": "members-live-previous"}},
    ]


def test_a_rollback_reverses_the_roles_and_leaves_what_is_being_built() -> None:
    actions = plan("members-live-previous").actions(seen("members-v1", "members-v3", "members-v2"))
    assert actions == [
        {"remove": {"index": "members-v2", "alias": "members-live-previous", "must_exist": True}},
        {"remove": {"index": "members-v1", "alias": "members-live", "must_exist": True}},
        {"add": {"index": "members-v2", "alias": "members-live"}},
        {"add": {"index": "members-v1", "alias": "members-live-previous"}},
    ]


@pytest.mark.parametrize(
    ("now", "is_done"),
    [
        (seen("members-v2", "", "members-v1"), True),
        (seen("members-v2"), True),
        (seen("members-v1", "members-v2"), False),
        (seen("members-v2", "members-v2"), False),
        (seen("members-v1 members-v2"), False),
        (seen(), False),
    ],
)
def test_whether_it_is_done_is_said_by_alias_and_marker(now: TargetAliases, is_done: bool) -> None:
    assert plan().is_done(now) is is_done


@pytest.mark.parametrize(
    "now",
    [
        seen("members-v1"),
        seen("members-v1", "members-v3"),
        seen("members-v3", "members-v2"),
        seen("members-v1 members-v3", "members-v2"),
        seen("", "members-v2"),
    ],
)
def test_anything_else_than_planned_is_lost(now: TargetAliases) -> None:
    with pytest.raises(SwapLostError):
        plan().check_possible(now)


def kept(uuid: str, hours: float = 24) -> KeptIndex:
    return KeptIndex.of(f"members-{uuid}", uuid, hours, FakeClock())


def test_notes_of_kept_and_leaving_indices_survive_the_store() -> None:
    store = MemoryStore()
    assert load_kept(store) == KeptNote()
    note_kept(store, kept("a"))
    note_leaving(store, kept("b", 1))
    note_leaving(store, kept("b", 2))
    assert load_kept(store) == KeptNote(kept=kept("a"), leaving=(kept("b", 2),))
    assert store.value is not None
    assert {"index", "uuid", "since_us", "until_us"} <= set(store.value)
    assert kept("a").until_us == NOW_US + 24 * HOUR_US


def test_a_note_of_another_index_is_replaced_and_one_that_is_kept_again_leaves_no_more() -> None:
    store = MemoryStore()
    note_kept(store, kept("a"))
    note_leaving(store, kept("b"))
    note_kept(store, kept("b"))
    assert load_kept(store) == KeptNote(kept=kept("b"))
    assert load_kept(store).kept_as("a") is None


def test_what_is_gone_is_forgotten_and_what_is_in_use_again_stays_kept() -> None:
    store = MemoryStore()
    note_kept(store, kept("a"))
    note_leaving(store, kept("a"))
    note_not_leaving(store, "a")
    assert load_kept(store) == KeptNote(kept=kept("a"))
    forget(store, "a")
    forget(store, "a")
    assert load_kept(store) == KeptNote()


def test_a_deadline_ends_and_says_at_what() -> None:
    clock = FakeClock()
    deadline = Deadline(clock, 5)
    clock.pass_s(4)
    assert deadline.left_s() == pytest.approx(1)
    clock.pass_s(1)
    with pytest.raises(SwapTooSlowError, match="5 s after writes were blocked, at: refresh"):
        deadline.left_s("refresh")


def test_bound_work_hands_on_result_and_error() -> None:
    deadline = Deadline(FakeClock(), 5)
    assert deadline.bound(lambda: 7, "work") == 7

    def fails() -> int:
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        deadline.bound(fails, "work")


def test_a_rollback_plan_survives_its_way_between_tasks_and_says_what_to_know() -> None:
    made = RollbackPlan(
        target="members",
        alias="members-live",
        from_index="members-v2",
        from_uuid="u2",
        to_index="members-v1",
        to_uuid="u1",
        properties=AliasProperties(filter={"term": {"a": 1}}, index_routing="x"),
        uses_write_block=True,
        keep_previous_h=24,
        began_us=NOW_US,
        kept_until_us=NOW_US + 3 * HOUR_US,
        warnings=("look here",),
    )
    assert RollbackPlan.from_json(made.to_json()) == made
    assert made.swap_plan("run 1").to_marker == "members-live-previous"
    assert "kept for another 3.0 h" in str(made)
    assert "warning: look here" in str(made)
