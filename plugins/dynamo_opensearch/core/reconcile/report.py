"""What a reconciliation found, in numbers that add up. No values; document ids as samples only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.reconcile.depths import ReconcileDepth, Repair

Verdict = Literal["equal", "different", "in motion", "approximate"]
"""``in motion``: counts differ by no more than what was written meanwhile, or the alias was moved while both sides were
read. ``approximate``: figures hours old.
"""

KINDS = ("missing", "orphaned", "stale", "refused")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What was reconciled, as it was when the run began; what tells a restored table or a moved alias from before."""

    target: str
    table: str
    table_id: str
    stream_arn: str | None
    alias: str
    index: str
    index_uuid: str


@dataclass(frozen=True, kw_only=True)
class ReconcileReport:
    """One run. Times in microseconds since 1970.

    ``counts`` at the depths approximate and count, ``comparison`` at keys and content; exactly one of them is there.
    ``lag_s``: seconds that the indexer was behind when the run began; None where nothing tells. ``to_repair``: what a
    repair may mend, or was to mend; ``repair_note``: what became of that wish, in words. ``causes``: what else is
    wrong, where that was looked for. ``cleared``: parked dead letters that this run has made needless. ``known``: of
    the differences, those that an earlier run has found already, the oldest since ``oldest_us``. ``moved_to``: the
    index that the alias leads to by the end, where that is not the one that was compared.
    """

    subject: Subject
    run_id: str
    depth: ReconcileDepth
    repair: Repair
    began_us: int
    ended_us: int
    tolerance: int
    counts: SideCounts | None = None
    comparison: ComparisonReport | None = None
    lag_s: float | None = None
    to_repair: int = 0
    repair_note: str = ""
    causes: tuple[str, ...] = ()
    cleared: int = 0
    known: int = 0
    oldest_us: int | None = None
    moved_to: str | None = None

    def __post_init__(self) -> None:
        if (self.counts is None) == (self.comparison is None):
            raise ValueError("a reconciliation has either counts or a comparison")

    @property
    def table_count(self) -> int:
        """Items that belong."""
        return (self.counts or self.comparison_made).table_count

    @property
    def index_count(self) -> int:
        """Documents."""
        return (self.counts or self.comparison_made).index_count

    @property
    def comparison_made(self) -> ComparisonReport:
        """The comparison, where there is one.

        Raises:
            ValueError: this depth makes none.
        """
        if self.comparison is None:
            raise ValueError(f"depth {self.depth} compares no keys")
        return self.comparison

    @property
    def differences(self) -> int:
        """What differs and stands still; of counts, by how many they differ beyond what was written meanwhile."""
        return self.counts.unexplained if self.counts is not None else self.comparison_made.differences

    @property
    def by_kind(self) -> dict[str, int]:
        """Differences that are left, by kind; empty where only counts are known."""
        made = self.comparison
        return {} if made is None else {kind: getattr(made, kind) for kind in KINDS}

    @property
    def mended(self) -> int:
        """Differences that the repair has mended."""
        return 0 if self.comparison is None else self.comparison.mended

    @property
    def verdict(self) -> Verdict:
        """What this run says."""
        if self.depth == "approximate":
            return "approximate"
        if self.moved_to is not None:
            return "in motion"
        if self.differences > self.tolerance:
            return "different"
        is_apart = self.counts is not None and abs(self.counts.difference) > self.tolerance
        return "in motion" if is_apart else "equal"

    @property
    def read_units(self) -> float:
        """Read units of the table that the run has used."""
        return (self.counts or self.comparison_made).read_units

    @property
    def seconds(self) -> float:
        """From the plan to the report."""
        return (self.ended_us - self.began_us) / 1e6

    def to_json(self) -> dict[str, Any]:
        """For files and XCom; with what follows from the numbers."""
        names = ("table_count", "index_count", "differences", "by_kind", "mended", "verdict", "read_units", "seconds")
        own = asdict(self) | {name: getattr(self, name) for name in names} | {"causes": list(self.causes)}
        own["counts"] = None if self.counts is None else self.counts.to_json()
        own["comparison"] = None if self.comparison is None else self.comparison.to_json()
        return own

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``.

        Raises:
            ComparisonCountError: the counts do not add up.
        """
        own = {name: content[name] for name in cls.__dataclass_fields__}
        counts, comparison = own.pop("counts"), own.pop("comparison")
        return cls(
            **own | {"subject": Subject(**own["subject"]), "causes": tuple(own["causes"])},
            counts=None if counts is None else SideCounts.from_json(counts),
            comparison=None if comparison is None else ComparisonReport.from_json(comparison),
        )


@dataclass(frozen=True, kw_only=True)
class Night:
    """An earlier run, as small as the history keeps it. Times in microseconds since 1970."""

    run_id: str
    depth: ReconcileDepth
    repair: Repair
    verdict: Verdict
    began_us: int
    ended_us: int
    table_count: int
    index_count: int
    differences: int
    by_kind: Mapping[str, int] = field(default_factory=dict)
    mended: int = 0
    in_motion: int = 0
    read_units: float = 0.0
    lag_s: float | None = None
    subject: Subject
    differences_file: str | None = None

    @classmethod
    def of(cls, report: ReconcileReport, differences_file: str | None) -> Self:
        """A run's report as the history keeps it; ``differences_file``: where the keys stand that differ."""
        names = cls.__dataclass_fields__.keys() - {"in_motion", "differences_file"}
        made = report.comparison
        return cls(
            **{name: getattr(report, name) for name in names},
            in_motion=0 if made is None else made.in_motion,
            differences_file=differences_file,
        )

    def to_json(self) -> dict[str, Any]:
        """One object."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``; what a later version has added is left out."""
        known = {name: value for name, value in content.items() if name in cls.__dataclass_fields__}
        return cls(**known | {"subject": Subject(**content["subject"])})
