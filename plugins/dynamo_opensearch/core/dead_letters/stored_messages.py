"""Messages that lie in files: parked ones, and the documents that indices have refused."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import orjson

from dynamo_opensearch.core.dead_letters.messages import (
    Contents,
    Depth,
    KeyEvent,
    Message,
    NotUnderstoodError,
    TableIdentity,
)
from dynamo_opensearch.core.dead_letters.parking import Parking
from dynamo_opensearch.core.dead_letters.shapes.key_values import key_values
from dynamo_opensearch.core.stamps import StampRule


class RejectFiles(Protocol):
    """Files with refused documents, as ``Reject.line`` writes them."""

    def names(self) -> Iterator[str]:
        """Of all that are there, in order."""
        ...

    def read(self, name: str) -> str | None:
        """A file's lines; None when it is gone."""
        ...

    def remove(self, name: str) -> None:
        """Let go of it. Safe to run again."""
        ...


class ParkedMessages:
    """The parking place as a MessageSource: what is there when it is made, each once."""

    def __init__(self, parking: Parking) -> None:
        self._parking = parking
        self._left = list(parking.names())
        self._names: dict[str, str] = {}

    def receive(self, most: int, wait_s: float) -> list[Message]:  # noqa: ARG002 - nothing arrives here
        """The next ones; an empty list when there are no more."""
        received: list[Message] = []
        while self._left and len(received) < most:
            name = self._left.pop(0)
            parked = self._parking.get(name)
            if parked is not None:
                self._names[parked.message.id] = name
                received.append(parked.message)
        return received

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        """Remove them from the parking place."""
        for message in messages:
            self._parking.remove(self._names[message.id])
        return list(messages)

    def release(self, messages: Sequence[Message]) -> None:
        """They are where they were."""

    def depth(self) -> Depth:
        """What has not been handed over."""
        return Depth(visible=len(self._left), in_flight=0)


class RejectedDocuments:
    """Reject files as a MessageSource: one message for each file that is there when it is made."""

    def __init__(self, files: RejectFiles) -> None:
        self._files = files
        self._left = list(files.names())

    def receive(self, most: int, wait_s: float) -> list[Message]:  # noqa: ARG002 - nothing arrives here
        """The next ones; an empty list when there are no more."""
        names, self._left = self._left[:most], self._left[most:]
        bodies = ((name, self._files.read(name)) for name in names)
        return [Message(id=name, body=body) for name, body in bodies if body is not None]

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        """Remove the files."""
        for message in messages:
            self._files.remove(message.id)
        return list(messages)

    def release(self, messages: Sequence[Message]) -> None:
        """They are where they were."""

    def depth(self) -> Depth:
        """What has not been handed over."""
        return Depth(visible=len(self._left), in_flight=0)


def read_rejects(body: str | bytes, table: TableIdentity, stamps: StampRule) -> Contents:
    """The keys of a reject file. What made a document was written before it was read, one margin after its stamp.

    Raises:
        NotUnderstoodError: a line is not of this package, or not of this table.
    """
    margin_us = round(stamps.margin_s * 1e6)
    events: list[KeyEvent] = []
    content = body.encode() if isinstance(body, str) else body  # text has more ends of lines than NDJSON
    for number, line in enumerate(filter(None, content.splitlines()), 1):
        try:
            reject = orjson.loads(line)
            events.append(KeyEvent(key_values(reject["key"], table), int(reject["stamp_us"]) + margin_us))
        except (AttributeError, KeyError, NotUnderstoodError, TypeError, ValueError) as error:
            raise NotUnderstoodError(f"line {number} of a reject file cannot be read") from error
    return Contents(shape="rejects", keys=tuple(events))
