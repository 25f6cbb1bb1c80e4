"""The package with one of its rules taken out, to show that the tests notice."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.look import agenda
from dynamo_opensearch.indexer import indexer
from dynamo_opensearch.indexer.changes import KeyWork


@contextmanager
def second_look() -> Iterator[None]:
    """Without the second look: an event is done as soon as one look at its key was acknowledged."""

    def owe(self: agenda.LookAgenda, name: str, values: KeyValues, due_us: int) -> None:
        self._keys.setdefault(name, agenda._Key(values)).events += 1
        self._fresh[name] = None

    def is_done(self: agenda.LookAgenda, name: str, due_us: int) -> bool:
        return name not in self._fresh

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agenda.LookAgenda, "owe", owe)
        patch.setattr(agenda.LookAgenda, "is_done", is_done)
        yield


@contextmanager
def reading_after_a_tie() -> Iterator[None]:
    """The indexer takes every conflict for something newer."""

    def after_conflict(run: indexer._Run, work: KeyWork, stored: int | None) -> list[KeyWork]:
        run._outcome.ends["stale"] += 1
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexer._Run, "_after_conflict", after_conflict)
        yield
