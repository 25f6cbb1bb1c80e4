"""Making an index, filling it fast, and counting it."""

from dataclasses import dataclass, field
from typing import Any

from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.opensearch.alias import AliasIsIndexError
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_state import META_KEY, IndexState, read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile, MappingRefusedError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.reindex_tasks import cancel_copies_to
from dynamo_opensearch.core.opensearch.shard_copies import ReplicasRefusedError, zones_wanted

LOOSE_SETTINGS: dict[str, Any] = {
    "index.refresh_interval": "-1",
    "index.number_of_replicas": 0,
    "index.gc_deletes": "1h",
}
"""While nobody reads an index: no refreshes, no replicas, and deletes remembered for longer than any page waits."""
_REPLICAS = "index.number_of_replicas"


class IncompleteCountError(PassingError):
    """A count without some shards would be too small."""

    def __init__(self, index: str, failed_shards: int) -> None:
        super().__init__(index, failed_shards)
        self.index, self.failed_shards = index, failed_shards

    def __str__(self) -> str:
        return f"{self.failed_shards} shard(s) of {self.index!r} did not answer the count. The task tries again."


@dataclass(frozen=True, kw_only=True)
class NewIndex:
    """What to create: the file's mapping, behind ``alias`` from its first moment on, with ``note`` in its ``_meta``.

    ``alias_properties``: those of the alias; for a marker, ``for_marker`` of the alias that it stands beside.
    """

    index: str
    alias: str
    mapping: MappingFile
    note: dict[str, Any]
    alias_properties: AliasProperties = field(default_factory=AliasProperties)


def create_index(cluster: PatientCluster, new: NewIndex) -> IndexState:
    """Create it with its alias in one request. Safe to run again: an index with the same note is the one meant.

    Raises:
        MappingRefusedError: OpenSearch does not take the mapping file.
        ReplicasRefusedError: it wants more replicas than the file has.
        AliasIsIndexError: since the plan, an index has come to be that has the alias's name.
        OpenSearchRequestError: an index of that name is there that another run made.
    """
    body = {
        "settings": new.mapping.settings,
        "mappings": {
            **new.mapping.mappings,
            "_meta": {**new.mapping.mappings.get("_meta", {}), META_KEY: new.note},
        },
        "aliases": {new.alias: new.alias_properties.to_json()},
    }
    try:
        cluster.request("PUT", f"/{new.index}", body=body)
    except OpenSearchRequestError as error:
        if error.error_type == "invalid_alias_name_exception":
            raise AliasIsIndexError(new.alias, new.index) from error
        if zones := zones_wanted(error):
            replicas = int(new.mapping.settings.get(_REPLICAS, 1))
            raise ReplicasRefusedError(new.mapping.file, replicas, zones) from error
        if error.error_type != "resource_already_exists_exception":
            raise MappingRefusedError(new.mapping.file, error.error_type, error.reason) from error
        state = read_index(cluster, new.index)
        if state.note != new.note:
            raise
        return state
    return read_index(cluster, new.index)


def loosen_settings(cluster: PatientCluster, index: str) -> None:
    """Settings for fast filling; only for an index that nobody reads. Undone by ``restore_settings``.

    The replicas stay where the cluster wants as many copies in each zone.
    """
    try:
        cluster.request("PUT", f"/{index}/_settings", body=LOOSE_SETTINGS)
    except OpenSearchRequestError as error:
        if zones_wanted(error) is None:
            raise
        others = {name: value for name, value in LOOSE_SETTINGS.items() if name != _REPLICAS}
        cluster.request("PUT", f"/{index}/_settings", body=others)


def restore_settings(cluster: PatientCluster, index: str, mapping: MappingFile) -> dict[str, Any]:
    """The loosened settings back to what the mapping file says, or OpenSearch's defaults. Safe to run again.

    Returns what the settings are afterwards, read from the index.
    """
    wanted = {name: mapping.settings.get(name) for name in LOOSE_SETTINGS}
    cluster.request("PUT", f"/{index}/_settings", body=wanted)
    settings = read_index(cluster, index).settings
    return {name: settings.get(name) for name in LOOSE_SETTINGS}


def count_documents(cluster: PatientCluster, index: str) -> int:
    """Documents in the index, after a refresh; all shards must answer.

    Raises:
        OpenSearchRequestError, ServiceUnavailableError: as ``PatientCluster.request``.
        IncompleteCountError: a shard did not answer.
    """
    refreshed = cluster.request("POST", f"/{index}/_refresh")
    answer = cluster.request("GET", f"/{index}/_count")
    failed = answer["_shards"]["failed"] + refreshed["_shards"]["failed"]
    if failed:
        raise IncompleteCountError(index, failed)
    return int(answer["count"])


def delete_index(cluster: PatientCluster, index: str) -> None:
    """Delete it. Safe to run again: one that is gone is no error.

    Copies into it by ``_reindex`` are cancelled before: one that goes on would create it anew, without a mapping.
    """
    cancel_copies_to(cluster, index)
    try:
        cluster.request("DELETE", f"/{index}")
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise
