"""Dividing a table, and knowing how far its copy is acknowledged."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.backfill.ledger import Ledger, PageFacts, Position
from dynamo_opensearch.core.backfill.plan import ReadUnitsError, SegmentsError, plan_segments
from dynamo_opensearch.core.backfill.progress import CopyIdentity, CopyProgress, resume
from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.offer.rejects import Reject, reasons_by_count
from dynamo_opensearch.core.offer.tally import TicketResult
from dynamo_opensearch.core.opensearch.errors import ErrorSummary
from dynamo_opensearch.core.reports import CopyReport, OfferReport, ReportError
from dynamo_opensearch.core.targets.model import MAX_MAPPED_TASKS, Budgets


@settings(max_examples=100)
@given(
    st.integers(0, 10**14),
    st.one_of(st.none(), st.integers(1, 50_000)),
    st.integers(1, 1000),
    st.one_of(st.none(), st.floats(0.1, 1e6)),
)
def test_each_segment_is_in_exactly_one_task(size: int, segments: int | None, tasks: int, units: float | None) -> None:
    plan = plan_segments(size, Budgets(concurrent_tasks=tasks), segments, units)
    assert [one for task in plan.tasks for one in task] == list(range(plan.total_segments))
    assert 1 <= len(plan.tasks) <= MAX_MAPPED_TASKS
    sizes = {len(task) for task in plan.tasks}
    assert max(sizes) - min(sizes) <= 1
    assert segments is None or plan.total_segments == segments
    if units is not None:
        at_once = min(tasks, len(plan.tasks))
        assert plan.read_units_per_s_and_task == pytest.approx(units / at_once)


def test_a_million_segments_are_planned() -> None:
    plan = plan_segments(10**15, Budgets(), 1_000_000, None)
    assert (plan.total_segments, len(plan.tasks)) == (1_000_000, 1_000)


@pytest.mark.parametrize("segments", [0, -1, 2_000_000])
def test_a_number_of_segments_that_dynamodb_does_not_take_is_refused(segments: int) -> None:
    with pytest.raises(SegmentsError, match=f"segments must be 1 to 1,000,000, got {segments:,}"):
        plan_segments(0, Budgets(), segments, None)


@pytest.mark.parametrize("units", [0, -5, float("nan")])
def test_a_budget_that_allows_no_reading_is_refused(units: float) -> None:
    with pytest.raises(ReadUnitsError):
        plan_segments(0, Budgets(), None, units)


def test_a_runs_wishes_come_before_the_targets() -> None:
    plan = plan_segments(0, Budgets(segments=8, read_units_per_s=10, concurrent_tasks=1), 2, 100)
    assert (plan.total_segments, plan.read_units_per_s_and_task) == (2, 100)


def test_an_empty_table_has_one_segment() -> None:
    assert plan_segments(0, Budgets(concurrent_tasks=8), None, None).total_segments == 1


def test_a_consistent_scan_costs_twice() -> None:
    eventual = plan_segments(10**9, Budgets(), None, None).read_units_estimated
    assert plan_segments(10**9, Budgets(consistent_scan=True), None, None).read_units_estimated == 2 * eventual


def reject(number: int) -> Reject:
    key = ({"S": str(number)},)
    return Reject(key, Document(str(number), None, b'{"secret":1}', key), "i", 1, ErrorSummary("t", "f"), "secret")


PAGES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=12)


@settings(max_examples=300)
@given(PAGES, st.randoms(use_true_random=False))
def test_the_position_never_passes_a_page_that_is_not_settled_and_sums_add_up(
    pages: list[tuple[int, int, int]], chance: random.Random
) -> None:
    ledger = Ledger()
    owed: list[int] = []
    settlements: list[tuple[int, str]] = []
    for number, (documents, skipped, refused) in enumerate(pages):
        facts = PageFacts(
            Position(0, {"id": {"N": str(number)}}),
            documents + skipped + refused,
            skipped,
            0.5,
            documents,
            [reject(number)] * refused,
        )
        assert ledger.open(facts) == number
        owed.append(documents)
        settlements += [(number, chance.choice(["indexed", "deleted", "stale", "rejected"])) for _ in range(documents)]
    chance.shuffle(settlements)
    total, rejects, reached = CopyReport(), 0, -1
    while True:
        acknowledged = ledger.take_acknowledged()
        if acknowledged is not None:
            assert acknowledged.position.start_key is not None
            reached = int(acknowledged.position.start_key["id"]["N"])
            total += acknowledged.report
            rejects += len(acknowledged.rejects)
        assert all(owed[page] == 0 for page in range(reached + 1))
        assert reached + 1 == len(pages) or owed[reached + 1] > 0
        if not settlements:
            break
        page, end = settlements.pop()
        owed[page] -= 1
        report = OfferReport(**{"offered": 1, end: 1})
        ledger.settle([TicketResult(page, report, [reject(page)] if end == "rejected" else [])])
    assert reached == len(pages) - 1
    assert total.scanned == sum(map(sum, pages))
    assert total.skipped == sum(skipped for _, skipped, _ in pages)
    assert (total.pages, total.offer.rejected) == (len(pages), rejects)


def test_nothing_acknowledged_is_nothing_to_save() -> None:
    ledger = Ledger()
    assert ledger.take_acknowledged() is None
    ledger.open(PageFacts(Position(1, None), 1, 0, 0.5, 1, []))
    assert ledger.take_acknowledged() is None


def test_a_copy_cannot_end_while_a_page_has_documents_without_an_end() -> None:
    ledger = Ledger()
    ticket = ledger.open(PageFacts(Position(1, None), 2, 0, 0.5, 2, []))
    ledger.settle([TicketResult(ticket, OfferReport(offered=1, indexed=1), [])])
    assert ledger.take_acknowledged() is None
    with pytest.raises(ReportError, match="2 documents were offered, 1 are accounted for"):
        ledger.check_empty()
    ledger.settle([TicketResult(ticket, OfferReport(offered=1, stale=1), [])])
    assert ledger.take_acknowledged() is not None
    ledger.check_empty()


IDENTITY = CopyIdentity(table_id="t1", index_uuid="u1", rules="r1", segments=range(4, 8), total_segments=16)


def saved(**changes: Any) -> dict[str, Any]:
    progress = CopyProgress().advanced(Position(2, {"id": {"S": "m"}}), CopyReport(scanned=3, skipped=3), {"t": 2}, 1)
    return progress.to_json(IDENTITY, 100) | changes


def test_a_retry_goes_on_where_the_last_try_was_acknowledged() -> None:
    progress = resume(saved(), IDENTITY)
    assert progress.position == Position(2, {"id": {"S": "m"}})
    assert (progress.report.scanned, progress.reasons, progress.parts) == (3, {"t": 2}, 1)


def test_progress_adds_reasons_up() -> None:
    progress = resume(saved(), IDENTITY).advanced(Position(3, None), CopyReport(), {"t": 1, "u": 1}, 2)
    assert (progress.reasons, progress.parts) == ({"t": 3, "u": 1}, 2)


@pytest.mark.parametrize(
    "value",
    [
        None,
        saved(format=0),
        saved(is_complete=True),
        saved(identity=IDENTITY.to_json() | {"table_id": "restored"}),
        saved(identity=IDENTITY.to_json() | {"index_uuid": "made anew"}),
        saved(identity=IDENTITY.to_json() | {"rules": "changed"}),
        saved(identity=IDENTITY.to_json() | {"total_segments": 8}),
        saved(identity=IDENTITY.to_json() | {"segments": [0, 3]}),
    ],
)
def test_a_position_of_something_else_or_of_a_finished_task_is_not_resumed(value: dict[str, Any] | None) -> None:
    assert resume(value, IDENTITY) == CopyProgress()


def test_a_reject_line_holds_key_document_and_reason_and_a_summary_holds_no_value() -> None:
    line = reject(7).line(("id",))
    assert line.endswith(b"\n")
    assert b'"key":{"id":{"S":"7"}}' in line
    assert b'"document":{"secret":1}' in line
    assert reasons_by_count([reject(1), reject(2)]) == {"t, field 'f'": 2}
