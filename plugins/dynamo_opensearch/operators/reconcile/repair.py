"""The tasks of a reconciliation that mend: a person's approval where much differs, and the repair itself."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.reconcile.history import last_of, load_nights
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.repairing import repair
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.object_storage import ObjectStorageRejectSink, path_part, reports_path
from dynamo_opensearch.operators.reconcile.files import work_files
from dynamo_opensearch.operators.reconcile.lists import known_since_us, list_keeper, list_of_differences
from dynamo_opensearch.operators.reconcile.results import SettledResult
from dynamo_opensearch.wiring.reconciling import repair_ports
from dynamo_opensearch.wiring.replaying import living_indices
from dynamo_opensearch.wiring.target_connections import TargetConnections

APPROVED, NOT_ASKED, REJECTED, UNANSWERED = "approved", "not asked", "rejected", "not answered in time"


class ApproveRepairOperator(ApprovalOperator):
    """Ask the target's approvers before more is mended than ``budgets.max_repairs`` allows. Never fails for a no.

    Returns ``approved``, ``not asked``, ``rejected`` or ``not answered in time``.

    :param plan: the plan.
    :param settled: what stands still.
    """

    template_fields: Sequence[str] = (*ApprovalOperator.template_fields, "plan", "settled")

    def __init__(self, *, plan: Any, settled: Any, **kwargs: Any) -> None:
        super().__init__(fail_on_reject=True, **kwargs)
        self.plan, self.settled = plan, settled

    def execute(self, context: Context) -> Any:
        """Ask, and wait without a worker slot, where the repair is larger than allowed."""
        to_repair, allowed = self.settled["to_repair"], self.settled["allowed"]
        if self.plan["repair"] != "apply" or to_repair <= allowed:
            self.log.info("nobody is asked: %d to repair, %d may be mended unasked", to_repair, allowed)
            return NOT_ASKED
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Return the answer."""
        try:
            super().execute_complete(context, event)
        except HITLRejectException:
            return REJECTED
        except HITLTimeoutError:
            return UNANSWERED
        return APPROVED


class RepairDifferencesOperator(BaseOperator):
    """Offer what differs to every living index and look again; or say what that would be; or hand on what was found.

    A second run is safe, and counts as the first would have.

    :param target: name of the target.
    :param plan: the plan.
    :param settled: what stands still.
    :param answer: what became of the approval.
    """

    template_fields: Sequence[str] = ("plan", "settled", "answer")

    def __init__(self, *, target: str, plan: Any, settled: Any, answer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.settled, self.answer = target, plan, settled, answer

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the comparison as it is afterwards."""
        plan, settled = ReconcilePlan.from_json(self.plan), SettledResult.from_json(self.settled)
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            if plan.repair == "none" or not settled.to_repair:
                result = settled
            elif plan.repair == "plan":
                result = replace(settled, note=self._planned(connections, settled, str(context["run_id"])))
            elif self.answer not in (APPROVED, NOT_ASKED):
                result = replace(settled, note=_not_repaired(settled, str(self.answer or "not given")))
            else:
                result = self._repaired(connections, plan, settled, str(context["run_id"]))
        self.log.info("%s", result.note or "nothing to repair in this run")
        return result.to_json(show_keys=True)  # what `settle` has handed on: hashed already, where they are not shown

    def _planned(self, connections: TargetConnections, settled: SettledResult, run_id: str) -> str:
        indices = [live.feed.index for live in living_indices(connections).current()]
        unasked = "unasked" if settled.to_repair <= settled.allowed else "after an approval"
        return (
            f"repair `apply` would offer {settled.to_repair:,} keys to {', '.join(indices)}, {unasked} "
            f"({settled.allowed:,} may be mended without one, budgets.max_repairs); the keys are in "
            f"{list_of_differences(connections.target, run_id)}"
        )

    def _repaired(
        self, connections: TargetConnections, plan: ReconcilePlan, settled: SettledResult, run_id: str
    ) -> SettledResult:
        target = connections.target
        nights = load_nights(connections.state("reconciliations"))
        folder = reports_path(connections.environment.reports) / "rejects" / target.name / path_part(run_id)
        ports = repair_ports(
            connections,
            plan,
            work_files(target, run_id),
            list_keeper(target, run_id),
            known_since_us(last_of(nights, "keys", "content")),
            lambda index: ObjectStorageRejectSink(folder / self.task_id / index),
        )
        comparison = repair(settled.comparison, plan.began_us, ports)
        self.log.info("%s", comparison)
        note = f"{comparison.mended:,} of {settled.to_repair:,} differences were mended"
        if comparison.rejected:
            note += f"; {comparison.rejected:,} documents were refused, with reasons in {folder / self.task_id}"
        return replace(settled, comparison=comparison, note=note)


def _not_repaired(settled: SettledResult, answer: str) -> str:
    return (
        f"nothing was repaired: {settled.to_repair:,} keys differ, {settled.allowed:,} may be mended unasked "
        f"(budgets.max_repairs), and the approval was {answer}"
    )
