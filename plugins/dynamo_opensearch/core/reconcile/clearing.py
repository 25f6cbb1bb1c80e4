"""Parked dead letters that a reconciliation has made needless."""

from dynamo_opensearch.core.dead_letters.parking import Parking, clear_covered
from dynamo_opensearch.core.reconcile.report import ReconcileReport
from dynamo_opensearch.core.stamps import StampRule


def clear_parked(report: ReconcileReport, living_indices: int, parking: Parking, stamps: StampRule) -> int:
    """Remove what this run has made good; the number. Safe to run again.

    Only a run that has compared all content, was allowed to repair, and has left no difference does so, and only
    while the index that it compared is the one living index: another one may lack what a message is about.
    """
    is_proof = report.depth == "content" and report.repair == "apply" and report.verdict == "equal"
    is_proof = is_proof and report.differences == 0  # a tolerance may let some pass
    if not is_proof or living_indices != 1:
        return 0
    return clear_covered(parking, report.began_us, stamps)
