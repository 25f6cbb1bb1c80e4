"""Both sides counted, and how far the counts may be apart by what was written meanwhile."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class SideCounts:
    """``table_count`` items (that belong, at depth count), ``index_count`` documents after a refresh.

    ``written``: changes that may have moved either count while they were taken. ``table_age_s``: how old the table's
    figure may be. ``remarks``: what the reader of the numbers has to know.
    """

    table_count: int
    index_count: int
    written: int = 0
    table_age_s: float = 0.0
    read_units: float = 0.0
    remarks: tuple[str, ...] = ()

    @property
    def difference(self) -> int:
        """Documents more (or, below 0, fewer) than items."""
        return self.index_count - self.table_count

    @property
    def unexplained(self) -> int:
        """By how many the counts differ beyond what was written meanwhile."""
        return max(0, abs(self.difference) - self.written)

    def to_json(self) -> dict[str, Any]:
        """For XCom and files."""
        derived = {"difference": self.difference, "unexplained": self.unexplained}
        return asdict(self) | derived | {"remarks": list(self.remarks)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        own = {name: content[name] for name in cls.__dataclass_fields__}
        return cls(**own | {"remarks": tuple(own["remarks"])})
