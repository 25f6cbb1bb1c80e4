"""Which indices the follower feeds, and through which alias: derived from the marker aliases, by index UUID."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.opensearch.alias import AliasAmbiguousError, write_aliases
from dynamo_opensearch.core.opensearch.patient import PatientCluster


@dataclass(frozen=True, slots=True)
class TargetIndex:
    """An index behind the target's alias or one of its markers."""

    index: str
    uuid: str
    aliases: frozenset[str]


@dataclass(frozen=True, slots=True)
class Feed:
    """An index that is fed, through ``write_alias``. ``is_fed_by_indexer``: the indexer writes to it as well."""

    index: str
    uuid: str
    write_alias: str
    is_fed_by_indexer: bool


def target_indices(cluster: PatientCluster, alias: str) -> list[TargetIndex]:
    """The indices behind the alias and its markers, all of one moment.

    Raises:
        ServiceUnavailableError, AccessDeniedError, OpenSearchRequestError: as ``PatientCluster.request``.
    """
    wanted = frozenset(write_aliases(alias))
    found: Mapping[str, Any] = cluster.request(
        "GET",
        f"/{','.join(write_aliases(alias))}",
        params={"ignore_unavailable": "true", "filter_path": "*.aliases,*.settings.index.uuid"},
    )
    indices = [
        TargetIndex(index, one["settings"]["index"]["uuid"], wanted & one.get("aliases", {}).keys())
        for index, one in sorted(found.items())
    ]
    return [one for one in indices if one.aliases]


def plan_feeds(indices: list[TargetIndex], alias: str, joined: Container[str]) -> list[Feed]:
    """What is to be fed: what carries a marker, and of what is behind the alias only that which had joined.

    Raises:
        AliasAmbiguousError: an alias that would be written through leads to several indices.
    """
    _, *markers = write_aliases(alias)
    feeds = []
    for one in indices:
        marker = next((marker for marker in markers if marker in one.aliases), None)
        is_behind_alias = alias in one.aliases
        if marker is None and one.uuid not in joined:
            continue
        feeds.append(Feed(one.index, one.uuid, marker or alias, is_behind_alias))
        _check_single(indices, marker or alias)
    return feeds


def _check_single(indices: list[TargetIndex], write_alias: str) -> None:
    behind = [one.index for one in indices if write_alias in one.aliases]
    if len(behind) > 1:
        raise AliasAmbiguousError(write_alias, behind)
