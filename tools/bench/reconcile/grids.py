"""The figures of the reconciliation's part as tables."""

from typing import Any

from tools.bench.reconcile.figures import STEPS
from tools.bench.table import Grid, aims_grid, figure


def grids(figures: dict[str, Any]) -> list[Grid]:
    """All of them."""
    items = figures["items"]
    return [
        *(_depth_grid(depth, items, figures["rounds"][depth], rows) for depth, rows in figures["depths"].items()),
        Grid(
            f"The tasks, {items:,} items",
            ("task", "seconds", "CPU s", "peak, MB"),
            [
                (
                    f"{row['depth']}: {STEPS[row['step']]}",
                    *(figure(row[key]) for key in ("seconds", "cpu_s", "peak_mb")),
                )
                for row in figures["tasks"]
            ],
        ),
        _memory_grid(figures["memory"]),
        aims_grid(figures),
    ]


def _depth_grid(depth: str, items: int, rounds: int, rows: dict[str, dict[str, Any]]) -> Grid:
    head = ("contender", "items/s", "of just reading", "CPU s per 100,000: client", "table", "OpenSearch")
    return Grid(
        f"{depth}: {items:,} items and as many documents, by two processes at once, {rounds} rounds",
        head,
        [(row["title"], *(figure(value) for key, value in row.items() if key != "title")) for row in rows.values()],
    )


def _memory_grid(rows: list[dict[str, Any]]) -> Grid:
    small, large = rows[0]["rows"]
    return Grid(
        f"Memory of a task, {small:,} and {large:,} rows on either side, MB",
        ("task", *(f"{what}, {size:,}" for what in ("peak", "above empty") for size in (small, large))),
        [
            (f"{row['depth']}: {STEPS[row['step']]}", *map(figure, (*row["peak_mb"], *row["above_empty_mb"])))
            for row in rows
        ],
    )
