"""The memory of each kind of task, each in a process of its own that has loaded what an Airflow task process loads."""

from collections.abc import Iterator
from dataclasses import dataclass

from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from tools.bench.reconcile.ground import DEPTHS, Depth, Ground
from tools.bench.reconcile.wired import ReconcileTask
from tools.bench.runs import Contender, Run

TASK = Contender(name="task", title="a task in an Airflow task's process", module="tools.bench.reconcile.airflow_task")


@dataclass(frozen=True, kw_only=True)
class MemoryRun:
    """One task at one depth. ``rows``: of either side."""

    step: str
    depth: Depth
    rows: int
    run: Run


def measure_memory(ground: Ground) -> Iterator[MemoryRun]:
    """Every task of a reconciliation, one after the other, at each depth, after one that does nothing."""
    for depth in DEPTHS:
        plan = ground.plan(depth)
        ground.say(f"memory, {depth}, {ground.items:,} rows a side, {plan.partitions} partitions")
        for task, expected in _tasks(ground, plan):
            run = run_task(ground, task, expected)
            yield MemoryRun(step=task.step, depth=depth, rows=ground.items, run=run)


def run_task(ground: Ground, task: ReconcileTask, expected: int | None) -> Run:
    """One task, said."""
    run = ground.run(TASK, [task], expected)
    ground.say(f"  {task.step:8} {run.peak_mb:6.0f} MB {run.seconds:7.2f} s {run.cpu_s:7.2f} CPU s")
    return run


def _tasks(ground: Ground, plan: ReconcilePlan) -> Iterator[tuple[ReconcileTask, int | None]]:
    """Each with the rows that it must see, where one task sees them all."""
    yield ground.task(plan, "empty"), 0
    yield from ((task, ground.items) for task in ground.reading(plan))
    joins = range(len(plan.joins))
    yield from ((ground.task(plan, "join", [number]), ground.items if len(joins) == 1 else None) for number in joins)
    yield ground.task(plan, "settle"), ground.items
