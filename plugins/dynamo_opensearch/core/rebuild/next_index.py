"""The index that is being built: a new one, one that an earlier run left and that fits, or in place of one."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.backfill.preparing import PreparedIndex
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.opensearch.alias import (
    AliasAmbiguousError,
    aliases_on,
    next_index_name,
    read_target_aliases,
)
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_life import NewIndex, create_index, delete_index, loosen_settings
from dynamo_opensearch.core.opensearch.index_state import META_KEY, IndexState, read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.plan import RebuildPlan

log = logging.getLogger(__name__)

RESUMED_UP_TO_S = 20 * 3_600.0
"""The stream keeps 24 h: an older index may have missed deletes that no copy brings."""


class NextIndexInUseError(PermanentError):
    """The index with the marker of the next one is none that may be removed."""

    def __init__(self, index: str, marker: str, problem: str) -> None:
        super().__init__(index, marker, problem)
        self.index, self.marker, self.problem = index, marker, problem

    def __str__(self) -> str:
        return (
            f"index {self.index!r} carries the marker {self.marker!r} of a rebuild and {self.problem}, so it is "
            f"neither resumed nor removed. Remove the marker from it with POST _aliases, then start this DAG again."
        )


class NextIndexTakenError(PermanentError):
    """Since the plan, another run has come between."""

    def __init__(self, index: str, marker: str, problem: str) -> None:
        super().__init__(index, marker, problem)
        self.index, self.marker, self.problem = index, marker, problem

    def __str__(self) -> str:
        return (
            f"since this run was planned, {self.problem} (index {self.index!r}, marker {self.marker!r}): another run "
            "came between, or somebody did it by hand. Start this DAG again, it will plan anew."
        )


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What a note must say for its index to be resumed, how its marker must route, and which run asks."""

    index_routing: str | None
    target: str
    source: str
    table_id: str
    mapping_fingerprint: str
    rules_fingerprint: str
    run_id: str


@dataclass(frozen=True, kw_only=True)
class NextIndex:
    """What is to become of the marker: resume ``index``, or make it, removing ``replaces`` before.

    ``follow_from_us``: from where the follower began for a resumed one; 0 is the horizon.
    """

    index: str
    resumes_uuid: str | None = None
    follow_from_us: int | None = None
    replaces: str | None = None
    replaces_uuid: str | None = None


def plan_next_index(
    cluster: PatientCluster,
    alias: str,
    index_base: str,
    intent: Intent,
    is_run_finished: Callable[[str], bool],
    now_us: int,
) -> NextIndex:
    """Look at what carries the alias's marker of the next index. Reads only.

    An index is resumed when it was made for the same target, table, source, mapping and rules, less than 20 hours
    ago, by this run or by one that is finished, and what is in it was routed as the alias routes now.

    Raises:
        AliasAmbiguousError: two indices carry it.
        NextIndexInUseError: the one that does may not be removed.
    """
    marker = f"{alias}-next"
    index = _carrier(cluster, alias)
    if index is None:
        return NextIndex(index=next_index_name(cluster, index_base))
    carried = aliases_on(cluster, index)
    _check_removable(index, sorted(carried), marker, index_base)
    state = read_index(cluster, index)
    is_routed = marker in carried and carried[marker].index_routing == intent.index_routing
    if is_routed and _is_resumable(state.note, intent, is_run_finished, now_us):
        began_us = int(state.note.get("follow_from_us", 0))
        return NextIndex(index=index, resumes_uuid=state.uuid, follow_from_us=began_us)
    return NextIndex(index=next_index_name(cluster, index_base), replaces=index, replaces_uuid=state.uuid)


def make_next_index(
    plan: RebuildPlan, mapping: MappingFile, builder: DocumentBuilder, run_id: str, cluster: PatientCluster
) -> PreparedIndex:
    """Make the index that the plan names, behind its marker, with settings for filling. Safe to run again.

    Raises:
        MappingRefusedError: OpenSearch does not take the mapping file.
        NextIndexTakenError, AliasAmbiguousError: since the plan, another run has come between.
        OpenSearchRequestError: another run has made an index of that name.
    """
    if plan.replaces_next is not None:
        remove_next_index(cluster, plan.marker, plan.replaces_next, str(plan.replaces_uuid))
    state = _resumed(plan, mapping, run_id, cluster) if plan.resumes else _made(plan, mapping, builder, run_id, cluster)
    if _carrier(cluster, plan.alias) != plan.to_index:
        raise NextIndexTakenError(plan.to_index, plan.marker, "the marker has moved")
    loosen_settings(cluster, plan.to_index)
    return PreparedIndex(index=plan.to_index, uuid=state.uuid, is_loosened=True)


