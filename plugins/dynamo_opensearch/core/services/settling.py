"""Waiting until a component serves what it shall, and is well."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.services.component import Component, Progress
from dynamo_opensearch.core.services.health import HealthProbe
from dynamo_opensearch.core.services.in_service import InService

HEALTH_S = 120.0
"""Seconds that a stable service has until its ``health_url`` answers 200."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a change came to. ``text``: what was seen, and what to do where it is not well."""

    state: Literal["stable", "rolled back", "failed", "replaced", "not stable in time", "not healthy"]
    text: str

    @property
    def is_well(self) -> bool:
        """Whether the component serves what it shall."""
        return self.state == "stable"

    def to_json(self) -> dict[str, Any]:
        """For a trigger's event."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**value)


class Settling:
    """Looks at one component again and again; ``shall`` carries the token of the change that is waited for.

    ``give_up_us``: when it is too late to become stable, microseconds since 1970.
    """

    def __init__(
        self, component: Component, shall: InService, health: HealthProbe | None, clock: Clock, give_up_us: int
    ) -> None:
        self._component, self._shall, self._health = component, shall, health
        self._clock, self._give_up_us = clock, give_up_us
        self._unhealthy_from_us = 0

    def look(self) -> Outcome | None:
        """What it came to; None: look again later.

        Raises:
            ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
        """
        progress = self._component.snapshot().progress(self._shall)
        if progress.state == "stable":
            return self._ask_health(progress)
        if progress.state != "under way":
            return Outcome(state=progress.state, text=progress.text)
        if self._clock.time_us() >= self._give_up_us:
            return Outcome(
                state="not stable in time",
                text=f"not stable in time: {progress.text}\nAWS goes on trying. Clear this task to wait as long once "
                "more, or start the target's rollback_service to undo the change.",
            )
        return None

    def _ask_health(self, progress: Progress) -> Outcome | None:
        problem = self._health() if self._health is not None else None
        if problem is None:
            answered = "; health_url answered 200" if self._health is not None else ""
            return Outcome(state="stable", text=f"{progress.text}{answered}")
        now_us = self._clock.time_us()
        self._unhealthy_from_us = self._unhealthy_from_us or now_us
        if now_us - self._unhealthy_from_us < HEALTH_S * 1e6:
            return None
        return Outcome(
            state="not healthy",
            text=f"{progress.text}, but health_url {problem}, for {HEALTH_S:.0f} s. The change stays: clear this task "
            "to ask once more, or start the target's rollback_service to undo it.",
        )
