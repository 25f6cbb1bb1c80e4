"""Finding the event source mapping that hands a table's changes to the indexer."""

from collections.abc import Iterable, Iterator
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.cutover.mapping.errors import (
    MappingBusyError,
    MappingRefusedError,
    NoStreamError,
    SeveralMappingsError,
)
from dynamo_opensearch.core.preflight.checks.event_source_mapping import function_and_qualifier, missing_mapping
from dynamo_opensearch.core.preflight.checks.stream import has_stream
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import IndexerSettings

SETTLE_S = 300.0
POLL_S = 2.0
_AT_REST = frozenset({"Enabled", "Disabled"})
_DELETING = "Deleting"


def stream_of(side: Side) -> str:
    """The stream that the table has now.

    Raises:
        NoStreamError: it is off.
    """
    described = side.table()
    if not has_stream(described):
        raise NoStreamError(side.target.table)
    return str(described["LatestStreamArn"])


def mapping_at_rest(side: Side, indexer: IndexerSettings, stream: str) -> dict[str, Any] | None:
    """The one mapping, once Lambda is not changing it; None where there is none, or no more. Reads only.

    Raises:
        SeveralMappingsError: there are several.
        MappingRefusedError: the target file names one that is not there, or another than the one that reads the stream.
        MappingBusyError: it is still being changed after ``SETTLE_S``.
    """
    began_s = side.clock.monotonic_s()
    while True:
        found = find_mapping(side, indexer, stream)
        state = None if found is None else found.get("State")
        if found is None or state in _AT_REST:
            return found
        waited_s = side.clock.monotonic_s() - began_s
        if waited_s >= SETTLE_S:
            raise MappingBusyError(str(found["UUID"]), str(state), waited_s)
        side.clock.sleep(POLL_S)


def find_mapping(side: Side, indexer: IndexerSettings, stream: str) -> dict[str, Any] | None:
    """By the UUID of the target file, else by function and stream; whichever version or alias it invokes.

    Raises:
        SeveralMappingsError, MappingRefusedError: as ``mapping_at_rest``.
    """
    on_stream = {
        str(one["UUID"]): one
        for one in _listed(side, stream)
        if function_and_qualifier(str(one.get("FunctionArn", "")), indexer.function)
    }
    living = {name: one for name, one in on_stream.items() if one.get("State") != _DELETING}
    named = None if indexer.event_source_mapping is None else _named(side, indexer, indexer.event_source_mapping)
    if named is not None and named["UUID"] not in on_stream:
        _check_only(side, named, stream, living)
        return named
    if len(living) > 1:
        told = tuple(f"{name} ({one.get('State')}) to {one.get('FunctionArn')}" for name, one in living.items())
        raise SeveralMappingsError(indexer.function, stream, told)
    return named or next(iter((living or on_stream).values()), None)


def _named(side: Side, indexer: IndexerSettings, uuid: str) -> dict[str, Any]:
    try:
        return side.aws.ask("lambda", "get_event_source_mapping", uuid, UUID=uuid)
    except ResourceMissingError as error:
        finding = f"{missing_mapping(side, indexer, uuid)}; or take that line out, and the cutover makes a mapping"
        raise MappingRefusedError(uuid, "not there", (finding,)) from error


def _check_only(side: Side, named: dict[str, Any], stream: str, living: Iterable[str]) -> None:
    """The one that the target file names reads another stream; refuse it here where another one reads this one."""
    for other in living:
        finding = Finding(
            what="stream",
            found=str(named.get("EventSourceArn")),
            expected=f"{stream}, which event source mapping {other} reads",
            remedy=side.file_line("indexer.event_source_mapping", other),
        )
        raise MappingRefusedError(str(named["UUID"]), str(named.get("State")), (str(finding),))


def _listed(side: Side, stream: str) -> Iterator[dict[str, Any]]:
    """All of the stream: Lambda lists those of an alias under the alias only, where it is asked for a function's."""
    arguments = {"EventSourceArn": stream}
    while True:
        answer = side.aws.ask("lambda", "list_event_source_mappings", stream, **arguments)
        yield from answer.get("EventSourceMappings", ())
        if not answer.get("NextMarker"):
            return
        arguments["Marker"] = answer["NextMarker"]
