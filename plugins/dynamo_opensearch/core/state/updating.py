"""Changing a part of a state document that others change too."""

from collections.abc import Callable
from typing import Any

from dynamo_opensearch.core.state.index_store import StateConflictError
from dynamo_opensearch.core.state.store import StateStore

_ROUNDS = 8


def update(store: StateStore, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Load, change and save; again from the start when another process saved in between.

    ``change`` gets ``{}`` where nothing was saved yet, may be called several times, and returns a new object; nothing
    is written when that equals the old one. Returns what is stored afterwards. Safe to run again if ``change`` is.

    Raises:
        StateConflictError: another process was faster each time.
    """
    for _ in range(_ROUNDS - 1):
        try:
            return _once(store, change)
        except StateConflictError:
            continue
    return _once(store, change)


def _once(store: StateStore, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    value = store.load() or {}
    changed = change(dict(value))
    if changed != value:
        store.save(changed)
    return changed
