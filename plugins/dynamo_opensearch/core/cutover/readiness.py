"""What a look at something that takes its time came to."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """``seen``: what was looked at, in a sentence without a full stop; ``value``: what the wait is for, once ready."""

    is_ready: bool
    seen: str
    value: str = ""

    def to_json(self) -> dict[str, Any]:
        """For a trigger's event."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**value)
