"""The package with one of its rules taken out, to show that the tests notice."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.follow import ledger
from dynamo_opensearch.indexer import indexer
from dynamo_opensearch.indexer.changes import KeyWork


@contextmanager
def second_look() -> Iterator[None]:
    """Without the follower's second look: an event is done as soon as one look at its key was acknowledged."""

    def owe(self: ledger.Ledger, name: str, values: KeyValues, due_us: int) -> None:
        self._keys.setdefault(name, ledger._Key(values)).events += 1
        self._fresh[name] = None

    def is_done(self: ledger.Ledger, event: ledger._Event) -> bool:
        return event.key is None or event.key not in self._fresh

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger.Ledger, "_owe", owe)
        patch.setattr(ledger.Ledger, "_is_done", is_done)
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
