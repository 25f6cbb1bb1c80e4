"""Charts over the nights as inline SVG: both counts, differences by kind, the indexer's lag. Pure functions."""

from collections.abc import Sequence

from dynamo_opensearch.core.reconcile.rendering.canvas import TOP, Chart, draw, notes, percent, trace
from dynamo_opensearch.core.reconcile.rendering.markup import Html, element, together
from dynamo_opensearch.core.reconcile.rendering.scales import LINEAR_S, Columns, Scale, count_scale, time_scale
from dynamo_opensearch.core.reconcile.rendering.symbols import (
    BY_KIND,
    MENDED,
    UNKNOWN,
    Mark,
    legend,
    legend_entry,
    swatch,
)
from dynamo_opensearch.core.reconcile.rendering.turns import Turn, turns
from dynamo_opensearch.core.reconcile.rendering.words import counted, duration, moment, number, signed
from dynamo_opensearch.core.reconcile.report import Night

_FLAG_Y, _COUNTS_TOP, _COUNTS_BOTTOM = 9, 28, 200
_DIFFERENCES_BOTTOM, _LAG_BOTTOM = 150, 110
_WIDEST_BAR = 5.0
"""Percent of the chart."""
_LOWEST_BAR = 3.0
"""Pixels: one difference beside thousands is still seen."""


def counts_chart(nights: Sequence[Night], this_run: str) -> Html:
    """Items and documents, two lines: a broad one and a narrow one on it, so that both are seen where they are one."""
    values = [value for night in nights for value in (night.table_count, night.index_count)]
    scale, columns = count_scale(values, _COUNTS_TOP, _COUNTS_BOTTOM, from_zero=False), Columns(len(nights))
    found = turns(nights)
    drawing = together(
        *(_turn(columns, turn) for turn in found),
        trace(columns, [scale.y(night.table_count) for night in nights], "items", _COUNTS_BOTTOM),
        trace(columns, [scale.y(night.index_count) for night in nights], "documents", _COUNTS_BOTTOM),
    )
    told = [
        f"{counted(night.table_count, 'item')}, {counted(night.index_count, 'document')}"
        f" ({signed(night.index_count - night.table_count)})"
        for night in nights
    ]
    last = nights[-1]
    chart = Chart(
        name="counts",
        title="Items and documents",
        description=_counts_in_words(nights),
        scale=scale,
        drawing=drawing,
        told=told,
        legend=legend(
            legend_entry(_line("items"), "items in the table", number(last.table_count)),
            legend_entry(_line("documents"), "documents in the index", number(last.index_count)),
        ),
        note=_counts_note(scale, found),
    )
    return draw(chart, nights, this_run)


def differences_chart(nights: Sequence[Night], this_run: str) -> Html:
    """A bar for each night, by kind; what was mended that night on top of what is left; a dot where nothing differs."""
    stacks = [stack_of(night) for night in nights]
    totals = [sum(count for _, count in stack) for stack in stacks]
    scale, columns = count_scale(totals, TOP, _DIFFERENCES_BOTTOM, from_zero=True), Columns(len(nights))
    drawing = together(
        *(
            _bar(columns, column, stack, scale) if stack else _nothing(columns, column, nights[column], scale.bottom)
            for column, stack in enumerate(stacks)
        )
    )
    told = [
        ", ".join(f"{mark.title} {count:,}" for mark, count in stack) or _nothing_told(night)
        for night, stack in zip(nights, stacks, strict=True)
    ]
    chart = Chart(
        name="differences",
        title="Differences by kind",
        description=_differences_in_words(nights, totals, told),
        scale=scale,
        drawing=drawing,
        told=told,
        legend=_differences_legend(nights, stacks),
    )
    return draw(chart, nights, this_run)


def lag_chart(nights: Sequence[Night], this_run: str) -> Html:
    """How far the indexer was behind when each run began; a gap where nothing told."""
    known = [(night, night.lag_s) for night in nights if night.lag_s is not None]
    if not known:
        text = "In none of these runs did anything tell how far the indexer was behind."
        return element(
            "figure",
            element("figcaption", element("h3", "Indexer behind")),
            element("p", text, class_="note quiet"),
        )
    scale, columns = time_scale([lag for _, lag in known], TOP, _LAG_BOTTOM), Columns(len(nights))
    heights = [None if night.lag_s is None else scale.y(night.lag_s) for night in nights]
    highest, most = max(known, key=lambda one: one[1])
    last = nights[-1].lag_s
    chart = Chart(
        name="lag",
        title="Indexer behind, when the run began",
        description=f"Known in {len(known):,} of {counted(len(nights), 'run')}, "
        f"at most {duration(most)} on {moment(highest.began_us)}.",
        scale=scale,
        drawing=trace(columns, heights, "lag", _LAG_BOTTOM),
        told=["not known" if night.lag_s is None else duration(night.lag_s) for night in nights],
        legend=legend(legend_entry(_line("lag"), "behind by", "not known" if last is None else duration(last))),
        note=None if most <= LINEAR_S else notes(["The axis is logarithmic."]),
    )
    return draw(chart, nights, this_run)


