"""`make bench`: measure, print the table, write build/bench.json.

BENCH_ITEMS (100000), BENCH_ROUNDS (3); BENCH_QUICK=1 for a look in about two minutes.
"""

import json
import time

from rich.console import Console

from tools.bench import course, results, sources, table
from tools.bench.settings import Settings
from tools.local import paths
from tools.local.lifetime import ended_in_order, only_one

WIDTH = 130
"""Columns that the tables need."""

RESULTS = paths.BUILD / "bench.json"


def main() -> None:
    """Run it all; an aim that is missed is shown, not an error."""
    console = Console()
    console.width = max(console.width, WIDTH)
    began_s = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began_s:5.0f} s[/]  {line}", highlight=False)

    settings = Settings.from_environment()
    with ended_in_order(), only_one(sources.FOLDER):
        measured = course.measure(settings, say)
    figures = results.figures(settings, measured)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    table.show(console, figures)
    console.print(f"{RESULTS.relative_to(paths.ROOT)} written after {time.monotonic() - began_s:.0f} s")


if __name__ == "__main__":
    main()
