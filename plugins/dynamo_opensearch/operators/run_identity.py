"""The run that a task belongs to, as the core knows it."""

from typing import Any, cast

from airflow.sdk import Context

from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.wiring.deployment import deployment_name


def run_of(context: Context) -> Run:
    """Deployment, DAG and run; and when it was triggered: before it began, however long it had to wait for its turn."""
    instance, run = context["ti"], cast("Any", context)["dag_run"]
    moments = [moment for moment in (run.run_after, run.start_date) if moment is not None]
    return Run(
        deployment=deployment_name(),
        dag_id=instance.dag_id,
        run_id=instance.run_id,
        triggered_us=round(min(moments).timestamp() * 1e6),
    )
