"""Small JSON objects in a hidden index, written under optimistic locking: for Airflow before 3.3, and for positions."""

from typing import Any
from urllib.parse import quote

import orjson

from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.shard_copies import zones_wanted

_MAPPINGS = {
    "dynamic": "strict",
    "properties": {
        "key": {"type": "keyword"},
        "value": {"type": "object", "enabled": False},
    },
}


class StateConflictError(PassingError):
    """Another process wrote the same state: two tries of one task are running."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return (
            f"state {self.key!r} was written by another process since this one read it: two tries of one task run at "
            "once. This one stops; the other goes on."
        )


class IndexStateStore:
    """One object under one key. Not thread-safe; between processes, the loser of a race gets StateConflictError."""

    def __init__(self, cluster: PatientCluster, index: str, key: str) -> None:
        self._cluster, self._index, self._key = cluster, index, key
        self.path = f"/{index}/_doc/{_path_id(key)}"
        self._guard: dict[str, str] = {"op_type": "create"}

    def load(self) -> dict[str, Any] | None:
        """What was saved last, or None. Remembers its sequence number for the next ``save``."""
        try:
            answer = self._cluster.request("GET", self.path)
        except OpenSearchRequestError as error:
            if error.status != 404:
                raise
            self._guard = {"op_type": "create"}
            return None
        self._guard = _guard(answer)
        return dict(answer["_source"]["value"])

    def save(self, value: dict[str, Any]) -> None:
        """Replace it; the index is made where there is none.

        Raises:
            StateConflictError: another process has saved since.
        """
        self._create_index()
        body = orjson.dumps({"key": self._key, "value": value})
        try:
            answer = self._cluster.request("PUT", self.path, params=self._guard, body=body)
        except OpenSearchRequestError as error:
            if error.status != 409:
                raise
            answer = self._own_write(value, error)
        self._guard = _guard(answer)

    def _own_write(self, value: dict[str, Any], conflict: OpenSearchRequestError) -> dict[str, Any]:
        """A write whose answer was lost, and that was sent again, conflicts with itself."""
        stored = self._cluster.request("GET", self.path)
        if stored["_source"]["value"] != value:
            raise StateConflictError(self._key) from conflict
        return dict(stored)

    def _create_index(self, most_replicas: int = 1) -> None:
        if self._guard != {"op_type": "create"}:
            return
        try:
            self._cluster.request("PUT", f"/{self._index}", body=_body(most_replicas))
        except OpenSearchRequestError as error:
            if most_replicas == 1 and (zones := zones_wanted(error)):
                self._create_index(zones - 1)
            elif error.error_type != "resource_already_exists_exception":
                raise


def _body(most_replicas: int) -> dict[str, Any]:
    replicas = {"index.auto_expand_replicas": f"0-{most_replicas}"}
    return {"settings": {"index.hidden": True, "index.number_of_shards": 1, **replicas}, "mappings": _MAPPINGS}


def _guard(answer: dict[str, Any]) -> dict[str, str]:
    return {"if_seq_no": str(answer["_seq_no"]), "if_primary_term": str(answer["_primary_term"])}


def _path_id(key: str) -> str:
    """The key as one part of a path, without characters that a proxy may change."""
    return quote(key, safe="")
