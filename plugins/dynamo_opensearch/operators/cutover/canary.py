"""The indexer tried on an item of its own, which goes again whatever happened."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.cutover.canary.item import Canary, mark_of
from dynamo_opensearch.core.offer.rejects import RejectSink
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.object_storage import ObjectStorageRejectSink, path_part, reports_path
from dynamo_opensearch.wiring.canary import check_canary, planned_canary, take_canary_back, try_indexer, why_no_canary
from dynamo_opensearch.wiring.deployment import deployment_name
from dynamo_opensearch.wiring.target_connections import TargetConnections

CANARY_KEY = "canary"


class FlyCanaryOperator(BaseOperator):
    """Write, change and remove an item, and see each in the index: the live indexer works. Safe to run again.

    Waits in its worker slot, for seconds where the indexer keeps up. The item is under the XCom key ``canary`` before
    it is written. Skipped where the target file has no indexer, or says that there shall be no canary.

    :param target: name of the target.
    :param mapping: UUID of the event source mapping; None: the target file's.
    :param wait_s: seconds after which a change that does not arrive fails the task.
    """

    template_fields: Sequence[str] = ("mapping",)

    def __init__(self, *, target: str, mapping: Any = None, wait_s: float = 600.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.mapping, self.wait_s = target, mapping, wait_s

    def execute(self, context: Context) -> dict[str, float]:
        """Return the seconds that each change took: ``written_s``, ``changed_s``, ``removed_s``."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            if why := why_no_canary(connections):
                raise AirflowSkipException(why)
            canary = _planned(connections, context)
            check_canary(connections, canary)
            context["ti"].xcom_push(key=CANARY_KEY, value=canary.to_json())
            report = try_indexer(connections, canary, self.mapping or None, self.wait_s)
        self.log.info("%s", report)
        return report.to_json()


class RemoveCanaryOperator(BaseOperator):
    """Remove the canary's item from the table, and its document where that was left. Use as a teardown. Safe again.

    Skipped where the canary's task has not run.

    :param target: name of the target.
    :param canary: task id of the canary.
    """

    def __init__(self, *, target: str, canary: str = "canary", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.canary = target, canary

    def execute(self, context: Context) -> None:
        """Fails, and is tried again, when the document is still there."""
        if not self._has_run(context):
            raise AirflowSkipException("no canary was written in this run")
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            canary = self._flown(connections, context)
            item, document = take_canary_back(connections, canary, self._sinks(connections, context))
        self.log.info(
            "the canary's item %s, its document %s",
            "was removed" if item else "was gone already",
            "was removed after it" if document else "is gone",
        )

    def _has_run(self, context: Context) -> bool:
        instance = context["ti"]
        states = instance.get_task_states(dag_id=instance.dag_id, task_ids=[self.canary], run_ids=[instance.run_id])
        return states.get(instance.run_id, {}).get(self.canary) not in (None, "skipped", "upstream_failed", "removed")

    def _flown(self, connections: TargetConnections, context: Context) -> Canary:
        """What was written; where a try was killed before it said so, what it would have been."""
        written = context["ti"].xcom_pull(task_ids=self.canary, key=CANARY_KEY)
        return _planned(connections, context) if written is None else Canary.from_json(written)

    def _sinks(self, connections: TargetConnections, context: Context) -> Any:
        folder = reports_path(connections.environment.reports) / "rejects" / self.target

        def sink_for(index: str) -> RejectSink:
            return ObjectStorageRejectSink(folder / path_part(str(context["run_id"])) / self.task_id / index)

        return sink_for


def _planned(connections: TargetConnections, context: Context) -> Canary:
    instance = context["ti"]
    mark = mark_of(deployment_name(), instance.dag_id, instance.run_id)
    return planned_canary(connections, mark, instance.try_number)
