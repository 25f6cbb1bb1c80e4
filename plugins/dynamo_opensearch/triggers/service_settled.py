"""Waiting until a service or alias serves what it shall, and is well."""

from collections.abc import Callable, Mapping
from typing import Any

from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.triggers.polling import PollingTrigger
from dynamo_opensearch.wiring.services import settling_of
from dynamo_opensearch.wiring.target_connections import TargetConnections


class ServiceSettledTrigger(PollingTrigger):
    """Fire with the outcome once there is one; at the latest after ``give_up_us`` (microseconds since 1970)."""

    def __init__(
        self, target: str, component: str, shall: Mapping[str, Any], give_up_us: int, poll_s: float = 5.0
    ) -> None:
        super().__init__(poll_s)
        self.target, self.component, self.shall, self.give_up_us = target, component, dict(shall), give_up_us

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        names = ("target", "component", "shall", "give_up_us", "poll_s")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        """Ask AWS, then the service itself; the clients are kept from look to look."""
        connections = TargetConnections.of(self.target)
        settling = settling_of(connections, self.component, InService.from_json(self.shall), self.give_up_us)

        def look() -> dict[str, Any] | None:
            outcome = settling.look()
            return None if outcome is None else outcome.to_json()

        return look
