"""Puts the tables of the last run, build/bench.json, into bench/README.md: `python -m tools.bench.readme`."""

import json

from tools.bench.__main__ import RESULTS
from tools.bench.table import markdown
from tools.local import paths

README = paths.ROOT / "bench" / "README.md"
BEGIN, END = "<!-- results: made by python -m tools.bench.readme -->\n", "<!-- end of results -->\n"


def with_results(text: str, results: str) -> str:
    """The text with other results between its marks.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the marks {BEGIN!r} and {END!r} are needed, in this order")
    return before + begin + results + end + after


if __name__ == "__main__":
    README.write_text(with_results(README.read_text(), markdown(json.loads(RESULTS.read_text()))))
