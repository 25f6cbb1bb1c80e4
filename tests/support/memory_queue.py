"""A queue of dead letters in memory, with SQS's habits: messages become invisible, come back, and come twice."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dead_letters.messages import Depth, Message

_POLL_S = 0.5


@dataclass(eq=False)
class _Stored:
    """One message. ``holder``: the consumer that has it; it is visible from ``visible_s`` on."""

    id: str
    body: str
    sent_us: int
    visible_s: float
    receives: int = 0
    holder: "QueueConsumer | None" = None


@dataclass
class MemoryQueue:
    """Seconds of the steady clock. ``visibility_s``: how long the messages of a dead consumer stay invisible.

    ``twice_share``: of the receives that hand out a message once more, though somebody holds it or has deleted it.
    """

    clock: Clock
    visibility_s: float = 30.0
    twice_share: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    stored: list[_Stored] = field(default_factory=list)
    deleted: list[_Stored] = field(default_factory=list)
    sent: int = 0

    def send(self, *bodies: str, sent_us: int | None = None, after_s: float = 0.0, receives: int = 0) -> None:
        """Messages that can be received from so many seconds on."""
        now_us = self.clock.time_us() if sent_us is None else sent_us
        for body in bodies:
            visible_s = self.clock.monotonic_s() + after_s
            self.stored.append(_Stored(f"m{self.sent:05}", body, now_us, visible_s, receives))
            self.sent += 1

    def consumer(self, is_alive: Callable[[], bool] = lambda: True) -> "QueueConsumer":
        """What one consumer has of it; what it holds comes back some time after it has died."""
        return QueueConsumer(self, is_alive)

    def bodies(self) -> list[str]:
        """Of all messages that are there, visible or not, in order."""
        return sorted(one.body for one in self.stored)

    def hand_out(self, most: int, to: "QueueConsumer", twice_share: float = 0.0) -> list[Message]:
        """At most so many of those that are visible now, and perhaps one that is not."""
        self._free_the_dead()
        now_s = self.clock.monotonic_s()
        found = [one for one in self.stored if one.holder is None and one.visible_s <= now_s][:most]
        if len(found) < most and self.chance.random() < twice_share and (others := self.deleted + self.stored):
            once_more = self.chance.choice(others)
            found += [once_more] if once_more not in found and once_more.visible_s <= now_s else []
        for one in found:
            one.receives += 1
            one.holder = to
        return [Message(id=one.id, body=one.body, receives=one.receives, sent_us=one.sent_us) for one in found]

    def depth(self) -> Depth:
        """Exact; messages that were never received and are still under way are not in it."""
        self._free_the_dead()
        now_s = self.clock.monotonic_s()
        visible = sum(one.holder is None and one.visible_s <= now_s for one in self.stored)
        held = sum(one.receives > 0 and (one.holder is not None or one.visible_s > now_s) for one in self.stored)
        return Depth(visible=visible, in_flight=held)

    def _free_the_dead(self) -> None:
        for one in self.stored:
            if one.holder is not None and not one.holder.is_alive():
                one.holder, one.visible_s = None, self.clock.monotonic_s() + self.visibility_s


class QueueConsumer:
    """A MessageSource."""

    def __init__(self, queue: MemoryQueue, is_alive: Callable[[], bool]) -> None:
        self.queue, self.is_alive = queue, is_alive

    def receive(self, most: int, wait_s: float) -> list[Message]:
        clock = self.queue.clock
        ends_s = clock.monotonic_s() + wait_s
        found = self.queue.hand_out(most, self, self.queue.twice_share)
        while not found and clock.monotonic_s() < ends_s:
            clock.sleep(min(_POLL_S, ends_s - clock.monotonic_s()))
            found = self.queue.hand_out(most, self)
        return found

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        ids = {message.id for message in messages}
        gone = [one for one in self.queue.stored if one.id in ids and one.holder is self]
        self.queue.stored = [one for one in self.queue.stored if one not in gone]
        self.queue.deleted += gone
        names = {one.id for one in gone}
        return [message for message in messages if message.id in names]

    def release(self, messages: Sequence[Message]) -> None:
        ids = {message.id for message in messages}
        for one in self.queue.stored:
            if one.id in ids and one.holder is self:
                one.holder = None

    def depth(self) -> Depth:
        return self.queue.depth()
