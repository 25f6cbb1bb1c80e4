"""docs/soak.md, made from build/soak.json after `make soak`: `python -m tools.soak_page`.

A run that is not in build/soak.json keeps what stands there, with its own commit.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "build" / "soak.json", ROOT / "docs" / "soak.md"
HEAD = """\
# What ran longer

Results of `make soak`, made by `python -m tools.soak_page`; do not edit. Every run judges by an oracle that shares no
code with the package: boto3's deserializer, plain HTTP, a comparison of dictionaries. `commit` is what was checked out.
`swaps` are the seconds for which writes waited.
"""


def main() -> int:
    """Write the page."""
    PAGE.write_text(render(json.loads(RESULTS.read_text()), PAGE.read_text()))
    print(PAGE)
    return 0


def render(results: Mapping[str, Mapping[str, Any]], page: str = "") -> str:
    """A table for each run, in the order of their names; ``page``: what stood there before."""
    sections = {one.split("\n", 1)[0]: one.split("\n", 1)[1] for one in page.split("\n## ")[1:]}
    for what, figures in results.items():
        rows = "\n".join(f"| {name} | {_shown(value)} |" for name, value in figures.items())
        sections[what.replace("_", " ")] = f"\n| | |\n|---|---|\n{rows}\n"
    return "\n".join([HEAD, *(f"## {what}\n{text}" for what, text in sorted(sections.items()))])


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_shown(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return text[:10] if len(text) == 40 and " " not in text else text


if __name__ == "__main__":
    sys.exit(main())
