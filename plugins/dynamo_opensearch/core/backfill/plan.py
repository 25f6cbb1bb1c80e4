"""How a backfill divides its work: pure arithmetic on what table, target and user say."""

import math
from dataclasses import dataclass

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.targets.model import MAX_MAPPED_TASKS, MAX_SCAN_SEGMENTS, Budgets

SEGMENT_BYTES = 256 * 1024 * 1024
"""Table bytes per segment, about: small enough that a failed task repeats minutes, not hours."""

SEGMENTS_PER_TASK = 4
_PAGE_BYTES = 1024 * 1024
_READ_UNIT_BYTES = 4096


class SegmentsError(PermanentError):
    """A number of segments that DynamoDB does not take."""

    def __init__(self, segments: int) -> None:
        super().__init__(segments)
        self.segments = segments

    def __str__(self) -> str:
        return f"segments must be 1 to {MAX_SCAN_SEGMENTS:,}, got {self.segments:,}"


class ReadUnitsError(PermanentError):
    """A budget that allows no reading."""

    def __init__(self, read_units_per_s: float) -> None:
        super().__init__(read_units_per_s)
        self.read_units_per_s = read_units_per_s

    def __str__(self) -> str:
        return f"read_units_per_s must be more than 0, got {self.read_units_per_s:g}"


@dataclass(frozen=True, kw_only=True)
class SegmentPlan:
    """``tasks``: neighbouring segments for each mapped task. ``read_units_per_s_and_task``: its share of the budget."""

    total_segments: int
    tasks: tuple[range, ...]
    read_units_estimated: float
    read_units_per_s_and_task: float | None


def plan_segments(
    size_bytes: int, budgets: Budgets, segments: int | None, read_units_per_s: float | None
) -> SegmentPlan:
    """Divide a table. ``segments`` and ``read_units_per_s`` are the run's own wishes, before the target's.

    Raises:
        SegmentsError: outside 1 to 1,000,000.
        ReadUnitsError: not more than 0.
    """
    wanted = segments if segments is not None else budgets.segments
    if wanted is not None and not 1 <= wanted <= MAX_SCAN_SEGMENTS:
        raise SegmentsError(wanted)
    pace = read_units_per_s if read_units_per_s is not None else budgets.read_units_per_s
    if pace is not None and not pace > 0:
        raise ReadUnitsError(pace)
    total = wanted if wanted is not None else segments_for(size_bytes, budgets.concurrent_tasks)
    tasks = divide(range(total), _task_count(total, budgets.concurrent_tasks))
    at_once = min(len(tasks), budgets.concurrent_tasks)
    return SegmentPlan(
        total_segments=total,
        tasks=tasks,
        read_units_estimated=size_bytes / _READ_UNIT_BYTES * (1.0 if budgets.consistent_scan else 0.5),
        read_units_per_s_and_task=None if pace is None else pace / at_once,
    )


def segments_for(size_bytes: int, concurrent_tasks: int) -> int:
    """Segments by size; a table of several pages has at least enough for all tasks that may run at once."""
    by_size = math.ceil(size_bytes / SEGMENT_BYTES)
    for_tasks = min(2 * concurrent_tasks, math.ceil(size_bytes / (4 * _PAGE_BYTES)))
    return max(1, min(MAX_SCAN_SEGMENTS, max(by_size, for_tasks)))


def _task_count(total_segments: int, concurrent_tasks: int) -> int:
    """A few segments for each task, but work for all that may run at once, and no more than Airflow maps."""
    wanted = max(concurrent_tasks, math.ceil(total_segments / SEGMENTS_PER_TASK))
    return min(total_segments, wanted, MAX_MAPPED_TASKS)


def divide(segments: range, parts: int) -> tuple[range, ...]:
    """Runs of neighbouring segments whose lengths differ by one at most."""
    size, larger = divmod(len(segments), parts)
    ends = [(part + 1) * size + min(part + 1, larger) for part in range(parts)]
    starts = [0, *ends[:-1]]
    return tuple(segments[start:end] for start, end in zip(starts, ends, strict=True))
