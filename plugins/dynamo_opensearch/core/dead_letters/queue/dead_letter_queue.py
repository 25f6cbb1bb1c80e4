"""A dead-letter queue of SQS: received in parallel, held while it is worked on, deleted once that is done."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from dynamo_opensearch.core.aws.sqs_queue import MOST_IN_A_BATCH, ReceivedMessage, SqsQueue
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dead_letters.messages import Depth, Message
from dynamo_opensearch.core.dead_letters.queue.held import Held, HeldMessages
from dynamo_opensearch.core.dead_letters.queue.visibility import VisibilityKeeper
from dynamo_opensearch.core.errors import SyncError

MORE_WAIT_S = 1.0
"""How long a further receive waits, when the first one has found something."""

MORE_S = 5.0
"""For how long there are further ones: a trickle must not keep from work what was received before."""

log = logging.getLogger(__name__)
T = TypeVar("T")


class DeadLetterQueue:
    """The messages of a queue, by its name or URL; a MessageSource. ``close`` it, or use it as a context manager.

    A message that SQS hands over again while it is held (its delivery is *at least* once) is not handed on again: it
    is held, and later deleted, by its newest receipt. One that could not be held, or deleted, comes again as a new one.
    """

    def __init__(
        self,
        client: Any,
        queue: str,
        clock: Clock,
        retry: RetryPolicy,
        *,
        visibility_s: int = 120,
        parallel: int = 4,
    ) -> None:
        """Take hold of nothing yet.

        Args:
            client: boto3's, for SQS, its own retries off, for ``parallel`` + 1 connections at least.
            queue: name or URL.
            clock: for waits and visibility.
            retry: how long passing failures are waited out.
            visibility_s: for how long the messages of a process that was killed stay invisible; 2 to 3,600.
            parallel: requests at once, at most.
        """
        if not 2 <= visibility_s <= 3_600:
            raise ValueError(f"visibility_s must be 2 to 3,600, got {visibility_s}")
        self._sqs = SqsQueue(client, queue, clock, retry)
        # What takes longer than the messages are invisible is of no use for keeping or releasing them.
        brief = replace(retry, give_up_after_s=min(retry.give_up_after_s, visibility_s / 3))
        self._brief_sqs = SqsQueue(client, queue, clock, brief)
        self._clock, self._visibility_s, self._parallel = clock, visibility_s, parallel
        self._held = HeldMessages()
        self._keeper = VisibilityKeeper(self._brief_sqs, self._held, clock, visibility_s)
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="queue")

    def receive(self, most: int, wait_s: float) -> list[Message]:
        """At most so many, held from now on; an empty list when there were none for ``wait_s`` (1 s at least).

        Raises:
            AccessDeniedError, QueueMissingError, QueueKeyError, QueueRequestError: waiting would not help.
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
        """
        self._keeper.start()
        ends_s = self._clock.monotonic_s() + wait_s
        while most > 0:
            self._keeper.check()
            if found := self._poll(most, ends_s - self._clock.monotonic_s()):
                return found + self._more(most - len(found))
            if self._clock.monotonic_s() >= ends_s:
                break
        return []

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        """Let go of them for good; those that are gone now. Safe to run again.

        Left out are those that are not held any more, or whose receipt SQS refuses: they may come again.

        Raises:
            AccessDeniedError, QueueMissingError, QueueKeyError, QueueRequestError: waiting would not help.
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
        """
        self._keeper.check()
        held = self._held.find(message.id for message in messages)
        gone = {one for batch in self._in_batches(self._delete, held) for one in batch}
        deleted = [message for message in messages if message.id in gone]
        if lost := len(messages) - len(deleted):
            log.warning("%d of %d messages were not deleted, others hold them or did", lost, len(messages))
        return deleted

    def release(self, messages: Sequence[Message]) -> None:
        """Give them back, for anyone to receive at once. What fails of it is logged, and comes back by itself."""
        with self._keeper.lock:
            held = [one for one in self._held.find(message.id for message in messages) if self._held.let_go(one)]
        self._make_visible(held)

    def depth(self) -> Depth:
        """About how many messages there are. Raises as ``receive``."""
        visible, in_flight = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
        found = self._sqs.attributes(visible, in_flight)
        return Depth(visible=int(found[visible]), in_flight=int(found[in_flight]))

    def close(self) -> None:
        """Release all that is held. Safe to call again."""
        self._keeper.stop()
        self._make_visible(self._held.let_all_go())
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _poll(self, most: int, wait_s: float) -> list[Message]:
        received = self._sqs.receive(most, wait_s, self._visibility_s)
        return [_message(one) for one in received if self._held.take(self._holding(one))]

    def _holding(self, one: ReceivedMessage) -> Held:
        return Held(id=one.id, handle=one.handle, since_s=one.began_s, until_s=one.began_s + self._visibility_s)

    def _more(self, most: int) -> list[Message]:
        """What else can be had without much waiting, by several receives at once, each with its share."""
        if not most:
            return []
        receivers = min(self._parallel, -(-most // MOST_IN_A_BATCH))
        shares = [most // receivers + (number < most % receivers) for number in range(receivers)]
        ends_s = self._clock.monotonic_s() + MORE_S
        return [message for found in self._at_once(partial(self._drain, ends_s), shares) for message in found]

    def _drain(self, ends_s: float, most: int) -> list[Message]:
        found: list[Message] = []
        while len(found) < most and self._clock.monotonic_s() < ends_s:
            received = self._poll(most - len(found), MORE_WAIT_S)
            if not received:
                break
            found += received
        return found

    def _delete(self, batch: Sequence[Held]) -> list[str]:
        good = self._sqs.delete([held.handle for held in batch])
        for held in batch:
            self._held.let_go(held)
        return [held.id for held in batch if held.handle in good]

    def _make_visible(self, held: Sequence[Held]) -> None:
        failed = sum(self._in_batches(self._show, held))
        if failed:
            log.warning(
                "%d of %d messages could not be given back; each comes back by itself within %d s",
                failed,
                len(held),
                self._visibility_s,
            )

    def _show(self, batch: Sequence[Held]) -> int:
        """How many could not be made visible."""
        try:
            return len(batch) - len(self._brief_sqs.change_visibility([held.handle for held in batch], 0))
        except SyncError as error:
            log.warning("giving back failed: %s", error)
            return len(batch)

    def _in_batches(self, work: Callable[[Sequence[Held]], T], held: Sequence[Held]) -> list[T]:
        return self._at_once(work, [held[at : at + MOST_IN_A_BATCH] for at in range(0, len(held), MOST_IN_A_BATCH)])

    def _at_once(self, work: Callable[[Any], T], parts: Sequence[Any]) -> list[T]:
        """Return when all have ended, also where one of them failed: nothing goes on behind the caller's back."""
        if not parts:
            return []
        running = [self._pool.submit(work, part) for part in parts]
        wait(running)
        return [one.result() for one in running]


def _message(one: ReceivedMessage) -> Message:
    return Message(
        id=one.id,
        body=one.body,
        receives=one.receives,
        sent_us=one.sent_us,
        first_received_us=one.first_received_us,
    )
