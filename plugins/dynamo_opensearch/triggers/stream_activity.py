"""Waiting while a stream is silent."""

from collections.abc import Callable
from typing import Any

from dynamo_opensearch.triggers.polling import PollingTrigger
from dynamo_opensearch.wiring.followed_targets import FollowedTargets
from dynamo_opensearch.wiring.following import is_asked_for, stream_activity
from dynamo_opensearch.wiring.target_connections import TargetConnections


class StreamActivityTrigger(PollingTrigger):
    """Fire when the follower is needed again.

    The stream has a new record, ``wake_us`` has come, an alias or marker of the target is not where it was
    (``markers``), somebody asks for a moment, or another target needs to be followed.

    The event is ``{"until_us": …}``, the end of the round, handed through. Times in microseconds since 1970.
    """

    def __init__(
        self,
        target: str,
        planned: list[str],
        markers: list[str],
        wake_us: int,
        until_us: int,
        poll_s: float = 1.0,
    ) -> None:
        super().__init__(poll_s)
        self.target, self.planned, self.markers = target, planned, markers
        self.wake_us, self.until_us = wake_us, until_us

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        names = ("target", "planned", "markers", "wake_us", "until_us", "poll_s")
        arguments = {name: getattr(self, name) for name in names}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        """Look at stream, clock and targets; connections are kept from look to look."""
        connections, others = TargetConnections.of(self.target), FollowedTargets()
        activity = stream_activity(connections)

        def is_needed() -> bool:
            return (
                connections.clock.time_us() >= self.wake_us
                or activity is None
                or activity.has_record()
                or others.markers(self.target) != self.markers
                or is_asked_for(connections)
                or bool(set(others.needed()) - set(self.planned))
            )

        return lambda: {"until_us": self.until_us} if is_needed() else None
