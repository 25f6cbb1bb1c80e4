"""Whether an index may have readers: its comparison with the table, and what was refused."""

import hashlib
from typing import Any

from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.errors import PermanentError

_HASH_DIGITS = 12


class IndexNotEqualError(PermanentError):
    """Index and table differ, and that is no matter of time."""

    def __init__(self, index: str, differences: dict[str, int], allowed: int, rejects: str) -> None:
        super().__init__(index, differences, allowed, rejects)
        self.index, self.differences, self.allowed, self.rejects = index, differences, allowed, rejects

    def __str__(self) -> str:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.differences.items() if count)
        return (
            f"index {self.index!r} and the table differ: {kinds}; {self.allowed:,} differences are allowed "
            "(budgets.max_rejects). They were looked at again and again, and offered anew as far as "
            f"budgets.max_repairs allows. What the index refused is in {self.rejects}, with reasons. "
            "Correct the items or the mapping, then clear this task: it compares and mends once more."
        )


def check_equal(report: ComparisonReport, allowed: int, rejects: str) -> None:
    """Raises IndexNotEqualError where more than ``allowed`` differ. ``rejects``: the folder of the refused ones."""
    if report.differences <= allowed:
        return
    differences = {
        "missing in the index": report.missing,
        "orphaned in the index": report.orphaned,
        "stale": report.stale,
        "refused by the field rules": report.refused,
        "refused by OpenSearch when offered (among the others)": report.rejected,
    }
    raise IndexNotEqualError(report.index, differences, allowed, rejects)


def shareable(report: ComparisonReport, *, show_keys: bool) -> dict[str, Any]:
    """The report for XCom and logs: ids as they are, or hashed (SHA-256, 12 digits)."""
    content = report.to_json()
    if not show_keys:
        content["samples"] = {kind: [_hashed(one) for one in ids] for kind, ids in report.samples.items()}
    return content


def _hashed(document_id: str) -> str:
    return hashlib.sha256(document_id.encode()).hexdigest()[:_HASH_DIGITS]
