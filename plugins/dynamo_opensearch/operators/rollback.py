"""The first task of a rollback."""

from typing import Any

from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.rebuild.rollback import RollbackPorts, plan_rollback
from dynamo_opensearch.core.state.holder import ROLLBACK
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.hold import keep_hold
from dynamo_opensearch.wiring.target_connections import TargetConnections


class PlanRollbackOperator(BaseOperator):
    """Look at the index that is in use and at the previous one, refuse what does not fit, warn. Changes nothing.

    :param target: name of the target.
    """

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the plan; that of the swap is under the XCom key ``swap``."""
        instance = context["ti"]
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            keep_hold(connections, context, ROLLBACK)
            ports = RollbackPorts(
                cluster=connections.patient,
                kept=connections.state("kept"),
                block_notes=connections.state("swap"),
                follow=connections.state("follow"),
                clock=connections.clock,
            )
            plan = plan_rollback(connections.target, ports)
        self.log.info("%s", plan)
        instance.xcom_push(key="swap", value=plan.swap_plan(instance.run_id).to_json())
        return plan.to_json()
