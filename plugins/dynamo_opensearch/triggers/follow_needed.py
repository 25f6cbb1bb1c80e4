"""Waiting until a target has an index that the follower must feed."""

from collections.abc import Callable
from typing import Any

from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.triggers.polling import PollingTrigger
from dynamo_opensearch.wiring.followed_targets import FollowedTargets


class FollowNeededTrigger(PollingTrigger):
    """Fire with ``{"targets": […]}`` once there is one; with none when ``wake_us`` has come (since 1970).

    The waking shows that the trigger is alive: one that got lost would keep every rebuild waiting.
    """

    def __init__(self, wake_us: int, poll_s: float = 5.0) -> None:
        super().__init__(poll_s)
        self.wake_us = wake_us

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "wake_us": self.wake_us,
            "poll_s": self.poll_s,
        }

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        """Look through all targets; connections are kept from look to look."""
        targets, clock = FollowedTargets(), SystemClock()

        def look() -> dict[str, Any] | None:
            needed = targets.needed()
            return {"targets": needed} if needed or clock.time_us() >= self.wake_us else None

        return look
