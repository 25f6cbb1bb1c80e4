"""Looks: keys read once, strongly consistent, and offered to every index that is fed, by its own field rules."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from dynamo_opensearch.core.documents.builder import DocumentBuilder, KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.dynamodb.keyed_reads import BATCH_KEYS, KeyedRead, KeyedReader
from dynamo_opensearch.core.look.feeds import Feed
from dynamo_opensearch.core.offer.destination import AliasLostError
from dynamo_opensearch.core.offer.pool import parts_of
from dynamo_opensearch.core.offer.reading import Batch, Reading, document_bytes
from dynamo_opensearch.core.offer.refresher import documents_now
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.offer.sender import Sender
from dynamo_opensearch.core.reports import OfferReport
from dynamo_opensearch.core.stamps import StampRule

_MOST_KEYS = 5 * BATCH_KEYS
"""Keys of one task: enough for a bulk request that is worth its fsync."""


@dataclass(frozen=True, slots=True)
class LiveFeed:
    """A feed with what makes its documents and sends them."""

    feed: Feed
    builder: DocumentBuilder
    sender: Sender


@dataclass(frozen=True, slots=True)
class Look:
    """Keys that one read looked at, begun at ``began_us``; ``is_acknowledged``: by every index that is fed."""

    names: tuple[str, ...]
    began_us: int
    is_acknowledged: bool


@dataclass(slots=True)
class LookResult:
    """All looks of a pass, and what was refused for good. ``has_moved``: an alias does not lead where it did.

    ``offer``: what became of each document in each index. ``read_units``: what the reads have cost.
    """

    looks: list[Look] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    offer: OfferReport = field(default_factory=OfferReport)
    has_moved: bool = False
    read_units: float = 0.0


class Looker:
    """Looks at keys for a fixed set of feeds. Not thread-safe; uses threads of its own while it looks."""

    def __init__(
        self, reader: KeyedReader, feeds: Sequence[LiveFeed], stamps: StampRule, bulk_bytes: int, threads: int
    ) -> None:
        self._reader, self._feeds, self._stamps = reader, tuple(feeds), stamps
        self._bulk_bytes, self._threads = bulk_bytes, threads

    def look(self, keys: Sequence[KeyValues]) -> LookResult:
        """Read these keys and offer them until every document has its end. A second run is safe.

        Raises:
            ServiceUnavailableError, AccessDeniedError, WorkerClockError, BulkAnswerError: as the reads and writes.
        """
        result = LookResult()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="look") as threads:
            for part in threads.map(self._look_at, _divided(keys, self._threads)):
                result.looks += part.looks
                result.rejects += part.rejects
                result.offer += part.offer
                result.has_moved |= part.has_moved
                result.read_units += part.read_units
        return result

    def _look_at(self, keys: Sequence[KeyValues]) -> LookResult:
        result = LookResult()
        gathered: list[KeyedRead] = []
        batches: list[Batch] = [[] for _ in self._feeds]
        size = 0
        for read in self._reader.read(keys):
            result.read_units += read.read_units
            size += self._build(read, len(gathered), batches, result)
            gathered.append(read)
            if size >= self._bulk_bytes:
                self._offer(gathered, batches, result)
                gathered, batches, size = [], [[] for _ in self._feeds], 0
        self._offer(gathered, batches, result)
        return result

    def _build(self, read: KeyedRead, ticket: int, batches: list[Batch], result: LookResult) -> int:
        """Documents of one read for each feed; the size of the largest."""
        stamp_us = self._stamps.read_stamp_us(read.began_us)
        sizes = []
        for live, batch in zip(self._feeds, batches, strict=True):
            documents, rejects = documents_now(read, live.builder, live.feed.index, stamp_us)
            result.rejects += rejects
            result.offer += OfferReport(offered=len(rejects), rejected=len(rejects))
            if documents:
                batch.append(Reading(documents, stamp_us, read.began_s, live.feed.index, ticket))
            sizes.append(sum(map(document_bytes, documents)))
        return max(sizes, default=0)

    def _offer(self, reads: list[KeyedRead], batches: list[Batch], result: LookResult) -> None:
        unacknowledged: set[int] = set()
        for live, batch in zip(self._feeds, batches, strict=True):
            for request in _requests(batch, self._bulk_bytes):
                unacknowledged |= self._send(live, request, result)
        for ticket, read in enumerate(reads):
            names = tuple(map(document_id, read.keys))
            result.looks.append(Look(names, read.began_us, ticket not in unacknowledged))

    def _send(self, live: LiveFeed, batch: Batch, result: LookResult) -> set[int]:
        """The tickets whose documents did not all reach the index that they were made for."""
        try:
            results = live.sender.send(batch)
        except AliasLostError:
            result.has_moved = True
            return {reading.ticket for reading in batch}
        for one in results:
            result.rejects += one.rejects
            result.offer += one.report
        strayed = {one.ticket for one in results if one.report.strayed}
        result.has_moved |= bool(strayed)
        return strayed


def _divided(keys: Sequence[KeyValues], threads: int) -> Iterator[Sequence[KeyValues]]:
    """A share for each thread, in whole groups of a read, and none too large."""
    groups = -(-len(keys) // BATCH_KEYS)
    size = min(_MOST_KEYS, BATCH_KEYS * max(1, -(-groups // threads)))
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def _requests(batch: Batch, bulk_bytes: int) -> Iterator[Batch]:
    """The batch in requests of about ``bulk_bytes``."""
    gathered: Batch = []
    size = 0
    for part, part_bytes in _parts(batch, bulk_bytes):
        if gathered and size + part_bytes > bulk_bytes:
            yield gathered
            gathered, size = [], 0
        gathered.append(part)
        size += part_bytes
    if gathered:
        yield gathered


def _parts(batch: Batch, bulk_bytes: int) -> Iterable[tuple[Reading, int]]:
    return (part for reading in batch for part in parts_of(reading, bulk_bytes))
