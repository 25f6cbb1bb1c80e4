"""A dead letter: as its source hands it over, and what it turns out to name. Times in microseconds since 1970."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.errors import PermanentError

KeyType = Literal["S", "N", "B"]


class NotUnderstoodError(PermanentError):
    """A message, or a part of one, has no form that is known, or is about another table. ``reason`` holds no values."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"the message is not understood: {self.reason}. Look for it in the parking place: correct its body there "
            "and start this DAG with source `parked`, or delete it."
        )


@dataclass(frozen=True, kw_only=True)
class TableIdentity:
    """Whose dead letters they are: ``arn`` of the table, ``key`` attributes in order with their types."""

    arn: str
    key: tuple[tuple[str, KeyType], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """``receives``: how often the source has handed it over, this time included. ``sent_us``: when it was put there."""

    id: str
    body: str
    receives: int = 1
    sent_us: int | None = None
    first_received_us: int | None = None


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """A change of the item with this key. ``event_us``: its ApproximateCreationDateTime; None where it is not said."""

    key: KeyValues
    event_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRange:
    """Records of one shard from ``first`` to ``last``, both included. ``records``: how many there should be."""

    stream_arn: str
    shard: str
    first: str
    last: str
    records: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An S3 object that holds a dead letter."""

    bucket: str
    key: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a message names, in the end keys. ``shape``: the form it had, for the report."""

    shape: str
    keys: tuple[KeyEvent, ...] = ()
    ranges: tuple[StreamRange, ...] = ()
    objects: tuple[StoredObject, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """About how many messages can be received, and how many somebody has received and not deleted yet."""

    visible: int
    in_flight: int


class MessageSource(Protocol):
    """Where dead letters wait. What was received stays ours until it is deleted or released."""

    def receive(self, most: int, wait_s: float) -> list[Message]:
        """At most so many; an empty list when there were none for ``wait_s``. A message may come twice."""
        ...

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        """Let go of them for good; those that are gone now. Safe to run again."""
        ...

    def release(self, messages: Sequence[Message]) -> None:
        """Give them back, for anyone to receive at once."""
        ...

    def depth(self) -> Depth:
        """How many there are, as far as the source can tell."""
        ...
