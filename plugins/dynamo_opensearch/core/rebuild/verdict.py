"""Whether an index may have readers: its comparison with the table, and what was refused."""

import hashlib
from typing import Any

from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.errors import PermanentError

_HASH_DIGITS = 12


class IndexNotEqualError(PermanentError):
    """Index and table differ, and that is no matter of time.

    ``allowed``: differences. ``max_mends``: documents that may be mended. ``unsettled``: differences that were not
    looked at again. ``rejects``: the folder of what the index refused.
    """

    def __init__(
        self, index: str, differences: dict[str, int], allowed: int, max_mends: int, unsettled: int, rejects: str
    ) -> None:
        super().__init__(index, differences, allowed, max_mends, unsettled, rejects)
        self.index, self.differences, self.allowed = index, differences, allowed
        self.max_mends, self.unsettled, self.rejects = max_mends, unsettled, rejects

    def __str__(self) -> str:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.differences.items() if count)
        settled = (
            f"{self.unsettled:,} of them were not settled and not mended: they are too many to be looked at again, or "
            "their keys cannot be told."
            if self.unsettled
            else "They were looked at again and again."
        )
        head = (
            f"index {self.index!r} and the table differ: {kinds}; {self.allowed:,} differences are allowed "
            f"(budgets.max_rejects). {settled} At most {self.max_mends:,} documents are mended unasked "
            "(budgets.max_repairs); where more are orphaned, none of these is deleted."
        )
        return " ".join([head, *self._next_steps()])

    def _next_steps(self) -> list[str]:
        steps = []
        if self.differences.get(_ORPHANED):
            steps.append(
                "Orphaned are documents without an item: of items deleted long ago, or of another table or filter. "
                "Look at some. A reconciliation with depth `keys` and repair `apply` deletes them, a rebuild leaves "
                "them out."
            )
        if any(count for kind, count in self.differences.items() if kind != _ORPHANED):
            steps.append(
                f"What the index refused is in {self.rejects}, with reasons. Correct the items or the mapping, and "
                "look whether the indexer runs; then clear this task: it compares and mends once more."
            )
        return steps


_ORPHANED = "orphaned in the index"


def check_equal(report: ComparisonReport, allowed: int, max_mends: int, rejects: str) -> None:
    """Raises IndexNotEqualError where more than ``allowed`` differ. ``rejects``: the folder of the refused ones."""
    if report.differences <= allowed:
        return
    differences = {
        "missing in the index": report.missing,
        _ORPHANED: report.orphaned,
        "stale": report.stale,
        "refused by the field rules": report.refused,
        "refused by OpenSearch when offered (among the others)": report.rejected,
    }
    raise IndexNotEqualError(report.index, differences, allowed, max_mends, report.unsettled, rejects)


def shareable(report: ComparisonReport, *, show_keys: bool) -> dict[str, Any]:
    """The report for XCom and logs: ids as they are, or hashed (SHA-256, 12 digits)."""
    content = report.to_json()
    if not show_keys:
        content["samples"] = {kind: [_hashed(one) for one in ids] for kind, ids in report.samples.items()}
    return content


def _hashed(document_id: str) -> str:
    return hashlib.sha256(document_id.encode()).hexdigest()[:_HASH_DIGITS]
