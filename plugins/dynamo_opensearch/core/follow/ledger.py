"""Which events are done: a shard's position moves past a record once it, and all before, needs no look any more."""

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.stream.cursor import ShardPage
from dynamo_opensearch.core.stream.position import HORIZON, ShardPosition, StreamPosition


@dataclass(slots=True)
class _Key:
    """``looked_us``: when the last acknowledged look began to read. ``queued_us``: the last due time in the queue."""

    key: KeyValues
    events: int = 0
    looked_us: int = 0
    queued_us: int = 0


class _Event(NamedTuple):
    """``key``: None where nothing is owed, as for records that were skipped, and the end of a shard."""

    position: ShardPosition
    key: str | None
    due_us: int


class Wanted(NamedTuple):
    """A key to look at. ``is_first``: an event of it has not been looked at yet."""

    id: str
    key: KeyValues
    is_first: bool


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
        self._keys: dict[str, _Key] = {}
        self._fresh: dict[str, None] = {}
        self._second: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        self.pending = 0

    @property
    def fresh(self) -> int:
        """Keys that wait for their first look."""
        return len(self._fresh)

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
        return self._queue[0][0] if self._queue else None

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
            self._owe(name, key, due_us)
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
        while self._queue and self._queue[0][0] < now_us and len(self._second) < most:
            due_us, name = heapq.heappop(self._queue)
            key = self._keys.get(name)
            if key is not None and key.looked_us <= due_us:
                self._second[name] = max(due_us, self._second.get(name, 0))
        wanted = dict.fromkeys(list(self._second)[: max(most // 2, most - len(self._fresh))])
        for name in self._fresh:
            if len(wanted) >= most:
                break
            wanted[name] = None
        return [Wanted(name, self._keys[name].key, name in self._fresh) for name in wanted]

    def acknowledge(self, names: Iterable[str], began_us: int) -> None:
        """A look at these keys, whose read began then, was acknowledged by every index that is fed."""
        for name in names:
            self._fresh.pop(name, None)
            wanted_us = self._second.pop(name, None)
            key = self._keys.get(name)
            if key is None:
                continue
            key.looked_us = max(key.looked_us, began_us)
            if wanted_us is not None and key.looked_us <= wanted_us:  # the clock was put back
                heapq.heappush(self._queue, (wanted_us, name))
        self._settle()

    def forget_shards(self, listed: Collection[str]) -> None:
        """Drop finished shards that the stream lists no more."""
        for shard in [one for one, position in self._done.items() if position.is_finished and one not in listed]:
            for kept in (self._done, self._seen, self._read, self._events):
                kept.pop(shard, None)

    def _owe(self, name: str, values: KeyValues, due_us: int) -> None:
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = _Key(values)
        key.events += 1
        if key.looked_us > due_us:
            return
        self._fresh[name] = None
        if due_us > key.queued_us:
            key.queued_us = due_us
            heapq.heappush(self._queue, (due_us, name))

    def _settle(self) -> None:
        for shard, events in self._events.items():
            while events and self._is_done(events[0]):
                event = events.popleft()
                self._done[shard] = event.position
                if event.key is not None:
                    self._release(event.key)
        if not self._fresh:
            self._seen = dict(self._read)

    def _is_done(self, event: _Event) -> bool:
        return event.key is None or self._keys[event.key].looked_us > event.due_us

    def _release(self, name: str) -> None:
        self.pending -= 1
        key = self._keys[name]
        key.events -= 1
        if not key.events:
            del self._keys[name]
            self._fresh.pop(name, None)
            self._second.pop(name, None)
