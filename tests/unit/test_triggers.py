"""The triggers: they come back from the database as they were, and fire when they should, and not before."""

import asyncio
import importlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.triggers import follow_needed, stream_activity, stream_caught_up
from dynamo_opensearch.triggers.follow_needed import FollowNeededTrigger
from dynamo_opensearch.triggers.polling import PollingTrigger
from dynamo_opensearch.triggers.stream_activity import StreamActivityTrigger
from dynamo_opensearch.triggers.stream_caught_up import StreamCaughtUpTrigger
from tests.support.adapters import FakeConnections, connect
from tests.support.fakes import NOW_US

MARKERS = ["members-live members-v1", "members-live-next members-v2"]
LATER_US = NOW_US + 60_000_000
AT_ONCE_S = 0.001


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> FakeConnections:
    return connect(monkeypatch)


@pytest.mark.parametrize(
    ("trigger", "arguments"),
    [
        (FollowNeededTrigger(LATER_US, poll_s=7.0), {"wake_us": LATER_US, "poll_s": 7.0}),
        (
            StreamCaughtUpTrigger("members", "members-v2", NOW_US, LATER_US, poll_s=2.0),
            {
                "target": "members",
                "index": "members-v2",
                "moment_us": NOW_US,
                "give_up_us": LATER_US,
                "poll_s": 2.0,
            },
        ),
        (
            StreamActivityTrigger("members", ["members", "orders"], MARKERS, NOW_US, LATER_US, poll_s=3.0),
            {
                "target": "members",
                "planned": ["members", "orders"],
                "markers": MARKERS,
                "wake_us": NOW_US,
                "until_us": LATER_US,
                "poll_s": 3.0,
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_trigger_comes_back_as_it_was_saved(trigger: PollingTrigger, arguments: dict[str, Any]) -> None:
    path, saved = trigger.serialize()
    assert saved == arguments
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert found is type(trigger)
    assert found(**saved).serialize() == (path, saved)


def fired(trigger: PollingTrigger, most_s: float = 10.0) -> Any:
    """What it fires with."""

    async def first() -> Any:
        async with asyncio.timeout(most_s):
            return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(first())
    return payload


class Counting(PollingTrigger):
    """Finds something at the third look."""

    looks = 0
    threads: set[int]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        raise NotImplementedError

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        self.threads = {threading.get_ident()}

        def look() -> dict[str, Any] | None:
            self.looks += 1
            self.threads.add(threading.get_ident())
            return {"looks": self.looks} if self.looks == 3 else None

        return look


def test_it_looks_until_something_is_found_fires_once_and_never_blocks_the_event_loop() -> None:
    trigger = Counting(AT_ONCE_S)
    assert fired(trigger) == {"looks": 3}
    assert threading.get_ident() not in trigger.threads


def test_a_look_that_hangs_does_not_keep_other_triggers_from_theirs() -> None:
    hangs, is_free = threading.Event(), threading.Event()

    class Hanging(Counting):
        def make_look(self) -> Callable[[], dict[str, Any] | None]:
            def look() -> dict[str, Any]:
                hangs.set()
                assert is_free.wait(10)
                return {"waited": True}

            return look

    async def first(trigger: PollingTrigger) -> TriggerEvent:
        return await anext(trigger.run())

    async def both() -> Any:
        slow = asyncio.create_task(first(Hanging(AT_ONCE_S)))
        async with asyncio.timeout(5):
            while not hangs.is_set():
                await asyncio.sleep(AT_ONCE_S)
            event = await first(Counting(AT_ONCE_S))
        is_free.set()
        return event.payload, (await slow).payload

    assert asyncio.run(both()) == ({"looks": 3}, {"waited": True})


def test_what_a_look_raises_fails_the_task_that_waits() -> None:
    class Broken(Counting):
        def make_look(self) -> Callable[[], dict[str, Any] | None]:
            def look() -> None:
                raise PassingError("away")

            return look

    with pytest.raises(PassingError, match="away"):
        fired(Broken(AT_ONCE_S))


class Targets:
    """FollowedTargets with prepared answers; the last one stays."""

    def __init__(self, *needed: list[str], markers: list[str] = MARKERS) -> None:
        self._needed, self._markers = iter(needed), markers
        self.last: list[str] = []

    def __call__(self) -> "Targets":
        return self

    def needed(self) -> list[str]:
        self.last = next(self._needed, self.last)
        return self.last

    def markers(self, target: str) -> list[str]:
        assert target == "members"
        return self._markers


def test_the_wait_for_something_to_follow_ends_with_the_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_needed, "FollowedTargets", Targets([], [], ["members"]))
    far_us = 2**62
    assert fired(FollowNeededTrigger(far_us, AT_ONCE_S)) == {"targets": ["members"]}


def test_the_wait_for_something_to_follow_ends_without_any_when_its_time_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow_needed, "FollowedTargets", Targets([]))
    assert fired(FollowNeededTrigger(1, AT_ONCE_S)) == {"targets": []}


def lags(monkeypatch: pytest.MonkeyPatch, *reasons: str | None) -> list[tuple[str, int]]:
    """Prepared answers of ``follower_lag``; the last one stays. Returns what was asked."""
    answers, asked = iter(reasons), []
    last: list[str | None] = [None]

    def follower_lag(_: Any, index: str, moment_us: int) -> str | None:
        asked.append((index, moment_us))
        last[0] = next(answers, last[0])
        return last[0]

    monkeypatch.setattr(stream_caught_up, "follower_lag", follower_lag)
    return asked


def test_the_wait_for_the_follower_ends_once_it_has_caught_up(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = lags(monkeypatch, "behind", "behind", None)
    trigger = StreamCaughtUpTrigger("members", "members-v2", NOW_US, LATER_US, AT_ONCE_S)
    assert fired(trigger) == {"reason": None}
    assert asked == [("members-v2", NOW_US)] * 3


def test_the_wait_for_the_follower_gives_up_with_the_last_reason(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    lags(monkeypatch, "behind")
    trigger = StreamCaughtUpTrigger("members", "members-v2", NOW_US, NOW_US, AT_ONCE_S)
    assert fired(trigger) == {"reason": "behind"}


class Activity:
    """A stream with a record or without one."""

    def __init__(self, has_record: bool) -> None:
        self._has_record = has_record

    def has_record(self) -> bool:
        return self._has_record


@pytest.fixture
def silence(connections: FakeConnections, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """One look of a trigger that waits while nothing happens, except for what a test names."""

    def look(
        *,
        activity: Activity | None = Activity(has_record=False),  # noqa: B008 - never changed
        targets: Targets | None = None,
        is_asked_for: bool = False,
        wake_us: int = LATER_US,
    ) -> dict[str, Any] | None:
        monkeypatch.setattr(stream_activity, "FollowedTargets", targets or Targets(["members"]))
        monkeypatch.setattr(stream_activity, "stream_activity", lambda _: activity)
        monkeypatch.setattr(stream_activity, "is_asked_for", lambda _: is_asked_for)
        return StreamActivityTrigger("members", ["members"], MARKERS, wake_us, LATER_US).make_look()()

    return look


def test_the_wait_goes_on_while_nothing_happens(silence: Callable[..., Any]) -> None:
    assert silence() is None


@pytest.mark.parametrize(
    "what",
    [
        {"activity": Activity(has_record=True)},
        {"activity": None},
        {"targets": Targets(["members"], markers=["members-live members-v2", "members-live-previous members-v1"])},
        {"targets": Targets(["members", "orders"])},
        {"is_asked_for": True},
        {"wake_us": NOW_US},
    ],
    ids=["a record", "no state any more", "a moved marker", "a newcomer", "somebody asks", "its time"],
)
def test_the_wait_ends_and_hands_the_end_of_the_round_through(
    silence: Callable[..., Any], what: dict[str, Any]
) -> None:
    assert silence(**what) == {"until_us": LATER_US}


def test_a_target_that_needs_it_no_more_does_not_end_the_wait(silence: Callable[..., Any]) -> None:
    assert silence(targets=Targets([])) is None
