"""The copy of an index by OpenSearch itself."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.rebuild.plan import RebuildPlan
from dynamo_opensearch.core.rebuild.server_copy import (
    ServerCopyPorts,
    ServerCopySettings,
    cancel_reindex,
    copy_by_reindex,
)
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.task_state import progress_store
from dynamo_opensearch.wiring.target_connections import TargetConnections, load_target

COPY_KEY = "server-copy"


class CopyIndexOperator(BaseOperator):
    """Copy the old index into the new one by _reindex. A retry goes on watching the copy that is running.

    ``budgets.reindex_requests_per_s`` of the target file is read again while it runs. Stopping the task cancels it.

    :param target: name of the target.
    :param plan: the rebuild's plan.
    :param prepared: the new index.
    :param is_wanted: skip without it.
    """

    template_fields: Sequence[str] = ("plan", "prepared", "is_wanted")

    def __init__(self, *, target: str, plan: Any, prepared: Any, is_wanted: bool | str = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.prepared, self.is_wanted = target, plan, prepared, is_wanted
        self._running: tuple[ServerCopySettings, TargetConnections] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the report: counts as OpenSearch answered."""
        if not self.is_wanted:
            raise AirflowSkipException("this run copies the table")
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            settings = self._settings(connections, str(context["run_id"]))
            self._running = settings, connections
            report = copy_by_reindex(
                settings,
                ServerCopyPorts(
                    cluster=connections.cluster,
                    patient=connections.patient,
                    store=progress_store(context, connections.patient, COPY_KEY),
                    clock=connections.clock,
                    wish=lambda: load_target(self.target).budgets.reindex_requests_per_s,
                ),
            )
        self.log.info("%s", report)
        return report.to_json()

    def on_kill(self) -> None:
        """Cancel the copy: nobody watches it any more."""
        if self._running is not None:
            settings, connections = self._running
            self.log.info("cancelled %d copies", cancel_reindex(settings, connections.patient))

    def _settings(self, connections: TargetConnections, run_id: str) -> ServerCopySettings:
        plan, budgets = RebuildPlan.from_json(self.plan), connections.target.budgets
        return ServerCopySettings(
            run_id=run_id,
            from_index=plan.from_index,
            from_uuid=plan.from_uuid,
            to_index=plan.to_index,
            to_uuid=self.prepared["uuid"],
            alias=plan.alias,
            marker=plan.marker,
            slices=budgets.reindex_slices,
            bulk_bytes=budgets.bulk_bytes,
        )
