"""Partitions of both sides, joined."""

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dynamo_opensearch.core.compare.join import Found, JoinSettings, join_partition
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan, Side
from dynamo_opensearch.core.reconcile.work_files import WorkFiles, side_name, suspects_name

log = logging.getLogger(__name__)

MEMORY_BYTES = 150_000_000
"""What the join engine may use before it spills to disk."""


def join_partitions(plan: ReconcilePlan, partitions: Sequence[int], files: WorkFiles, scratch: Path) -> Found:
    """Join these partitions one after the other, and store what differs in each. A second run replaces that.

    ``scratch``: a local folder; about 60 bytes for each row of a partition, and as much again when the engine spills.

    Raises:
        WorkFileMissingError: a reading task's file is not there.
    """
    found = Found()
    for partition in partitions:
        with TemporaryDirectory(dir=scratch, prefix="join-") as folder:
            found += _join(plan, partition, files, Path(folder))
    log.info("%d rows equal, %d differ at the first reading", found.equal, found.suspects)
    return found


def _join(plan: ReconcilePlan, partition: int, files: WorkFiles, folder: Path) -> Found:
    table, index = (_bring(plan, side, partition, files, folder) for side in ("table", "index"))
    suspects = folder / "suspects.parquet"
    settings = JoinSettings(memory_bytes=MEMORY_BYTES, scratch=folder)
    found = join_partition(table, index, 0, 1, settings, suspects)
    files.put(suspects_name(partition), suspects)
    return found


def _bring(plan: ReconcilePlan, side: Side, partition: int, files: WorkFiles, folder: Path) -> list[Path]:
    brought = []
    for number in plan.numbers_of(side):
        name = side_name(side, number, partition)
        files.get(name, folder / name)
        brought.append(folder / name)
    return brought
