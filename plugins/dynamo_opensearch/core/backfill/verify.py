"""The end of a backfill: exact counts of both sides, and whether a difference can be explained."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dynamodb.stream_changes import StreamChanges
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.reports import CopyReport

log = logging.getLogger(__name__)

SETTLE_S = 3.0
"""Between two looks at counts that differ: longer than an index refresh and than an indexer's usual lag."""


class CountMismatchError(PermanentError):
    """Nothing was writing, and still the two sides differ."""

    def __init__(self, index: str, table_count: int, index_count: int, rejected: int) -> None:
        super().__init__(index, table_count, index_count, rejected)
        self.index, self.table_count, self.index_count, self.rejected = (
            index,
            table_count,
            index_count,
            rejected,
        )

    def __str__(self) -> str:
        difference = self.index_count - self.table_count
        what = (
            f"{difference} documents more than the table has items: they were there before this run, from deleted "
            "items or from another table"
            if difference > 0
            else f"{-difference} documents fewer than the table has items ({self.rejected} were refused)"
        )
        return (
            f"index {self.index!r} holds {self.index_count} documents, the table {self.table_count} items that belong, "
            f"and nothing was being written: {what}. "
            "Next: run the reconciliation with depth `keys`, or fill a new index."
        )


class TooManyRejectsError(PermanentError):
    """OpenSearch refused more documents than the target allows."""

    def __init__(self, rejected: int, max_rejects: int, reasons: dict[str, int], where: str) -> None:
        super().__init__(rejected, max_rejects, reasons, where)
        self.rejected, self.max_rejects, self.reasons, self.where = rejected, max_rejects, reasons, where

    def __str__(self) -> str:
        ranked = sorted(self.reasons.items(), key=lambda pair: -pair[1])
        lines = "\n".join(f"  {count} x {reason}" for reason, count in ranked[:10])
        return (
            f"{self.rejected} documents were refused for good, {self.max_rejects} are allowed (budgets.max_rejects). "
            f"All others are in the index. Reasons:\n{lines}\nEach with key and document: {self.where}. "
            "Correct the items or the mapping, then start this DAG again."
        )


@dataclass(frozen=True, kw_only=True)
class CountCheck:
    """Both counts, and what is known to have changed meanwhile. ``read_units``: what counting cost."""

    table_count: int
    index_count: int
    read_units: float
    in_motion: tuple[str, ...] = ()

    @property
    def difference(self) -> int:
        """Documents more (or, below 0, fewer) than items that belong."""
        return self.index_count - self.table_count


@dataclass(frozen=True, kw_only=True)
class CountPorts:
    """``count_table`` gives items and read units; ``count_changes`` is None where the table has no stream."""

    count_table: Callable[[], tuple[int, float]]
    count_index: Callable[[], int]
    count_changes: Callable[[], StreamChanges] | None
    clock: Clock


def check_counts(index: str, copy: CopyReport, ports: CountPorts) -> CountCheck:
    """Count both sides until they agree, differ while something is being written, or differ on a quiet table.

    Raises:
        CountMismatchError: they differ, twice, and nothing was written that would explain it.
    """
    check = _count(copy, ports)
    if _agrees(check, copy) or check.in_motion:
        return check
    log.info("counts differ by %d on a table that seems quiet; looking again", check.difference)
    ports.clock.sleep(SETTLE_S)
    again = _count(copy, ports, earlier=check)
    if _agrees(again, copy) or again.in_motion:
        return again
    raise CountMismatchError(index, again.table_count, again.index_count, copy.offer.rejected)


def _agrees(check: CountCheck, copy: CopyReport) -> bool:
    """Refused documents may be missing in the index, or stand there in an older version."""
    return -copy.offer.rejected <= check.difference <= 0


def _count(copy: CopyReport, ports: CountPorts, earlier: CountCheck | None = None) -> CountCheck:
    index_before = ports.count_index()
    table_count, read_units = ports.count_table()
    index_count = ports.count_index()
    check = CountCheck(table_count=table_count, index_count=index_count, read_units=read_units)
    if _agrees(check, copy) and index_before == index_count:
        return check
    evidence = tuple(_evidence(copy, check, index_before, earlier, ports))
    return CountCheck(table_count=table_count, index_count=index_count, read_units=read_units, in_motion=evidence)


def _evidence(
    copy: CopyReport, check: CountCheck, index_before: int, earlier: CountCheck | None, ports: CountPorts
) -> list[str]:
    """Signs that someone is writing to the table or the index."""
    signs = []
    if index_before != check.index_count:
        signs.append(f"the index went from {index_before} to {check.index_count} documents during the count")
    copied = copy.offer.offered - copy.offer.deleted
    if copied != check.table_count:
        signs.append(f"the copy read {copied} items that belong, {check.table_count} were counted afterwards")
    if copy.offer.stale:
        signs.append(f"{copy.offer.stale} documents were newer in the index than in the copy")
    if earlier and (earlier.table_count, earlier.index_count) != (check.table_count, check.index_count):
        signs.append(f"a moment ago the counts were {earlier.table_count} and {earlier.index_count}")
    changes = None if ports.count_changes is None else ports.count_changes()
    if changes is not None and (changes.total or not changes.is_complete):
        signs.append(f"the stream has {changes} since the run began")
    return signs
