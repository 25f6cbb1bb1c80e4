"""After the last page: all reports added up, what was refused judged, and with the comparison the outcome."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.backfill.planning import BackfillPlan
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.reports import CopyReport


class TooManyRejectsError(PermanentError):
    """OpenSearch refused more documents than the target allows."""

    def __init__(self, rejected: int, max_rejects: int, reasons: dict[str, int], where: str) -> None:
        super().__init__(rejected, max_rejects, reasons, where)
        self.rejected, self.max_rejects, self.reasons, self.where = rejected, max_rejects, reasons, where

    def __str__(self) -> str:
        ranked = sorted(self.reasons.items(), key=lambda pair: -pair[1])
        lines = "\n".join(f"  {count} x {reason}" for reason, count in ranked[:10])
        return (
            f"{self.rejected} documents were refused for good, {self.max_rejects} are allowed (budgets.max_rejects). "
            f"All others are in the index. Reasons:\n{lines}\nEach with key and document: {self.where}. "
            "Correct the items or the mapping, then start this DAG again."
        )


@dataclass(frozen=True, kw_only=True)
class CopySum:
    """What all copying tasks did together, and for which reasons documents were refused; the folders of these."""

    report: CopyReport
    reasons: dict[str, int]
    reject_folders: tuple[str, ...]

    def check_rejects(self, max_rejects: int) -> None:
        """Raises TooManyRejectsError where OpenSearch refused more than that."""
        rejected = self.report.offer.rejected
        if rejected > max_rejects:
            raise TooManyRejectsError(rejected, max_rejects, self.reasons, ", ".join(self.reject_folders))


@dataclass(frozen=True, kw_only=True)
class BackfillOutcome:
    """The plan, what became of every item, and the comparison of all keys afterwards; ``seconds`` since the plan."""

    plan: BackfillPlan
    copied: CopySum
    comparison: ComparisonReport
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """For XCom and the asset event: numbers and names, no keys and no values.

        ``table_count`` and ``index_count`` are of the comparison's first reading; what differed then is among
        ``missing``, ``orphaned``, ``refused_by_rules``, ``in_motion`` and ``mended``.
        """
        compared = self.comparison
        return {
            "target": self.plan.target,
            "table": self.plan.table,
            "index": self.plan.index,
            **self.copied.report.to_json(),
            "task_seconds": self.copied.report.seconds,
            "seconds": self.seconds,
            "table_count": compared.table_count,
            "index_count": compared.index_count,
            "missing": compared.missing,
            "orphaned": compared.orphaned,
            "refused_by_rules": compared.refused,
            "in_motion": compared.in_motion,
            "mended": compared.mended,
            "compare_read_units": compared.read_units,
            "reject_reasons": self.copied.reasons,
        }

    def __str__(self) -> str:
        rows = [*self._copied_rows(), *self._compared_rows()]
        lines = [f"{name:<20}{number:>14,}  {remark}".rstrip() for name, number, remark in rows]
        return "\n".join([f"backfill of {self.plan.table!r}: {self._verdict()}", *lines])

    def _verdict(self) -> str:
        report, differences = self.copied.report, self.comparison.differences
        verdict = f"{differences:,} keys differ" if differences else "table and index have the same keys"
        return (
            f"{verdict}; {report.scanned:,} items in {self.seconds:,.0f} s from plan to end, "
            f"each task copied {report.items_per_s:,.0f} items/s"
        )

    def _copied_rows(self) -> list[tuple[str, int, str]]:
        report, offer, reasons = self.copied.report, self.copied.report.offer, self.copied.reasons
        return [
            ("items read", report.scanned, f"{report.pages:,} pages, {report.read_units:,.1f} read units"),
            ("  not of this target", report.skipped, ""),
            ("documents offered", offer.offered, "= the next four"),
            ("  indexed", offer.indexed, ""),
            ("  deleted", offer.deleted, "gone from the table before they were written"),
            ("  stale", offer.stale, "the index had something newer"),
            ("  rejected", offer.rejected, "; ".join(f"{count:,} x {why}" for why, count in reasons.items())),
            ("sent again", offer.resent, f"{offer.reread:,} read again; {report.throttled:,} throttled answers"),
        ]

    def _compared_rows(self) -> list[tuple[str, int, str]]:
        compared = self.comparison
        mended = ", ".join(f"{count:,} {kind}" for kind, count in compared.mended_kinds.items())
        units = f"{compared.read_units:,.1f} read units"
        return [
            ("table", compared.table_count, f"items of this target, compared afterwards; {units}"),
            ("index", compared.index_count, f"documents in {self.plan.index} at that time"),
            ("  missing", compared.missing, "items without a document"),
            ("  orphaned", compared.orphaned, "documents without an item"),
            ("  refused by rules", compared.refused, "items of which the rules make no document"),
            ("  in motion", compared.in_motion, "written at that time, or on their way"),
            ("  mended", compared.mended, mended),
        ]


def add_up(reports: Sequence[dict[str, Any]]) -> CopySum:
    """The sum of what the copying tasks returned.

    Raises:
        ReportError: the reports do not add up.
    """
    total, reasons = CopyReport(), Counter[str]()
    for report in reports:
        total += CopyReport.from_json(report)
        reasons.update(report["reasons"])
    return CopySum(
        report=total,
        reasons=dict(reasons.most_common()),
        reject_folders=tuple(report["rejects"] for report in reports if report["rejected"]),
    )


def finish_backfill(plan: BackfillPlan, copied: CopySum, comparison: ComparisonReport, clock: Clock) -> BackfillOutcome:
    """The outcome of a backfill, as of now. Pure but for the clock."""
    seconds = (clock.time_us() - plan.began_us) / 1e6
    return BackfillOutcome(plan=plan, copied=copied, comparison=comparison, seconds=seconds)
