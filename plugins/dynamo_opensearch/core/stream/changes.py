"""How much a table was changed since a moment, as its stream tells. Bounded: the answer may be "at least"."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.stream.cursor import ShardPage
from dynamo_opensearch.core.stream.position import StreamPosition
from dynamo_opensearch.core.stream.reader import StreamReader

_LONGEST_S = 600.0


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


class ChangeCounter:
    """Counts the records of a stream from a moment on; asked again, it reads on from where it was. Not thread-safe.

    A stream cannot be entered at a time. Shards that ended before the moment are left out; the others, which live
    for some hours, are read from their beginning, once.

    :param since_us: the moment, in microseconds since 1970.
    :param rounding_s: by how much the times of records may be rounded down.
    :param longest_s: for how long one count may read.
    """

    def __init__(
        self, stream: StreamClient, since_us: int, clock: Clock, rounding_s: float, longest_s: float = _LONGEST_S
    ) -> None:
        self._reader = StreamReader(stream, StreamPosition(not_before_us=since_us), clock, rounding_s)
        self._not_before_us = since_us - round(rounding_s * 1e6)
        self._clock, self._longest_s = clock, longest_s
        self._kinds: Counter[str] = Counter()
        self._has_gaps = False

    def count(self) -> StreamChanges:
        """All changes between the moment and now. Reads only.

        A shard has its indexer as a reader already, so throttling is to be expected, and waited out.

        Raises:
            AccessDeniedError, DynamoDbRequestError, StreamMissingError: the stream cannot be read.
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
        """
        asked_us, give_up_s = self._clock.time_us(), self._clock.monotonic_s() + self._longest_s
        for pages in self._reader.drain():
            self._take(pages)
            if self._clock.monotonic_s() > give_up_s:
                return self._changes(is_complete=False)
        while self._reader.head_us < asked_us:
            if self._clock.monotonic_s() > give_up_s:
                return self._changes(is_complete=False)
            self._clock.sleep(max(0.0, self._reader.next_due_s - self._clock.monotonic_s()))
            self._take(self._reader.pages())
        return self._changes(is_complete=True)

    def _take(self, pages: Iterable[ShardPage]) -> None:
        records = (record for page in pages for record in page.records)
        self._kinds.update(record.kind for record in records if record.created_us >= self._not_before_us)

    def _changes(self, *, is_complete: bool) -> StreamChanges:
        self._has_gaps = self._has_gaps or bool(self._reader.take_gaps())
        return StreamChanges(
            inserted=self._kinds["INSERT"],
            modified=self._kinds["MODIFY"],
            removed=self._kinds["REMOVE"],
            is_complete=is_complete and not self._has_gaps,
        )
