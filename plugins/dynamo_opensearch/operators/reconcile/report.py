"""The end of a reconciliation: its report for people, for the nights to come and for other DAGs; and the gate."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.reconcile.clearing import clear_parked
from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.reconcile.gate import check_reconciled
from dynamo_opensearch.core.reconcile.history import drift_lines, keep_night, load_nights
from dynamo_opensearch.core.reconcile.page import render_page
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.report import Night, ReconcileReport
from dynamo_opensearch.operators.dead_letter_files import parking_of
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.reconcile.files import PAGE, REPORT, run_folder, write_private
from dynamo_opensearch.operators.reconcile.lists import list_of_differences
from dynamo_opensearch.operators.reconcile.page_link import ReconciliationPageLink
from dynamo_opensearch.operators.reconcile.results import SettledResult
from dynamo_opensearch.wiring.replaying import living_indices
from dynamo_opensearch.wiring.target_connections import TargetConnections, load_target


class ReportReconciliationOperator(BaseOperator):
    """Write the report as JSON and as a page, keep it in the state index, clear what it makes needless.

    A second run is safe: it replaces what the first has written.

    :param target: name of the target.
    :param plan: the plan.
    :param counted: what counting returned; None where keys were compared.
    :param settled: what stood still, repaired or not; None where only counts were compared.
    """

    template_fields: Sequence[str] = ("plan", "counted", "settled")
    operator_extra_links = (ReconciliationPageLink(),)

    def __init__(self, *, target: str, plan: Any, counted: Any, settled: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.counted, self.settled = target, plan, counted, settled

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Return the report."""
        plan = ReconcilePlan.from_json(self.plan)
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            behind = index_behind(connections.patient, plan.subject.alias, connections.target.index_base)
            report = replace(
                self._report(plan, connections.clock.time_us()),
                moved_to=None if behind == plan.subject.index else behind or "nothing",
            )
            report = self._cleared(connections, report)
            nights = self._keep(connections, report)
        for line in (*drift_lines(report, nights), *report.causes):
            self.log.info("%s", line)
        self.log.info("%s: %d differences", report.verdict, report.differences)
        return report.to_json()

    def _report(self, plan: ReconcilePlan, now_us: int) -> ReconcileReport:
        common: dict[str, Any] = {
            "subject": plan.subject,
            "run_id": plan.run_id,
            "depth": plan.depth,
            "repair": plan.repair,
            "began_us": plan.began_us,
            "ended_us": now_us,
            "tolerance": plan.tolerance,
            "lag_s": plan.lag_s,
        }
        if not plan.compares_keys:
            counts, causes = SideCounts.from_json(self.counted["counts"]), tuple(self.counted["causes"])
            return ReconcileReport(**common, counts=counts, causes=causes)
        settled = SettledResult.from_json(self.settled)
        return ReconcileReport(
            **common,
            comparison=settled.comparison,
            to_repair=settled.to_repair,
            repair_note=settled.note,
            causes=settled.causes,
            known=settled.known,
            oldest_us=settled.oldest_us,
        )

    def _cleared(self, connections: TargetConnections, report: ReconcileReport) -> ReconcileReport:
        if report.verdict != "equal":
            return report  # nothing is proven; and where the alias was taken away there may be no living index
        living = len(living_indices(connections).current())
        cleared = clear_parked(report, living, parking_of(connections), connections.stamps)
        if cleared:
            self.log.info("%d parked dead letters are needless now, and were removed", cleared)
        return replace(report, cleared=cleared)

    def _keep(self, connections: TargetConnections, report: ReconcileReport) -> list[Night]:
        """Write report and page, keep the run among the nights; all nights up to this one."""
        target, store = connections.target, connections.state("reconciliations")
        keys_file = list_of_differences(target, report.run_id) if report.comparison is not None else None
        keep_night(store, Night.of(report, keys_file))
        nights = load_nights(store)
        folder = run_folder(target, report.run_id)
        write_private(folder / REPORT, orjson.dumps(report.to_json(), option=orjson.OPT_INDENT_2))
        write_private(folder / PAGE, render_page(report, nights, differences_file=keys_file).encode())
        self.log.info("report and page are in %s", folder)
        return nights


class JudgeReconciliationOperator(BaseOperator):
    """Fail where index and table differ by more than the target puts up with; skip where this depth cannot tell.

    Its success is the asset event that says that both sides were equal.

    :param target: name of the target.
    :param report: the report.
    """

    template_fields: Sequence[str] = ("report",)
    operator_extra_links = (ReconciliationPageLink(),)

    def __init__(self, *, target: str, report: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.report = target, report

    def execute(self, context: Context) -> None:
        """Raise AirflowFailException or AirflowSkipException unless both sides are equal."""
        report = ReconcileReport.from_json(self.report)
        with failures_for_airflow():
            target = load_target(self.target)
            check_reconciled(report, str(run_folder(target, report.run_id) / PAGE))
        if report.verdict != "equal":
            raise AirflowSkipException(_untold(report))
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {
                name: getattr(report, name) for name in ("run_id", "depth", "table_count", "index_count", "mended")
            }
        self.log.info("equal: %d items, %d documents", report.table_count, report.index_count)


def _untold(report: ReconcileReport) -> str:
    """Why a verdict is neither equal nor different."""
    if report.moved_to is not None:
        return f"the alias was moved to {report.moved_to!r} while {report.subject.index!r} was compared: start again"
    if report.verdict == "approximate":
        return "the figures of this depth may be hours old, so they are no verdict: use count, keys or content"
    return "the counts differ by no more than was written meanwhile: depth keys would tell whether that is all"
