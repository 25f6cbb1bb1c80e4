"""From where the follower begins for an index: noted by whoever gives the index its marker, before that."""

from dynamo_opensearch.core.state.index_store import StateConflictError
from dynamo_opensearch.core.state.store import StateStore
from dynamo_opensearch.core.stream.position import StreamPosition

_MOST_STARTS = 20
_TRIES = 5


def note_start(store: StateStore, index: str, start: StreamPosition) -> None:
    """Note where to begin for this index; the last note counts. Safe to run again. ``store``: ``starts|<alias>``.

    ``index``: its UUID, or its name where it is about to be made.

    Raises:
        StateConflictError: others wrote at the same time, again and again.
    """
    for tries_left in reversed(range(_TRIES)):
        starts = dict(store.load() or {})
        starts.pop(index, None)
        starts[index] = start.to_json()
        try:
            return store.save(dict(list(starts.items())[-_MOST_STARTS:]))
        except StateConflictError:
            if not tries_left:
                raise
    return None


def noted_start(store: StateStore, uuid: str, index: str = "") -> StreamPosition:
    """Where to begin for this index, noted by UUID or else by name; the horizon where nobody noted anything."""
    starts = store.load() or {}
    noted = starts.get(uuid, starts.get(index))
    return StreamPosition() if noted is None else StreamPosition.from_json(noted)
