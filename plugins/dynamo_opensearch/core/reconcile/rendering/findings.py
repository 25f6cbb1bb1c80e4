"""What differs: by kind, in which fields, for example where; what was in motion, refused or not looked at again."""

from collections.abc import Iterator

from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.reconcile.rendering.canvas import percent
from dynamo_opensearch.core.reconcile.rendering.kinds import kinds_table
from dynamo_opensearch.core.reconcile.rendering.markup import Html, code, each, element
from dynamo_opensearch.core.reconcile.rendering.symbols import BY_KIND, swatch
from dynamo_opensearch.core.reconcile.rendering.words import counted, duration, moment, number, sentence, signed
from dynamo_opensearch.core.reconcile.report import ReconcileReport

_MOST_FIELDS = 12
_WHOLE = "(the document as a whole)"


def findings_card(report: ReconcileReport) -> Html:
    """Everything that was found."""
    if report.counts is not None:
        return _counts_card(report.counts, report.depth)
    made = report.comparison_made
    if not (made.found.suspects or made.refused):
        agreed = f"All {made.equal:,} items and documents agreed at the first reading."
        return element("section", element("h2", "Differences by kind"), element("p", agreed), class_="card")
    return element(
        "section",
        element("h2", "Differences by kind"),
        kinds_table(made),
        element("p", _adds_up(made), class_="quiet"),
        _fields(made),
        _samples(made),
        class_="card long",
    )


def causes_card(report: ReconcileReport) -> Html | None:
    """What else is wrong, what became of the repair, and what has to be known of the numbers."""
    told = [("What else is wrong", [sentence(cause) for cause in report.causes]), ("Notes", list(_notes(report)))]
    parts = [(title, element("ul", each("li", lines), class_="notes")) for title, lines in told if lines]
    if not parts:
        return None
    columns = (element("div", element("h2", title), lines) for title, lines in parts)
    return element("section", element("div", *columns, class_="split" if len(parts) > 1 else None), class_="card")


def _counts_card(counts: SideCounts, depth: str) -> Html:
    rows = [
        (
            "Items in the table" if depth == "approximate" else "Items in the table that belong",
            number(counts.table_count),
        ),
        ("Documents in the index", number(counts.index_count)),
        ("Documents against items", signed(counts.difference)),
    ]
    if depth == "approximate":
        rows.append(("Age of the table's figure, at most", duration(counts.table_age_s)))
    else:
        rows.append(("Changes written while counting", number(counts.written)))
        rows.append(("Differences that those cannot explain", number(counts.unexplained)))
    lines = (
        element("tr", element("th", what, scope="row"), element("td", value, class_="number")) for what, value in rows
    )
    table = element("table", element("tbody", *lines), class_="plain")
    remarks = element("ul", each("li", counts.remarks), class_="notes quiet") if counts.remarks else None
    return element("section", element("h2", "Both counts"), table, remarks, class_="card")


def _adds_up(made: ComparisonReport) -> str:
    found = made.found.suspects + made.found.refused
    return (
        f"{made.equal:,} agreed at the first reading. {counted(found, 'difference')} then = {made.differences:,} left"
        f" + {made.mended:,} mended + {made.in_motion:,} in motion (came right by themselves, or were written while "
        "they were looked at). A difference may turn out to be of another kind when it is looked at again."
    )


def _fields(made: ComparisonReport) -> Html | None:
    fields = sorted(made.differing_fields.items(), key=lambda one: (-one[1], one[0]))
    if not fields:
        return None
    most = fields[0][1]
    shown, rest = fields[:_MOST_FIELDS], fields[_MOST_FIELDS:]
    rows = (
        element("li", code(name or _WHOLE), _track(count / most), element("span", number(count), class_="number"))
        for name, count in shown
    )
    more = f"And {counted(len(rest), 'field')} more, in {counted(sum(count for _, count in rest), 'document')}."
    return element(
        "div",
        element("h3", "Where stale documents begin to differ"),
        element(
            "p", "The first field, in the order of names, that is not the same; mended ones count.", class_="quiet"
        ),
        element("ul", *rows, class_="fields"),
        element("p", more, class_="quiet") if rest else None,
        class_="samples",
    )


def _track(share: float) -> Html:
    rectangle = element("rect", width=percent(max(1.0, 100 * share)), height="100%", rx=3)
    return element("svg", rectangle, class_="track", aria_hidden="true", preserveAspectRatio="none")


def _samples(made: ComparisonReport) -> Html | None:
    samples = [(mark, made.samples[kind]) for kind, mark in BY_KIND.items() if made.samples.get(kind)]
    if not samples:
        return None
    groups = (
        element(
            "div",
            element("h4", swatch(mark), mark.title),
            element("ul", *(element("li", code(one)) for one in ids), class_="ids"),
        )
        for mark, ids in samples
    )
    return element(
        "div",
        element("h3", "For example"),
        element(
            "p",
            "Document ids, hashed unless the target's show_keys allows them; mended ones are among them.",
            class_="quiet",
        ),
        *groups,
        class_="samples",
    )


def _notes(report: ReconcileReport) -> Iterator[Html | str]:
    if report.repair_note:
        yield sentence(report.repair_note)
    if report.known and report.oldest_us is not None:
        known = counted(report.known, "difference was", "differences were")
        yield f"{known} found by an earlier run already, the oldest on {moment(report.oldest_us)}."
    made = report.comparison
    if made is not None:
        if made.unsettled:
            yield f"{counted(made.unsettled, 'difference')} not looked at again: too many, or no key can be told."
        if made.in_motion:
            yield f"{counted(made.in_motion, 'difference')} in motion: no fault, and not counted as differences."
        if made.refused:
            yield f"{counted(made.refused, 'item')} of which the field rules make no document."
        if made.rejected:
            yield f"{counted(made.rejected, 'document')} refused by OpenSearch when offered."
        offers = made.offers
        if offers.offered:
            yield (
                f"{counted(offers.offered, 'document')} offered = {offers.indexed:,} indexed + {offers.deleted:,} "
                f"deleted + {offers.stale:,} that the index had newer + {offers.rejected:,} refused."
            )
        if made.skipped:
            yield f"{counted(made.skipped, 'item')} of the table do not belong and were passed over."
    if report.cleared:
        yield f"{counted(report.cleared, 'parked dead letter')} made needless by this run, and cleared."
