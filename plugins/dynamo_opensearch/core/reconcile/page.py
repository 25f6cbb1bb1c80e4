"""The page of a reconciliation: one file, without scripts and without anything from elsewhere."""

from collections.abc import Sequence

from dynamo_opensearch.core.reconcile.charts import counts_chart, differences_chart, lag_chart
from dynamo_opensearch.core.reconcile.history import KEPT_NIGHTS, drift_lines
from dynamo_opensearch.core.reconcile.rendering.findings import causes_card, findings_card
from dynamo_opensearch.core.reconcile.rendering.markup import Html, each, element, together
from dynamo_opensearch.core.reconcile.rendering.record import about_card, runs_card
from dynamo_opensearch.core.reconcile.rendering.style import style_sheet
from dynamo_opensearch.core.reconcile.rendering.summary import steps_card, tiles, verdict_card
from dynamo_opensearch.core.reconcile.rendering.symbols import fills
from dynamo_opensearch.core.reconcile.rendering.verdict_text import label
from dynamo_opensearch.core.reconcile.rendering.words import counted, moment, sentence
from dynamo_opensearch.core.reconcile.report import Night, ReconcileReport


def render_page(report: ReconcileReport, nights: Sequence[Night], *, differences_file: str | None) -> str:
    """The page as HTML. The same arguments give the same page.

    Args:
        report: the run; its samples are shown as they are, so they are hashed before where they must be.
        nights: earlier runs, in any order, with this one or without; the newest are shown.
        differences_file: where the list of the keys that differ is, if there is one.
    """
    shown = _shown(report, nights, differences_file)
    title = f"{report.subject.target}: {label(report)}, {moment(report.began_us)}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="robots", content="noindex"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Html(style_sheet())),
    )
    main = element(
        "main",
        verdict_card(report, shown),
        steps_card(report),
        tiles(report),
        causes_card(report),
        *_findings_and_history(report, shown),
        runs_card(shown, report.run_id),
        about_card(report, differences_file),
    )
    body = element("body", fills(), main)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _findings_and_history(report: ReconcileReport, nights: Sequence[Night]) -> list[Html]:
    """What the reader came for comes first."""
    cards = [findings_card(report), _history(report, nights)]
    return cards if report.verdict == "different" or report.mended else cards[::-1]


def _shown(report: ReconcileReport, nights: Sequence[Night], differences_file: str | None) -> list[Night]:
    """What had been when the run began, and the run itself, the oldest first."""
    earlier = [one for one in nights if one.run_id != report.run_id and one.began_us <= report.began_us]
    in_order = sorted(earlier, key=lambda night: night.began_us)
    return [*in_order, Night.of(report, differences_file)][-KEPT_NIGHTS:]


def _history(report: ReconcileReport, nights: Sequence[Night]) -> Html:
    lines = [sentence(line) for line in drift_lines(report, nights)]
    if not lines:
        lines = ["This is the first run that is kept at this depth."]
    span = f"{counted(len(nights), 'run')}, each a column." if len(nights) > 1 else ""
    charts = (chart(nights, report.run_id) for chart in (counts_chart, differences_chart, lag_chart))
    return element(
        "section",
        element("h2", "Over the nights"),
        element("div", each("p", filter(None, [*lines, span])), class_="quiet"),
        element("div", together(*charts), class_="charts"),
        class_="card long",
    )
