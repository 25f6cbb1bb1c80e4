"""The figures of the rebuild's part as tables."""

from typing import Any

from tools.bench.table import Grid, aims_grid, figure


def grids(figures: dict[str, Any]) -> list[Grid]:
    """All of them."""
    items = f"{figures['settings']['items']:,}"
    copied = ("seconds", "documents/s", "time to the bare one's", "client CPU s per 100,000", "OpenSearch CPU s")
    carried = (
        "changes/s",
        "of bare reads",
        "CPU s per 1,000 changes: follower",
        "MiniStack",
        "OpenSearch",
        "peak, MB",
    )
    return [
        Grid(f"source=index, {items} documents", ("contender", *copied), _rows(figures["server_copy"])),
        Grid(f"source=table, {items} items", ("contender", *copied), _rows(figures["table_copy"])),
        Grid(
            f"The follower, {figures['settings']['follow_changes']:,} changes of as many keys",
            ("contender", *carried),
            _rows(figures["follower"]),
        ),
        _swap_grid(figures["swap"], items),
        aims_grid(figures),
    ]


def _rows(rows: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    return [(row["title"], *(_figure(value) for key, value in row.items() if key != "title")) for row in rows.values()]


def _figure(value: float) -> str:
    """Small ones with three digits after the point."""
    return f"{value:.3f}" if 0 < value < 0.1 else figure(value)


def _swap_grid(swap: dict[str, Any], items: str) -> Grid:
    traffic = swap["traffic"]
    title = (
        f"{swap['swaps']} swaps there and back, {items} documents, {traffic['changes_per_s']:.0f} changes/s: seconds; "
        f"{swap['caught_up_under_block']:.0f} keys caught up under the block; "
        f"{traffic['read_errors']} errors in {traffic['reads']:,} searches"
    )
    rows = [(step, *(f"{value:.3f}" for value in row.values())) for step, row in swap["seconds"].items()]
    return Grid(title, ("step", "least", "median", "nine of ten", "worst"), rows)
