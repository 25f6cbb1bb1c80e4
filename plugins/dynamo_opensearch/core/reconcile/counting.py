"""The two depths that compare numbers: what DynamoDB says of itself, and every page counted."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.stream.changes import StreamChanges

log = logging.getLogger(__name__)

ITEM_COUNT_AGE_S = 6 * 3600.0
"""DynamoDB brings DescribeTable's ItemCount up to date about every six hours (API reference, TableDescription)."""

_NO_STREAM = "the table has no stream, so nothing tells what was written meanwhile; counts that move are taken as that"
_LONG_STREAM = "the stream was too long to read: more was written meanwhile than could be counted"


@dataclass(frozen=True, kw_only=True)
class CountPorts:
    """How both sides are counted.

    ``count_table``: items that belong and read units. ``count_index``: documents after a refresh. ``changes_since``:
    a counter of the stream's records from a moment (microseconds since 1970) until it is asked; None where there is
    no stream. ``lag_s``: seconds that the indexer is behind. ``is_filtered``: a changed item may begin or cease to
    belong. ``waits_s``: between counts that differ, together longer than the indexer's lag.
    """

    count_table: Callable[[], tuple[int, float]]
    count_index: Callable[[], int]
    changes_since: Callable[[int], Callable[[], StreamChanges]] | None
    lag_s: float | None
    is_filtered: bool
    waits_s: tuple[float, ...]
    clock: Clock


def approximate_counts(items: int, documents: int, *, is_filtered: bool) -> SideCounts:
    """What DescribeTable and ``_count`` say: free, and no verdict."""
    remarks = ["the table's figure may be six hours old"]
    if is_filtered:
        remarks.append("it counts all items, not only those that belong to this target")
    return SideCounts(table_count=items, index_count=documents, table_age_s=ITEM_COUNT_AGE_S, remarks=tuple(remarks))


def count_sides(ports: CountPorts) -> SideCounts:
    """Count every page of both sides; where they differ, wait and ask what was written. Reads only.

    The counts are of different moments. What was committed, or was not yet indexed, between the two may move either
    by one for each insert and delete (and, of a filtered target, each other change): by so many they may be apart.

    Raises:
        ServiceUnavailableError, AccessDeniedError, IncompleteCountError: as the counts.
    """
    began_us = ports.clock.time_us()
    table_count, read_units = ports.count_table()
    counts = SideCounts(table_count=table_count, index_count=ports.count_index(), read_units=read_units)
    if not counts.difference:
        return counts
    since_us = began_us - round((ports.lag_s or 0.0) * 1e6)
    count_changes = None if ports.changes_since is None else ports.changes_since(since_us)
    for wait_s in ports.waits_s:
        if not counts.difference:
            return counts
        counts = _explained(counts, count_changes, is_filtered=ports.is_filtered)
        if not counts.unexplained:
            return counts
        log.info("%d more or fewer than explained, counting the index again in %g s", counts.unexplained, wait_s)
        ports.clock.sleep(wait_s)
        index_count = ports.count_index()
        counts = SideCounts(table_count=table_count, index_count=index_count, read_units=read_units)
    counts = _explained(counts, count_changes, is_filtered=ports.is_filtered)
    return counts if count_changes is not None or not counts.difference else _counted_again(counts, ports)


def _explained(
    counts: SideCounts, count_changes: Callable[[], StreamChanges] | None, *, is_filtered: bool
) -> SideCounts:
    """With what was written since the indexer's position when the counting began."""
    if count_changes is None:
        return counts
    changes = count_changes()
    written = changes.inserted + changes.removed + (changes.modified if is_filtered else 0)
    if changes.is_complete:
        return _with(counts, written)
    return _with(counts, max(written, abs(counts.difference)), _LONG_STREAM)


def _counted_again(counts: SideCounts, ports: CountPorts) -> SideCounts:
    """Without a stream: a table or an index that is at rest gives the same numbers again."""
    table_count, read_units = ports.count_table()
    again = SideCounts(
        table_count=table_count,
        index_count=ports.count_index(),
        read_units=counts.read_units + read_units,
        remarks=(_NO_STREAM,),
    )
    is_at_rest = (again.table_count, again.index_count) == (counts.table_count, counts.index_count)
    return again if is_at_rest else _with(again, abs(again.difference))


def _with(counts: SideCounts, written: int, *remarks: str) -> SideCounts:
    return SideCounts(
        table_count=counts.table_count,
        index_count=counts.index_count,
        written=written,
        read_units=counts.read_units,
        remarks=(*counts.remarks, *remarks),
    )
