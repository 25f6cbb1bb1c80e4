"""Counts of a replay that add up, over tries and consumers."""

import pickle
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_opensearch.core.dead_letters.replay.progress import ReplayProgress
from dynamo_opensearch.core.dead_letters.replay.report import MOST_REASONS, ParkedSample, ReplayReport
from dynamo_opensearch.core.dead_letters.replay.results import (
    DocumentsRefusedError,
    check_replay,
    keep_report,
    shareable,
)
from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.look.reject_log import RejectLog
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.opensearch.errors import ErrorSummary
from dynamo_opensearch.core.reports import OfferReport, ReportError
from tests.support.fakes import MemorySink, MemoryStore
from tests.support.followed import SharedState

counts = st.integers(0, 1_000)
words = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.integers(1, 9))


@st.composite
def reports(draw: st.DrawFn) -> ReplayReport:
    replayed, left, kinds = draw(counts), draw(counts), draw(words)
    parked, indexed, stale = sum(kinds.values()), draw(counts), draw(counts)
    samples = draw(st.lists(st.builds(ParkedSample, id=st.text(), kind=st.text(), reason=st.text()), max_size=30))
    return ReplayReport(
        received=replayed + left + parked,
        replayed=replayed,
        parked=parked,
        left=left,
        seconds=draw(st.integers(0, 100)),
        **{name: draw(counts) for name in ("again", "newer", "events", "keys", "looks", "refused")},
        shapes=draw(words),
        kinds=kinds,
        reasons=draw(words),
        samples=tuple(samples),
        offer=OfferReport(offered=indexed + stale, indexed=indexed, stale=stale),
    )


@given(reports(), reports(), reports())
def test_reports_add_up_in_any_order(one: ReplayReport, two: ReplayReport, three: ReplayReport) -> None:
    total = one + two + three
    assert total == one + (two + three)
    assert total + ReplayReport() == total
    assert total.received == sum(each.received for each in (one, two, three))
    assert total.offer.offered == total.offer.indexed + total.offer.stale
    assert total.shapes.get("x", 0) == sum(each.shapes.get("x", 0) for each in (one, two, three))
    assert len(total.samples) <= max(20, len(one.samples))


@given(reports())
def test_a_report_survives_json(report: ReplayReport) -> None:
    value = orjson.loads(orjson.dumps(report.to_json()))
    assert ReplayReport.from_json(value) == report
    assert ReplayReport.from_json({**value, "of_a_newer_version": 1}) == report
    assert value["waiting"] == report.waiting


@pytest.mark.parametrize(
    "wrong",
    [{"received": 1}, {"replayed": 1}, {"received": 1, "parked": 1}, {"received": 1, "left": 1, "kinds": {"x": 1}}],
)
def test_counts_that_do_not_add_up_are_a_fault(wrong: dict[str, Any]) -> None:
    with pytest.raises(ReportError):
        ReplayReport(**wrong)


def test_the_table_shows_every_count_and_the_most_frequent_reasons() -> None:
    reasons = {f"reason {number:02}": number + 1 for number in range(15)}
    kinds = {"not understood": 1, "lost by the stream": 2}
    report = ReplayReport(
        received=1_234, replayed=1_231, parked=3, kinds=kinds, reasons=reasons, shapes={"on-failure": 1_234}
    )
    rows = dict(line.rsplit(maxsplit=1) for line in str(report).splitlines())
    assert rows["messages received"] == "1,234"
    assert rows["    of these waiting for a reconciliation"] == "2"
    assert rows["shape: on-failure"] == "1,234"
    assert sum(name.startswith("reason: ") for name in rows) == MOST_REASONS
    assert rows["reason: reason 14"] == "15"
    assert "reason: reason 04" not in rows
    assert len({len(line) for line in str(report).splitlines()}) == 1, "the numbers stand below each other"


# Of several tries


