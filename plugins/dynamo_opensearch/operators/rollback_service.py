"""The tasks of a service's rollback: plan, change, start the replay. The wait between is a sensor."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.services.changing import make_change
from dynamo_opensearch.core.services.plan import ServiceRollbackPlan
from dynamo_opensearch.core.services.planning import plan_service_rollback
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.hold import AirflowRunStates
from dynamo_opensearch.operators.run_identity import run_of
from dynamo_opensearch.wiring.acting_as import tell_acting_as
from dynamo_opensearch.wiring.services import check_replay_of, component_of, recorded_changes
from dynamo_opensearch.wiring.target_connections import TargetConnections


class PlanServiceRollbackOperator(BaseOperator):
    """Find out what the component served before, and say what would go back to what. Changes nothing.

    :param target: name of the target.
    :param component: ``ecs``, ``lambda_api`` or ``lambda_indexer``.
    :param replay: a replay of the dead letters is to follow; refused where there is none to follow.
    """

    template_fields: Sequence[str] = ("component", "replay")

    def __init__(self, *, target: str, component: str, replay: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.component, self.replay = target, component, replay

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the plan."""
        tell_acting_as(self.target, self.log)
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            if self.replay:
                check_replay_of(connections, self.component)
            component = component_of(connections, self.component)
            plan = plan_service_rollback(self.target, component, recorded_changes(connections), run_of(context))
        self.log.info("%s", plan)
        return plan.to_json()


class RollBackServiceOperator(BaseOperator):
    """Record what is replaced by what, then do it. Safe to run again, also after a kill.

    :param target: name of the target.
    :param plan: the plan.
    :param is_wanted: skip without it: a dry run.
    """

    template_fields: Sequence[str] = ("plan", "is_wanted")

    def __init__(self, *, target: str, plan: Any, is_wanted: bool | str = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.is_wanted = target, plan, is_wanted

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what is in service now."""
        if not self.is_wanted:
            raise AirflowSkipException(
                "dry run: nothing was changed; start it with dry_run false to do what was planned"
            )
        plan, run = ServiceRollbackPlan.from_json(self.plan), run_of(context)
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            component, changes = component_of(connections, plan.component), recorded_changes(connections)
            planned = plan.change(run.deployment, run.dag_id, run.run_id)
            now = make_change(planned, plan.after, component, changes)
        self.log.info("%s: %s in place of %s", plan.resource, now, plan.was)
        return now.to_json()


class StartReplayOperator(TriggerDagRunOperator):
    """Start the replay of dead letters, once for each run; does not wait for it. Safe to run again.

    :param is_wanted: skip without it.
    """

    template_fields: Sequence[str] = (*TriggerDagRunOperator.template_fields, "is_wanted")

    def __init__(self, *, is_wanted: bool | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.is_wanted = is_wanted

    def execute(self, context: Context) -> None:
        """Start it, unless an earlier try did."""
        if not self.is_wanted:
            raise AirflowSkipException("no replay was asked for")
        if AirflowRunStates(context["ti"]).is_known(self.trigger_dag_id, str(self.trigger_run_id)):
            self.log.info("run %r of DAG %r was started by an earlier try", self.trigger_run_id, self.trigger_dag_id)
            return
        super().execute(context)
