"""Plans, comparisons and reports of reconciliations, in numbers that add up; as tests of what handles them need."""

from typing import Any

from dynamo_opensearch.core.compare.join import Found
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.reconcile.plan import Part, ReconcilePlan
from dynamo_opensearch.core.reconcile.report import Night, ReconcileReport, Subject
from dynamo_opensearch.core.reports import OfferReport
from tests.support.adapters import RUN_ID
from tests.support.fakes import NOW_US

EQUAL = 100


def subject(**changes: Any) -> Subject:
    values: dict[str, Any] = {
        "target": "members",
        "table": "members",
        "table_id": "table-1",
        "stream_arn": "stream-1",
        "alias": "members-live",
        "index": "members-v1",
        "index_uuid": "uuid-1",
    }
    return Subject(**values | changes)


def plan(**changes: Any) -> ReconcilePlan:
    """Of depth content: two parts of the table, one of the index, three partitions in two joins."""
    values: dict[str, Any] = {
        "subject": subject(),
        "run_id": RUN_ID,
        "depth": "content",
        "repair": "none",
        "began_us": NOW_US,
        "tolerance": 0,
        "items_estimated": 100,
        "documents": 100,
        "read_units_estimated": 12.5,
        "read_units_per_s_and_task": None,
        "total_segments": 3,
        "parts": (
            Part(side="table", number=0, first=0, last=1),
            Part(side="index", number=0, first=0, last=0),
            Part(side="table", number=1, first=2, last=2),
        ),
        "partitions": 3,
        "joins": ((0, 1), (2, 2)),
        "lag_s": None,
    }
    return ReconcilePlan(**values | changes)


def comparison(
    *,
    missing: int = 0,
    orphaned: int = 0,
    stale: int = 0,
    refused: int = 0,
    mended: int = 0,
    in_motion: int = 0,
    **changes: Any,
) -> ComparisonReport:
    """A hundred equal ones besides; what was mended or is in motion was missing at first. No document is refused."""
    found = Found(equal=EQUAL, missing=missing + mended + in_motion, orphaned=orphaned, stale=stale, refused=refused)
    values: dict[str, Any] = {
        "index": "members-v1",
        "depth": "content",
        "table_count": EQUAL + found.missing + stale + refused,
        "index_count": EQUAL + orphaned + stale,
        "skipped": 0,
        "found": found,
        "missing": missing,
        "orphaned": orphaned,
        "stale": stale,
        "refused_later": 0,
        "in_motion": in_motion,
        "mended": mended,
        "mended_kinds": {"missing": mended} if mended else {},
        "unsettled": 0,
        "rejected": 0,
        "offers": OfferReport(offered=mended, indexed=mended),
        "read_units": 12.5,
        "seconds": 1.5,
        "samples": {"missing": ("ada@example.org",)} if missing else {},
        "differing_fields": {"address.city": stale} if stale else {},
    }
    return ComparisonReport(**values | changes)


def report(**changes: Any) -> ReconcileReport:
    """Of an equal comparison, unless ``changes`` say something else; ``counts`` take its place."""
    values: dict[str, Any] = {
        "subject": subject(),
        "run_id": RUN_ID,
        "depth": "content",
        "repair": "none",
        "began_us": NOW_US,
        "ended_us": NOW_US + 90_000_000,
        "tolerance": 0,
        "comparison": None if "counts" in changes else comparison(),
    }
    if "counts" in changes:
        values["depth"] = "count"
    return ReconcileReport(**values | changes)


def counted(table: int, index: int, written: int = 0, **changes: Any) -> ReconcileReport:
    """The report of a run of depth count."""
    return report(counts=SideCounts(table_count=table, index_count=index, written=written), **changes)


def night(**changes: Any) -> Night:
    """As the history keeps a run; of ``report`` and ``differences_file`` where they are given."""
    file = changes.pop("differences_file", None)
    return Night.of(report(**changes), file)
