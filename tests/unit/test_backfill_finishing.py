"""The end of a backfill: reports added up, rejects judged, and the outcome as people and other DAGs get it."""

from typing import Any

import pytest

from dynamo_opensearch.core.backfill.finishing import BackfillOutcome, TooManyRejectsError, add_up, finish_backfill
from dynamo_opensearch.core.backfill.planning import BackfillPlan
from dynamo_opensearch.core.compare.join import Found
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.reports import CopyReport, OfferReport, ReportError
from tests.support.fakes import NOW_US, FakeClock

PLAN = BackfillPlan(
    target="members",
    table="members",
    table_id="id-1",
    write_alias="members-live",
    index="members-v1",
    creates_index=False,
    mapping_fingerprint="m",
    rules_fingerprint="r",
    total_segments=2,
    tasks=(range(1), range(1, 2)),
    items_estimated=20,
    size_bytes=2_000,
    read_units_estimated=1.0,
    read_units_per_s_and_task=None,
    began_us=NOW_US,
)
COUNTS = "mapper_parsing_exception, field 'number', expected long"


def report(indexed: int, rejected: int = 0, reasons: dict[str, int] | None = None, where: str = "a") -> dict[str, Any]:
    """What a copying task returns."""
    offer = OfferReport(offered=indexed + rejected, indexed=indexed, rejected=rejected)
    copied = CopyReport(scanned=indexed + rejected, offer=offer, seconds=2.0)
    return {**copied.to_json(), "reasons": reasons or {}, "rejects": where}


def comparison(**counts: int) -> ComparisonReport:
    """Of ten items; ``mended`` are missing ones."""
    missing, orphaned, mended, in_motion = (counts.get(kind, 0) for kind in ("missing", "orphaned", "mended", "moving"))
    away = missing + mended + in_motion
    return ComparisonReport(
        index="members-v1",
        depth="keys",
        table_count=10,
        index_count=10 - away + orphaned,
        skipped=1,
        found=Found(equal=10 - away, missing=away, orphaned=orphaned),
        missing=missing,
        orphaned=orphaned,
        stale=0,
        refused_later=0,
        in_motion=in_motion,
        mended=mended,
        unsettled=0,
        rejected=0,
        offers=OfferReport(),
        read_units=1.5,
        seconds=3.0,
        mended_kinds={"missing": mended} if mended else {},
    )


def outcome(**counts: int) -> BackfillOutcome:
    clock = FakeClock()
    clock.pass_s(60)
    return finish_backfill(PLAN, add_up([report(6), report(4)]), comparison(**counts), clock)


def test_reports_reasons_and_folders_of_all_tasks_are_added_up() -> None:
    reports = [report(6, 2, {COUNTS: 2}, "a"), report(4), report(0, 1, {COUNTS: 1, "other": 0}, "c")]
    copied = add_up(reports)
    assert (copied.report.scanned, copied.report.offer.indexed, copied.report.offer.rejected) == (13, 10, 3)
    assert (copied.reasons, copied.reject_folders) == ({COUNTS: 3, "other": 0}, ("a", "c"))


def test_a_report_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ReportError):
        add_up([report(6) | {"indexed": 5}])


def test_as_many_rejects_as_allowed_pass_and_one_more_fails_with_reasons_and_folders() -> None:
    copied = add_up([report(6, 2, {COUNTS: 2}, "first"), report(4, 1, {"other": 1}, "second")])
    copied.check_rejects(3)
    with pytest.raises(TooManyRejectsError) as error:
        copied.check_rejects(2)
    assert "3 documents were refused for good, 2 are allowed" in str(error.value)
    assert f"2 x {COUNTS}" in str(error.value)
    assert "first, second" in str(error.value)


def test_the_outcome_has_the_copys_counts_and_both_sides_as_they_were_compared() -> None:
    value = outcome(missing=1, orphaned=2, mended=3, moving=1).to_json()
    assert (value["scanned"], value["indexed"], value["seconds"], value["task_seconds"]) == (10, 10, 60.0, 4.0)
    assert (value["table_count"], value["index_count"]) == (10, 7)
    assert (value["missing"], value["orphaned"], value["mended"], value["in_motion"]) == (1, 2, 3, 1)
    assert (value["compare_read_units"], value["refused_by_rules"]) == (1.5, 0)


def test_the_outcome_as_text_says_first_whether_both_sides_have_the_same_keys() -> None:
    lines = str(outcome(mended=3)).splitlines()
    assert lines[0].startswith("backfill of 'members': table and index have the same keys; 10 items in 60 s")
    (mended,) = (line for line in lines if line.strip().startswith("mended"))
    assert mended.split() == ["mended", "3", "3", "missing"]
    assert "3 keys differ" in str(outcome(missing=1, orphaned=2)).splitlines()[0]
