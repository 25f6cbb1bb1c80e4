"""What a check says: one finding for each thing that is not as it should be, with the way to mend it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from dynamo_opensearch.core.runbook import RUNBOOK

State = Literal["passed", "failed", "not asked for", "blocked"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong. ``remedy``: a command line, or a line of Terraform, or what to write into which file."""

    what: str
    found: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        return f"- {self.what}: found {self.found}; expected {self.expected}\n  {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a check came to. ``seen``: what was looked at, in a few words; or why it was not asked for, or blocked.

    ``is_untold``: it failed since nothing could be told: the caller may not look, or the answer was none that is known.
    """

    check: str
    state: State
    seen: str
    findings: tuple[Finding, ...] = ()
    is_untold: bool = False

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

    def __str__(self) -> str:
        if not self.findings:
            return f"{self.check} {self.state}: {self.seen}"
        lines = "\n".join(map(str, self.findings))
        return f"{self.check} {self.state}. What it means: {RUNBOOK}#{self.check}\n{lines}"


class NotAskedForError(Exception):
    """The target's file says nothing of what a check is about."""


class BlockedError(Exception):
    """Another check, named here, says why this one cannot tell."""

    def __init__(self, by: str, why: str) -> None:
        super().__init__(by, why)
        self.by, self.why = by, why

    def __str__(self) -> str:
        return f"{self.why}: see {self.by}"
