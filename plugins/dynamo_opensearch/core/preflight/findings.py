"""What a check says: one finding for each thing that is not as it should be, with the way to mend it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

State = Literal["passed", "failed", "not asked for"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong. ``remedy``: a command line, or a line of Terraform, or what to write into which file."""

    what: str
    found: str
    expected: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a check came to. ``seen``: what was looked at, in a few words; why, where it was not asked for."""

    check: str
    state: State
    seen: str
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, check: str, seen: str, findings: Iterable[Finding]) -> Self:
        """Failed where there is a finding."""
        found = tuple(findings)
        return cls(check=check, state="failed" if found else "passed", seen=seen, findings=found)

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self) | {"findings": [asdict(one) for one in self.findings]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**{**content, "findings": tuple(Finding(**one) for one in content["findings"])})


class NotAskedForError(Exception):
    """The target's file says nothing of what a check is about."""
