"""An index for a moment: what OpenSearch makes of a mapping file, and whether it takes documents."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile, MappingRefusedError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.shard_copies import zones_wanted

LEFT_BEHIND_S = 3_600.0
"""A scratch index lives for minutes at most; one this old was left behind by a process that was killed."""

_NEEDS_MORE_SHARDS = ("index.number_of_routing_shards", "index.routing_partition_size")


@contextmanager
def scratch_index(cluster: PatientCluster, mapping: MappingFile, base: str) -> Iterator[str]:
    """A hidden index of one shard with the file's mapping and analysis; its name, ``<base>-scratch-…``.

    Removed again whatever happens; only a killed process leaves one, for ``remove_left_behind``.

    Raises:
        MappingRefusedError: OpenSearch does not take the mapping file.
    """
    scratch = f"{base}-scratch-{uuid.uuid4().hex[:12]}"
    try:
        _create(cluster, mapping, scratch)
        yield scratch
    finally:
        _remove(cluster, scratch)


def mapping_as_written(cluster: PatientCluster, mapping: MappingFile, base: str) -> dict[str, Any]:
    """The file's mapping in OpenSearch's own words, without ``_meta``.

    Raises:
        MappingRefusedError: OpenSearch does not take the mapping file.
    """
    with scratch_index(cluster, mapping, base) as scratch:
        return read_index(cluster, scratch).mappings


def remove_left_behind(cluster: PatientCluster, base: str, clock: Clock) -> list[str]:
    """Remove this base's scratch indices that are more than an hour old; returns their names. Safe to run again."""
    ours = re.compile(rf"{re.escape(base)}-scratch-[0-9a-f]{{12}}")
    found = cluster.request(
        "GET",
        f"/{base}-scratch-*/_settings/index.creation_date",
        params={"expand_wildcards": "all", "flat_settings": "true"},
    )
    created_ms = {name: int(answer["settings"]["index.creation_date"]) for name, answer in found.items()}
    old = [
        name
        for name, made_ms in sorted(created_ms.items())
        if ours.fullmatch(name) and clock.time_us() / 1e6 - made_ms / 1e3 > LEFT_BEHIND_S
    ]
    for name in old:
        _remove(cluster, name)
    return old


def _create(cluster: PatientCluster, mapping: MappingFile, scratch: str, replicas: int = 0) -> None:
    settings = {name: value for name, value in mapping.settings.items() if name not in _NEEDS_MORE_SHARDS} | {
        "index.number_of_shards": 1,
        "index.number_of_replicas": replicas,
        "index.refresh_interval": "-1",
        "index.hidden": True,
    }
    try:
        cluster.request("PUT", f"/{scratch}", body={"settings": settings, "mappings": mapping.mappings})
    except OpenSearchRequestError as error:
        if error.error_type == "resource_already_exists_exception":
            return  # ours: a request whose answer was lost, and that was sent again
        zones = zones_wanted(error)
        if replicas or zones is None:
            raise MappingRefusedError(mapping.file, error.error_type, error.reason) from error
        _create(cluster, mapping, scratch, zones - 1)


def _remove(cluster: PatientCluster, scratch: str) -> None:
    try:
        cluster.request("DELETE", f"/{scratch}")
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise
