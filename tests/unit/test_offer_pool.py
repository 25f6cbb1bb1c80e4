"""Batches of bounded size, a bounded number of them under way."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.offer.in_flight import SLOW_ANSWER_S, InFlightLimit
from dynamo_opensearch.core.offer.pool import OfferPool
from dynamo_opensearch.core.offer.reading import Batch, Reading, count_documents, document_bytes, halves
from dynamo_opensearch.core.offer.tally import Tally, TicketResult
from dynamo_opensearch.core.reports import ReportError


class RecordingSender:
    """Takes batches in, lets each go when told to."""

    def __init__(self, gate: Callable[[Batch], None] = lambda _batch: None) -> None:
        self.batches: list[Batch] = []
        self.at_once = self.most_at_once = 0
        self._gate = gate
        self._lock = threading.Lock()

    def send(self, batch: Batch) -> list[TicketResult]:
        with self._lock:
            self.batches.append(batch)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self._gate(batch)
        finally:
            with self._lock:
                self.at_once -= 1
        return []


def page(sizes: list[int], ticket: int = 0) -> Reading:
    documents = [Document(f"{ticket}-{number}", None, b"x" * size, ()) for number, size in enumerate(sizes)]
    return Reading(documents, 1, 0.0, "i", ticket)


def ids(batches: list[Batch]) -> list[str]:
    return [one.id for batch in batches for reading in batch for one in reading.documents]


def size_of(batch: Batch) -> int:
    return sum(document_bytes(one) for reading in batch for one in reading.documents)


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(0, 3_000), max_size=12), max_size=8), st.integers(200, 4_000))
def test_every_document_is_sent_once_and_no_batch_is_larger_than_allowed(pages: list[list[int]], most: int) -> None:
    sender = RecordingSender()
    with OfferPool(sender, InFlightLimit(3), most, 3, lambda _results: None) as pool:
        for ticket, sizes in enumerate(pages):
            pool.offer(page(sizes, ticket))
        pool.drain()
    offered = [f"{ticket}-{number}" for ticket, sizes in enumerate(pages) for number in range(len(sizes))]
    assert sorted(ids(sender.batches)) == sorted(offered)
    assert all(size_of(batch) <= most or count_documents(batch) == 1 for batch in sender.batches)


def test_no_more_requests_than_the_limit_are_under_way_and_the_reader_waits() -> None:
    release = threading.Event()
    two_are_in = threading.Barrier(3)

    def gate(_batch: Batch) -> None:
        if not release.is_set():
            two_are_in.wait(10)
            release.wait(10)

    sender = RecordingSender(gate)
    offered: list[int] = []

    def read() -> None:
        with OfferPool(sender, InFlightLimit(2), 1_000, 2, lambda _results: None) as pool:
            for ticket in range(6):
                pool.offer(page([950], ticket))
                offered.append(ticket)
            pool.drain()

    reader = threading.Thread(target=read)
    reader.start()
    two_are_in.wait(10)
    assert len(offered) <= 3
    release.set()
    reader.join(10)
    assert not reader.is_alive()
    assert (sender.most_at_once, len(offered)) == (2, 6)


def test_small_pages_are_gathered_while_a_request_is_under_way() -> None:
    release = threading.Event()

    def gate(_batch: Batch) -> None:
        release.wait(10)

    sender = RecordingSender(gate)
    with OfferPool(sender, InFlightLimit(4), 100_000, 4, lambda _results: None) as pool:
        for ticket in range(10):
            pool.offer(page([10], ticket))
        release.set()
        pool.drain()
    assert [len(batch) for batch in sender.batches] == [1, 9]


def offer_all(pool: OfferPool, pages: int, failure: Exception | None = None) -> None:
    """Offer so many pages and wait for the answers; the reader itself may fail."""
    with pool:
        for ticket in range(pages):
            pool.offer(page([990], ticket))
        if failure is not None:
            raise failure
        pool.drain()


class OutOfReachError(PassingError):
    """For these tests."""


def test_a_failure_reaches_the_reader_and_nothing_more_is_sent() -> None:
    def gate(_batch: Batch) -> None:
        raise OutOfReachError

    sender = RecordingSender(gate)
    with pytest.raises(OutOfReachError):
        offer_all(OfferPool(sender, InFlightLimit(1), 1_000, 1, lambda _results: None), 50)
    assert len(sender.batches) == 1


def test_a_failure_of_the_last_batch_is_raised_by_drain() -> None:
    def gate(_batch: Batch) -> None:
        raise OutOfReachError

    with pytest.raises(OutOfReachError):
        offer_all(OfferPool(RecordingSender(gate), InFlightLimit(1), 1, 1, lambda _: None), 1)


def test_a_failure_of_the_reader_waits_for_what_is_under_way() -> None:
    done: list[str] = []

    def gate(_batch: Batch) -> None:
        threading.Event().wait(0.05)
        done.append("answered")

    pool = OfferPool(RecordingSender(gate), InFlightLimit(1), 1, 1, lambda _results: done.append("counted"))
    with pytest.raises(OutOfReachError):
        offer_all(pool, 1, OutOfReachError())
    assert done in (["answered", "counted"], [])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_halves_keep_every_document_in_order(counts: list[int]) -> None:
    batch = [page([1] * count, ticket) for ticket, count in enumerate(counts)]
    left, right = halves(batch)
    assert ids([left, right]) == ids([batch])
    assert abs(count_documents(left) - count_documents(right)) <= 1


def test_pressure_halves_the_limit_and_good_answers_widen_it_again() -> None:
    limit = InFlightLimit(8)
    limit.record_answer(0.1, refused=True)
    assert limit.width == 4
    limit.record_answer(SLOW_ANSWER_S + 1, refused=False)
    assert limit.width == 2
    for _ in range(2):
        limit.record_answer(0.1, refused=False)
    assert limit.width == 3
    for _ in range(100):
        limit.record_answer(0.1, refused=True)
    assert limit.width == 1
    for _ in range(100):
        limit.record_answer(0.1, refused=False)
    assert limit.width == 8


def test_who_waits_for_a_place_gets_it_when_the_limit_widens() -> None:
    limit = InFlightLimit(2)
    limit.record_answer(0, refused=True)
    limit.acquire()
    got = threading.Event()

    def wait() -> None:
        limit.acquire()
        got.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert not got.wait(0.05)
    limit.record_answer(0, refused=False)
    assert got.wait(5)
    waiter.join()
    limit.release()
    limit.release()
    assert limit.is_idle


def test_a_document_without_an_end_is_a_fault_that_is_told() -> None:
    with pytest.raises(ReportError):
        Tally([page([1])]).results()
