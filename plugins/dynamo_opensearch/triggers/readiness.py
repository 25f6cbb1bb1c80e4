"""Waiting in the triggerer until something is ready."""

from collections.abc import Callable
from typing import Any

from dynamo_opensearch.core.cutover.readiness import Readiness
from dynamo_opensearch.triggers.polling import PollingTrigger
from dynamo_opensearch.wiring.target_connections import TargetConnections


class ReadinessTrigger(PollingTrigger):
    """Fire with what was seen once it is ready; with why it is not, when ``give_up_us`` (since 1970) has come."""

    def __init__(self, target: str, give_up_us: int, poll_s: float) -> None:
        super().__init__(poll_s)
        self.target, self.give_up_us = target, give_up_us

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        arguments = {name: getattr(self, name) for name in ("target", "give_up_us", "poll_s")}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    @staticmethod
    def make_readiness(connections: TargetConnections) -> Callable[[], Readiness]:
        """What looks; its clients are kept from look to look."""
        raise NotImplementedError

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        """One look, by a connection that is made once."""
        connections = TargetConnections.of(self.target)
        readiness = self.make_readiness(connections)

        def look() -> dict[str, Any] | None:
            found = readiness()
            if found.is_ready or connections.clock.time_us() >= self.give_up_us:
                return found.to_json()
            return None

        return look
