"""How often a message was received only to be looked at: such receives must not bring it nearer to parking."""

from collections.abc import Callable
from typing import Any

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.state.store import StateStore
from dynamo_opensearch.core.state.updating import update

_LONGEST_RUN_US = 12 * 3_600 * 10**6
"""A message stays invisible for 12 h at most, so a try that only looks receives none after that."""

_KEPT_US = 15 * 86_400 * 10**6
"""SQS keeps a message for 14 days at most."""


def note_dry_receives(store: StateStore, clock: Clock, receives: int = 1) -> None:
    """Note, before the first receive, that from now on each message may be received so often by somebody who looks.

    ``store``: the state document ``dry_receives`` of the alias.

    Raises:
        StateConflictError: others wrote it each time.
    """
    now_us = clock.time_us()

    def change(value: dict[str, Any]) -> dict[str, Any]:
        kept = [one for one in value.get("tries", ()) if one["at_us"] > now_us - _KEPT_US]
        return {"tries": [*kept, {"at_us": now_us, "receives": receives}]}

    update(store, change)


def dry_receives(store: StateStore) -> Callable[[int | None], int]:
    """How many receives of a message sent at that time (microseconds since 1970) may have been mere looks, at most.

    Asked of the store each time: somebody may begin to look while a replay goes on.
    """

    def count(sent_us: int | None) -> int:
        tries = (store.load() or {}).get("tries", [])
        return sum(one["receives"] for one in tries if sent_us is None or sent_us < one["at_us"] + _LONGEST_RUN_US)

    return count
