"""Ranges of one shard's records that are looked for, while the shard is read in its order. No calls, no time."""

from collections import deque
from collections.abc import Iterable, Sequence

from dynamo_opensearch.core.dead_letters.messages import KeyEvent
from dynamo_opensearch.core.dynamodb.stream_client import StreamRecord

NO_FIRST = "the shard has no record of the first sequence number: trimmed, or never there"
NO_LAST = "the shard has no record of the last sequence number"
TRIMMED_WITHIN = "records in the middle of it were trimmed while it was read"


class WantedRange:
    """Records from ``first`` to ``last``, both included. ``lost``: the first reason why not all of them were read."""

    __slots__ = ("events", "first", "last", "lost", "start")

    def __init__(self, first: str, last: str) -> None:
        self.start, self.first, self.last = first, int(first), int(last)
        self.events: list[KeyEvent] = []
        self.lost: str | None = None

    def take(self, number: int, event: KeyEvent) -> bool:
        """Take the shard's next record, if it belongs; whether more may belong."""
        if number > self.last:
            self.lose(NO_LAST)
            return False
        self.events.append(event)
        return number < self.last

    def lose(self, reason: str) -> None:
        """Not all of it can be read."""
        self.lost = self.lost or reason


class WantedRanges:
    """Given the shard's records in order, finds what belongs to each range. A record may belong to several.

    Sequence numbers are compared as integers: their length is not fixed. Records that come again change nothing.
    """

    def __init__(self, ranges: Iterable[WantedRange], key_attributes: Sequence[str]) -> None:
        self._pending = deque(sorted(ranges, key=lambda one: one.first))
        self._open: list[WantedRange] = []
        self._key_attributes = tuple(key_attributes)
        self._read_to = -1

    @property
    def is_done(self) -> bool:
        """Whether no further record can belong to any of them."""
        return not self._pending and not self._open

    @property
    def starts(self) -> list[str]:
        """The first numbers, ascending, of the ranges that no record was found of yet."""
        return [one.start for one in self._pending]

    @property
    def next_start(self) -> str | None:
        """The first of ``starts``."""
        return self._pending[0].start if self._pending else None

    def take(self, record: StreamRecord) -> bool:
        """Take the shard's next record; whether it may belong to a range.

        Raises:
            KeyError: the record lacks a key attribute.
        """
        number = int(record.sequence_number)
        if number <= self._read_to:
            return False
        self._read_to = number
        self._begin(number)
        if not self._open:
            return False
        event = KeyEvent(tuple(record.key[attribute] for attribute in self._key_attributes), record.created_us)
        self._open = [one for one in self._open if one.take(number, event)]
        return True

    def note_gap(self) -> None:
        """Records behind the last one taken are gone."""
        for one in self._open:
            one.lose(TRIMMED_WITHIN)

    def lose_open(self) -> None:
        """The shard has no more records of the ranges that were begun."""
        for one in self._open:
            one.lose(NO_LAST)
        self._open = []

    def lose_next(self, count: int) -> None:
        """The shard has none of the first numbers of so many ranges."""
        for _ in range(count):
            self._pending.popleft().lose(NO_FIRST)

    def lose_rest(self, reason: str | None = None) -> None:
        """No more records can be read; without a ``reason``, because there are none."""
        for one in self._open:
            one.lose(reason or NO_LAST)
        for one in self._pending:
            one.lose(reason or NO_FIRST)
        self._open = []
        self._pending.clear()

    def _begin(self, number: int) -> None:
        """Turn to the ranges that start at or before this record."""
        while self._pending and self._pending[0].first <= number:
            one = self._pending.popleft()
            if one.first < number:
                one.lose(NO_FIRST)
            if one.last >= number:
                self._open.append(one)
