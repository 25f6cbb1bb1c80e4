"""The event source mapping that calls the indexer: on, and set as the indexer's contract says."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.preflight.checks.stream import has_stream
from dynamo_opensearch.core.preflight.findings import Finding, NotAskedForError
from dynamo_opensearch.core.preflight.look import Look, in_terraform, shown
from dynamo_opensearch.core.preflight.mapping_settings import (
    PARTIAL,
    RETRIES,
    failure_findings,
    filter_findings,
    mapping_fields,
    slow_findings,
    update_line,
)
from dynamo_opensearch.core.preflight.refusals import with_refusals
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import IndexerSettings


def look_at_event_source_mapping(side: Side) -> Look:
    """The mapping against docs/indexer-contract.md and the target file.

    Raises:
        NotAskedForError: the target file names no mapping.
        AccessDeniedError, ServiceUnavailableError: it cannot be asked.
    """
    indexer = indexer_settings(side)
    uuid = indexer.event_source_mapping
    if uuid is None:
        raise NotAskedForError(f"environments.{side.name}.indexer.event_source_mapping is not in the target file")
    try:
        found = side.aws.ask("lambda", "get_event_source_mapping", uuid, UUID=uuid)
    except ResourceMissingError:
        return Look(seen="no such mapping", findings=(missing_mapping(side, indexer, uuid),))
    fields = mapping_fields(found)
    return Look(
        seen=f"{uuid}: {found.get('State')}, batches of {fields['batch_size']}",
        findings=(
            *_state_findings(side, uuid, found),
            *with_refusals(side, _source_findings(side, indexer, uuid, found)),
            *slow_findings(side, indexer, uuid, fields),
            *filter_findings(side, uuid, fields),
            *failure_findings(side, uuid, found, fields),
        ),
        fields=fields,
        align=in_terraform(f"aws_lambda_event_source_mapping {uuid}"),
    )


def losing_findings(side: Side, indexer: IndexerSettings, found: dict[str, Any]) -> Iterator[Finding]:
    """Settings of a mapping by which changes never reach the index, whether it is enabled or not.

    Raises:
        AccessDeniedError, ServiceUnavailableError: the table cannot be asked.
    """
    uuid, fields = str(found["UUID"]), mapping_fields(found)
    yield from _source_findings(side, indexer, uuid, found)
    yield from filter_findings(side, uuid, fields)
    yield from failure_findings(side, uuid, found, fields)


def indexer_settings(side: Side) -> IndexerSettings:
    """What the target file says of the indexer.

    Raises:
        NotAskedForError: nothing.
    """
    if side.environment.indexer is None:
        raise NotAskedForError(f"environments.{side.name}.indexer is not in the target file")
    return side.environment.indexer


def missing_mapping(side: Side, indexer: IndexerSettings, uuid: str) -> Finding:
    """The target file names one that is not there."""
    function = invoked(indexer)
    return Finding(
        what=f"event source mapping {uuid}",
        found="nothing",
        expected=f"a mapping from the stream of {side.target.table} to {function}",
        remedy=f"{side.aws_line('lambda', 'list-event-source-mappings', function_name=function)}; write its UUID "
        f"{side.file_line('indexer.event_source_mapping', '<UUID>')}",
    )


def invoked(indexer: IndexerSettings) -> str:
    """What the mapping invokes: the function, by its alias where the target file names one."""
    return indexer.function if indexer.alias is None else f"{indexer.function}:{indexer.alias}"


def _state_findings(side: Side, uuid: str, found: dict[str, Any]) -> Iterator[Finding]:
    if found.get("State") != "Enabled":
        yield Finding(
            what="state",
            found=str(found.get("State")),
            expected="Enabled",
            remedy=update_line(side, uuid, enabled=True),
        )


def _source_findings(side: Side, indexer: IndexerSettings, uuid: str, found: dict[str, Any]) -> Iterator[Finding]:
    """Whose changes it carries, and to whom. A stream that was switched off and on again is another one."""
    function, wanted = str(found.get("FunctionArn", "")), invoked(indexer)
    if not _is_function(function, indexer.function, indexer.alias):
        yield Finding(
            what="function",
            found=function,
            expected=wanted,
            remedy=update_line(side, uuid, function_name=wanted),
        )
    try:
        described = side.table()
    except ResourceMissingError:
        return  # for the check of the table to say
    stream = described.get("LatestStreamArn")
    if has_stream(described) and found.get("EventSourceArn") != stream:
        create = side.aws_line(
            "lambda",
            "create-event-source-mapping",
            function_name=wanted,
            event_source_arn=str(stream),
            starting_position="TRIM_HORIZON",
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=RETRIES,
            function_response_types=[PARTIAL],
            **({"destination_config": found["DestinationConfig"]} if found.get("DestinationConfig") else {}),
        )
        yield Finding(
            what="stream",
            found=shown(found.get("EventSourceArn")),
            expected=f"{stream}, the stream that {side.target.table} has now",
            remedy=f"{create}; write its UUID {side.file_line('indexer.event_source_mapping', '<UUID>')}",
        )


def function_and_qualifier(arn: str, function: str) -> list[str]:
    """The parts of a function's ARN after ``:function:``; empty where it is another function's."""
    name = function.rsplit(":", 1)[-1] if function.startswith("arn:") else function
    parts = arn.split(":function:", 1)[-1].split(":")
    return parts if parts[0] == name else []


def _is_function(arn: str, function: str, alias: str | None) -> bool:
    """Whether an ARN ends in the function, and in the alias where one is meant."""
    parts = function_and_qualifier(arn, function)
    return bool(parts) and parts[1:] == ([] if alias is None else [alias])
