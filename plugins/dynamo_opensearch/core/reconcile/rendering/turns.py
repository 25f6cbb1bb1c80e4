"""Nights on which the two sides became others: the alias moved, the table was restored. Counts jump there by right."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dynamo_opensearch.core.reconcile.rendering.words import day
from dynamo_opensearch.core.reconcile.report import Night, Subject

_MOST = 8


@dataclass(frozen=True)
class Turn:
    """Before the night in ``column``, something else came to be compared."""

    column: int
    letter: str
    text: str


def turns(nights: Sequence[Night]) -> list[Turn]:
    """The last few, from left to right."""
    found = [
        (column, f"{day(later.began_us)}: {what}")
        for column, (earlier, later) in enumerate(pairwise(nights), 1)
        if (what := _what_changed(earlier.subject, later.subject))
    ][-_MOST:]
    return [Turn(column, "abcdefgh"[number], text) for number, (column, text) in enumerate(found)]


def _what_changed(earlier: Subject, later: Subject) -> str:
    changes = []
    if (earlier.table, earlier.table_id) != (later.table, later.table_id):
        is_renamed = earlier.table != later.table
        changes.append(f"table {later.table} instead of {earlier.table}" if is_renamed else "the table was made anew")
    if earlier.index != later.index:
        changes.append(f"{later.alias} leads to {later.index} instead of {earlier.index}")
    elif earlier.index_uuid != later.index_uuid:
        changes.append(f"{later.index} was made anew")
    elif earlier.stream_arn != later.stream_arn and not changes:
        changes.append("the table has another stream" if later.stream_arn else "the table's stream is off")
    return "; ".join(changes)
