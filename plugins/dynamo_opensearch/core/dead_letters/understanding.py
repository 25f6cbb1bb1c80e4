"""From messages to the keys that they are about: by their shape, by the objects they point to, and by the stream."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from dynamo_opensearch.core.dead_letters.messages import (
    Contents,
    KeyEvent,
    Message,
    NotUnderstoodError,
    StoredObject,
)
from dynamo_opensearch.core.dead_letters.parking import Kind
from dynamo_opensearch.core.dead_letters.ranges.reader import NOT_NUMBERS, RangeReader
from dynamo_opensearch.core.dead_letters.ranges.shard_sweep import REFUSED
from dynamo_opensearch.core.dead_letters.stored_objects import StoredObjectMissingError
from dynamo_opensearch.core.stamps import StampRule

ReadBody = Callable[[str | bytes], Contents]
"""What a body names; raises NotUnderstoodError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a message is to be parked; ``reason`` holds no values."""

    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """``problem``: why the message cannot be let go of once its events are done; None when it can."""

    message: Message
    shape: str
    events: tuple[KeyEvent, ...]
    problem: Problem | None = None


class Understanding:
    """Reads messages of one table. Not thread-safe. Reads only; a second run is safe."""

    def __init__(
        self,
        read_body: ReadBody,
        fetch: Callable[[StoredObject], bytes],
        ranges: RangeReader,
        stamps: StampRule,
    ) -> None:
        self._read_body, self._fetch, self._ranges, self._stamps = read_body, fetch, ranges, stamps

    def understand(self, messages: Sequence[Message]) -> list[Understood]:
        """What each message is about; ranges of the stream are read for all of them together.

        Raises:
            AccessDeniedError, ServiceUnavailableError, WorkerClockError: the stream or an object cannot be read.
        """
        read = [self._contents(message) for message in messages]
        wanted = [one for contents, _ in read for one in contents.ranges]
        found = iter(self._ranges.read(wanted)) if wanted else iter(())
        understood = []
        for message, (contents, problem) in zip(messages, read, strict=True):
            events = list(contents.keys)
            for _ in contents.ranges:
                part = next(found)
                events += part.events
                if part.lost is not None:
                    kind: Kind = "not understood" if part.lost in (NOT_NUMBERS, REFUSED) else "lost by the stream"
                    problem = Problem(kind=kind, reason=part.lost)
            timed = tuple(self._timed(events, message))
            understood.append(Understood(message=message, shape=contents.shape, events=timed, problem=problem))
        return understood

    def _contents(self, message: Message) -> tuple[Contents, Problem | None]:
        try:
            contents = self._read_body(message.body)
            return (self._with_objects(contents) if contents.objects else contents), None
        except NotUnderstoodError as error:
            return Contents(shape="not understood"), Problem(kind="not understood", reason=error.reason)
        except StoredObjectMissingError:
            shape = "S3 notification"
            return Contents(shape=shape), Problem(kind="lost by the stream", reason="the S3 object is gone")

    def _with_objects(self, contents: Contents) -> Contents:
        inner = [self._read_body(self._fetch(one)) for one in contents.objects]
        if any(one.objects for one in inner):
            raise NotUnderstoodError("an S3 object that points to another one")
        return replace(
            contents,
            keys=contents.keys + tuple(key for one in inner for key in one.keys),
            ranges=contents.ranges + tuple(part for one in inner for part in one.ranges),
            objects=(),
        )

    def _timed(self, events: Sequence[KeyEvent], message: Message) -> Iterator[KeyEvent]:
        """A change is no younger than the message about it, whatever that says, in whatever unit."""
        if message.sent_us is None:
            yield from events
            return
        latest_us = message.sent_us + round(self._stamps.margin_s * 1e6)
        for event in events:
            event_us = message.sent_us if event.event_us is None else min(event.event_us, latest_us)
            yield replace(event, event_us=event_us)
