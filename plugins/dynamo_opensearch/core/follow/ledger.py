"""Which events are done: a shard's position moves past a record once it, and all before, needs no look any more."""

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.look.agenda import LookAgenda, Wanted
from dynamo_opensearch.core.stream.cursor import ShardPage
from dynamo_opensearch.core.stream.position import HORIZON, ShardPosition, StreamPosition


class _Event(NamedTuple):
    """``key``: None where nothing is owed, as for records that were skipped, and the end of a shard."""

    position: ShardPosition
    key: str | None
    due_us: int


NamedKey = tuple[str, KeyValues]
"""The key's document id, which is one for each key, and its values."""


class Ledger:
    """The events of all shards that are not done yet, and the keys that they are of. One thread.

    ``due_us`` gives the moment after which a read must begin to end an event of the given time.
    """

    def __init__(self, position: StreamPosition, due_us: Callable[[int], int]) -> None:
        self._due_us = due_us
        self._not_before_us = position.not_before_us
        self._done = dict(position.shards)
        self._read = dict(position.shards)
        self._seen = dict(position.shards)
        self._events: dict[str, deque[_Event]] = {}
        self._agenda = LookAgenda()
        self.pending = 0

    @property
    def fresh(self) -> int:
        """Keys that wait for their first look."""
        return self._agenda.fresh

    @property
    def position(self) -> StreamPosition:
        """Every record before it is done."""
        return StreamPosition(shards=dict(self._done), not_before_us=self._not_before_us)

    @property
    def seen(self) -> StreamPosition:
        """Every record before it has had its first look."""
        return StreamPosition(shards=dict(self._seen), not_before_us=self._not_before_us)

    @property
    def next_due_us(self) -> int | None:
        """When the next second look is due."""
        return self._agenda.next_due_us

    @property
    def earliest_due_us(self) -> int | None:
        """About the due time of the oldest event that is not done (times are out of order by a second or two)."""
        return min((events[0].due_us for events in self._events.values() if events), default=None)

    def enter(self, page: ShardPage, keys: Iterable[NamedKey]) -> None:
        """Take a page on; ``keys`` are those of its records."""
        events = self._events.setdefault(page.shard, deque())
        for record, (name, key) in zip(page.records, keys, strict=True):
            due_us = self._due_us(record.created_us)
            events.append(_Event(ShardPosition(after=record.sequence_number), name, due_us))
            self._agenda.owe(name, key, due_us)
            self.pending += 1
        before = self._read.get(page.shard)
        now = ShardPosition(after=page.last or (before or HORIZON).after, is_finished=page.is_end)
        if now != before:
            events.append(_Event(now, None, 0))
            self._read[page.shard] = now
        self._settle()

    def to_look_at(self, now_us: int, most: int) -> list[Wanted]:
        """Keys that need a look now, at most so many; the same again until it is acknowledged.

        Half of the places are for second looks while there are some, so that neither kind keeps the other waiting.
        """
        return self._agenda.to_look_at(now_us, most)

    def acknowledge(self, names: Iterable[str], began_us: int) -> None:
        """A look at these keys, whose read began then, was acknowledged by every index that is fed."""
        self._agenda.acknowledge(names, began_us)
        self._settle()

    def forget_shards(self, listed: Collection[str]) -> None:
        """Drop finished shards that the stream lists no more."""
        for shard in [one for one, position in self._done.items() if position.is_finished and one not in listed]:
            for kept in (self._done, self._seen, self._read, self._events):
                kept.pop(shard, None)

    def _settle(self) -> None:
        for shard, events in self._events.items():
            while events and self._is_done(events[0]):
                event = events.popleft()
                self._done[shard] = event.position
                if event.key is not None:
                    self._release(event.key)
        if not self._agenda.fresh:
            self._seen = dict(self._read)

    def _is_done(self, event: _Event) -> bool:
        return event.key is None or self._agenda.is_done(event.key, event.due_us)

    def _release(self, name: str) -> None:
        self.pending -= 1
        self._agenda.settle(name)
