"""A target's connections and a task's context for tests of operators, sensors and triggers: no Airflow, no sockets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.wiring.target_connections import TargetConnections, load_target
from tests.support.fake_cluster import FakeCluster
from tests.support.fakes import FakeClock, MemoryStore, quick_retry

DAG_ID, RUN_ID = "members_reindex", "manual__2026-01-01"


@dataclass
class FakeInstance:
    """What operators ask of their task instance. ``run_states``: by DAG and run id; ``returned``: by task id."""

    dag_id: str = DAG_ID
    run_id: str = RUN_ID
    task_id: str = "task"
    map_index: int = -1
    pushed: dict[str, Any] = field(default_factory=dict)
    run_states: dict[tuple[str, str], Any] = field(default_factory=dict)
    task_states: dict[str, str] = field(default_factory=dict)
    returned: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, task_ids: str) -> Any:
        return self.returned.get(task_ids)

    def get_dagrun_state(self, dag_id: str, run_id: str) -> Any:
        found = self.run_states.get((dag_id, run_id), "running")
        if isinstance(found, Exception):
            raise found
        return found

    def get_task_states(self, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        return {self.run_id: {name: state for name, state in self.task_states.items() if name in task_ids}}

    @property
    def context(self) -> Any:
        """The context of this task; without a task state store, as before Airflow 3.3."""
        return {"ti": self, "task_instance": self, "run_id": self.run_id}


@dataclass(frozen=True)
class FakeConnections(TargetConnections):
    """A target's connections to a cluster in memory."""

    servers: FakeCluster = field(default_factory=FakeCluster)
    stores: dict[str, MemoryStore] = field(default_factory=dict)

    @property
    def cluster(self) -> Any:
        return self.servers

    def state(self, kind: str) -> Any:
        return self.stores.setdefault(kind, MemoryStore())


class StoreWithPath(MemoryStore):
    """A store as OpenSearch keeps it, with the path that a message names."""

    path = "/.dynamo-opensearch-state/_doc/holder"


def connect(monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, Any] | None = None) -> FakeConnections:
    """Let every adapter work with these connections to the sample target; ``changes`` to the target's fields."""
    target: Target = load_target("members")
    target = target.model_copy(update=dict(changes or {}))
    retry: RetryPolicy = quick_retry()
    connections = FakeConnections(target, FakeClock(), retry, stores={"holder": StoreWithPath()})
    monkeypatch.setattr(TargetConnections, "of", classmethod(lambda _cls, _name: connections))
    return connections
