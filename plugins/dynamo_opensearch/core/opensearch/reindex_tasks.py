"""OpenSearch's own copying tasks: started once, found again, watched, made faster or slower, cancelled.

Seen on 3.8.0: the parent of a sliced task says nothing of a slice until that is finished, so its children are asked;
``require_alias`` is looked at when the task begins and never again: an alias that goes away meanwhile becomes a
concrete index of that name. So a copy goes to the index itself, and whoever deletes an index cancels first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster

ACTION = "indices:data/write/reindex"
UNLIMITED = -1.0
ENDS = ("created", "updated", "deleted", "version_conflicts", "noops")
"""What may become of a document, as OpenSearch counts it."""


class TasksUnknownError(PassingError):
    """Some nodes did not say what they are working on."""

    def __init__(self, nodes: int) -> None:
        super().__init__(nodes)
        self.nodes = nodes

    def __str__(self) -> str:
        return f"{self.nodes} node(s) of OpenSearch did not list their tasks. The task tries again."


@dataclass(frozen=True, kw_only=True)
class ReindexRequest:
    """What to copy. ``batch_documents``: documents read at once; ``requests_per_s``: documents a second, or -1."""

    from_index: str
    to_index: str
    slices: int | str
    batch_documents: int
    requests_per_s: float

    @property
    def description(self) -> str:
        """What the task list calls it."""
        return f"reindex from [{self.from_index}] to [{self.to_index}]"

    def body(self) -> dict[str, Any]:
        """Versions and routing come along; a document that is newer there stays."""
        return {
            "conflicts": "proceed",
            "source": {"index": self.from_index, "size": self.batch_documents},
            "dest": {"index": self.to_index, "version_type": "external", "routing": "keep"},
        }


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """A task as it stands. ``counts``: those of all its slices. ``is_open``: every slice has taken its snapshot.

    ``response`` and ``error`` are there once it is completed.
    """

    task_id: str
    is_completed: bool
    is_open: bool
    counts: Mapping[str, int]
    response: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None

    @property
    def done(self) -> int:
        """Documents that have come to their end."""
        return sum(self.counts[name] for name in ENDS)


def start_reindex(cluster: Cluster, request: ReindexRequest) -> str:
    """Start it and return the task's id. Not safe to run again: two tasks would copy side by side.

    Raises:
        ConnectionLostError: it may have started; look for it by its description.
        OpenSearchRequestError, AccessDeniedError: as ``Cluster.request``.
    """
    params = {
        "wait_for_completion": "false",
        "slices": str(request.slices),
        "requests_per_second": f"{request.requests_per_s:g}",
    }
    return str(cluster.request("POST", "/_reindex", params=params, body=request.body())["task"])


def read_task(cluster: PatientCluster, task_id: str) -> TaskView | None:
    """The task as it is now; None when no node knows it and no result of it was kept."""
    try:
        answer = cluster.request("GET", f"/_tasks/{task_id}")
    except OpenSearchRequestError as error:
        if error.status == 404:
            return None
        raise
    status = answer["task"].get("status", {})
    parts = [status]
    if "slices" in status and not answer["completed"]:
        parts = list(_slices(cluster, task_id, status["slices"]))
    is_open = len(parts) >= len(status.get("slices", [None])) > 0 and all(_has_snapshot(one) for one in parts)
    return TaskView(
        task_id=task_id,
        is_completed=bool(answer["completed"]),
        is_open=bool(answer["completed"]) or is_open,
        counts={name: sum(int(part.get(name, 0)) for part in parts) for name in ("total", *ENDS)},
        response=answer.get("response"),
        error=answer.get("error"),
    )


def _slices(cluster: PatientCluster, task_id: str, ended: list[Any]) -> Iterator[dict[str, Any]]:
    """Each slice once: as its parent has it once it has ended, else as its own task says."""
    for _, task in _tasks(cluster, {"parent_task_id": task_id}):
        status = task.get("status", {})
        if ended[status.get("slice_id", 0)] is None:
            yield status
    yield from ({"has_ended": True, **one} for one in ended if one)


def _has_snapshot(status: Mapping[str, Any]) -> bool:
    return bool(status.get("has_ended") or status.get("batches") or status.get("total"))


def find_reindex(cluster: PatientCluster, description: str) -> list[str]:
    """The ids of running copies with this description, the oldest first."""
    return [task_id for task_id, said in _copies(cluster) if said == description]


def rethrottle(cluster: PatientCluster, task_id: str, requests_per_s: float) -> None:
    """Change how many documents a second it copies; nothing happens to a task that has ended."""
    params = {"requests_per_second": f"{requests_per_s:g}"}
    try:
        cluster.request("POST", f"/_reindex/{task_id}/_rethrottle", params=params)
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise


def cancel_copies_to(cluster: PatientCluster, index: str, *, waits: bool = True) -> int:
    """Cancel every running copy into this index, whoever started it; returns how many there were. Safe to run again.

    Call it before an index is deleted: a copy that goes on would create it anew, with no mapping. With ``waits`` no
    write of theirs comes after the return.
    """
    found = [task_id for task_id, said in _copies(cluster) if said.endswith(f" to [{index}]")]
    for task_id in found:
        _cancel(cluster, task_id, waits=waits)
    return len(found)


def _cancel(cluster: PatientCluster, task_id: str, *, waits: bool) -> None:
    params = {"wait_for_completion": "true" if waits else "false"}
    try:
        cluster.request("POST", f"/_tasks/{task_id}/_cancel", params=params)
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise


def _copies(cluster: PatientCluster) -> Sequence[tuple[str, str]]:
    """Running copies without their slices: id and description."""
    found = [(one, said) for one, said in _tasks(cluster, {}) if "parent_task_id" not in said]
    found.sort(key=lambda pair: pair[1].get("start_time_in_millis", 0))
    return [(task_id, str(task.get("description", ""))) for task_id, task in found]


def _tasks(cluster: PatientCluster, params: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    answer = cluster.request("GET", "/_tasks", params={"actions": ACTION, "detailed": "true", **params})
    if failures := answer.get("node_failures"):
        raise TasksUnknownError(len(failures))
    for node in answer.get("nodes", {}).values():
        yield from node.get("tasks", {}).items()
