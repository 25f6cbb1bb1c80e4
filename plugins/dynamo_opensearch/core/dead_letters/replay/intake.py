"""Receiving until all messages are there that were there when the run began: its growth does not make a run endless."""

from collections.abc import Callable
from dataclasses import dataclass

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dead_letters.messages import Message, MessageSource

_EMPTY_POLLS = 3
"""A long poll asks all servers of SQS, so that several empty ones in a row mean an empty queue."""

_NEW_POLLS = 10
"""Polls in a row that brought nothing but messages of after the beginning: SQS hands out old ones first, mostly."""


@dataclass(frozen=True, kw_only=True)
class IntakeSettings:
    """``began_us``: when the run began (microseconds since 1970). ``most``: messages to take; None: all.

    ``others_s``: how long to wait for messages that somebody else holds: they come back when that one was killed.
    """

    began_us: int
    most: int | None = None
    others_s: float = 150.0


class Intake:
    """New messages of a source, each once. One thread. ``held``: how many this consumer holds now."""

    def __init__(self, settings: IntakeSettings, source: MessageSource, clock: Clock, held: Callable[[], int]) -> None:
        self._settings, self._source, self._clock, self._held = settings, source, clock, held
        self._known: set[str] = set()
        self._quiet_polls = 0
        self._heard_s = clock.monotonic_s()
        self.again = self.newer = 0
        self.is_exhausted = settings.most == 0

    def receive(self, most: int, wait_s: float) -> tuple[list[Message], list[Message]]:
        """Messages that are new to this run, and such as have come before; both empty when there are none.

        Raises:
            SyncError: as the source.
        """
        limit = self._settings.most
        room = most if limit is None else min(most, limit - len(self._known))
        if self.is_exhausted or room <= 0:
            return [], []
        received = self._source.receive(room, wait_s)
        new = list({one.id: one for one in received if one.id not in self._known}.values())
        repeated = [one for one in received if one.id in self._known]
        self._known.update(one.id for one in new)
        self.again += len(received) - len(new)
        self.newer += sum(not self._is_old(one) for one in new)
        self._note(received, len(new))
        return new, repeated

    def _is_old(self, message: Message) -> bool:
        return message.sent_us is None or message.sent_us <= self._settings.began_us

    def _note(self, received: list[Message], new: int) -> None:
        if any(map(self._is_old, received)):
            self._quiet_polls, self._heard_s = 0, self._clock.monotonic_s()
        else:
            self._quiet_polls += 1
        is_full = self._settings.most is not None and len(self._known) >= self._settings.most
        enough = _NEW_POLLS if received else _EMPTY_POLLS
        self.is_exhausted = is_full or (self._quiet_polls >= enough and not self._may_come_back(new))

    def _may_come_back(self, new: int) -> bool:
        """Whether somebody else holds messages, and may yet be found to be dead. ``new``: ours since this very poll."""
        if self._clock.monotonic_s() - self._heard_s >= self._settings.others_s:
            return False
        return self._source.depth().in_flight > self._held() + new
