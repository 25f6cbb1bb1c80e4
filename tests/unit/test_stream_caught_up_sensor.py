"""The wait for the follower: at once, in the triggerer, or given up with what to do."""

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from dynamo_opensearch.core.errors import PassingError, PermanentError
from dynamo_opensearch.sensors import stream_caught_up
from dynamo_opensearch.sensors.stream_caught_up import StreamCaughtUpSensor
from dynamo_opensearch.triggers.stream_caught_up import StreamCaughtUpTrigger
from tests.support.adapters import FakeConnections, FakeInstance, connect
from tests.support.fakes import NOW_US

REASON = "the follower does not feed 'members-v2' yet; it feeds none"


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> FakeConnections:
    return connect(monkeypatch)


def sensor(**arguments: Any) -> StreamCaughtUpSensor:
    return StreamCaughtUpSensor(task_id="wait_for_stream", target="members", index="members-v2", **arguments)


def answer(monkeypatch: pytest.MonkeyPatch, reason: str | Exception | None) -> list[tuple[str, int]]:
    asked: list[tuple[str, int]] = []

    def follower_lag(_: Any, index: str, moment_us: int) -> str | None:
        asked.append((index, moment_us))
        if isinstance(reason, Exception):
            raise reason
        return reason

    monkeypatch.setattr(stream_caught_up, "follower_lag", follower_lag)
    return asked


def test_it_returns_at_once_when_the_follower_is_there(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch, None)
    sensor().execute(FakeInstance().context)
    assert asked == [("members-v2", 0)], "without to_now it is enough that the index was taken on"


def test_it_waits_in_the_triggerer_for_the_moment_at_which_it_began(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, REASON)
    with pytest.raises(TaskDeferred) as deferred:
        sensor(to_now=True, wait_h=2.0).execute(FakeInstance().context)
    trigger: Any = deferred.value.trigger
    assert isinstance(trigger, StreamCaughtUpTrigger)
    assert (trigger.target, trigger.index) == ("members", "members-v2")
    assert trigger.moment_us == NOW_US
    assert trigger.give_up_us == NOW_US + 2 * 3_600_000_000
    assert deferred.value.method_name == "resume"


def test_it_says_for_which_moment_it_waits_so_that_a_follower_that_is_away_comes_back(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, REASON)
    with pytest.raises(TaskDeferred):
        sensor(to_now=True).execute(FakeInstance().context)
    assert connections.state("asked").load() == {"moment_us": NOW_US}


def test_a_later_moment_that_another_waits_for_stays(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.state("asked").save({"moment_us": NOW_US + 5})
    answer(monkeypatch, REASON)
    with pytest.raises(TaskDeferred):
        sensor(to_now=True).execute(FakeInstance().context)
    assert connections.state("asked").load() == {"moment_us": NOW_US + 5}


def test_it_goes_on_when_the_trigger_has_seen_the_follower_there() -> None:
    sensor().resume(FakeInstance().context, {"reason": None})


def test_when_its_time_is_up_it_fails_once_with_the_reason_and_what_to_look_at() -> None:
    with pytest.raises(AirflowFailException) as failed:
        sensor(wait_h=2.0).resume(FakeInstance().context, {"reason": REASON})
    for part in (REASON, "Waited 2 h", "sync_follow", "paused", "clear this task"):
        assert part in str(failed.value)


def test_a_cluster_that_is_away_is_left_to_a_retry_and_what_is_permanent_is_not(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, PassingError("away"))
    with pytest.raises(PassingError):
        sensor().execute(FakeInstance().context)
    answer(monkeypatch, PermanentError("refused"))
    with pytest.raises(AirflowFailException):
        sensor().execute(FakeInstance().context)
