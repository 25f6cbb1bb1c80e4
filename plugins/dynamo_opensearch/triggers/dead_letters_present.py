"""Waiting until a target's dead-letter queue holds messages."""

from collections.abc import Callable
from typing import Any

from dynamo_opensearch.triggers.polling import PollingTrigger
from dynamo_opensearch.wiring.dead_letters import dead_letter_queue
from dynamo_opensearch.wiring.target_connections import TargetConnections


class DeadLettersPresentTrigger(PollingTrigger):
    """Fire with ``{"messages": …, "in_flight": …}`` once ``at_least`` wait, or when ``give_up_us`` has come.

    The time in microseconds since 1970.
    """

    def __init__(self, target: str, at_least: int, give_up_us: int, poll_s: float = 30.0) -> None:
        super().__init__(poll_s)
        self.target, self.at_least, self.give_up_us = target, at_least, give_up_us

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        arguments = {name: getattr(self, name) for name in ("target", "at_least", "give_up_us", "poll_s")}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        """Ask the queue; the connection is kept from look to look."""
        connections = TargetConnections.of(self.target)
        queue = dead_letter_queue(connections)

        def look() -> dict[str, Any] | None:
            depth = queue.depth()
            if depth.visible >= self.at_least or connections.clock.time_us() >= self.give_up_us:
                return {"messages": depth.visible, "in_flight": depth.in_flight}
            return None

        return look
