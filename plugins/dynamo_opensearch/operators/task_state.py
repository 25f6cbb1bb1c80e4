"""Where a task's progress is kept: Airflow's task state store from 3.3 on, the state index before that."""

from typing import Any, cast

from airflow.sdk import Context

from dynamo_opensearch.core.backfill.progress import ProgressStore
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.state.index_store import IndexStateStore
from dynamo_opensearch.wiring.deployment import state_index

PROGRESS_KEY = "progress"


class TaskStateStore:
    """One key of Airflow's task state store, which is kept by run, task and map index."""

    def __init__(self, accessor: Any, key: str) -> None:
        self._accessor, self._key = accessor, key

    def load(self) -> dict[str, Any] | None:
        """What was saved last, or None."""
        return cast("dict[str, Any] | None", self._accessor.get(self._key))

    def save(self, value: dict[str, Any]) -> None:
        """Replace it."""
        self._accessor.set(self._key, value)


def progress_store(context: Context, cluster: PatientCluster, name: str) -> ProgressStore:
    """The store of this task instance under a name, the same for each of its tries."""
    accessor = cast("dict[str, Any]", context).get("task_state_store")
    if accessor is not None:
        return TaskStateStore(accessor, name)
    instance = context["ti"]
    key = "|".join((name, instance.dag_id, instance.run_id, instance.task_id, str(getattr(instance, "map_index", -1))))
    return IndexStateStore(cluster, state_index(), key)
