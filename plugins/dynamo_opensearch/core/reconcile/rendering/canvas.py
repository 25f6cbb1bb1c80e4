"""The frame of a chart over the nights: axis, grid, dates, this run's column, and what a pointer is told.

Columns are in percent of the width and heights in pixels, so that a chart is as wide as its place and its text and
lines keep their size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dynamo_opensearch.core.reconcile.rendering.markup import Html, each, element, together
from dynamo_opensearch.core.reconcile.rendering.scales import Columns, Scale
from dynamo_opensearch.core.reconcile.rendering.words import day, minute, moment
from dynamo_opensearch.core.reconcile.report import Night

TOP, BELOW = 12, 24
"""Pixels above the plot, and below it for the dates."""
_WIDE_LABELS, _NARROW_LABELS = 8, 3
_CHARACTER = 7.2
"""Pixels, at most, of a character on the axis."""
_MOST_DOTS = 31
_DAY_US = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What a chart is made of. ``told``: what a pointer is told of each night; ``drawing``: the shapes."""

    name: str
    title: str
    description: str
    scale: Scale
    drawing: Html
    told: Sequence[str]
    legend: Html
    note: Html | None = None


def draw(chart: Chart, nights: Sequence[Night], this_run: str) -> Html:
    """A figure with its axis, in the two columns of the grid ``charts``."""
    height = round(chart.scale.bottom) + BELOW
    columns = Columns(len(nights))
    own = next((column for column, night in enumerate(nights) if night.run_id == this_run), None)
    canvas = element(
        "svg",
        element("title", chart.title, id=f"{chart.name}-title"),
        element("desc", chart.description, id=f"{chart.name}-text"),
        _this_run(columns, own, chart.scale),
        _grid(chart.scale),
        chart.drawing,
        _dates(columns, nights, own, height),
        _hits(columns, nights, chart),
        class_="canvas",
        role="img",
        aria_labelledby=f"{chart.name}-title {chart.name}-text",
        width="100%",
        height=height,
    )
    return element(
        "figure",
        element("figcaption", element("h3", chart.title)),
        chart.legend,
        _axis(chart.scale, height),
        canvas,
        chart.note,
    )


def stretched(paths: Html, height: float) -> Html:
    """Paths over a width of 1,000, as wide as the chart is; their lines keep their width."""
    return element(
        "svg",
        paths,
        width="100%",
        height=height,
        viewBox=f"0 0 1000 {height:g}",
        preserveAspectRatio="none",
        overflow="visible",
    )


def trace(columns: Columns, heights: Sequence[float | None], class_: str, bottom: float) -> Html:
    """A line through the middles of the columns, with a gap where there is no height, and its dots.

    Each night has a dot where there are few; else a night between two gaps, for it has no line.
    """
    steps = []
    for column, y in enumerate(heights):
        if y is not None:
            is_first = column == 0 or heights[column - 1] is None
            steps.append(f"{'M' if is_first else 'L'}{columns.middle(column) * 10:g} {y:g}")
    line = element("path", d=" ".join(steps), class_=f"trace {class_}", vector_effect="non-scaling-stroke")
    return together(stretched(line, bottom) if steps else None, *_dots(columns, heights, class_))


def percent(value: float) -> str:
    """As an attribute."""
    return f"{value:g}%"


def _dots(columns: Columns, heights: Sequence[float | None], class_: str) -> Iterator[Html]:
    around = [None, *heights, None]
    for column, y in enumerate(heights):
        is_alone = around[column] is None and around[column + 2] is None
        radius = (3.5 if class_ == "items" else 2.5) + is_alone
        if y is not None and (is_alone or len(heights) <= _MOST_DOTS):
            yield element("circle", cx=percent(columns.middle(column)), cy=y, r=radius, class_=f"dot {class_}")


def _axis(scale: Scale, height: int) -> Html:
    ticks = scale.ticks
    width = round(max(len(text) for _, text in ticks) * _CHARACTER)
    texts = (element("text", text, x=width, y=y + 4, text_anchor="end") for y, text in ticks)
    return element("svg", *texts, class_="axis", width=width, height=height, aria_hidden="true")


def _grid(scale: Scale) -> Html:
    lines = (
        element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid" if value else "zero")
        for value, (y, _) in zip(scale.values, scale.ticks, strict=True)
    )
    return together(*lines)


def _this_run(columns: Columns, column: int | None, scale: Scale) -> Html | None:
    if column is None or columns.count == 1:
        return None
    return element(
        "rect",
        x=percent(columns.left(column)),
        width=percent(columns.width),
        y=0,
        height=scale.bottom,
        class_="current",
    )


def _dates(columns: Columns, nights: Sequence[Night], own: int | None, height: int) -> Html:
    is_one_day = nights[-1].began_us - nights[0].began_us < _DAY_US
    written = minute if is_one_day else day
    wide, narrow = (set(columns.labelled(most)) for most in (_WIDE_LABELS, _NARROW_LABELS))
    texts = []
    for column in sorted(wide | narrow):
        which = "" if column in wide & narrow else "wide" if column in wide else "narrow"
        classes = f"now {which}".strip() if column == own else which
        texts.append(_date(columns, column, written(nights[column].began_us), height, classes))
    return together(*texts)


def _date(columns: Columns, column: int, text: str, height: int, classes: str) -> Html:
    x, anchor = columns.middle(column), "middle"
    if columns.width < 8 and column == columns.count - 1:
        x, anchor = 100, "end"
    elif columns.width < 8 and column == 0:
        x, anchor = 0, "start"
    return element("text", text, x=percent(x), y=height - 6, text_anchor=anchor, class_=classes or None)


def _hits(columns: Columns, nights: Sequence[Night], chart: Chart) -> Html:
    return together(
        *(
            element(
                "rect",
                element("title", f"{moment(night.began_us)}, depth {night.depth}\n{told}"),
                x=percent(columns.left(column)),
                width=percent(columns.width),
                y=0,
                height=chart.scale.bottom,
                class_="hit",
            )
            for column, (night, told) in enumerate(zip(nights, chart.told, strict=True))
        )
    )


def notes(lines: Sequence[str]) -> Html | None:
    """Lines below a chart."""
    return element("ul", each("li", lines), class_="note quiet") if lines else None
