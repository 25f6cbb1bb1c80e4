"""Batches of bounded size, several under way at once."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.reading import Batch, Reading, document_bytes
from dynamo_opensearch.core.offer.sender import Sender
from dynamo_opensearch.core.offer.tally import TicketResult

OnResults = Callable[[list[TicketResult]], None]


class OfferPool:
    """Takes readings, sends batches. Use as a context manager, from one thread; ``on_results`` is called from others.

    A batch goes when it is full, and at once when nothing else is under way. ``offer`` waits while the limit of
    requests under way is reached, so memory is bounded by that limit times ``bulk_bytes``.
    """

    def __init__(self, sender: Sender, limit: InFlightLimit, bulk_bytes: int, most: int, on_results: OnResults) -> None:
        self._sender, self._limit, self._bulk_bytes, self._on_results = sender, limit, bulk_bytes, on_results
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="bulk")
        self._gathered: Batch = []
        self._gathered_bytes = 0
        self._failure: BaseException | None = None
        self._failed = threading.Event()

    def offer(self, reading: Reading) -> None:
        """Take a reading on.

        Raises:
            SyncError: an earlier batch failed; nothing is taken on any more.
        """
        for part, size in parts_of(reading, self._bulk_bytes):
            if self._gathered_bytes and self._gathered_bytes + size > self._bulk_bytes:
                self.flush()
            self._gathered.append(part)
            self._gathered_bytes += size
        if self._gathered_bytes >= self._bulk_bytes or self._limit.is_idle:
            self.flush()

    def flush(self) -> None:
        """Send what is gathered."""
        self._raise_failure()
        if not self._gathered:
            return
        batch, self._gathered, self._gathered_bytes = self._gathered, [], 0
        self._limit.acquire()
        if self._failed.is_set():
            self._limit.release()
            self._raise_failure()
        self._threads.submit(self._send, batch)

    def drain(self) -> None:
        """Send what is gathered and wait for all answers.

        Raises:
            SyncError: a batch failed.
        """
        self.flush()
        self._threads.shutdown(wait=True)
        self._raise_failure()

    def _send(self, batch: Batch) -> None:
        try:
            if not self._failed.is_set():
                self._on_results(self._sender.send(batch))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that offers, which raises it
            self._failure = self._failure or error
            self._failed.set()
        finally:
            self._limit.release()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """On a failure, wait for what is under way without sending more."""
        self._failed.set()
        self._threads.shutdown(wait=True, cancel_futures=True)


def parts_of(reading: Reading, most_bytes: int) -> Iterator[tuple[Reading, int]]:
    """The reading in parts of at most ``most_bytes``, with their sizes; a larger document goes alone."""
    size = sum(map(document_bytes, reading.documents))
    if size <= most_bytes:
        if reading.documents:
            yield reading, size
        return
    part: list[Document] = []
    size = 0
    for document in reading.documents:
        adds = document_bytes(document)
        if part and size + adds > most_bytes:
            yield reading.with_documents(part), size
            part, size = [], 0
        part.append(document)
        size += adds
    yield reading.with_documents(part), size
