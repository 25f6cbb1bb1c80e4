"""The top of the page: the verdict, what to do next, and the run in six numbers."""

from collections.abc import Iterator, Sequence

from dynamo_opensearch.core.reconcile.depths import DEPTHS
from dynamo_opensearch.core.reconcile.rendering.markup import Html, element
from dynamo_opensearch.core.reconcile.rendering.symbols import sign
from dynamo_opensearch.core.reconcile.rendering.verdict_text import Step, caveat, headline, label, next_steps
from dynamo_opensearch.core.reconcile.rendering.words import duration, moment, number
from dynamo_opensearch.core.reconcile.report import Night, ReconcileReport

_LONG, _LONGEST = 11, 15
"""Characters above which a number is set smaller."""


def verdict_card(report: ReconcileReport, nights: Sequence[Night]) -> Html:
    """What the run says, about what, how closely it looked, and when all was well last."""
    said = element(
        "div",
        sign(report.verdict),
        element("div", element("p", label(report), class_="label"), element("h1", headline(report))),
        element("p", text, class_="caveat") if (text := caveat(report)) else None,
        class_="said",
    )
    return element(
        "header",
        said,
        element("div", *_facts(report, nights), class_="facts"),
        _depth(report),
        class_=f"card verdict {report.verdict.replace(' ', '-')}",
    )


def steps_card(report: ReconcileReport) -> Html | None:
    """What to do next; nothing where there is nothing to do."""
    steps = next_steps(report)
    if not steps:
        return None
    listed = element("ol", *map(_step, steps), class_="steps")
    return element("section", element("h2", "What to do next"), listed, class_="card")


def tiles(report: ReconcileReport) -> Html:
    """Six numbers."""
    return element("dl", *(_tile(*one) for one in _figures(report)), class_="tiles")


def last_equal(report: ReconcileReport, nights: Sequence[Night]) -> Night | None:
    """The newest earlier run that was equal, and looked at least as closely."""
    closely = DEPTHS[DEPTHS.index(report.depth) :]
    return next(
        (
            night
            for night in reversed(nights)
            if night.run_id != report.run_id and night.verdict == "equal" and night.depth in closely
        ),
        None,
    )


def _facts(report: ReconcileReport, nights: Sequence[Night]) -> Iterator[Html]:
    subject = report.subject
    yield element("span", "target ", element("b", subject.target))
    yield element("span", "table ", element("b", subject.table))
    leads = "leads to" if report.moved_to is None else "led to"
    yield element("span", "alias ", element("b", subject.alias), f" {leads} ", element("b", subject.index))
    yield element("span", element("b", moment(report.began_us)), f", took {duration(report.seconds)}")
    if report.verdict == "different":
        equal = last_equal(report, nights)
        told = moment(equal.began_us) if equal else "in none of the runs that are kept"
        yield element("span", "last equal, at this depth or closer: ", element("b", told))
        if report.comparison is not None:
            yield element("span", "found for the first time: ", element("b", _new(report)))


def _new(report: ReconcileReport) -> str:
    if not report.known:
        return "all of them"
    return (
        f"{max(0, report.differences - report.known):,}, the others since {moment(report.oldest_us or report.began_us)}"
    )


def _depth(report: ReconcileReport) -> Html:
    steps = (
        element(
            "li",
            element("span", depth),
            class_="chosen" if depth == report.depth else None,
            aria_current="true" if depth == report.depth else None,
        )
        for depth in DEPTHS
    )
    return element("div", element("span", "how closely it looked"), element("ol", *steps), class_="depth")


def _step(step: Step) -> Html:
    command = element("code", step.command, class_="command") if step.command else None
    return element("li", element("span", step.text), command)


def _tile(name: str, figure: str, told: str) -> Html:
    size = "longest" if len(figure) > _LONGEST else "long" if len(figure) > _LONG else ""
    return element(
        "div",
        element("dt", name),
        element("dd", figure, class_=f"figure {size}".strip()),
        element("dd", told, class_="quiet") if told else None,
    )


def _figures(report: ReconcileReport) -> Iterator[tuple[str, str, str]]:
    apart = report.index_count - report.table_count
    belong = "in the table, about" if report.depth == "approximate" else "in the table that belong"
    yield "Items", f"{report.table_count:,}", belong
    yield "Documents", f"{report.index_count:,}", _against(apart)
    yield _differences(report)
    yield _movement(report)
    lag = "not known" if report.lag_s is None else duration(report.lag_s)
    yield "Indexer behind", lag, "when the run began"
    yield "Read units", number(round(report.read_units, 1)), f"in {duration(report.seconds)}"


def _against(apart: int) -> str:
    return f"{abs(apart):,} {'more' if apart > 0 else 'fewer'} than items" if apart else "as many as items"


def _differences(report: ReconcileReport) -> tuple[str, str, str]:
    if report.depth == "approximate":
        return "Differences", "not known", "at this depth"
    tolerated = f"tolerance {report.tolerance:,}" if report.tolerance else ""
    if report.counts is not None:
        return "Unexplained", f"{report.differences:,}", tolerated or "by what was written meanwhile"
    mended = f"{report.mended:,} mended" if report.mended else ""
    return "Differences left", f"{report.differences:,}", ", ".join(filter(None, (mended, tolerated))) or "none allowed"


def _movement(report: ReconcileReport) -> tuple[str, str, str]:
    if report.depth == "approximate" and report.counts is not None:
        return "Age of the figure", duration(report.counts.table_age_s), "of the items, at most"
    if report.counts is not None:
        return "Written meanwhile", f"{report.counts.written:,}", "changes while counting"
    return "In motion", f"{report.comparison_made.in_motion:,}", "came right, or was written"
