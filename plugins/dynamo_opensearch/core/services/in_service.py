"""What a component serves now, served before, or shall serve."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

_TASK_DEFINITION = ":task-definition/"


@dataclass(frozen=True, kw_only=True)
class InService:
    """``version``: the ARN of a task definition, or the number of a Lambda version; empty: there is no such alias.

    ``weights``: other versions and their share of the calls, 0 to 1. ``token``: what is another after each change: the
    id of an ECS deployment, the RevisionId of a Lambda alias; empty where it is not known. ``since_us``: when ECS made
    that deployment, by its own clock (microseconds since 1970); 0 where it is not known.
    """

    version: str
    weights: Mapping[str, float] = field(default_factory=dict)
    token: str = ""
    since_us: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is, or was, in service."""
        return not self.version

    def is_same(self, other: "InService") -> bool:
        """Whether both serve the same, whoever brought it about."""
        return self.version == other.version and dict(self.weights) == dict(other.weights)

    def to_json(self) -> dict[str, Any]:
        """For XCom and the state index."""
        return asdict(self) | {"weights": dict(self.weights)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**value)

    def __str__(self) -> str:
        shares = ", ".join(f"{share:.0%} to version {version}" for version, share in sorted(self.weights.items()))
        return shown(self.version) + (f" ({shares})" if shares else "")


NOTHING = InService(version="")


def shown(version: str) -> str:
    """A version as people call it: ``api:7``, ``version 3``, ``nothing``."""
    if not version:
        return "nothing"
    _, is_task_definition, name = version.partition(_TASK_DEFINITION)
    return name if is_task_definition else f"version {version}"


def time_us(value: datetime | None) -> int:
    """A time of boto3's in microseconds since 1970; 0 for None."""
    return 0 if value is None else round(value.timestamp() * 1e6)


def utc(when_us: int) -> str:
    """Microseconds since 1970 for people."""
    return datetime.fromtimestamp(when_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
