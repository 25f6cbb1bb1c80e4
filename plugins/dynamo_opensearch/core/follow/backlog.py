"""What was read of the stream and is not done: reader and ledger together, and how far that is."""

from collections.abc import Sequence
from dataclasses import replace

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.follow.ledger import Ledger, NamedKey
from dynamo_opensearch.core.follow.settings import FollowSettings
from dynamo_opensearch.core.stream.position import StreamPosition
from dynamo_opensearch.core.stream.reader import Gap, StreamReader

_DISORDER_US = 5_000_000
"""Record times are out of order by up to 1.5 s, and of another clock than the worker's."""


class Backlog:
    """The stream from a position on. One thread. Times in microseconds since 1970.

    ``head_us``: every change committed before that has had its first look, as far as a stream can tell; 0: unknown.
    """

    def __init__(self, settings: FollowSettings, stream: StreamClient, clock: Clock, position: StreamPosition) -> None:
        self._settings, self._clock = settings, clock
        self._reader = StreamReader(stream, position, clock, settings.stamps.stream_rounding_s)
        self._late_us = round(settings.stamps.stream_rounding_s * 1e6) + _DISORDER_US
        self._heard_s = clock.monotonic_s()
        self.ledger = Ledger(position, settings.due_us)
        self.head_us = 0

    @property
    def done_us(self) -> int:
        """Records of the time before this are done, as far as a stream can tell; 0: unknown."""
        earliest_us = self.ledger.earliest_due_us
        if earliest_us is None:
            return self.head_us
        return max(0, min(self.head_us, earliest_us - self._settings.due_us(0)))

    @property
    def _has_room(self) -> bool:
        return self.ledger.pending < self._settings.most_pending

    def read(self, key_attributes: Sequence[str]) -> int:
        """Take on what there is, while there is room for it; the number of records."""
        count = 0
        while self._has_room and self.ledger.fresh < self._settings.keys_per_pass:
            pages = self._reader.pages()
            for page in pages:
                self.ledger.enter(page, [_named(record.key, key_attributes) for record in page.records])
                count += len(page.records)
            if not any(page.is_full for page in pages):
                break  # what was read is looked at first
        if count:
            self._heard_s = self._clock.monotonic_s()
        return count

    def note_looks(self) -> None:
        """After the looks of a pass: where all had their first, the head is as far as was read."""
        if not self.ledger.fresh:
            self.head_us = max(self.head_us, self._reader.head_us)

    def take_gaps(self) -> list[Gap]:
        """What the stream has lost before it was read, since the last time."""
        return self._reader.take_gaps()

    def forget_shards(self) -> None:
        """Drop finished shards that the stream lists no more."""
        self.ledger.forget_shards(self._reader.listed)

    def is_paid(self, owed_until_us: int) -> bool:
        """Whether every event up to that time is done."""
        return self.done_us > owed_until_us + self._late_us

    def served(self, done_us: int) -> StreamPosition:
        """The position, for a join: what is older than ``done_us`` is not read again for those that were served.

        Looks for what the stream has lost, since the position that would show it is given up.
        """
        self._reader.pages()
        position = self.ledger.position
        return replace(position, not_before_us=max(done_us - self._late_us, position.not_before_us))

    def wait_s(self) -> float:
        """Until the next page or look; 0 when there is something to do."""
        due_s = self._due_in_s()
        waits_s = [] if due_s is None else [due_s]
        if self._has_room:
            waits_s.append(self._reader.next_due_s - self._clock.monotonic_s())
        return 0.0 if self.ledger.fresh else max(0.0, min(waits_s, default=0.0))

    def quiet_s(self) -> float | None:
        """How long nobody needs to be here while the stream stays silent; None while it does not."""
        is_silent = self._clock.monotonic_s() - self._heard_s >= self._settings.silent_after_s
        if not is_silent or self.ledger.fresh or not self.head_us:
            return None
        due_s = self._due_in_s()
        longest_s = self._settings.longest_quiet_s
        return longest_s if due_s is None else max(0.0, min(longest_s, due_s))

    def _due_in_s(self) -> float | None:
        due_us = self.ledger.next_due_us
        return None if due_us is None else (due_us + 1 - self._clock.time_us()) / 1e6


def _named(key: Item, key_attributes: Sequence[str]) -> NamedKey:
    values = tuple(key[attribute] for attribute in key_attributes)
    return document_id(values), values
