"""Puts the tables of each part's last run, build/bench.json, into bench/README.md: `python -m tools.bench.readme`."""

from tools.bench.parts import PARTS, read_results
from tools.bench.table import markdown
from tools.local import paths

README = paths.ROOT / "bench" / "README.md"


def marks(part: str) -> tuple[str, str]:
    """The lines between which a part's results stand."""
    return f"<!-- {part}: made by python -m tools.bench.readme -->\n", f"<!-- end of {part} -->\n"


def with_results(text: str, part: str, results: str) -> str:
    """The text with other results between the part's marks.

    Raises:
        ValueError: a mark is missing.
    """
    begin, end = marks(part)
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the marks {begin!r} and {end!r} are needed, in this order")
    return before + begin + results + end + after


def main() -> None:
    """What was not measured since build/ was made stays as it is."""
    text = README.read_text()
    for part, figures in read_results().items():
        text = with_results(text, part, markdown(figures, PARTS[part].grids(figures)))
    README.write_text(text)


if __name__ == "__main__":
    main()
