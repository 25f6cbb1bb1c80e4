"""What a reconciliation will read, and how that is divided among mapped tasks: plain data that tasks hand on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from dynamo_opensearch.core.reconcile.depths import ReconcileDepth, Repair
from dynamo_opensearch.core.reconcile.report import Subject

Side = Literal["table", "index"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one task reads: the table's segments, or the index's shards, from ``first`` to ``last``."""

    side: Side
    number: int
    first: int
    last: int

    @property
    def pieces(self) -> range:
        """Segments or shards."""
        return range(self.first, self.last + 1)

    def __str__(self) -> str:
        what = "segments" if self.side == "table" else "shards"
        return f"{self.side}, {what} {self.first} to {self.last}"


@dataclass(frozen=True, kw_only=True)
class ReconcilePlan:
    """Times in microseconds since 1970. ``parts`` and ``partitions`` are none at the depths that compare no keys.

    ``partitions``: into how many both sides are divided by the ids, each for one join; ``joins``: the first and the
    last partition of each joining task. ``lag_s``: seconds that the indexer is behind; None where nothing tells.
    """

    subject: Subject
    run_id: str
    depth: ReconcileDepth
    repair: Repair
    began_us: int
    tolerance: int
    items_estimated: int
    documents: int
    read_units_estimated: float
    read_units_per_s_and_task: float | None
    total_segments: int
    parts: tuple[Part, ...] = ()
    partitions: int = 0
    joins: tuple[tuple[int, int], ...] = ()
    lag_s: float | None = None

    @property
    def compares_keys(self) -> bool:
        """Whether both sides are read key by key."""
        return self.depth in ("keys", "content")

    def numbers_of(self, side: Side) -> list[int]:
        """The numbers of the parts of one side."""
        return [part.number for part in self.parts if part.side == side]

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self) | {
            "parts": [asdict(part) for part in self.parts],
            "joins": [list(join) for join in self.joins],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(
            **{
                **content,
                "subject": Subject(**content["subject"]),
                "parts": tuple(Part(**part) for part in content["parts"]),
                "joins": tuple((first, last) for first, last in content["joins"]),
            }
        )

    def __str__(self) -> str:
        subject = self.subject
        lag = "not known" if self.lag_s is None else f"{self.lag_s:,.0f} s"
        lines = [
            f"table {subject.table!r} and {subject.index!r} behind {subject.alias!r}",
            f"depth {self.depth}, repair {self.repair}",
            f"about {self.items_estimated:,} items (a figure up to six hours old), {self.documents:,} documents",
            f"the indexer's lag is {lag}",
        ]
        if self.depth != "approximate":
            lines.append(f"about {self.read_units_estimated:,.0f} read units")
        if self.parts:
            lines.append(
                f"{len(self.parts)} reading tasks: {self.total_segments} segments, {len(self.numbers_of('index'))} "
                f"parts of the index; {self.partitions} partitions"
            )
        return "\n".join(lines)