def remove_next_index(cluster: PatientCluster, marker: str, index: str, uuid: str) -> None:
    """Take the marker from an index, which only one can do, and delete it. Safe to run again.

    Raises:
        NextIndexTakenError: it carries another alias now, which whoever put it there still needs.
    """
    try:
        action = {"remove": {"index": index, "alias": marker, "must_exist": True}}
        cluster.request("POST", "/_aliases", body={"actions": [action]})
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise  # 404: taken away before, by us or by another; what is left of the index says the rest
    state = _read_or_none(cluster, index)
    if state is None or state.uuid != uuid:
        return
    if carried := sorted(aliases_on(cluster, index)):
        raise NextIndexTakenError(index, marker, f"it has come to carry {', '.join(carried)}")
    log.info("removing index %s, left by an earlier rebuild", index)
    delete_index(cluster, index)


def source_note(source: str, table: str, from_index: str) -> str:
    """What an index's note calls its source."""
    return f"table {table}" if source == "table" else f"index {from_index}"


def _made(
    plan: RebuildPlan, mapping: MappingFile, builder: DocumentBuilder, run_id: str, cluster: PatientCluster
) -> IndexState:
    new = NewIndex(
        index=plan.to_index,
        alias=plan.marker,
        mapping=mapping,
        note=_note(plan, mapping, builder, run_id),
        alias_properties=plan.properties.for_marker,
    )
    return create_index(cluster, new)


def _resumed(plan: RebuildPlan, mapping: MappingFile, run_id: str, cluster: PatientCluster) -> IndexState:
    """The index as it is, its note naming this run."""
    state = _read_or_none(cluster, plan.to_index)
    if state is None:
        raise NextIndexTakenError(plan.to_index, plan.marker, "the index was removed")
    if state.uuid != plan.resumes_uuid:
        raise NextIndexTakenError(plan.to_index, plan.marker, "the index was made anew")
    meta = {**mapping.mappings.get("_meta", {}), META_KEY: {**state.note, "run_id": run_id}}
    cluster.request("PUT", f"/{plan.to_index}/_mapping", body={"_meta": meta})
    return state


def _note(plan: RebuildPlan, mapping: MappingFile, builder: DocumentBuilder, run_id: str) -> dict[str, Any]:
    """What stands in the index's ``_meta``: how its documents are made, from what, by whom, and since when."""
    return {
        "target": plan.target,
        "source": source_note(plan.source, plan.table, plan.from_index),
        "table_id": plan.table_id,
        "run_id": run_id,
        "created_us": plan.began_us,
        "follow_from_us": plan.follow_from_us,
        "mapping_file": mapping.file,
        "mapping_fingerprint": plan.mapping_fingerprint,
        "key": list(builder.key_attributes),
        "field_rules": builder.rules.model_dump(mode="json", exclude_defaults=True),
        "rules_fingerprint": builder.fingerprint(),
    }


def _is_resumable(note: dict[str, Any], intent: Intent, is_run_finished: Callable[[str], bool], now_us: int) -> bool:
    wanted = {
        "target": intent.target,
        "source": intent.source,
        "table_id": intent.table_id,
        "mapping_fingerprint": intent.mapping_fingerprint,
        "rules_fingerprint": intent.rules_fingerprint,
    }
    if any(note.get(name) != value for name, value in wanted.items()):
        return False
    if now_us - int(note.get("created_us", 0)) > RESUMED_UP_TO_S * 1e6:
        return False
    maker = str(note.get("run_id"))
    return maker == intent.run_id or is_run_finished(maker)


def _check_removable(index: str, aliases: Sequence[str], marker: str, index_base: str) -> None:
    if others := sorted(set(aliases) - {marker}):
        raise NextIndexInUseError(index, marker, f"the aliases {', '.join(others)} as well")
    number = index.removeprefix(f"{index_base}-v")
    if number == index or not number.isdigit():
        raise NextIndexInUseError(index, marker, f"is not named {index_base}-v and a number")


def _carrier(cluster: PatientCluster, alias: str) -> str | None:
    marked = list(read_target_aliases(cluster, alias).next)
    if len(marked) > 1:
        raise AliasAmbiguousError(f"{alias}-next", marked)
    return marked[0] if marked else None


def _read_or_none(cluster: PatientCluster, index: str) -> IndexState | None:
    try:
        return read_index(cluster, index)
    except OpenSearchRequestError as error:
        if error.status == 404:
            return None
        raise
