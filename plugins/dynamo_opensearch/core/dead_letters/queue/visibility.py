"""Keeping messages invisible while they are worked on, so that nobody else begins with them."""

import logging
import threading
from collections.abc import Sequence

from dynamo_opensearch.core.aws.sqs_queue import MOST_IN_A_BATCH, SqsQueue
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dead_letters.queue.held import Held, HeldMessages

LONGEST_HOLD_S = 12 * 3_600 - 60
"""SQS keeps a message invisible for 12 hours from its receive; a minute is left for requests on their way."""

log = logging.getLogger(__name__)


class VisibilityKeeper:
    """A thread that prolongs what is held, when a third of ``visibility_s`` has gone by.

    So a process that is killed leaves its messages invisible for ``visibility_s`` at most, and a queue that does not
    answer may take as long as the rest of it. What cannot be held any longer is let go of, and said.
    """

    def __init__(self, queue: SqsQueue, held: HeldMessages, clock: Clock, visibility_s: int) -> None:
        self._queue, self._held, self._clock, self._visibility_s = queue, held, clock, visibility_s
        self.lock = threading.Lock()
        """Whoever lets go of a message to make it visible must do so under it: no prolonging may be on its way."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    def start(self) -> None:
        """Keep what is held from now on. Safe to call again."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="message-visibility", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Prolong no more; returns when the thread has ended. Safe to call again."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise what the thread ended with, if it did: the messages held come back to the queue."""
        if self._failure is not None:
            raise self._failure

    def prolong_due(self) -> None:
        """Look once through what is held.

        Raises:
            AccessDeniedError, QueueMissingError, QueueKeyError, QueueRequestError: waiting would not help.
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
        """
        due = self._held.ending_before(self._clock.monotonic_s() + self._visibility_s * 2 / 3)
        expired = too_long = 0
        for start in range(0, len(due), MOST_IN_A_BATCH):
            with self.lock:
                batch = self._held.find(held.id for held in due[start : start + MOST_IN_A_BATCH])
                young = [held for held in batch if self._may_be_prolonged(held)]
                too_long += self._let_go([held for held in batch if held not in young])
                expired += self._let_go(self._prolong(young))
        if expired:
            log.warning("%d messages were lost to another receive or are gone; they are not held any more", expired)
        if too_long:
            log.warning("%d messages were held for 12 h, the longest that SQS allows; let go of", too_long)

    def _may_be_prolonged(self, held: Held) -> bool:
        return self._clock.monotonic_s() + self._visibility_s - held.since_s <= LONGEST_HOLD_S

    def _prolong(self, batch: Sequence[Held]) -> list[Held]:
        """Those whose receipts are not good any more."""
        until_s = self._clock.monotonic_s() + self._visibility_s
        good = self._queue.change_visibility([held.handle for held in batch], self._visibility_s)
        for held in batch:
            if held.handle in good:
                self._held.prolong(held, until_s)
        return [held for held in batch if held.handle not in good]

    def _let_go(self, batch: Sequence[Held]) -> int:
        return sum(self._held.let_go(held) for held in batch)

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._visibility_s / 6):
                self.prolong_due()
        except Exception as error:  # noqa: BLE001 - raised by check(), in the thread that works on the messages
            self._failure = error
