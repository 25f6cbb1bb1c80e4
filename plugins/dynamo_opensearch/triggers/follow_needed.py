"""Waiting until a target has an index that the follower must feed."""

from collections.abc import Callable
from typing import Any

from dynamo_opensearch.triggers.polling import PollingTrigger
from dynamo_opensearch.wiring.following import FollowedTargets


class FollowNeededTrigger(PollingTrigger):
    """Fire with ``{"targets": […]}`` once there is one."""

    def __init__(self, poll_s: float = 5.0) -> None:
        super().__init__(poll_s)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"poll_s": self.poll_s}

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        """Look through all targets; connections are kept from look to look."""
        targets = FollowedTargets()

        def look() -> dict[str, Any] | None:
            needed = targets.needed()
            return {"targets": needed} if needed else None

        return look
