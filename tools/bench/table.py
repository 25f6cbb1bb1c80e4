"""The figures as tables: for the terminal with rich, for bench/README.md as Markdown."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table


class Grid(NamedTuple):
    """A table; the first column is text, the others are figures."""

    title: str
    head: Sequence[str]
    rows: list[tuple[str, ...]]


def grids(figures: dict[str, Any]) -> list[Grid]:
    """All tables of the part that fills an index."""
    items = figures["settings"]["items"]
    return [
        _contenders(f"{items:,} items from recorded pages, light mapping", figures["light_mapping"]),
        _contenders(f"{items:,} items from recorded pages, include/mappings/members.json", figures["members_mapping"]),
        Grid(
            "From the emulators themselves",
            (
                "source",
                "bare scan, items/s",
                "copied, items/s",
                "of bare scan",
                "CPU s per 100,000: emulator",
                "client",
                "OpenSearch",
            ),
            [(name, *map(figure, row.values())) for name, row in figures["emulators"].items()],
        ),
        Grid(
            "Memory of a task",
            ("task", "items", "peak, MB", "above empty, MB"),
            [(name, *map(figure, row.values())) for name, row in figures["memory"].items()],
        ),
        aims_grid(figures),
    ]


def _contenders(title: str, rows: dict[str, dict[str, Any]]) -> Grid:
    head = (
        "contender",
        "documents/s",
        "of a",
        "client CPU s per 100,000",
        "of b",
        "peak, MB",
        "OpenSearch CPU s per 100,000",
    )
    return Grid(
        title,
        head,
        [
            (f"{name}) {row['title']}", *(figure(value) for key, value in row.items() if key != "title"))
            for name, row in rows.items()
        ],
    )


def aims_grid(figures: dict[str, Any]) -> Grid:
    """The aims of a part."""
    return Grid("Aims", ("aim", "wanted", "measured", "met"), list(_aims(figures["aims"])))


def _aims(aims: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for aim in aims:
        bound = f"{'at least' if aim['at_least'] else 'at most'} {aim['bound']:,g}"
        yield aim["aim"], bound, f"{aim['value']:,.2f}", "yes" if aim["is_met"] else "no"


def figure(value: float) -> str:
    """A number as the tables have it."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def show(console: Console, grids: Sequence[Grid]) -> None:
    """Print all tables."""
    for grid in grids:
        table = Table(title=grid.title, title_justify="left")
        for number, column in enumerate(grid.head):
            table.add_column(column, justify="right" if number else "left")
        for row in grid.rows:
            table.add_row(*row)
        console.print(table)


def markdown(figures: dict[str, Any], grids: Sequence[Grid]) -> str:
    """All tables of a part, and what they were made with."""
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    before, after = figures["machine"]["loads"]
    changed = " with uncommitted changes" if figures["uncommitted_changes"] else ""
    rounds, cpus = figures["settings"]["rounds"], figures["machine"]["cpus"]
    made = (
        f"Made {figures['made_at'][:10]} at commit {figures['commit'][:10]}{changed}: medians of {rounds} interleaved "
        f"rounds, ratios within a round; {cpus} CPUs, load {before} before and {after} after. Versions: {versions}."
    )
    lines = [made]
    for grid in grids:
        lines += ["", f"### {grid.title}", "", _row(grid.head), _row(["---", *["---:"] * (len(grid.head) - 1)])]
        lines += [_row(row) for row in grid.rows]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
