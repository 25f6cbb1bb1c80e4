"""After the last page: all reports added up, both sides counted, the verdict."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.backfill.planning import BackfillPlan
from dynamo_opensearch.core.backfill.verify import CountCheck, CountPorts, TooManyRejectsError, check_counts
from dynamo_opensearch.core.reports import CopyReport


@dataclass(frozen=True, kw_only=True)
class BackfillOutcome:
    """The plan, what became of every item, both counts afterwards; ``seconds`` since the plan."""

    plan: BackfillPlan
    copy: CopyReport
    counts: CountCheck
    reasons: dict[str, int]
    reject_folders: tuple[str, ...]
    seconds: float

    def check_rejects(self, max_rejects: int) -> None:
        """Raises TooManyRejectsError where OpenSearch refused more than that."""
        rejected = self.copy.offer.rejected
        if rejected > max_rejects:
            raise TooManyRejectsError(rejected, max_rejects, self.reasons, ", ".join(self.reject_folders))

    def to_json(self) -> dict[str, Any]:
        """For XCom and the asset event: numbers and names, no keys and no values."""
        return {
            "target": self.plan.target,
            "table": self.plan.table,
            "index": self.plan.index,
            **self.copy.to_json(),
            "task_seconds": self.copy.seconds,
            "seconds": self.seconds,
            "table_count": self.counts.table_count,
            "index_count": self.counts.index_count,
            "count_read_units": self.counts.read_units,
            "in_motion": list(self.counts.in_motion),
            "reject_reasons": self.reasons,
        }

    def __str__(self) -> str:
        lines = [f"{name:<20}{number:>14,}  {remark}".rstrip() for name, number, remark in self._rows()]
        motion = [f"being written meanwhile: {sign}" for sign in self.counts.in_motion]
        return "\n".join([f"backfill of {self.plan.table!r}: {self._verdict()}", *lines, *motion])

    def _verdict(self) -> str:
        difference = self.counts.difference
        verdict = f"the index has {difference:+,} documents against the table" if difference else "both counts agree"
        return (
            f"{verdict}; {self.copy.scanned:,} items in {self.seconds:,.0f} s from plan to end, "
            f"each task copied {self.copy.items_per_s:,.0f} items/s"
        )

    def _rows(self) -> list[tuple[str, int, str]]:
        copy, offer, counts = self.copy, self.copy.offer, self.counts
        return [
            ("items read", copy.scanned, f"{copy.pages:,} pages, {copy.read_units:,.1f} read units"),
            ("  not of this target", copy.skipped, ""),
            ("documents offered", offer.offered, "= the next four"),
            ("  indexed", offer.indexed, ""),
            ("  deleted", offer.deleted, "gone from the table before they were written"),
            ("  stale", offer.stale, "the index had something newer"),
            ("  rejected", offer.rejected, "; ".join(f"{count:,} x {why}" for why, count in self.reasons.items())),
            ("sent again", offer.resent, f"{offer.reread:,} read again; {copy.throttled:,} throttled answers"),
            ("table", counts.table_count, "items of this target, counted afterwards"),
            ("index", counts.index_count, f"documents in {self.plan.index}, counted after a refresh"),
        ]


def finish_backfill(plan: BackfillPlan, reports: Sequence[dict[str, Any]], ports: CountPorts) -> BackfillOutcome:
    """Add up what the copying tasks returned and hold the sum against both sides. Reads only; safe to run again.

    Raises:
        ReportError: the reports do not add up.
        CountMismatchError: the sides differ and nothing explains it.
    """
    copy, reasons = CopyReport(), Counter[str]()
    for report in reports:
        copy += CopyReport.from_json(report)
        reasons.update(report["reasons"])
    counts = check_counts(plan.index, copy, ports)
    return BackfillOutcome(
        plan=plan,
        copy=copy,
        counts=counts,
        reasons=dict(reasons.most_common()),
        reject_folders=tuple(report["rejects"] for report in reports if report["rejected"]),
        seconds=(ports.clock.time_us() - plan.began_us) / 1e6,
    )
