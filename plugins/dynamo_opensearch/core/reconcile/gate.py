"""Whether a reconciliation has passed."""

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.reconcile.report import ReconcileReport
from dynamo_opensearch.core.runbook import SIDES_DIFFER


class SidesDifferError(PermanentError):
    """Index and table differ by more than the target puts up with."""

    def __init__(
        self, target: str, index: str, differences: int, tolerance: int, what: str, causes: tuple[str, ...], page: str
    ) -> None:
        super().__init__(target, index, differences, tolerance, what, causes, page)
        self.target, self.index, self.differences, self.tolerance = target, index, differences, tolerance
        self.what, self.causes, self.page = what, causes, page

    def __str__(self) -> str:
        causes = "".join(f"\nAlso seen: {cause.removesuffix('.')}." for cause in self.causes)
        return (
            f"index {self.index!r} and the table differ by {self.differences:,} ({self.what}); {self.tolerance:,} are "
            f"accepted (budgets.tolerance). {self._next()} The page: {self.page}. More: {SIDES_DIFFER}{causes}"
        )

    def _next(self) -> str:
        return (
            f"Next: see why, then start {self.target}_reconcile with depth `keys` or `content` and repair `plan` to "
            "list the keys, or `apply` to mend them."
        )


def check_reconciled(report: ReconcileReport, page: str) -> None:
    """Raises SidesDifferError where the verdict is ``different``. ``page``: where people read more."""
    if report.verdict != "different":
        return
    subject = report.subject
    raise SidesDifferError(
        subject.target, subject.index, report.differences, report.tolerance, _what(report), report.causes, page
    )


def _what(report: ReconcileReport) -> str:
    if report.counts is not None:
        counts = report.counts
        return (
            f"{counts.table_count:,} items that belong, {counts.index_count:,} documents, "
            f"{counts.written:,} written meanwhile"
        )
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in report.by_kind.items() if count)
    return "; ".join(part for part in (kinds, report.repair_note) if part)
