"""The first tasks of a rebuild: plan, make the new index; and its copy by OpenSearch itself."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.follow.starts import note_start
from dynamo_opensearch.core.rebuild.next_index import make_next_index
from dynamo_opensearch.core.rebuild.plan import RebuildPlan, RebuildWishes
from dynamo_opensearch.core.rebuild.planning import plan_rebuild
from dynamo_opensearch.core.state.holder import REBUILD
from dynamo_opensearch.core.stream.position import StreamPosition
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.hold import AirflowRunStates, keep_hold
from dynamo_opensearch.operators.object_storage import ObjectStorageRejectSink, path_part, reports_path
from dynamo_opensearch.wiring.rebuilding import rebuild_plan_ports
from dynamo_opensearch.wiring.target_connections import TargetConnections


class PlanRebuildOperator(BaseOperator):
    """Look at table, alias and indices, try the mapping on sample items, refuse what does not fit. Makes nothing.

    :param target: name of the target.
    :param source: ``table`` or ``index``.
    :param mapping: another mapping file than the target's.
    :param keep_previous_h: hours that the replaced index is kept; None: the target's.
    """

    template_fields: Sequence[str] = ("source", "mapping", "keep_previous_h")

    def __init__(
        self,
        *,
        target: str,
        source: str = "table",
        mapping: str | None = None,
        keep_previous_h: float | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target, self.source, self.mapping, self.keep_previous_h = target, source, mapping, keep_previous_h

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the plan; that of the swap is under the XCom key ``swap``."""
        instance = context["ti"]
        runs = AirflowRunStates(instance)
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            keep_hold(connections, context, REBUILD)
            folder = reports_path(connections.environment.reports) / "rejects" / self.target
            plan = plan_rebuild(
                connections.target,
                connections.mapping(self.mapping),
                connections.builder,
                connections.stamps,
                RebuildWishes(
                    source="index" if self.source == "index" else "table",
                    keep_previous_h=None if self.keep_previous_h is None else float(self.keep_previous_h),
                ),
                instance.run_id,
                rebuild_plan_ports(
                    connections,
                    ObjectStorageRejectSink(folder / path_part(instance.run_id) / self.task_id),
                    lambda run_id: runs.is_finished(instance.dag_id, run_id),
                ),
            )
        self.log.info("%s", plan)
        if plan.mapping_file != connections.target.mapping:
            self.log.info("after the swap, write `mapping: %s` into the target file", plan.mapping_file)
        instance.xcom_push(key="swap", value=plan.swap_plan(instance.run_id).to_json())
        return plan.to_json()


class MakeNextIndexOperator(BaseOperator):
    """Make the new index behind its marker, or take on the one that an earlier run left. Safe to run again.

    :param target: name of the target.
    :param plan: the rebuild's plan.
    """

    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, target: str, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan = target, plan

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the index: ``index``, ``uuid``, ``is_loosened``."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            keep_hold(connections, context, REBUILD)
            plan = RebuildPlan.from_json(self.plan)
            begin = StreamPosition(not_before_us=plan.follow_from_us)
            note_start(connections.state("starts"), plan.to_index, begin)  # before the marker shows it to the follower
            prepared = make_next_index(
                plan,
                connections.mapping(plan.mapping_file),
                connections.builder,
                context["ti"].run_id,
                connections.patient,
            )
        self.log.info("%s", prepared)
        return prepared.to_json()
