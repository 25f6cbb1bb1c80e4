"""Reading one shard: the iterator is kept, asked for anew when it has expired, and paced."""

from dataclasses import dataclass

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dynamodb.stream_client import (
    IteratorExpiredError,
    RecordsPage,
    RecordsTrimmedError,
    StreamClient,
    StreamRecord,
)
from dynamo_opensearch.core.stream.head import HeadEvidence

SHORTEST_WAIT_S = 0.2
"""A shard takes five GetRecords a second, of all its readers; the indexer is one of them."""

LONGEST_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class ShardPage:
    """Records of one shard, in its order. ``last``: the sequence number up to which it was read with this page.

    ``is_end``: nothing comes after it in this shard. ``is_full``: more may be waiting.
    """

    shard: str
    records: list[StreamRecord]
    last: str | None
    is_end: bool = False
    is_full: bool = False


class ShardCursor:
    """Where the reading of one shard stands. One thread at a time.

    ``skip_before_us``: until the first record that is not older, records are left out; 0 leaves out none.
    """

    def __init__(self, shard: str, after: str | None, skip_before_us: int) -> None:
        self.shard, self.after, self.evidence = shard, after, HeadEvidence()
        self.due_s = 0.0
        self.lost_from: str | None = None
        self.missed = 0
        self._skip_before_us = skip_before_us if after is None else 0
        self._iterator: str | None = None
        self._wait_s = SHORTEST_WAIT_S

    def read(self, stream: StreamClient, clock: Clock, limit: int) -> ShardPage | None:
        """The next page; None where the shard must be asked again.

        After a place that was trimmed, reading goes on from the horizon, and ``lost_from`` names the place.

        Raises:
            ShardMissingError: the shard has left the stream.
            SyncError: as ``StreamClient.records``.
        """
        try:
            if self._iterator is None:
                self._iterator = stream.iterator(self.shard, self.after)
            page = RecordsPage([], None, 0, is_full=False)
            if self._iterator is not None:
                page = stream.records(self._iterator, limit)
        except IteratorExpiredError:
            self._iterator = None
            return None
        except RecordsTrimmedError:
            self._iterator, self.lost_from, self.after = None, self.after, None
            return None
        self._iterator = page.next_iterator
        self._pace(page, clock)
        self.evidence.add(page)
        if page.records:
            self.after = page.records[-1].sequence_number
        return ShardPage(self.shard, self._kept(page.records), self.after, page.next_iterator is None, page.is_full)

    def _pace(self, page: RecordsPage, clock: Clock) -> None:
        """An idle shard is asked less and less often."""
        self._wait_s = SHORTEST_WAIT_S if page.records else min(self._wait_s * 1.5, LONGEST_WAIT_S)
        self.due_s = clock.monotonic_s() + self._wait_s

    def _kept(self, records: list[StreamRecord]) -> list[StreamRecord]:
        if not self._skip_before_us:
            return records
        for number, record in enumerate(records):
            if record.created_us >= self._skip_before_us:
                self._skip_before_us = 0
                return records[number:]
        return []
