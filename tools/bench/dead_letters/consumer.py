"""Contender: one consumer of a replay, from a full queue until every message is deleted."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.dead_letters.messages import Depth, Message, MessageSource
from tools.bench.contender import Done, Work, contend_with
from tools.bench.dead_letters.wired import ReplayWired


@dataclass(frozen=True, kw_only=True)
class ReplayTask:
    """``margin_s`` decides how old a change must be to need one look only: twice that, and the stream's rounding.

    ``needs_second_looks``: it needs two, and waiting for the second one does not count.
    """

    dynamodb: str
    opensearch: str
    sqs: str
    queue_url: str
    records: int
    margin_s: float
    needs_second_looks: bool


class Waits:
    """Seconds in which a consumer had nothing to do. ``ended_s``: when the last message was deleted, if any was."""

    def __init__(self) -> None:
        self.seconds = self.at_the_end_s = 0.0
        self.ended_s = time.monotonic()

    def note(self, began_s: float) -> None:
        """Nothing was to be done since then."""
        self.seconds += time.monotonic() - began_s

    def note_deleted(self) -> None:
        """Messages are gone."""
        self.ended_s, self.at_the_end_s = time.monotonic(), self.seconds


class WatchedClock(SystemClock):
    """The consumer's own: it sleeps until a second look is due."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits

    def sleep(self, seconds: float) -> None:
        """Wait in this thread."""
        began_s = time.monotonic()
        super().sleep(seconds)
        self._waits.note(began_s)


class WatchedSource:
    """A source whose empty receives are waits."""

    def __init__(self, source: MessageSource, waits: Waits) -> None:
        self._source, self._waits = source, waits

    def receive(self, most: int, wait_s: float) -> list[Message]:
        """As the source."""
        began_s = time.monotonic()
        found = self._source.receive(most, wait_s)
        if not found:
            self._waits.note(began_s)
        return found

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        """As the source."""
        gone = self._source.delete(messages)
        self._waits.note_deleted()
        return gone

    def release(self, messages: Sequence[Message]) -> None:
        """As the source."""
        self._source.release(messages)

    def depth(self) -> Depth:
        """As the source."""
        return self._source.depth()


def prepare(said: dict[str, Any]) -> Work:
    """Build what the task builds."""
    task, waits = ReplayTask(**said), Waits()
    wired = ReplayWired(task.dynamodb, task.opensearch, task.margin_s)
    queue = wired.queue(task.sqs, task.queue_url)
    replay = wired.replay(WatchedSource(queue, waits), WatchedClock(waits), uuid.uuid4().hex)

    def work() -> Done:
        with queue:
            report = replay.run()
        if report.left or report.parked:
            raise RuntimeError(f"not all is replayed:\n{report}")
        waited_s = time.monotonic() - waits.ended_s
        return Done(documents=report.events, waited_s=waited_s + task.needs_second_looks * waits.at_the_end_s)

    return work


if __name__ == "__main__":
    contend_with(prepare)
