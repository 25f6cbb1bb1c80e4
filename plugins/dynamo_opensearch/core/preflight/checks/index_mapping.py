"""The index behind the alias: mapping and settings as the mapping file says."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.opensearch.alias import (
    AliasAmbiguousError,
    AliasIsIndexError,
    AliasUnfitError,
    index_behind,
)
from dynamo_opensearch.core.opensearch.index_checks import different_places, same_setting
from dynamo_opensearch.core.opensearch.index_state import IndexState, read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingRefusedError
from dynamo_opensearch.core.opensearch.scratch_index import mapping_as_written
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.lines import compact, trigger_line
from dynamo_opensearch.core.preflight.look import Look, shown, some_of
from dynamo_opensearch.core.preflight.side import Side

_DEFAULTS: dict[str, Any] = {
    "index.number_of_shards": "1",
    "index.number_of_replicas": "1",
    "index.refresh_interval": None,
    "index.gc_deletes": None,
    "index.default_pipeline": None,
    "index.final_pipeline": None,
}
"""What a setting is that the file does not name. A rebuild that was killed may have left another value."""

_FIXED = (
    "index.analysis.",
    "index.codec",
    "index.mapping.nested_",
    "index.number_of_routing_shards",
    "index.number_of_shards",
    "index.routing_partition_size",
    "index.similarity.",
    "index.sort.",
    "index.store.",
)
"""Settings that only another index can have."""

_OWN = ("index.uuid", "index.creation_date", "index.provided_name", "index.version.", "index.resize.", "index.blocks.")
"""Settings by which any two indices differ, or that pass."""


def look_at_index_mapping(side: Side) -> Look:
    """The index against the mapping file. Where they differ, the file is tried on a scratch index, which goes again.

    Raises:
        AccessDeniedError, ServiceUnavailableError, OpenSearchRequestError: it cannot be asked.
    """
    alias = side.target.alias
    try:
        index = index_behind(side.cluster, alias, side.target.index_base)
    except (AliasIsIndexError, AliasAmbiguousError, AliasUnfitError) as error:
        return Look(seen=f"alias {alias} is unfit", findings=(_unfit(alias, error),))
    if index is None:
        return Look(seen=f"no alias {alias}", findings=(_missing(side),))
    state = read_index(side.cluster, index)
    return Look(
        seen=f"{index} behind {alias}, by {side.mapping.file}",
        findings=(*_mapping_findings(side, state), *_setting_findings(side, state), *_block_findings(side, state)),
        fields=_fields(state),
        align=lambda name, value: _align_line(side, index, name, value),
    )


def _unfit(alias: str, error: Exception) -> Finding:
    said, _, way_out = str(error).partition(". ")
    return Finding(what=f"alias {alias}", found=said, expected="an alias on one index", remedy=way_out or said)


def _missing(side: Side) -> Finding:
    return Finding(
        what=f"alias {side.target.alias}",
        found="nothing",
        expected=f"an index with {side.mapping.file} behind it",
        remedy=trigger_line(f"{side.target.name}_backfill"),
    )


def _rebuild_line(side: Side) -> str:
    return trigger_line(f"{side.target.name}_reindex", {"mapping": side.mapping.file})


def _mapping_findings(side: Side, state: IndexState) -> Iterator[Finding]:
    wanted = {name: value for name, value in side.mapping.mappings.items() if name != "_meta"}
    if state.mappings == wanted:
        return
    try:
        written = mapping_as_written(side.cluster, side.mapping, state.index)
    except MappingRefusedError as error:
        yield Finding(
            what=f"mapping file {side.mapping.file}",
            found=f"refused: {error.error_type}",
            expected="a mapping that OpenSearch takes",
            remedy=f"correct include/mappings/{side.mapping.file}",
        )
        return
    differing = (
        Finding(
            what=f"mapping {place.path}",
            found=shown(place.actual),
            expected=f"{shown(place.wanted)}, as in {side.mapping.file}",
            remedy=_rebuild_line(side),
        )
        for place in different_places(written, state.mappings)
    )
    yield from some_of(differing, "mapping")


def _setting_findings(side: Side, state: IndexState) -> Iterator[Finding]:
    expected = {**_DEFAULTS, **side.mapping.settings}
    if str(expected.get("index.auto_expand_replicas", "false")).lower() != "false":
        expected.pop("index.number_of_replicas")  # as many as there are nodes
    for name, wanted in sorted(expected.items()):
        actual = state.settings.get(name)
        if actual in (None, "_none") and wanted in (None, "_none"):
            continue
        if wanted is None or not same_setting(actual, wanted):
            is_named = name in side.mapping.settings
            yield Finding(
                what=f"setting {name}",
                found=shown(actual),
                expected=f"{shown(wanted)}, as {f'in {side.mapping.file}' if is_named else 'is the default'}",
                remedy=_setting_line(side, state.index, name, wanted),
            )


def _block_findings(side: Side, state: IndexState) -> Iterator[Finding]:
    for name, value in sorted(state.settings.items()):
        if name.startswith("index.blocks.") and str(value).lower() == "true":
            yield Finding(
                what=f"setting {name}",
                found="true",
                expected="nothing: the index takes no such requests",
                remedy=_setting_line(side, state.index, name, None),
            )


def _setting_line(side: Side, index: str, name: str, value: Any) -> str:
    if name.startswith(_FIXED):
        return _rebuild_line(side)
    return side.curl_line("PUT", f"/{index}/_settings", {name: value})


def _fields(state: IndexState) -> dict[str, Any]:
    settings = {f"setting {name}": value for name, value in state.settings.items() if not name.startswith(_OWN)}
    return {**settings, **dict(_flat(state.mappings, "mapping"))}


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each leaf of a mapping by its dotted path."""
    if not isinstance(value, dict) or not value:
        yield path, value
        return
    for name, member in value.items():
        separator = " " if path == "mapping" else "."
        yield from _flat(member, f"{path}{separator}{name}")


def _align_line(side: Side, index: str, name: str, value: Any) -> str:
    kind, _, what = name.partition(" ")
    line = _setting_line(side, index, what, value) if kind == "setting" else _rebuild_line(side)
    return f"in include/mappings/{side.mapping.file}: {what}: {compact(value)}; then {line}"
