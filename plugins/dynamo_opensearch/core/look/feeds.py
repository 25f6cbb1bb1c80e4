"""The indices of a target, and the alias through which each is written to: told by the aliases in the cluster."""

from collections.abc import Iterable, Mapping
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
    """An index that is written to, through ``write_alias``. ``is_fed_by_indexer``: the indexer writes to it as well."""

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


def living_feeds(indices: Iterable[TargetIndex], alias: str) -> list[Feed]:
    """Every index of the target: the alias's, the one being built, the one being kept.

    Raises:
        AliasAmbiguousError: an alias that would be written through leads to several indices.
    """
    found = list(indices)
    _, *markers = write_aliases(alias)
    feeds = []
    for one in found:
        write_alias = next((marker for marker in markers if marker in one.aliases), alias)
        check_single(found, write_alias)
        feeds.append(Feed(one.index, one.uuid, write_alias, is_fed_by_indexer=alias in one.aliases))
    return feeds


def check_single(indices: Iterable[TargetIndex], write_alias: str) -> None:
    """Whether an alias leads to one index at most.

    Raises:
        AliasAmbiguousError: it leads to several.
    """
    behind = [one.index for one in indices if write_alias in one.aliases]
    if len(behind) > 1:
        raise AliasAmbiguousError(write_alias, behind)
