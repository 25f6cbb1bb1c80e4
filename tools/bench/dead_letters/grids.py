"""The figures of the replay's part as tables."""

from typing import Any

from tools.bench.table import Grid, aims_grid, figure

_CPU = ("CPU s per 1,000: client", "table", "queue", "OpenSearch", "peak, MB")


def grids(figures: dict[str, Any]) -> list[Grid]:
    """All of them."""
    records = figures["settings"]["replay_records"]
    return [
        Grid("What there is to be had", ("contender", "records/s", *_CPU), _rows(figures["bare"])),
        Grid(
            f"A replay of {records // 2:,} messages of one record, or of {records:,} records in messages of 100",
            ("case", "records/s", *_CPU, "of bare reads", "of the bare queue"),
            _rows(figures["replay"]),
        ),
        aims_grid(figures),
    ]


def _rows(rows: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    return [(row["title"], *(_figure(value) for key, value in row.items() if key != "title")) for row in rows.values()]


def _figure(value: float | None) -> str:
    """Small ones with three digits after the point."""
    if value is None:
        return "–"
    return f"{value:.3f}" if 0 < value < 0.1 else figure(value)
