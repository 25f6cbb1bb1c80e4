"""What is behind an alias, and what an index is a part of. Marker aliases say which index is next and previous."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster


class AliasIsIndexError(PermanentError):
    """A concrete index has the alias's name."""

    def __init__(self, alias: str, suggested_index: str) -> None:
        super().__init__(alias, suggested_index)
        self.alias, self.suggested_index = alias, suggested_index

    def __str__(self) -> str:
        return (
            f"{self.alias!r} is an index, not an alias, so it can never be swapped. The way out: stop writers; "
            f"PUT {self.alias}/_settings index.blocks.write: true; POST {self.alias}/_clone/{self.suggested_index}; "
            f"then in one POST _aliases remove_index {self.alias} and add alias {self.alias} to it; "
            "then start this DAG again."
        )


class AliasAmbiguousError(PermanentError):
    """Two or more indices are behind the alias."""

    def __init__(self, alias: str, indices: Sequence[str]) -> None:
        super().__init__(alias, tuple(indices))
        self.alias, self.indices = alias, tuple(indices)

    def __str__(self) -> str:
        return (
            f"alias {self.alias!r} leads to {len(self.indices)} indices: {', '.join(self.indices)}. This package "
            "writes to exactly one. Remove the alias from all but the right one with POST _aliases, then start again."
        )


class AliasUnfitError(PermanentError):
    """The alias takes no writes."""

    def __init__(self, alias: str, index: str) -> None:
        super().__init__(alias, index)
        self.alias, self.index = alias, index

    def __str__(self) -> str:
        return (
            f"alias {self.alias!r} on {self.index!r} has is_write_index: false, so OpenSearch refuses what is written "
            "through it. Add it anew without that by POST _aliases, then start again."
        )


class IndexNotOfTargetError(PermanentError):
    """An index that carries neither the target's alias nor one of its markers."""

    def __init__(self, index: str, alias: str) -> None:
        super().__init__(index, alias)
        self.index, self.alias = index, alias

    def __str__(self) -> str:
        return (
            f"index {self.index!r} carries none of the aliases {', '.join(write_aliases(self.alias))}, so it is not "
            "written to. Name an index that does, or leave `index` out to fill the one behind the alias."
        )


def write_aliases(alias: str) -> tuple[str, str, str]:
    """The aliases that this package writes through: the target's own, and the markers of next and previous index."""
    return alias, f"{alias}-next", f"{alias}-previous"


def index_behind(cluster: PatientCluster, alias: str, index_base: str) -> str | None:
    """The one index behind an alias; None when neither alias nor index of that name is there.

    Raises:
        AliasIsIndexError, AliasAmbiguousError, AliasUnfitError: it cannot be written to as an alias.
    """
    found = _get_or_empty(cluster, f"/_alias/{alias}")
    indices = sorted(found)
    if len(indices) > 1:
        raise AliasAmbiguousError(alias, indices)
    if indices:
        if found[indices[0]]["aliases"].get(alias, {}).get("is_write_index") is False:
            raise AliasUnfitError(alias, indices[0])
        return indices[0]
    if _get_or_empty(cluster, f"/{alias}"):
        raise AliasIsIndexError(alias, f"{index_base}-v1")
    return None


@dataclass(frozen=True)
class TargetAliases:
    """A target's alias and its markers at one moment: for each, the indices behind it and its properties there."""

    live: Mapping[str, AliasProperties]
    next: Mapping[str, AliasProperties]
    previous: Mapping[str, AliasProperties]


def read_target_aliases(cluster: PatientCluster, alias: str) -> TargetAliases:
    """All three in one request, so that a swap is seen whole or not at all; hidden and closed indices too."""
    # By a pattern, since OpenSearch answers 404 as soon as one of several exact names is not there.
    found = cluster.request("GET", f"/_alias/{alias}*")
    live, following, previous = (
        {
            index: AliasProperties.from_json(entry["aliases"][name])
            for index, entry in sorted(found.items())
            if name in entry["aliases"]
        }
        for name in write_aliases(alias)
    )
    return TargetAliases(live, following, previous)


def aliases_on(cluster: PatientCluster, index: str) -> Mapping[str, AliasProperties]:
    """Every alias that the index carries, of this target or not; none where the index is not there."""
    carried = _get_or_empty(cluster, f"/{index}/_alias").get(index, {}).get("aliases", {})
    return {name: AliasProperties.from_json(value) for name, value in carried.items()}


def write_alias_of(cluster: PatientCluster, index: str, alias: str) -> str:
    """The alias or marker through which this index of the target is written to.

    Raises:
        IndexNotOfTargetError: it carries none, or is not there.
    """
    carried = aliases_on(cluster, index)
    for candidate in write_aliases(alias):
        if candidate in carried:
            return candidate
    raise IndexNotOfTargetError(index, alias)


def next_index_name(cluster: PatientCluster, index_base: str) -> str:
    """``<base>-v`` and the number after the highest that is there, closed and hidden ones too; 1 at first."""
    prefix = f"{index_base}-v"
    found = _get_or_empty(cluster, f"/{prefix}*", expand_wildcards="all")
    numbers = [int(name.removeprefix(prefix)) for name in found if name.removeprefix(prefix).isdigit()]
    return f"{prefix}{max(numbers, default=0) + 1}"


def _get_or_empty(cluster: PatientCluster, path: str, **params: str) -> dict[str, Any]:
    try:
        return dict(cluster.request("GET", path, params=params))
    except OpenSearchRequestError as error:
        if error.status == 404:
            return {}
        raise
