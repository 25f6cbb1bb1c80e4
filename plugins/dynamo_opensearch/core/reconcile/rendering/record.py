"""The bottom of the page: every run in numbers, and what exactly this one was about."""

from collections.abc import Iterator, Sequence

from dynamo_opensearch.core.reconcile.rendering.markup import Html, code, each, element
from dynamo_opensearch.core.reconcile.rendering.symbols import BY_KIND
from dynamo_opensearch.core.reconcile.rendering.words import duration, exact_moment, number
from dynamo_opensearch.core.reconcile.report import Night, ReconcileReport

_HEADS = ("items", "documents", *(mark.title for mark in BY_KIND.values()), "not by kind", "mended", "in motion")


def runs_card(nights: Sequence[Night], this_run: str) -> Html:
    """What the charts show, as a table, the newest run first."""
    head = element(
        "tr",
        each("th", ("began", "depth", "repair", "verdict"), scope="col"),
        each("th", (*_HEADS, "behind", "read units"), scope="col", class_="number"),
    )
    rows = (_row(night, night.run_id == this_run) for night in reversed(nights))
    table = element("table", element("thead", head), element("tbody", *rows), class_="runs")
    summary = f"All {len(nights):,} runs in numbers" if len(nights) > 1 else "This run in numbers"
    region = element("div", table, class_="scroll", tabindex=0, role="region", aria_label=summary)
    return element("details", element("summary", summary), region, class_="card long")


def about_card(report: ReconcileReport, differences_file: str | None) -> Html:
    """What was compared, when, and where the keys that differ are."""
    pairs = (
        element("dt", name) + element("dd", value if isinstance(value, Html) else code(value))
        for name, value in _about(report, differences_file)
    )
    content = Html("".join(pairs))
    return element("section", element("h2", "About this run"), element("dl", content, class_="about"), class_="card")


def _row(night: Night, is_this: bool) -> Html:
    kinds = [number(night.by_kind[kind]) if kind in night.by_kind else "–" for kind in BY_KIND]
    unknown = "–" if night.by_kind or night.depth == "approximate" else number(night.differences)
    figures = (
        number(night.table_count),
        number(night.index_count),
        *kinds,
        unknown,
        number(night.mended),
        number(night.in_motion),
        "not known" if night.lag_s is None else duration(night.lag_s),
        number(round(night.read_units, 1)),
    )
    return element(
        "tr",
        element("th", exact_moment(night.began_us), scope="row"),
        each("td", (night.depth, night.repair, night.verdict)),
        each("td", figures, class_="number"),
        class_="this" if is_this else None,
        aria_current="true" if is_this else None,
    )


def _about(report: ReconcileReport, differences_file: str | None) -> Iterator[tuple[str, str]]:
    subject = report.subject
    nothing = element("span", "none was written", class_="quiet")
    yield "List of keys", nothing if differences_file is None else code(differences_file)
    yield "Run", report.run_id
    yield "Target", subject.target
    yield "Table", subject.table
    yield "Table id", subject.table_id
    yield "Stream", element("span", "off", class_="quiet") if subject.stream_arn is None else code(subject.stream_arn)
    yield "Alias", subject.alias
    yield "Index", subject.index
    yield "Index UUID", subject.index_uuid
    yield "Began", element("span", exact_moment(report.began_us))
    yield "Ended", element("span", f"{exact_moment(report.ended_us)}, {duration(report.seconds)} later")
    yield "Depth, repair", element("span", f"{report.depth}, {report.repair}")
    yield "Tolerance", element("span", number(report.tolerance))
