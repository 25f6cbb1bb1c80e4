"""The pages of a whole stream from a position on, every shard in its turn."""

import logging
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dynamodb.stream_client import (
    MOST_RECORDS,
    IteratorExpiredError,
    RecordsTrimmedError,
    ShardListing,
    ShardMissingError,
    StreamClient,
)
from dynamo_opensearch.core.stream.cursor import ShardCursor, ShardPage
from dynamo_opensearch.core.stream.lineage import childless_shards, readable_shards, skippable_shards
from dynamo_opensearch.core.stream.position import StreamPosition

log = logging.getLogger(__name__)

_LIST_EVERY_S = 60.0
_LIST_CHILDLESS_EVERY_S = 5.0
_CHILDLESS_US = 30_000_000
"""A shard that ended may have children that the stream does not list yet."""

_DISORDER_US = 5_000_000
"""Record times are rounded, out of order by up to 1.5 s, and of another clock than the moment asked about."""

_PEEKS = 3
_MISSES = 3
"""So often a shard may be listed and not be there."""

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Gap:
    """Records that were not read and are gone: of this shard, after this sequence number, noticed at ``at_us``."""

    shard: str
    after: str | None
    at_us: int


class StreamReader:
    """Reads all shards that may be read, children after parents, until their ends.

    A shard is begun at its horizon, or behind a record that was read; never at its head. Not thread-safe.
    ``rounding_s``: how coarse the times of records are. Several shards are read at once, by threads of its own.
    """

    def __init__(
        self,
        stream: StreamClient,
        position: StreamPosition,
        clock: Clock,
        rounding_s: float,
        limit: int = MOST_RECORDS,
    ) -> None:
        self._stream, self._clock, self._limit = stream, clock, limit
        self._begun = {shard: one.after for shard, one in position.shards.items() if not one.is_finished}
        self._finished = {shard for shard, one in position.shards.items() if one.is_finished}
        not_before_us = position.not_before_us - round(rounding_s * 1e6) - _DISORDER_US
        self._skip_before_us = max(0, not_before_us) if position.not_before_us else 0
        self._cursors: dict[str, ShardCursor] = {}
        self._listed: dict[str, str | None] = {}
        self._listing: ShardListing | None = None
        self._listed_s = 0.0
        self._must_list = True
        self._gaps: list[Gap] = []

    @property
    def listed(self) -> Collection[str]:
        """The shards that the stream listed last."""
        return self._listed.keys()

    @property
    def next_due_s(self) -> float:
        """When the next page may be asked for, by the steady clock; 0 is at once."""
        return min([self._list_due_s, *(cursor.due_s for cursor in self._cursors.values())])

    @property
    def head_us(self) -> int:
        """Everything committed before this moment of the worker's clock was read, as far as can be known; 0: unknown.

        The evidence is, in each open shard, a record of a later time, or several pages in a row that were not full.
        """
        if self._listing is None or self._must_list:
            return 0
        if self._listed.keys() - self._finished - self._cursors.keys():
            return 0
        heads = [cursor.evidence.head_us for cursor in self._cursors.values()]
        if childless_shards(self._listed, self._finished) or not heads:
            heads.append(self._listing.began_us - _CHILDLESS_US)
        return min(heads)

    def pages(self) -> list[ShardPage]:
        """One page of each shard whose time has come; also the ends of shards that need not, or cannot, be read.

        Raises:
            StreamMissingError, AccessDeniedError, ServiceUnavailableError, WorkerClockError: it cannot be read.
        """
        ended = self._list_sometimes()
        now_s = self._clock.monotonic_s()
        return ended + self._read([cursor for cursor in self._cursors.values() if cursor.due_s <= now_s])

    def drain(self) -> Iterator[list[ShardPage]]:
        """Pages without pauses, until one of each shard was not full. Raises as ``pages``."""
        for cursor in self._cursors.values():
            cursor.evidence.is_at_head = False
        while True:
            ended = self._list_sometimes()
            behind = [cursor for cursor in self._cursors.values() if not cursor.evidence.is_at_head]
            if not behind and not ended:
                return
            yield ended + self._read(behind)

    def take_gaps(self) -> list[Gap]:
        """The gaps found since the last time."""
        gaps, self._gaps = self._gaps, []
        return gaps

    @property
    def _list_due_s(self) -> float:
        if self._must_list:
            return 0.0
        is_settled = not childless_shards(self._listed, self._finished)
        return self._listed_s + (_LIST_EVERY_S if is_settled else _LIST_CHILDLESS_EVERY_S)

    def _list_sometimes(self) -> list[ShardPage]:
        if self._clock.monotonic_s() < self._list_due_s:
            return []
        is_first = self._listing is None
        self._listing, self._listed_s = self._stream.list_shards(), self._clock.monotonic_s()
        self._must_list = False
        self._listed = {one.shard: one.parent for one in self._listing.shards}
        self._finished &= self._listed.keys()
        ended = self._end_vanished() + (self._end_skippable() if is_first and self._skip_before_us else [])
        self._open_readable()
        return ended

    def _open_readable(self) -> None:
        for shard in readable_shards(self._listed, self._finished):
            if shard not in self._cursors:
                after = self._begun.get(shard)
                self._cursors[shard] = ShardCursor(shard, after, self._skip_before_us)

    def _end_vanished(self) -> list[ShardPage]:
        """Shards that were begun, not finished, and are not there any more."""
        begun = self._begun | {shard: cursor.after for shard, cursor in self._cursors.items()}
        return [self._vanish(shard, begun[shard]) for shard in begun if shard not in self._listed]

    def _vanish(self, shard: str, after: str | None) -> ShardPage:
        self._note_gap(shard, after)
        return self._end(shard)

    def _end(self, shard: str) -> ShardPage:
        self._cursors.pop(shard, None)
        self._begun.pop(shard, None)
        if shard in self._listed:
            self._finished.add(shard)
        return ShardPage(shard, [], None, is_end=True)

    def _end_skippable(self) -> list[ShardPage]:
        unread = [shard for shard in self._listed if shard not in self._finished and self._begun.get(shard) is None]
        return [self._end(shard) for shard in skippable_shards(self._listed, unread, self._begins_early)]

    def _begins_early(self, shard: str) -> bool:
        """Whether the shard's first record is older than all that is of interest."""
        try:
            iterator = self._stream.iterator(shard, None)
            for _ in range(_PEEKS):
                if iterator is None:
                    return False
                page = self._stream.records(iterator, 1)
                if page.records:
                    return page.records[0].created_us < self._skip_before_us
                iterator = page.next_iterator
        except (IteratorExpiredError, RecordsTrimmedError, ShardMissingError):
            return False
        return False

    def _read(self, cursors: list[ShardCursor]) -> list[ShardPage]:
        pages = [page for page in self._read_each(cursors) if page]
        for cursor in cursors:
            if cursor.lost_from is not None:
                self._note_gap(cursor.shard, cursor.lost_from)
                cursor.lost_from = None
        for page in pages:
            if page.is_end:
                self._end(page.shard)
                self._must_list = True
        return pages

    def _read_each(self, cursors: list[ShardCursor]) -> list[ShardPage | None]:
        if len(cursors) < 2:
            return list(map(self._read_one, cursors))
        with ThreadPoolExecutor(min(_THREADS, len(cursors)), thread_name_prefix="shard") as threads:
            return list(threads.map(self._read_one, cursors))

    def _read_one(self, cursor: ShardCursor) -> ShardPage | None:
        try:
            return cursor.read(self._stream, self._clock, self._limit)
        except ShardMissingError:
            self._must_list = True  # the next listing says what is left
            cursor.missed += 1
            if cursor.missed < _MISSES:
                return None
            self._note_gap(cursor.shard, cursor.after)
            return ShardPage(cursor.shard, [], None, is_end=True)

    def _note_gap(self, shard: str, after: str | None) -> None:
        log.warning(
            "records of shard %s were trimmed before they were read, after %s: what was changed there is not known",
            shard,
            after or "its beginning",
        )
        self._gaps.append(Gap(shard, after, self._clock.time_us()))
