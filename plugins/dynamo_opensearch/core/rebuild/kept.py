"""Until when the previous index is kept, and which indices are on their way out: the state document ``kept|<alias>``.

Which index is the previous one is said by its marker alone; this is a note beside it. A note about another index than
the marked one (by UUID) is out of date and replaced.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.state.store import StateStore
from dynamo_opensearch.core.state.updating import update

HOUR_US = 3_600_000_000


@dataclass(frozen=True, kw_only=True)
class KeptIndex:
    """An index that is kept, and until when (microseconds since 1970)."""

    index: str
    uuid: str
    since_us: int
    until_us: int

    @classmethod
    def of(cls, index: str, uuid: str, keep_h: float, clock: Clock) -> Self:
        """Kept from now on, for so many hours."""
        now_us = clock.time_us()
        return cls(index=index, uuid=uuid, since_us=now_us, until_us=now_us + round(keep_h * HOUR_US))


@dataclass(frozen=True, kw_only=True)
class KeptNote:
    """``kept``: the previous index. ``leaving``: indices without a marker that a clean-up is to delete in time."""

    kept: KeptIndex | None = None
    leaving: tuple[KeptIndex, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the store: the kept index's fields, and beside them ``leaving``."""
        return (asdict(self.kept) if self.kept else {}) | {"leaving": [asdict(one) for one in self.leaving]}

    @classmethod
    def from_json(cls, value: dict[str, Any] | None) -> Self:
        """The reverse of ``to_json``; nothing for None."""
        fields = dict(value or {})
        leaving = tuple(KeptIndex(**one) for one in fields.pop("leaving", []))
        return cls(kept=KeptIndex(**fields) if fields else None, leaving=leaving)

    def kept_as(self, uuid: str) -> KeptIndex | None:
        """The note about this index; None where it is about another."""
        return self.kept if self.kept is not None and self.kept.uuid == uuid else None


def load_kept(store: StateStore) -> KeptNote:
    """What is noted now."""
    return KeptNote.from_json(store.load())


def note_kept(store: StateStore, kept: KeptIndex) -> None:
    """Note which index is the previous one. Safe to run again: it then counts from the later time."""

    def change(note: KeptNote) -> KeptNote:
        return KeptNote(kept=kept, leaving=_without(note.leaving, kept.uuid))

    _update(store, change)


def note_leaving(store: StateStore, leaving: KeptIndex) -> None:
    """Note an index that is about to lose its marker, before it does. Safe to run again."""
    _update(store, lambda note: replace(note, leaving=(*_without(note.leaving, leaving.uuid), leaving)))


def note_not_leaving(store: StateStore, uuid: str) -> None:
    """The index has an alias again: what becomes of it is said by that. Safe to run again."""
    _update(store, lambda note: replace(note, leaving=_without(note.leaving, uuid)))


def forget(store: StateStore, uuid: str) -> None:
    """Drop whatever is noted about an index that is gone. Safe to run again."""
    _update(
        store,
        lambda note: KeptNote(kept=None if note.kept_as(uuid) else note.kept, leaving=_without(note.leaving, uuid)),
    )


def _update(store: StateStore, change: Callable[[KeptNote], KeptNote]) -> None:
    update(store, lambda value: change(KeptNote.from_json(value)).to_json())


def _without(indices: tuple[KeptIndex, ...], uuid: str) -> tuple[KeptIndex, ...]:
    return tuple(one for one in indices if one.uuid != uuid)
