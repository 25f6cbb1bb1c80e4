"""Which keys need a look now, which need one later, and which events a look has ended. Times in microseconds."""

import heapq
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from dynamo_opensearch.core.documents.builder import KeyValues


class Wanted(NamedTuple):
    """A key to look at; ``id``: its document id. ``is_first``: an event of it has not been looked at yet."""

    id: str
    key: KeyValues
    is_first: bool


@dataclass(slots=True)
class _Key:
    """``looked_us``: when the last acknowledged look began to read. ``queued_us``: the last due time in the queue."""

    key: KeyValues
    events: int = 0
    looked_us: int = 0
    queued_us: int = 0


class LookAgenda:
    """Keys with events that are not done. An event is done when a look began after its due time. One thread.

    Keys without events are forgotten, but for the last ``remembers`` of them: an event of one of those that was looked
    at late enough needs no look any more.
    """

    def __init__(self, remembers: int = 0) -> None:
        self._remembers = remembers
        self._keys: dict[str, _Key] = {}
        self._fresh: dict[str, None] = {}
        self._second: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        self._looked: OrderedDict[str, int] = OrderedDict()
        self.met = 0

    @property
    def fresh(self) -> int:
        """Keys that wait for their first look."""
        return len(self._fresh)

    @property
    def next_due_us(self) -> int | None:
        """When the next second look is due."""
        return self._queue[0][0] if self._queue else None

    def owe(self, name: str, values: KeyValues, due_us: int) -> None:
        """One more event of a key."""
        key = self._keys.get(name)
        if key is None:
            self.met += name not in self._looked
            key = self._keys[name] = _Key(values, looked_us=self._looked.get(name, 0))
        key.events += 1
        if key.looked_us > due_us:
            return
        self._fresh[name] = None
        if due_us > key.queued_us:
            key.queued_us = due_us
            heapq.heappush(self._queue, (due_us, name))

    def is_done(self, name: str, due_us: int) -> bool:
        """Whether an event that is owed has had its last look."""
        return self._keys[name].looked_us > due_us

    def settle(self, name: str) -> None:
        """One event of a key fewer."""
        key = self._keys[name]
        key.events -= 1
        if not key.events:
            del self._keys[name]
            self._fresh.pop(name, None)
            self._second.pop(name, None)
            self._remember(name, key.looked_us)

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
        """A look at these keys, whose read began then, was acknowledged by every index that it is for."""
        for name in names:
            self._fresh.pop(name, None)
            wanted_us = self._second.pop(name, None)
            key = self._keys.get(name)
            if key is None:
                continue
            key.looked_us = max(key.looked_us, began_us)
            if wanted_us is not None and key.looked_us <= wanted_us:  # the clock was put back
                heapq.heappush(self._queue, (wanted_us, name))

    def _remember(self, name: str, looked_us: int) -> None:
        if not self._remembers:
            return
        self._looked[name] = looked_us
        self._looked.move_to_end(name)
        if len(self._looked) > self._remembers:
            self._looked.popitem(last=False)
