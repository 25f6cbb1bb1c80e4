"""The table of differences by kind: found, mended and left, and a bar of the last two."""

from collections.abc import Iterator
from dataclasses import dataclass

from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.reconcile.rendering.canvas import percent
from dynamo_opensearch.core.reconcile.rendering.markup import Html, each, element
from dynamo_opensearch.core.reconcile.rendering.symbols import BY_KIND, MENDED, Mark, swatch
from dynamo_opensearch.core.reconcile.rendering.words import number

_NARROWEST_BAR = 1.5
"""Percent of the picture: one difference beside thousands is still seen."""


@dataclass(frozen=True)
class _Row:
    mark: Mark
    found: int
    mended: int
    left: int

    @property
    def figures(self) -> tuple[int, int, int]:
        return self.found, self.mended, self.left


def kinds_table(made: ComparisonReport) -> Html:
    """A row for each kind, and the sums."""
    rows = [
        _Row(mark, getattr(made.found, kind), made.mended_kinds.get(kind, 0), getattr(made, kind))
        for kind, mark in BY_KIND.items()
    ]
    head = element(
        "tr",
        element("th", "kind", scope="col"),
        element("th", "mended and left", scope="col", class_="picture"),
        each("th", ("found at first", "mended", "left"), scope="col", class_="number"),
    )
    foot = element(
        "tr",
        element("th", "together", scope="row"),
        element("td", class_="picture"),
        each(
            "td",
            (number(sum(figures)) for figures in zip(*(row.figures for row in rows), strict=True)),
            class_="number",
        ),
    )
    most = max(row.mended + row.left for row in rows)
    body = element("tbody", *(_line(row, most, made) for row in rows))
    return element("table", element("thead", head), body, element("tfoot", foot), class_="kinds")


def _line(row: _Row, most: int, made: ComparisonReport) -> Html:
    mark = row.mark
    return element(
        "tr",
        element("th", swatch(mark), mark.title, element("span", mark.meaning, class_="meaning"), scope="row"),
        element("td", _bar(row, most), class_="picture"),
        *_figures(row, made),
    )


def _figures(row: _Row, made: ComparisonReport) -> Iterator[Html]:
    if row.mark.name == "stale" and made.depth == "keys" and not any(row.figures):
        yield element("td", "not compared at this depth", class_="number quiet", colspan=3)
        return
    for figure in row.figures:
        yield element("td", number(figure), class_="number")


def _bar(row: _Row, most: int) -> Html | None:
    if not (row.mended or row.left):
        return None
    shares = [max(_NARROWEST_BAR, 100 * count / most) if count else 0.0 for count in (row.left, row.mended)]
    left, mended = (share * min(1.0, 100 / sum(shares)) for share in shares)
    parts = (_part(mark, x, width) for mark, x, width in ((row.mark, 0.0, left), (MENDED, left, mended)) if width)
    return element("svg", *parts, width="100%", height=16, aria_hidden="true")


def _part(mark: Mark, x: float, width: float) -> Html:
    return element(
        "rect", x=percent(x), width=percent(width), y=1, height=14, rx=2, fill=mark.fill, class_=f"bar {mark.name}"
    )
