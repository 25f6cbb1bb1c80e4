"""From the runs of the reconciliation's part to figures, and which aims are met."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from tools.bench.reconcile.course import BARE, OURS, PLAIN, MeasuredReconcile, Round
from tools.bench.reconcile.ground import DEPTHS, Depth
from tools.bench.reconcile.memory import MemoryRun
from tools.bench.results import Aim, header
from tools.bench.runs import Run
from tools.bench.settings import Settings

WANTED_OF_BARE = 0.8
MOST_ABOVE_EMPTY_MB = 250.0
MOST_GROWTH = 1.1

_CONTENDERS: dict[str, Callable[[Round], Run]] = {
    BARE.name: lambda one: one.bare,
    OURS.name: lambda one: one.ours.whole,
    PLAIN.name: lambda one: one.plain,
}
_TITLES = {contender.name: contender.title for contender in (BARE, OURS, PLAIN)}
MEASURED_STEPS = ("table", "index", "join", "settle")
STEPS = {
    "empty": "nothing",
    "table": "reading the table",
    "index": "reading the index",
    "join": "joining",
    "settle": "settling",
}


def figures(settings: Settings, measured: MeasuredReconcile) -> dict[str, Any]:
    """Everything that is worth keeping, as JSON."""
    return {
        **header(settings, measured.loads, measured.opensearch_version),
        "items": measured.items,
        "rounds": {depth: len(_at(measured.rounds, depth)) for depth in DEPTHS},
        "depths": {depth: _rows(measured.items, _at(measured.rounds, depth)) for depth in DEPTHS},
        "tasks": [row for depth in DEPTHS for row in _task_rows(depth, _at(measured.rounds, depth))],
        "memory": _memory_rows(measured.memory),
        "aims": [asdict(aim) | {"is_met": aim.is_met} for aim in aims(measured)],
        "runs": {
            "rounds": list(map(asdict, measured.rounds)),
            "memory": list(map(asdict, measured.memory)),
        },
    }


def aims(measured: MeasuredReconcile) -> list[Aim]:
    """The rate of keys; each kind of task at its worse depth and the larger table."""
    memory = _memory_rows(measured.memory)
    above = {step: max(row["above_empty_mb"][-1] for row in memory if row["step"] == step) for step in MEASURED_STEPS}
    growth = {
        step: max(row["peak_mb"][-1] / row["peak_mb"][0] for row in memory if row["step"] == step)
        for step in MEASURED_STEPS
    }
    return [
        Aim(
            aim="keys: rate to that of just reading both sides",
            value=_of_bare(_at(measured.rounds, "keys"), OURS.name),
            bound=WANTED_OF_BARE,
        ),
        *(
            Aim(
                aim=f"{STEPS[step]}: peak memory above an empty task, MB, the larger table",
                value=value,
                bound=MOST_ABOVE_EMPTY_MB,
                at_least=False,
            )
            for step, value in above.items()
        ),
        *(
            Aim(aim=f"{STEPS[step]}: ratio of the peaks", value=value, bound=MOST_GROWTH, at_least=False)
            for step, value in growth.items()
        ),
    ]


def _at(rounds: Sequence[Round], depth: Depth) -> list[Round]:
    return [one for one in rounds if one.depth == depth]


def _of_bare(rounds: Sequence[Round], contender: str) -> float:
    """The median of the ratios of the rates within each round: all contenders see the same items."""
    run_of = _CONTENDERS[contender]
    return statistics.median(one.bare.seconds / run_of(one).seconds for one in rounds)


def _rows(items: int, rounds: Sequence[Round]) -> dict[str, Any]:
    """By contender; CPU seconds per 100,000 items of the table."""
    return {name: _row(items, rounds, name) for name in _CONTENDERS}


def _row(items: int, rounds: Sequence[Round], contender: str) -> dict[str, Any]:
    runs = [_CONTENDERS[contender](one) for one in rounds]

    def per_100k(seconds: Callable[[Run], float]) -> float:
        return round(statistics.median(map(seconds, runs)) / items * 100_000, 2)

    return {
        "title": _TITLES[contender],
        "items_per_s": round(statistics.median(items / run.seconds for run in runs)),
        "of_bare": round(_of_bare(rounds, contender), 2),
        "cpu_s_per_100k": per_100k(lambda run: run.cpu_s),
        "table_cpu_s_per_100k": per_100k(lambda run: run.servers_cpu_s["source"]),
        "opensearch_cpu_s_per_100k": per_100k(lambda run: run.servers_cpu_s["opensearch"]),
    }


def _task_rows(depth: Depth, rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """Medians of each task; where several join at once, of the first."""
    said: dict[str, Callable[[Round], dict[str, float]]] = {
        "table": lambda one: one.ours.read.each[0],
        "index": lambda one: one.ours.read.each[1],
        "join": lambda one: one.ours.join.each[0],
        "settle": lambda one: one.ours.settle.each[0],
    }
    return [
        {
            "depth": depth,
            "step": step,
            "seconds": round(statistics.median(of(one)["ended_s"] - of(one)["began_s"] for one in rounds), 2),
            "cpu_s": round(statistics.median(of(one)["cpu_s"] for one in rounds), 2),
            "peak_mb": round(statistics.median(of(one)["peak_mb"] for one in rounds)),
        }
        for step, of in said.items()
    ]


def _memory_rows(runs: Sequence[MemoryRun]) -> list[dict[str, Any]]:
    """For each depth and kind of task the largest peaks, of the smaller table and of the larger."""
    sizes = sorted({run.rows for run in runs})

    def peak(step: str, depth: Depth, rows: int) -> float:
        return max(one.run.peak_mb for one in runs if (one.step, one.depth, one.rows) == (step, depth, rows))

    return [
        {
            "depth": depth,
            "step": step,
            "rows": sizes,
            "peak_mb": [round(peak(step, depth, rows)) for rows in sizes],
            "above_empty_mb": [round(peak(step, depth, rows) - peak("empty", depth, rows)) for rows in sizes],
        }
        for depth in DEPTHS
        for step in STEPS
    ]
