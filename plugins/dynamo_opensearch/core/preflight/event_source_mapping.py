"""The event source mapping that calls the indexer: on, and set as the indexer's contract says."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.preflight.findings import Finding, NotAskedForError
from dynamo_opensearch.core.preflight.look import Look, in_terraform, shown
from dynamo_opensearch.core.preflight.refusals import with_refusals
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.preflight.stream import has_stream
from dynamo_opensearch.core.targets.environment import IndexerSettings

PARTIAL = "ReportBatchItemFailures"
_RETRIES = 10
_UNLIMITED = -1


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
        return Look(seen="no such mapping", findings=(_missing(side, indexer, uuid),))
    fields = _fields(found)
    return Look(
        seen=f"{uuid}: {found.get('State')}, batches of {fields['batch_size']}",
        findings=(
            *_state_findings(side, uuid, found),
            *with_refusals(side, _source_findings(side, indexer, uuid, found)),
            *_batch_findings(side, indexer, uuid, fields),
            *_failure_findings(side, uuid, found, fields),
        ),
        fields=fields,
        align=in_terraform(f"aws_lambda_event_source_mapping {uuid}"),
    )


def indexer_settings(side: Side) -> IndexerSettings:
    """What the target file says of the indexer.

    Raises:
        NotAskedForError: nothing.
    """
    if side.environment.indexer is None:
        raise NotAskedForError(f"environments.{side.name}.indexer is not in the target file")
    return side.environment.indexer


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    """By the names of Terraform's aws_lambda_event_source_mapping."""
    filters = (found.get("FilterCriteria") or {}).get("Filters") or []
    return {
        "batch_size": found.get("BatchSize"),
        "maximum_batching_window_in_seconds": found.get("MaximumBatchingWindowInSeconds") or 0,
        "bisect_batch_on_function_error": bool(found.get("BisectBatchOnFunctionError")),
        "maximum_retry_attempts": found.get("MaximumRetryAttempts", _UNLIMITED),
        "maximum_record_age_in_seconds": found.get("MaximumRecordAgeInSeconds", _UNLIMITED),
        "parallelization_factor": found.get("ParallelizationFactor", 1),
        "function_response_types": sorted(found.get("FunctionResponseTypes") or []),
        "filter_criteria": sorted(str(one.get("Pattern")) for one in filters),
    }


def _missing(side: Side, indexer: IndexerSettings, uuid: str) -> Finding:
    function = _invoked(indexer)
    return Finding(
        what=f"event source mapping {uuid}",
        found="nothing",
        expected=f"a mapping from the stream of {side.target.table} to {function}",
        remedy=f"{side.aws_line('lambda', 'list-event-source-mappings', function_name=function)}; write its UUID "
        f"{side.file_line('indexer.event_source_mapping', '<UUID>')}",
    )


def _invoked(indexer: IndexerSettings) -> str:
    return indexer.function if indexer.alias is None else f"{indexer.function}:{indexer.alias}"


def _state_findings(side: Side, uuid: str, found: dict[str, Any]) -> Iterator[Finding]:
    if found.get("State") != "Enabled":
        yield Finding(
            what="state",
            found=str(found.get("State")),
            expected="Enabled",
            remedy=_update(side, uuid, enabled=True),
        )


def _source_findings(side: Side, indexer: IndexerSettings, uuid: str, found: dict[str, Any]) -> Iterator[Finding]:
    """Whose changes it carries, and to whom. A stream that was switched off and on again is another one."""
    function, wanted = str(found.get("FunctionArn", "")), _invoked(indexer)
    if not _is_function(function, indexer.function, indexer.alias):
        yield Finding(
            what="function",
            found=function,
            expected=wanted,
            remedy=_update(side, uuid, function_name=wanted),
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
            maximum_retry_attempts=_RETRIES,
            function_response_types=[PARTIAL],
            **({"destination_config": found["DestinationConfig"]} if found.get("DestinationConfig") else {}),
        )
        yield Finding(
            what="stream",
            found=shown(found.get("EventSourceArn")),
            expected=f"{stream}, the stream that {side.target.table} has now",
            remedy=f"{create}; write its UUID {side.file_line('indexer.event_source_mapping', '<UUID>')}",
        )


def _is_function(arn: str, function: str, alias: str | None) -> bool:
    """Whether an ARN ends in the function, and in the alias where one is meant."""
    name = function.rsplit(":", 1)[-1] if function.startswith("arn:") else function
    parts = arn.split(":function:", 1)[-1].split(":")
    return parts == ([name] if alias is None else [name, alias])


def _batch_findings(side: Side, indexer: IndexerSettings, uuid: str, fields: dict[str, Any]) -> Iterator[Finding]:
    window_s = fields["maximum_batching_window_in_seconds"]
    if window_s > indexer.batch_window_s:
        yield Finding(
            what="batch window",
            found=f"{window_s} s",
            expected=f"at most {indexer.batch_window_s} s: readers wait for it",
            remedy=_update(side, uuid, maximum_batching_window_in_seconds=indexer.batch_window_s),
        )
    if fields["filter_criteria"]:
        yield Finding(
            what="filter",
            found=", ".join(fields["filter_criteria"]),
            expected="none: an item that leaves the filter must arrive, to be deleted",
            remedy=_update(side, uuid, filter_criteria={"Filters": []}),
        )


def _failure_findings(side: Side, uuid: str, found: dict[str, Any], fields: dict[str, Any]) -> Iterator[Finding]:
    if not fields["bisect_batch_on_function_error"]:
        yield Finding(
            what="bisecting",
            found="off",
            expected="on: a poison record takes as few others with it as possible",
            remedy=_update(side, uuid, bisect_batch_on_function_error=True),
        )
    retries = fields["maximum_retry_attempts"]
    if retries is None or retries < 0:
        yield Finding(
            what="retries",
            found="without end",
            expected=f"a number, such as {_RETRIES}: one poison record holds its shard for a day",
            remedy=_update(side, uuid, maximum_retry_attempts=_RETRIES),
        )
    if PARTIAL not in fields["function_response_types"]:
        yield Finding(
            what="partial batch responses",
            found="off",
            expected=f"{PARTIAL}: without it what the function reports as failed is lost",
            remedy=_update(side, uuid, function_response_types=[PARTIAL]),
        )
    if not (found.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination"):
        letters = side.environment.dead_letters
        yield Finding(
            what="on-failure destination",
            found="none",
            expected="a dead-letter queue: else what fails is lost",
            remedy=_update(
                side,
                uuid,
                destination_config={"OnFailure": {"Destination": _destination(side, found, letters)}},
            ),
        )


def _destination(side: Side, found: dict[str, Any], letters: Any) -> str:
    """The ARN that failures should go to; account and partition are those of the function."""
    if letters is None:
        return "<ARN of a queue>"
    if letters.destination is not None:
        return str(letters.destination)
    parts = str(found.get("FunctionArn", "arn:aws:lambda:::")).split(":")
    return f"arn:{parts[1]}:sqs:{side.region}:{parts[4]}:{letters.queue.rsplit('/', 1)[-1]}"


def _update(side: Side, uuid: str, **arguments: Any) -> str:
    return side.aws_line("lambda", "update-event-source-mapping", uuid=uuid, **arguments)