def reject(name: str, index: str = "members-v1") -> Reject:
    document = Document(name, "{}", None, ({"S": name},))
    return Reject(document.key, document, index, 1, ErrorSummary("mapper_parsing_exception", "value"), "why")


class Try:
    """One process of a consumer, behind those before it."""

    def __init__(self, store: MemoryStore, sinks: dict[str, MemorySink]) -> None:
        self.progress = ReplayProgress(store)
        self.rejects: RejectLog = self.progress.reject_log(lambda index: sinks.setdefault(index, MemorySink()))

    def settle(self, *refused: Reject, replayed: int = 1) -> None:
        self.rejects.add(refused)
        self.rejects.flush(("id",))
        self.progress.add(ReplayReport(received=replayed, replayed=replayed), self.rejects)


def test_a_try_goes_on_where_the_one_before_it_was_saved() -> None:
    store, sinks = MemoryStore(), dict[str, MemorySink]()
    first = Try(store, sinks)
    first.settle(reject("a"), replayed=3)
    first.settle(replayed=2)
    saved = orjson.loads(orjson.dumps(store.value))
    second = Try(MemoryStore(saved), sinks)
    second.settle(reject("b"), reject("b"), reject("c", "members-v2"))
    total = second.progress.total(second.rejects)
    assert (total.received, total.replayed, total.refused) == (6, 6, 3)
    assert total.reasons == {"mapper_parsing_exception, field 'value'": 3}
    assert sorted(sinks["members-v1"].parts) == [0, 1]


def test_parts_that_a_dead_try_wrote_and_did_not_save_are_written_over() -> None:
    store, sinks = MemoryStore(), dict[str, MemorySink]()
    Try(store, sinks).settle(reject("a"))
    saved = orjson.loads(orjson.dumps(store.value))
    dead = Try(MemoryStore(orjson.loads(orjson.dumps(saved))), sinks)
    dead.rejects.add([reject("b")])
    dead.rejects.flush(("id",))
    Try(MemoryStore(saved), sinks).settle(reject("c"))
    assert [b'"c"' in part for part in sinks["members-v1"].parts.values()] == [False, True]
    assert b'"b"' not in b"".join(sinks["members-v1"].parts.values())


def test_nothing_saved_is_an_empty_report() -> None:
    fresh = Try(MemoryStore(), {})
    assert fresh.progress.total(fresh.rejects) == ReplayReport()


# The end


def test_refused_documents_beyond_what_is_allowed_are_an_error_with_reasons() -> None:
    report = ReplayReport(refused=3, reasons={"some reason": 3})
    check_replay(report, 3)
    with pytest.raises(DocumentsRefusedError, match=r"3 documents .* 2 are allowed") as raised:
        check_replay(report, 2)
    assert "- 3: some reason" in str(raised.value)
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.reasons) == (str(raised.value), {"some reason": 3})


def test_the_last_reports_are_kept_one_for_each_run() -> None:
    shared = SharedState()
    for number in range(35):
        keep_report(shared.handle(), ReplayReport(), f"run {number}", number)
    keep_report(shared.handle(), ReplayReport(received=1, left=1), "run 34", 99)
    assert shared.value is not None
    runs = shared.value["runs"]
    assert [one["run_id"] for one in runs] == [f"run {number}" for number in range(5, 35)]
    assert (runs[-1]["ended_us"], runs[-1]["report"]["left"]) == (99, 1)


def test_ids_are_hashed_where_keys_may_not_be_shown() -> None:
    sample = ParkedSample(id="message", kind="lost by the stream", reason="trimmed", ids=("secret", "other"))
    report = ReplayReport(received=1, parked=1, kinds={"lost by the stream": 1}, samples=(sample,))
    hidden = shareable(report, show_keys=False)
    assert "secret" not in str(hidden)
    assert [len(one) for one in hidden["samples"][0]["ids"]] == [12, 12]
    assert shareable(report, show_keys=True)["samples"][0]["ids"] == ["secret", "other"]
