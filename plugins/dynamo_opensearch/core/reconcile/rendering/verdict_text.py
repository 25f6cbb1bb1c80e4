"""The verdict in one sentence, what it cannot say, and what to do next."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.reconcile.dag_ids import reconcile_dag_id
from dynamo_opensearch.core.reconcile.rendering.words import counted, duration, listed
from dynamo_opensearch.core.reconcile.report import ReconcileReport

MUCH = 0.1
"""Share of the items from which on a new backfill is the shorter way than a repair."""

_ONE_AND_MANY = {
    "missing": ("document missing in the index", "documents missing in the index"),
    "orphaned": ("orphaned document", "orphaned documents"),
    "stale": ("stale document", "stale documents"),
    "refused": ("item refused by the field rules", "items refused by the field rules"),
}


@dataclass(frozen=True)
class Step:
    """What to do, and the DAG to start for it with its parameters; by hand where there is none."""

    text: str
    dag_id: str | None = None
    parameters: dict[str, str] | None = None

    @property
    def command(self) -> str | None:
        """For a shell."""
        if self.dag_id is None:
            return None
        conf = f" --conf '{json.dumps(self.parameters)}'" if self.parameters else ""
        return f"airflow dags trigger {self.dag_id}{conf}"


def label(report: ReconcileReport) -> str:
    """The verdict in a few words."""
    if report.verdict == "in motion" and report.moved_to is not None:
        return "No verdict"
    if report.verdict == "equal" and report.differences:
        return "Equal within the tolerance"
    if report.verdict == "equal" and report.mended:
        return "Equal after repair"
    return report.verdict.capitalize()


def headline(report: ReconcileReport) -> str:
    """What the run says, in one sentence."""
    if report.verdict == "in motion" and report.moved_to is not None:
        return f"Alias {report.subject.alias} was moved while {report.subject.index} was compared."
    return _of_keys(report) if report.counts is None else _of_counts(report, report.counts)


def caveat(report: ReconcileReport) -> str:
    """What the run does not say, or nothing."""
    if report.verdict == "in motion" and report.moved_to is not None:
        return f"It leads to {report.moved_to} now; what stands below is about the index that it led to before."
    if report.verdict == "approximate" and report.counts is not None:
        return f"The table's figure may be {duration(report.counts.table_age_s)} old: this proves nothing."
    if report.counts is not None and report.verdict == "different":
        return "Which ones cannot be told at this depth."
    if report.counts is not None and report.verdict == "equal":
        return "Whether they are the right ones cannot be told at this depth."
    if report.counts is not None:
        return "Whether anything is wrong cannot be told at this depth."
    if not report.comparison_made.is_settled:
        unsettled = counted(report.comparison_made.unsettled, "of them was", "of them were")
        return f"{unsettled} not looked at again, so some may only be late."
    return "What the documents say was not compared at this depth." if report.depth == "keys" else ""


def next_steps(report: ReconcileReport) -> list[Step]:
    """What to do now, the first thing first; nothing where all is well."""
    if report.verdict == "approximate":
        return [Step("To know, count both sides.", reconcile_dag_id(report.subject.target), {"depth": "count"})]
    if report.verdict == "in motion" and report.moved_to is not None:
        dag_id, depth = reconcile_dag_id(report.subject.target), report.depth
        return [Step("Compare the index that the alias leads to now.", dag_id, {"depth": depth})]
    if report.verdict != "different":
        return []
    if report.counts is not None:
        return [Step("Find out which documents differ.", reconcile_dag_id(report.subject.target), {"depth": "content"})]
    causes = [Step("See first to what else is wrong; it is listed below.")] if report.causes else []
    if report.repair == "apply":
        return [*causes, *_refusals(report), *_mending(report)]
    return [*causes, *_mending(report), *_refusals(report)]


def _of_counts(report: ReconcileReport, counts: SideCounts) -> str:
    items, documents = counted(report.table_count, "item"), counted(report.index_count, "document")
    if report.verdict == "approximate":
        return f"About {items} and {documents}."
    if not counts.difference:
        return f"As many documents as items: {report.table_count:,} each."
    apart = f"{abs(counts.difference):,} {'more' if counts.difference > 0 else 'fewer'} documents than items"
    if report.verdict == "in motion" and counts.unexplained:
        return f"{apart}, {counts.unexplained:,} beyond what was written meanwhile: within the tolerance."
    if report.verdict == "in motion":
        return f"{apart}, which the {counted(counts.written, 'change')} written meanwhile can explain."
    written = f"only {counted(counts.written, 'change was', 'changes were')}" if counts.written else "nothing was"
    return f"{apart}, though {written} written meanwhile."


def _of_keys(report: ReconcileReport) -> str:
    kinds = listed([counted(count, *_ONE_AND_MANY[kind]) for kind, count in report.by_kind.items() if count])
    if report.verdict == "different":
        return f"{counted(report.differences, 'difference')}: {kinds}."
    if report.differences:
        tolerated = f"within the tolerance of {report.tolerance:,}"
        return f"{counted(report.differences, 'difference')}, {tolerated}: {kinds}."
    if report.table_count == 0 and not report.mended:
        return "The table has no item that belongs, and the index has no document."
    every = "The one item is" if report.table_count == 1 else f"All {report.table_count:,} items are"
    said = f"{every} in the index{' with the right content' if report.depth == 'content' else ''}, and nothing else is"
    mended = counted(report.mended, "difference was found and mended", "differences were found and mended")
    return f"{said}; {mended}." if report.mended else f"{said}."


def _mending(report: ReconcileReport) -> Iterator[Step]:
    made = report.comparison_made
    beyond_repair = made.refused + (made.rejected if report.repair == "apply" else 0)
    if report.differences <= beyond_repair:
        return
    if made.missing > MUCH * report.table_count:
        yield Step(
            "Much of the table is missing: filling the index anew is shorter.", f"{report.subject.target}_backfill"
        )
    if report.repair == "none":
        yield Step(
            "See what a repair would do.",
            reconcile_dag_id(report.subject.target),
            {"depth": report.depth, "repair": "plan"},
        )
    text = "Mend what differs; it is compared once more afterwards."
    if report.repair == "apply":
        text = "See to the reasons why the repair left something, then mend once more."
    yield Step(text, reconcile_dag_id(report.subject.target), {"depth": report.depth, "repair": "apply"})


def _refusals(report: ReconcileReport) -> Iterator[Step]:
    made = report.comparison_made
    if made.rejected:
        yield Step(
            f"OpenSearch refused {counted(made.rejected, 'document')} of those that were offered. Correct the items, "
            "or rebuild the index with a mapping that takes them.",
            f"{report.subject.target}_reindex",
            {"mapping": "<file below include/mappings>"},
        )
    if made.refused:
        yield Step(
            f"The field rules make no document of {counted(made.refused, 'item')}, and no repair can. Correct the "
            "items, or the rules under documents in the target's file."
        )
