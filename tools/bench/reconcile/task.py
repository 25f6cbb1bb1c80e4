"""Contender: one task of a reconciliation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dynamo_opensearch.core.compare.join import Found
from dynamo_opensearch.core.compare.rows import SideRead
from dynamo_opensearch.core.reconcile.joining import join_partitions
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.reading import read_part
from dynamo_opensearch.core.reconcile.settling import settle
from dynamo_opensearch.core.reconcile.work_files import WorkFiles
from tools.bench.contender import Work, contend_with
from tools.bench.reconcile.wired import FolderFiles, ReconcileTask, ReconcileWired


def prepare(said: dict[str, Any]) -> Work:
    """Build what the task builds, with its files in a local folder."""
    task = ReconcileTask(**said)
    return work_of(task, FolderFiles(Path(task.folder)))


def work_of(task: ReconcileTask, files: WorkFiles) -> Work:
    """What the task does; it returns how many rows it has read or found equal."""
    plan, wired = ReconcilePlan.from_json(task.plan), ReconcileWired(task.dynamodb, task.opensearch)
    steps: dict[str, Callable[[], int]] = {
        "table": lambda: _read(task, plan, wired, files),
        "index": lambda: _read(task, plan, wired, files),
        "join": lambda: _join(task, plan, files),
        "settle": lambda: _settle(task, plan, wired, files),
    }
    return steps[task.step]


def _read(task: ReconcileTask, plan: ReconcilePlan, wired: ReconcileWired, files: WorkFiles) -> int:
    ports = wired.read_ports(files, Path(task.scratch))
    mine = [part for part in plan.parts if part.side == task.step and part.number in task.numbers]
    return sum(read_part(plan, part, ports).rows for part in mine)


def _join(task: ReconcileTask, plan: ReconcilePlan, files: WorkFiles) -> int:
    found = Found()
    for first, last in (plan.joins[number] for number in task.numbers):
        found += join_partitions(plan, range(first, last + 1), files, Path(task.scratch))
    if found.suspects or found.refused:
        raise RuntimeError(f"both sides are equal, and the join says {found}")
    return found.equal


def _settle(task: ReconcileTask, plan: ReconcilePlan, wired: ReconcileWired, files: WorkFiles) -> int:
    """With the counts that the tasks before must have given."""
    read, found = SideRead(rows=task.items), Found(equal=task.items)
    settled = settle(plan, read, read, found, 0, wired.settle_ports(plan, files, Path(task.scratch)))
    if not settled.comparison.is_equal:
        raise RuntimeError(f"both sides are equal, and the report says\n{settled.comparison}")
    return settled.comparison.index_count


if __name__ == "__main__":
    contend_with(prepare)
