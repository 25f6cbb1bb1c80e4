"""The follower's tasks: what is followed, and how long a round holds a worker slot."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.follow.settings import FollowStep
from dynamo_opensearch.core.follow.state import FollowState
from dynamo_opensearch.operators import follow
from dynamo_opensearch.operators.follow import ROUND_S, FollowStreamOperator, PlanFollowOperator
from dynamo_opensearch.triggers.follow_needed import FollowNeededTrigger
from dynamo_opensearch.triggers.stream_activity import StreamActivityTrigger
from tests.support.adapters import FakeConnections, FakeInstance, connect
from tests.support.fakes import NOW_US, FakeClock

BUILDING = ["members-live members-v1", "members-live-next members-v2"]
KEPT = ["members-live members-v2", "members-live-previous members-v1"]
IDLE = FollowStep(is_fed=True, wait_s=1.0)
QUIET = replace(IDLE, quiet_s=120.0)
BUSY = FollowStep(is_fed=True, has_work=True)
DONE = FollowStep(is_fed=False)
ROUND_ENDS_US = NOW_US + round(ROUND_S * 1e6)


@dataclass
class Targets:
    """FollowedTargets as the operators ask it, and what it was asked when."""

    clock: FakeClock
    is_needed: list[str] = field(default_factory=lambda: ["members"])
    marked: Callable[[], list[str]] = lambda: BUILDING
    asked: list[tuple[str, float]] = field(default_factory=list)

    def __call__(self) -> "Targets":
        return self

    def needed(self, **_: Any) -> list[str]:
        self.asked.append(("needed", self.clock.steady_s))
        return self.is_needed

    def markers(self, target: str) -> list[str]:
        assert target == "members"
        self.asked.append(("markers", self.clock.steady_s))
        return self.marked()


class FakeFollower:
    """Gives the prepared steps; the last one for ever. A step that has work takes a tenth of a second."""

    def __init__(self, clock: FakeClock, *steps: FollowStep) -> None:
        self._clock, self._steps, self._last = clock, iter(steps), steps[-1]
        self.state = FollowState(stream_arn="arn")
        self.stepped = 0

    def step(self) -> FollowStep:
        self.stepped += 1
        step = next(self._steps, self._last)
        if step.has_work:
            self._clock.pass_s(0.1)
        return step


@dataclass
class Rig:
    """A follower that a test scripts, and what becomes of its task."""

    connections: FakeConnections
    monkeypatch: pytest.MonkeyPatch
    targets: Targets

    @property
    def clock(self) -> FakeClock:
        clock = self.connections.clock
        assert isinstance(clock, FakeClock)
        return clock

    def follower(self, *steps: FollowStep) -> FakeFollower:
        made = FakeFollower(self.clock, *steps)
        self.monkeypatch.setattr(follow, "make_follower", lambda *_: made)
        return made

    def operator(self) -> FollowStreamOperator:
        return FollowStreamOperator(task_id="follow", target="members", planned=["members"])


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    connections = connect(monkeypatch)
    clock = connections.clock
    assert isinstance(clock, FakeClock)
    targets = Targets(clock)
    monkeypatch.setattr(follow, "FollowedTargets", targets)
    return Rig(connections, monkeypatch, targets)


def plan() -> PlanFollowOperator:
    return PlanFollowOperator(task_id="plan")


def test_the_plan_names_the_targets_that_need_it(rig: Rig) -> None:
    rig.targets.is_needed = ["members", "orders"]
    assert plan().execute(FakeInstance().context) == ["members", "orders"]


def test_with_nothing_to_follow_the_plan_waits_in_the_triggerer(rig: Rig) -> None:
    rig.targets.is_needed = []
    with pytest.raises(TaskDeferred) as deferred:
        plan().execute(FakeInstance().context)
    assert isinstance(deferred.value.trigger, FollowNeededTrigger)
    assert deferred.value.method_name == "resume"
    assert deferred.value.timeout is not None, "a trigger that got lost would keep every rebuild waiting"


def test_the_plan_goes_on_with_what_the_trigger_found_and_waits_on_where_it_found_none(rig: Rig) -> None:
    assert plan().resume(FakeInstance().context, {"targets": ["members"]}) == ["members"]
    rig.targets.is_needed = []
    with pytest.raises(TaskDeferred):
        plan().resume(FakeInstance().context, {"targets": []})
    rig.targets.is_needed = ["orders"]
    assert plan().resume(FakeInstance().context, {"targets": []}) == ["orders"]


def test_it_ends_when_nothing_is_fed_any_more_and_returns_what_was_done(rig: Rig) -> None:
    follower = rig.follower(BUSY, BUSY, DONE)
    report = rig.operator().execute(FakeInstance().context)
    assert report == follower.state.to_json()["counts"]
    assert follower.stepped == 3


def test_a_round_ends_when_its_time_is_over(rig: Rig) -> None:
    rig.follower(BUSY)
    rig.operator().execute(FakeInstance().context)
    assert ROUND_ENDS_US <= rig.clock.time_us() < ROUND_ENDS_US + 1_000_000


def test_it_does_not_leave_while_records_are_owed_a_second_look(rig: Rig) -> None:
    rig.follower(IDLE)
    rig.operator().execute(FakeInstance().context)
    assert rig.clock.time_us() >= ROUND_ENDS_US


def test_a_short_silence_is_not_worth_a_process_that_starts_again(rig: Rig) -> None:
    rig.follower(replace(IDLE, quiet_s=3.0))
    rig.operator().execute(FakeInstance().context)
    assert rig.clock.time_us() >= ROUND_ENDS_US


def silent(rig: Rig) -> Any:
    """What it defers with."""
    with pytest.raises(TaskDeferred) as deferred:
        rig.operator().execute(FakeInstance().context)
    assert deferred.value.method_name == "resume"
    return deferred.value


def test_in_silence_it_waits_in_the_triggerer_until_something_is_due(rig: Rig) -> None:
    rig.follower(BUSY, QUIET)
    deferred = silent(rig)
    trigger = deferred.trigger
    assert isinstance(trigger, StreamActivityTrigger)
    assert (trigger.target, trigger.planned, trigger.until_us) == ("members", ["members"], ROUND_ENDS_US)
    assert trigger.wake_us == rig.clock.time_us() + 120_000_000
    assert deferred.timeout >= timedelta(seconds=ROUND_S)


def test_it_never_waits_longer_than_its_round(rig: Rig) -> None:
    rig.follower(replace(QUIET, quiet_s=7_200.0))
    assert silent(rig).trigger.wake_us == ROUND_ENDS_US


def test_the_markers_that_it_waits_with_were_seen_before_the_followers_last_look_at_them(rig: Rig) -> None:
    """A marker that moves while it leaves must wake it: what the trigger compares with may not be newer."""
    moves_s = rig.clock.steady_s + 6
    rig.targets.marked = lambda: BUILDING if rig.clock.steady_s < moves_s else KEPT
    follower = rig.follower(QUIET)
    stepped_when_seen: list[int] = []
    markers = rig.targets.markers

    def seen(target: str) -> list[str]:
        stepped_when_seen.append(follower.stepped)
        return markers(target)

    rig.monkeypatch.setattr(rig.targets, "markers", seen)
    deferred = silent(rig)
    assert rig.clock.steady_s > moves_s
    assert deferred.trigger.markers == BUILDING
    assert stepped_when_seen[-1] < follower.stepped


def test_markers_seen_before_the_silence_was_broken_are_not_waited_with(rig: Rig) -> None:
    rig.follower(*[QUIET] * 5, *[IDLE] * 6, QUIET)
    rig.targets.marked = iter_of(BUILDING, KEPT)
    assert silent(rig).trigger.markers == KEPT


def iter_of(*answers: list[str]) -> Callable[[], list[str]]:
    left = iter(answers)
    return lambda: next(left)


def test_a_newcomer_ends_the_round_so_that_the_next_one_serves_it(rig: Rig) -> None:
    follower = rig.follower(BUSY)
    rig.targets.is_needed = ["members", "orders"]
    rig.operator().execute(FakeInstance().context)
    assert rig.clock.time_us() < NOW_US + 10_000_000
    assert follower.stepped > 1


def test_others_are_looked_at_every_few_seconds_only(rig: Rig) -> None:
    rig.follower(BUSY)
    rig.operator().execute(FakeInstance().context)
    looks = [at for what, at in rig.targets.asked if what == "needed"]
    assert 60 <= len(looks) <= ROUND_S / 4


def test_it_goes_on_within_the_same_round(rig: Rig) -> None:
    rig.follower(BUSY)
    until_us = NOW_US + 30_000_000
    rig.operator().resume(FakeInstance().context, {"until_us": until_us})
    assert until_us <= rig.clock.time_us() < until_us + 1_000_000


def test_a_round_that_was_over_while_it_waited_ends_without_a_step(rig: Rig) -> None:
    follower = rig.follower(BUSY)
    rig.operator().resume(FakeInstance().context, {"until_us": NOW_US})
    assert follower.stepped == 0


def test_a_permanent_failure_is_left_to_growing_delays(rig: Rig) -> None:
    """The next run begins at once: a failure without retries would fill Airflow with runs."""

    def refuse(*_: Any) -> None:
        raise PermanentError("no stream")

    rig.monkeypatch.setattr(follow, "make_follower", refuse)
    with pytest.raises(PermanentError):
        rig.operator().execute(FakeInstance().context)
