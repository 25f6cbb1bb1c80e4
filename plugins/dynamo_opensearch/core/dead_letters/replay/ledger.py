"""Which messages are done: all changes that they name have had their last look."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from dynamo_opensearch.core.dead_letters.messages import KeyEvent
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.look.agenda import LookAgenda, Wanted

_REMEMBERED = 200_000
"""Keys that were looked at, and whose next message needs no look if it is old: about 150 bytes each."""


class MessageLedger:
    """Messages by id, and the keys that they wait for. One thread. Times in microseconds since 1970.

    ``done_after_us`` gives the moment after which a read must begin to end an event of the given time.
    """

    def __init__(self, done_after_us: Callable[[int], int]) -> None:
        self._done_after_us = done_after_us
        self._agenda = LookAgenda(_REMEMBERED)
        self._owed: dict[str, int] = {}
        self._waiting: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self._done: list[str] = []

    @property
    def pending(self) -> int:
        """Keys that a look is owed to, now or later."""
        return len(self._waiting)

    @property
    def fresh(self) -> int:
        """Keys that wait for their first look."""
        return self._agenda.fresh

    @property
    def keys(self) -> int:
        """Keys that were met so far."""
        return self._agenda.met

    @property
    def next_due_us(self) -> int | None:
        """When the next second look is due."""
        return self._agenda.next_due_us

    def enter(self, message_id: str, events: Iterable[KeyEvent], now_us: int) -> None:
        """Take a message on; an event without a time counts as one of ``now_us``."""
        due: dict[str, tuple[KeyValues, int]] = {}
        for event in events:
            due_us = self._done_after_us(now_us if event.event_us is None else event.event_us)
            name = document_id(event.key)
            if name not in due or due[name][1] < due_us:
                due[name] = (event.key, due_us)
        owed = [name for name, (key, due_us) in due.items() if self._owe(name, key, due_us, message_id)]
        if owed:
            self._owed[message_id] = len(owed)
        else:
            self._done.append(message_id)

    def to_look_at(self, now_us: int, most: int) -> list[Wanted]:
        """Keys that need a look now, at most so many; the same again until it is acknowledged."""
        return self._agenda.to_look_at(now_us, most)

    def acknowledge(self, names: Iterable[str], began_us: int) -> None:
        """A look at these keys, whose read began then, was acknowledged by every living index."""
        names = list(names)
        self._agenda.acknowledge(names, began_us)
        for name in names:
            self._settle(name)

    def take_done(self) -> list[str]:
        """Ids of the messages that have become done since the last time."""
        done, self._done = self._done, []
        return done

    def _owe(self, name: str, key: KeyValues, due_us: int, message_id: str) -> bool:
        """Whether the message has to wait for this key."""
        self._agenda.owe(name, key, due_us)
        if self._agenda.is_done(name, due_us):
            self._agenda.settle(name)
            return False
        self._waiting[name].append((due_us, message_id))
        return True

    def _settle(self, name: str) -> None:
        left = []
        for due_us, message_id in self._waiting.pop(name, ()):
            if self._agenda.is_done(name, due_us):
                self._agenda.settle(name)
                self._pay(message_id)
            else:
                left.append((due_us, message_id))
        if left:
            self._waiting[name] = left

    def _pay(self, message_id: str) -> None:
        self._owed[message_id] -= 1
        if not self._owed[message_id]:
            del self._owed[message_id]
            self._done.append(message_id)
