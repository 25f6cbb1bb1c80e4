"""The tasks of the hourly clean-up."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.rebuild.cleanup import CleanUpPorts, CleanUpSettings, clean_up
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.hold import AirflowRunStates, target_hold
from dynamo_opensearch.wiring.acting_as import tell_acting_as
from dynamo_opensearch.wiring.followed_targets import followable_targets
from dynamo_opensearch.wiring.target_connections import TargetConnections


class ListTargetsOperator(BaseOperator):
    """Name the targets of this deployment."""

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - Airflow's signature
        """Return their names."""
        return followable_targets()


class CleanUpIndicesOperator(BaseOperator):
    """Delete what rebuilds of a target have left, when its time is over. Safe to run again, and to kill.

    :param target: name of the target.
    """

    template_fields: Sequence[str] = ("target",)

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what is kept, was deleted, and was left, and why."""
        tell_acting_as(self.target, self.log)
        instance = context["ti"]
        runs = AirflowRunStates(instance)
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            target = connections.target
            report = clean_up(
                CleanUpSettings(
                    alias=target.alias, index_base=target.index_base, keep_h=target.budgets.keep_previous_h
                ),
                instance.dag_id,
                instance.run_id,
                CleanUpPorts(
                    cluster=connections.cluster,
                    patient=connections.patient,
                    hold=target_hold(connections, context),
                    kept=connections.state("kept"),
                    block_notes=connections.state("swap"),
                    is_rebuild_finished=lambda run_id: runs.is_finished(f"{self.target}_reindex", run_id),
                    clock=connections.clock,
                ),
            )
        self.log.info("%s", report)
        return report.to_json()
