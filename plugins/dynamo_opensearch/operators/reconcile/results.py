"""What the tasks of a reconciliation hand on: small, and without keys unless the target shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.rebuild.verdict import shareable


@dataclass(frozen=True, kw_only=True)
class SettledResult:
    """A comparison whose differences stand still.

    ``known``: of them, those that an earlier run has found already, the oldest since ``oldest_us``. ``to_repair``:
    what a repair could mend; ``allowed``: how many of them unasked. ``note``: what became of the repair.
    """

    comparison: ComparisonReport
    known: int
    oldest_us: int | None
    to_repair: int
    allowed: int
    causes: tuple[str, ...] = ()
    note: str = ""

    def to_json(self, *, show_keys: bool) -> dict[str, Any]:
        """For XCom; ids as they are, or hashed."""
        return {
            "comparison": shareable(self.comparison, show_keys=show_keys),
            "known": self.known,
            "oldest_us": self.oldest_us,
            "to_repair": self.to_repair,
            "allowed": self.allowed,
            "causes": list(self.causes),
            "note": self.note,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``.

        Raises:
            ComparisonCountError: the counts do not add up.
        """
        comparison = ComparisonReport.from_json(content["comparison"])
        return cls(**{**content, "comparison": comparison, "causes": tuple(content["causes"])})
