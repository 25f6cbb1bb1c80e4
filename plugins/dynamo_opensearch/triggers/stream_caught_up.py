"""Waiting until the follower has brought an index to a moment of the stream."""

from collections.abc import Callable
from typing import Any

from dynamo_opensearch.triggers.polling import PollingTrigger
from dynamo_opensearch.wiring.following import follower_lag
from dynamo_opensearch.wiring.target_connections import TargetConnections


class StreamCaughtUpTrigger(PollingTrigger):
    """Fire with ``{"reason": None}`` once it has; with the reason why not, when ``give_up_us`` has come.

    Times in microseconds since 1970. See ``follower_lag`` for ``moment_us``.
    """

    def __init__(self, target: str, index: str, moment_us: int, give_up_us: int, poll_s: float = 1.0) -> None:
        super().__init__(poll_s)
        self.target, self.index, self.moment_us, self.give_up_us = target, index, moment_us, give_up_us

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        arguments = {name: getattr(self, name) for name in ("target", "index", "moment_us", "give_up_us", "poll_s")}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        """Look at the follower's state; the connection is kept from look to look."""
        connections = TargetConnections.of(self.target)

        def look() -> dict[str, Any] | None:
            reason = follower_lag(connections, self.index, self.moment_us)
            if reason is None or connections.clock.time_us() >= self.give_up_us:
                return {"reason": reason}
            return None

        return look
