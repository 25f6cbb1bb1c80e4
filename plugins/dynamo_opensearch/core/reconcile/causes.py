"""What else may be wrong when much differs: told by the cluster, the table, the indexer and the nights before."""

from collections.abc import Iterator
from dataclasses import dataclass

from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.report import Night, Subject
from dynamo_opensearch.core.runbook import BEHIND

LAGGING_S = 120.0
"""Behind by more than this, an indexer explains differences that settling could not wait for."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What was seen around the two sides; None where it could not be told.

    ``mapping_state``: the event source mapping's ``State``. ``dead_letters``: messages in the queue.
    """

    lag_s: float | None = None
    mapping_state: str | None = None
    dead_letters: int | None = None
    problems: tuple[str, ...] = ()


def find_causes(plan: ReconcilePlan, earlier: Night | None, seen: Surroundings) -> tuple[str, ...]:
    """What may have made the differences, the likeliest first, each with what to do. Pure."""
    return tuple(_causes(plan.subject, earlier, seen))


def _causes(subject: Subject, earlier: Night | None, seen: Surroundings) -> Iterator[str]:
    before = None if earlier is None else earlier.subject
    if before is not None and before.table_id != subject.table_id:
        yield (
            f"table {subject.table!r} is another one than in the run before (restored, or made anew under the same "
            "name): what the index holds may not be in it, and its stream began anew. Rebuild the index"
        )
    if before is not None and before.index != subject.index:
        yield (
            f"alias {subject.alias!r} leads to {subject.index!r}, in the run before to {before.index!r}: if nobody "
            "meant to move it, go back by the rollback of the index"
        )
    elif before is not None and before.index_uuid != subject.index_uuid:
        yield (
            f"index {subject.index!r} is another one than in the run before (deleted, and made anew under the same "
            "name): what nobody has written to it since is missing. Fill it by the backfill"
        )
    if subject.stream_arn is None:
        yield f"the stream of table {subject.table!r} is off, so no change reaches the index: turn it on, then repair"
    elif before is not None and before.stream_arn not in (None, subject.stream_arn):
        yield (
            f"table {subject.table!r} has another stream than in the run before: it was turned off and on again, and "
            "an event source mapping keeps to the old one. Let the indexer read the new one"
        )
    if seen.mapping_state not in (None, "Enabled"):
        yield f"the indexer's event source mapping is {seen.mapping_state}, not Enabled: it indexes nothing. Enable it"
    if seen.lag_s is not None and seen.lag_s > LAGGING_S:
        yield f"the indexer is {seen.lag_s:,.0f} s behind: what differs may only be late. Look at its errors: {BEHIND}"
    if seen.dead_letters:
        yield f"about {seen.dead_letters:,} messages are in the dead-letter queue: replay them"
    yield from seen.problems
