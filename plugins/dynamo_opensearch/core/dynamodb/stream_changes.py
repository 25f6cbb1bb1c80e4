"""How much a table was changed since a moment, as its stream tells. Bounded: the answer may be "at least"."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock, SystemClock
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient, StreamRecord

_EMPTY_PAGES_AT_HEAD = 3
_MOST_PAGES = 500


@dataclass(frozen=True, kw_only=True)
class StreamChanges:
    """Records since the moment asked about, by event name. ``is_complete``: the whole stream was read."""

    inserted: int = 0
    modified: int = 0
    removed: int = 0
    is_complete: bool = True

    @property
    def total(self) -> int:
        """All of them."""
        return self.inserted + self.modified + self.removed

    def __str__(self) -> str:
        prefix = "" if self.is_complete else "at least "
        return f"{prefix}{self.inserted} inserted, {self.modified} modified, {self.removed} removed"


def count_changes(
    streams: Any,
    stream_arn: str,
    since_us: int,
    clock: Clock | None = None,
    retry: RetryPolicy | None = None,
) -> StreamChanges:
    """Count stream records created at ``since_us`` (microseconds since 1970) or later. Reads only.

    ``streams`` is a boto3 client of DynamoDB Streams with ``install_fast_parsing``. At most 500 pages are read. A
    shard has its indexer as a reader already, so throttling is to be expected, and waited out.

    Raises:
        AccessDeniedError, DynamoDbRequestError, StreamMissingError: the stream cannot be read.
        ShardMissingError, RecordsTrimmedError: a shard aged out of the stream while it was read.
        ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
    """
    stream = StreamClient(streams, stream_arn, clock or SystemClock(), retry or RetryPolicy())
    counts: Counter[str] = Counter()
    for number, records in enumerate(_pages(stream), start=1):
        counts.update(record.kind for record in records if record.created_us >= since_us)
        if number >= _MOST_PAGES:
            return _changes(counts, is_complete=False)
    return _changes(counts, is_complete=True)


def _changes(counts: Counter[str], *, is_complete: bool) -> StreamChanges:
    return StreamChanges(
        inserted=counts["INSERT"],
        modified=counts["MODIFY"],
        removed=counts["REMOVE"],
        is_complete=is_complete,
    )


def _pages(stream: StreamClient) -> Iterator[list[StreamRecord]]:
    """All shards from the horizon on. The head is believed after several empty pages; a closed shard ends by itself."""
    for shard in stream.list_shards().shards:
        iterator = stream.iterator(shard.shard, None)
        empty_pages = 0
        while iterator and empty_pages < _EMPTY_PAGES_AT_HEAD:
            page = stream.records(iterator)
            iterator = page.next_iterator
            empty_pages = 0 if page.records else empty_pages + 1
            yield page.records