def stack_of(night: Night) -> list[tuple[Mark, int]]:
    """What a night's bar is made of, from below; a night without kinds has its difference as not known by kind."""
    kinds = [(mark, night.by_kind.get(kind, 0)) for kind, mark in BY_KIND.items()]
    unknown = 0 if night.by_kind or night.depth == "approximate" else night.differences
    return [(mark, count) for mark, count in [*kinds, (UNKNOWN, unknown), (MENDED, night.mended)] if count]


def _bar(columns: Columns, column: int, stack: Sequence[tuple[Mark, int]], scale: Scale) -> Html:
    width = min(columns.width * 0.74, _WIDEST_BAR)
    x, y, parts = columns.middle(column) - width / 2, scale.bottom, []
    for mark, count in stack:
        height = max(_LOWEST_BAR, scale.bottom - scale.y(count))
        y -= height
        parts.append(
            element(
                "rect",
                x=percent(x),
                width=percent(width),
                y=y,
                height=height,
                fill=mark.fill,
                class_=f"bar {mark.name}",
            )
        )
    return together(*parts)


def _nothing(columns: Columns, column: int, night: Night, bottom: float) -> Html:
    x = columns.middle(column)
    if night.depth == "approximate":
        return _dash(percent(x - min(columns.width, 1.2) / 3), percent(x + min(columns.width, 1.2) / 3), bottom - 5)
    return _dot(percent(x), bottom - 5, is_by_counts=not night.by_kind)


def _nothing_told(night: Night) -> str:
    if night.depth == "approximate":
        return "figures that may be hours old: proves nothing"
    return "no difference" if night.by_kind else "no difference in the counts"


def _differences_legend(nights: Sequence[Night], stacks: Sequence[Sequence[tuple[Mark, int]]]) -> Html:
    used = {mark for stack in stacks for mark, _ in stack}
    own = dict(stacks[-1])
    is_known = bool(nights[-1].by_kind)
    entries = [
        legend_entry(swatch(mark), mark.title, f"{own.get(mark, 0):,}" if is_known or mark in own else "")
        for mark in (*BY_KIND.values(), UNKNOWN, MENDED)
        if mark in used or mark in BY_KIND.values()
    ]
    depths = {night.depth for night in nights}
    if depths & {"keys", "content"}:
        entries.append(legend_entry(_sample(_dot("8", 7, is_by_counts=False)), "none, by keys or content"))
    if "count" in depths:
        entries.append(legend_entry(_sample(_dot("8", 7, is_by_counts=True)), "none, by counts"))
    if "approximate" in depths:
        entries.append(legend_entry(_sample(_dash("3", "13", 7)), "approximate: proves nothing"))
    return legend(*entries)


def _turn(columns: Columns, turn: Turn) -> Html:
    x = percent(columns.left(turn.column))
    flag = element(
        "g",
        element("circle", cx=x, cy=_FLAG_Y, r=8),
        element("text", turn.letter, x=x, y=_FLAG_Y + 4, text_anchor="middle"),
        class_="flag",
    )
    return together(element("line", x1=x, x2=x, y1=_FLAG_Y, y2=_COUNTS_BOTTOM, class_="turn"), flag)


def _counts_note(scale: Scale, found: Sequence[Turn]) -> Html | None:
    lines = [f"{turn.letter}: {turn.text}" for turn in found]
    if scale.low:
        lines.append(f"The axis begins at {number(scale.low)}, not at 0.")
    return notes(lines)


def _counts_in_words(nights: Sequence[Night]) -> str:
    first, last = nights[0], nights[-1]
    widest = max(nights, key=lambda night: abs(night.index_count - night.table_count))
    apart = signed(widest.index_count - widest.table_count)
    return (
        f"{counted(len(nights), 'run')}. Items from {first.table_count:,} to {last.table_count:,}, documents from "
        f"{first.index_count:,} to {last.index_count:,}. Farthest apart on {moment(widest.began_us)}: {apart}."
    )


def _differences_in_words(nights: Sequence[Night], totals: Sequence[int], told: Sequence[str]) -> str:
    without = sum(1 for total in totals if not total)
    said = f"{counted(len(nights), 'run')}, {without:,} of them without differences."
    worst = max(range(len(nights)), key=totals.__getitem__)
    most = f" The most on {moment(nights[worst].began_us)}: {told[worst]}." if totals[worst] else ""
    return said + most + f" The last run: {told[-1]}."


def _dot(x: str, y: float, *, is_by_counts: bool) -> Html:
    return element("circle", cx=x, cy=y, r=2.5, class_="nothing by-counts" if is_by_counts else "nothing")


def _dash(left: str, right: str, y: float) -> Html:
    return element("line", x1=left, x2=right, y1=y, y2=y, class_="nothing approximate")


def _sample(shape: Html) -> Html:
    return element("svg", shape, width=16, height=14, aria_hidden="true")


def _line(name: str) -> Html:
    path = element("path", d="M4 7 h16", class_=f"trace {name}")
    return element("svg", path, width=24, height=14, aria_hidden="true")
