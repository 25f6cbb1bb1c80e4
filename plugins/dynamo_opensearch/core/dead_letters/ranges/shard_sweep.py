"""Reading one shard once, from the first record that is wanted to the last, past what nobody wants."""

from bisect import bisect_left
from collections.abc import Callable

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dead_letters.ranges.wanted_ranges import WantedRanges
from dynamo_opensearch.core.dynamodb.errors import DynamoDbRequestError
from dynamo_opensearch.core.dynamodb.stream_client import (
    IteratorExpiredError,
    RecordsPage,
    RecordsTrimmedError,
    ShardMissingError,
    StreamClient,
)
from dynamo_opensearch.core.errors import SyncError
from dynamo_opensearch.core.stream.cursor import SHORTEST_WAIT_S

SHARD_GONE = "the stream no longer has the shard"
REFUSED = "DynamoDB refuses the shard's or the stream's name"

EMPTY_PAGES_AT_HEAD = 20
"""So many in a row are taken for the head of an open shard. AWS does not say how many may come before a record."""

BARREN_PAGES = 2
"""After so many pages with nothing wanted, a new iterator costs less than reading on."""

_MOST_RESTARTS = 5
"""New iterators without a page in between."""

_REFUSALS = frozenset({"ValidationException", "ParamValidationError"})
_NO_MORE = RecordsPage([], None, 0, is_full=False)


class ShardSweep:
    """Finds what is wanted of one shard. One thread. Reads only.

    ``why_missing``: why the stream has no such shard; None where it lists it. ``pages`` and ``records``: read so far.
    """

    def __init__(
        self,
        stream: StreamClient,
        shard: str,
        wanted: WantedRanges,
        why_missing: Callable[[], str | None],
        clock: Clock,
    ) -> None:
        self._stream, self._shard, self._wanted = stream, shard, wanted
        self._why_missing, self._clock = why_missing, clock
        self._at = wanted.next_start
        """Where reading was begun anew, until it has brought a record; None is behind ``_after``, or at the horizon."""
        self._after: str | None = None
        self._iterator: str | None = None
        self._refused: set[str] = set()
        self._empty = self._barren = self._restarts = 0
        self.pages = self.records = 0

    def run(self) -> None:
        """Read until every wanted range was found or lost.

        Raises:
            AccessDeniedError, DynamoDbRequestError, ServiceUnavailableError, WorkerClockError: it cannot be read.
            IteratorExpiredError, RecordsTrimmedError: new iterators were of no use, time after time.
        """
        while not self._wanted.is_done:
            try:
                self._step()
            except IteratorExpiredError as error:
                self._restart(error)
            except (RecordsTrimmedError, DynamoDbRequestError) as error:
                self._leave_place(error)
            except ShardMissingError:
                self._look_for_shard()

    def _step(self) -> None:
        if self._iterator is None:
            self._iterator = self._ask()
        page = _NO_MORE if self._iterator is None else self._stream.records(self._iterator)
        self._iterator, self._restarts = page.next_iterator, 0
        self._take(page)
        if page.next_iterator is None:
            self._wanted.lose_rest()
        elif not page.records:
            self._wait_for_records()
        elif self._barren >= BARREN_PAGES:
            self._jump()

    def _ask(self) -> str | None:
        if self._at is not None:
            return self._stream.iterator_at(self._shard, self._at)
        return self._stream.iterator(self._shard, self._after)

    def _take(self, page: RecordsPage) -> None:
        self.pages += 1
        self.records += len(page.records)
        if page.records:
            found = sum(map(self._wanted.take, page.records))
            self._at, self._after, self._empty = None, page.records[-1].sequence_number, 0
            self._barren = 0 if found else self._barren + 1

    def _jump(self) -> None:
        """Go to the next start, over all that lies before it; where that was refused before, read on."""
        start = self._wanted.next_start
        if start is not None and start not in self._refused:
            self._at, self._iterator = start, None
        self._empty = self._barren = 0

    def _wait_for_records(self) -> None:
        self._empty += 1
        if self._empty >= EMPTY_PAGES_AT_HEAD:
            self._leave_emptiness()
        elif not self._wanted.is_done:
            self._clock.sleep(SHORTEST_WAIT_S)

    def _leave_emptiness(self) -> None:
        """Nothing came for long: go to the first start that is there, if one is."""
        self._wanted.lose_open()
        starts = self._wanted.starts
        if starts and starts[0] == self._at:
            self._wanted.lose_rest()
        # What is trimmed lies before what is not.
        self._wanted.lose_next(bisect_left(self._wanted.starts, True, key=self._is_there))
        self._jump()

    def _is_there(self, start: str) -> bool:
        """Whether reading can begin at a number; one that is merely unknown may pass, too."""
        if start in self._refused:
            return False
        try:
            iterator = self._stream.iterator_at(self._shard, start)
            if iterator is not None:
                self._stream.records(iterator, 1)
        except (RecordsTrimmedError, DynamoDbRequestError) as error:
            if _is_about_place(error):
                return False
            raise
        return True

    def _leave_place(self, error: RecordsTrimmedError | DynamoDbRequestError) -> None:
        """Go back from a start that is not there, or forward from what was trimmed to the horizon."""
        if not _is_about_place(error):
            raise error
        if self._at is not None:
            self._refused.add(self._at)
            self._at = None
        elif self._after is not None:
            self._after = None
            self._wanted.note_gap()
        elif not isinstance(error, RecordsTrimmedError):
            self._wanted.lose_rest(REFUSED)
        self._restart(error)

    def _look_for_shard(self) -> None:
        reason = self._why_missing()
        if reason is not None or self._restarts >= _MOST_RESTARTS:
            self._wanted.lose_rest(reason or SHARD_GONE)
            return
        self._iterator = None
        self._restarts += 1
        self._clock.sleep(SHORTEST_WAIT_S)

    def _restart(self, error: SyncError) -> None:
        self._iterator = None
        self._restarts += 1
        if self._restarts > _MOST_RESTARTS:
            raise error


def _is_about_place(error: RecordsTrimmedError | DynamoDbRequestError) -> bool:
    """Whether reading can begin elsewhere."""
    return isinstance(error, RecordsTrimmedError) or error.code in _REFUSALS
