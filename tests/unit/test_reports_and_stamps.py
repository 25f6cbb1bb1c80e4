"""Counts that add up, stamps, clocks, waits and budgets: the arithmetic below everything else."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import MissingDateError, WorkerClockError, check_worker_clock
from dynamo_opensearch.core.dynamodb.pacing import ReadUnitPacer
from dynamo_opensearch.core.reports import CopyReport, OfferReport, ReportError
from dynamo_opensearch.core.stamps import ForeignVersionError, StampRule, check_version
from tests.support.fakes import NOW_US, FakeClock

COUNTS = st.integers(0, 10**9)
OFFERS = st.builds(
    lambda indexed, deleted, stale, rejected, resent: OfferReport(
        offered=indexed + deleted + stale + rejected,
        indexed=indexed,
        deleted=deleted,
        stale=stale,
        rejected=rejected,
        resent=resent,
    ),
    COUNTS, COUNTS, COUNTS, COUNTS, COUNTS,
)  # fmt: skip
COPIES = st.builds(
    lambda offer, skipped, pages, seconds: CopyReport(
        scanned=offer.offered + skipped, skipped=skipped, pages=pages, seconds=seconds, offer=offer
    ),
    OFFERS,
    COUNTS,
    COUNTS,
    st.floats(0, 1e6),
)


@given(COPIES, COPIES)
def test_the_sum_of_reports_that_add_up_adds_up(one: CopyReport, other: CopyReport) -> None:
    total = one + other
    assert total.scanned == one.scanned + other.scanned
    assert total.offer.offered == total.offer.indexed + total.offer.deleted + total.offer.stale + total.offer.rejected


@given(COPIES)
def test_a_report_survives_json(report: CopyReport) -> None:
    assert CopyReport.from_json(report.to_json()) == report


@pytest.mark.parametrize("counts", [{"offered": 1}, {"offered": 1, "indexed": 1, "stale": 1}, {"rejected": 1}])
def test_counts_that_do_not_add_up_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(ReportError):
        OfferReport(**counts)


def test_a_copy_that_offered_more_than_it_read_is_refused() -> None:
    with pytest.raises(ReportError, match="1 documents were offered, 0 are accounted for"):
        CopyReport(scanned=1)


def date(now_us: int, off_s: float = 0) -> str:
    return formatdate(now_us / 1e6 + off_s, usegmt=True)


@pytest.mark.parametrize("off_s", [-2.9, -1, 0, 1, 2])
def test_a_clock_within_two_seconds_and_the_headers_resolution_passes(off_s: float) -> None:
    check_worker_clock(date(NOW_US, off_s), NOW_US, NOW_US)


@pytest.mark.parametrize(("off_s", "word"), [(-5, "ahead of"), (5, "behind"), (3600, "behind")])
def test_a_clock_that_is_off_is_refused_and_says_in_which_direction(off_s: float, word: str) -> None:
    with pytest.raises(WorkerClockError, match=word):
        check_worker_clock(date(NOW_US, off_s), NOW_US, NOW_US)


@given(st.floats(0, 0.999999), st.floats(0, 30), st.floats(0, 30))
def test_a_right_clock_is_never_refused_however_slow_the_answer(fraction: float, there_s: float, back_s: float) -> None:
    sent_us = NOW_US + round(fraction * 1e6)
    server_us = sent_us + round(there_s * 1e6)
    check_worker_clock(date(server_us // 1_000_000 * 1_000_000), sent_us, server_us + round(back_s * 1e6))


@pytest.mark.parametrize("header", [None, "", "yesterday"])
def test_an_answer_without_a_readable_date_is_refused(header: str | None) -> None:
    with pytest.raises(MissingDateError):
        check_worker_clock(header, NOW_US, NOW_US)


def test_a_reads_stamp_lies_one_margin_before_its_start() -> None:
    assert StampRule(margin_s=6).read_stamp_us(NOW_US) == NOW_US - 6_000_000


@pytest.mark.parametrize("version", [1, 10**12 - 1, NOW_US, NOW_US + 6_000_000])
def test_counters_and_stamps_up_to_now_are_accepted(version: int) -> None:
    check_version("members-v1", version, NOW_US, StampRule(), 10)


@pytest.mark.parametrize("version", [10**12, NOW_US // 1000, NOW_US + 6_000_001, NOW_US * 1000])
def test_versions_of_another_unit_or_of_the_future_are_refused(version: int) -> None:
    with pytest.raises(ForeignVersionError, match=f"'members-v1' holds a document with version {version}"):
        check_version("members-v1", version, NOW_US, StampRule(), 10)


def test_waits_double_up_to_the_longest_and_end_with_the_patience() -> None:
    clock = FakeClock()
    backoff = Backoff(RetryPolicy(first_wait_s=1, longest_wait_s=8, give_up_after_s=30, jitter=lambda: 1.0), clock)
    while backoff.wait():
        pass
    assert clock.slept == [1, 2, 4, 8, 8, 8]
    assert (backoff.attempts, backoff.waited_s) == (7, 31)


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_wait_is_between_half_and_the_whole_of_its_ceiling(chance: float, failures: int) -> None:
    clock = FakeClock()
    backoff = Backoff(RetryPolicy(give_up_after_s=1e9, jitter=lambda: chance), clock)
    for _ in range(failures):
        backoff.wait()
    ceiling_s = min(10.0, 0.1 * 2 ** (failures - 1))
    assert ceiling_s / 2 <= clock.slept[-1] <= ceiling_s


def test_success_gives_the_whole_patience_back() -> None:
    clock = FakeClock()
    backoff = Backoff(RetryPolicy(give_up_after_s=5), clock)
    assert backoff.wait()
    clock.pass_s(10)
    backoff.reset()
    assert backoff.waited_s == 0
    assert backoff.wait()


@given(st.lists(st.floats(0.5, 500), min_size=2, max_size=30), st.floats(1, 1000))
def test_read_units_stay_within_their_budget_but_for_one_page(costs: list[float], rate: float) -> None:
    clock = FakeClock()
    pacer = ReadUnitPacer(rate, clock)
    began_s, spent = clock.monotonic_s(), 0.0
    for cost in costs:
        pacer.wait()
        assert spent <= (clock.monotonic_s() - began_s) * rate + max(costs) + 1e-6
        pacer.spend(cost)
        spent += cost


def test_saved_up_read_units_are_those_of_one_second() -> None:
    clock = FakeClock()
    pacer = ReadUnitPacer(10, clock)
    clock.pass_s(100)
    pacer.wait()
    pacer.spend(25)
    pacer.wait()
    assert clock.slept == [pytest.approx(1.5)]


def test_without_a_budget_nothing_waits() -> None:
    clock = FakeClock()
    pacer = ReadUnitPacer(None, clock)
    pacer.spend(10**9)
    pacer.wait()
    assert clock.slept == []
