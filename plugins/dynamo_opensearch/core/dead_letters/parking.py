"""The parking place: dead letters that cannot be replayed, kept whole until they have been dealt with."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, Self

from dynamo_opensearch.core.dead_letters.messages import Message
from dynamo_opensearch.core.stamps import StampRule

Kind = Literal["not understood", "lost by the stream", "received too often"]


@dataclass(frozen=True, kw_only=True)
class ParkedMessage:
    """A message with why it was parked. Times in microseconds since 1970.

    ``ids``: document ids of the keys that could be told, all of which were looked at. ``reason`` holds no values.
    """

    message: Message
    kind: Kind
    reason: str
    parked_us: int
    run_id: str
    shape: str | None = None
    ids: tuple[str, ...] = ()

    def is_covered_by(self, content_began_us: int, stamps: StampRule) -> bool:
        """Whether a reconciliation of all content, with repair, that began then has seen whatever this is about.

        What is not understood may be about something else than this table, so nothing covers it.
        """
        if self.kind == "not understood":
            return False
        latest_us = self.parked_us if self.message.sent_us is None else self.message.sent_us
        return content_began_us > stamps.done_after_us(latest_us)

    def to_json(self) -> dict[str, Any]:
        """One object, the body as it was."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**{**value, "message": Message(**value["message"]), "ids": tuple(value["ids"])})


class Parking(Protocol):
    """Where parked messages are. Each has a name; putting one again replaces it."""

    def put(self, parked: ParkedMessage) -> None:
        """Store it, durably, before this returns."""
        ...

    def names(self) -> Iterator[str]:
        """Of all that are there, in order."""
        ...

    def get(self, name: str) -> ParkedMessage | None:
        """One of them; None when it is gone."""
        ...

    def remove(self, name: str) -> None:
        """Let go of it. Safe to run again."""
        ...


def clear_covered(parking: Parking, content_began_us: int, stamps: StampRule) -> int:
    """Remove what a reconciliation of all content, with repair, has made good; the number. Safe to run again.

    ``content_began_us``: when it began, in microseconds since 1970. It must have passed, for every living index.
    """
    covered = [
        name for name, parked in _all(parking, parking.names()) if parked.is_covered_by(content_began_us, stamps)
    ]
    for name in covered:
        parking.remove(name)
    return len(covered)


def _all(parking: Parking, names: Iterable[str]) -> Iterator[tuple[str, ParkedMessage]]:
    for name in names:
        parked = parking.get(name)
        if parked is not None:
            yield name, parked
