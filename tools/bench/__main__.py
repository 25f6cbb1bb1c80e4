"""`make bench`: measure, print the tables, write build/bench.json.

`python -m tools.bench rebuild` measures that part only, `fill`, `replay` and `reconcile` theirs; the figures of the
others are kept.
BENCH_ITEMS (100000), BENCH_ROUNDS (3); BENCH_QUICK=1 for a look in about five minutes.
"""

import sys
import time

from rich.console import Console

from tools.bench import sources, table
from tools.bench.parts import PARTS, RESULTS, keep_results
from tools.bench.settings import Settings
from tools.local import paths
from tools.local.lifetime import ended_in_order, only_one

WIDTH = 130
"""Columns that the tables need."""


def main(names: list[str]) -> None:
    """Run these parts, or all; an aim that is missed is shown, not an error."""
    if unknown := sorted(set(names) - PARTS.keys()):
        raise SystemExit(f"unknown: {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    console = Console()
    console.width = max(console.width, WIDTH)
    began_s = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began_s:5.0f} s[/]  {line}", highlight=False)

    settings = Settings.from_environment()
    with ended_in_order(), only_one(sources.FOLDER):
        for name in names or PARTS:
            figures = PARTS[name].measure(settings, say)
            keep_results(name, figures)
            table.show(console, PARTS[name].grids(figures))
    console.print(f"{RESULTS.relative_to(paths.ROOT)} written after {time.monotonic() - began_s:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
