"""The event source mapping that hands the table's changes to the indexer: found, made where there is none, enabled."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.aws.control_plane import RequestRefusedError
from dynamo_opensearch.core.cutover.mapping.errors import (
    MappingBusyError,
    MappingNotMadeError,
    MappingRefusedError,
    NoDestinationError,
)
from dynamo_opensearch.core.cutover.mapping.search import find_mapping, mapping_at_rest, stream_of
from dynamo_opensearch.core.preflight.checks.dead_letters import queue_url
from dynamo_opensearch.core.preflight.checks.event_source_mapping import indexer_settings, invoked, losing_findings
from dynamo_opensearch.core.preflight.mapping_settings import PARTIAL, RETRIES, mapping_fields, slow_findings
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import IndexerSettings

_BATCH_SIZE, _RECORD_AGE_S = 100, 21_600
_BUSY = frozenset({"ResourceConflictException", "ResourceInUseException"})


@dataclass(frozen=True, kw_only=True)
class IndexerMapping:
    """The one mapping. ``was_made``, ``was_enabled``: what was done. ``warnings``: what one should know, or write."""

    uuid: str
    invokes: str
    was_made: bool
    was_enabled: bool
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        did = "is enabled already: nothing was to do"
        if self.was_made:
            did = "was made, from the oldest change that the stream holds on"
        elif self.was_enabled:
            did = "was disabled, and is enabled: it goes on where it stopped, as far as the stream still reaches"
        lines = (f"event source mapping {self.uuid} to {self.invokes} {did}", *self.warnings)
        return "\n  ".join(lines)


def enable_mapping(side: Side) -> IndexerMapping:
    """Make the mapping where there is none, enable it where it is disabled. Lambda takes a while for either.

    Safe to run again, also after a kill: one that is there is taken, and never changed but for being enabled.

    Raises:
        NoStreamError: the table's stream is off.
        SeveralMappingsError: the function has several on that stream.
        MappingRefusedError: it has settings by which changes are lost, or the target file names one that is not there.
        NoDestinationError: one has to be made, and the target file names no dead-letter queue.
        MappingNotMadeError: Lambda does not take it.
        MappingBusyError: Lambda goes on changing it; the next try may succeed.
        ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    indexer = indexer_settings(side)
    stream = stream_of(side)
    found, was_made = mapping_at_rest(side, indexer, stream), False
    if found is None:
        found, was_made = _make(side, indexer, stream), True
    _check_settings(side, indexer, found)
    was_enabled = found.get("State") == "Disabled"
    if was_enabled:
        _enable(side, indexer, stream, str(found["UUID"]))
    return IndexerMapping(
        uuid=str(found["UUID"]),
        invokes=invoked(indexer),
        was_made=was_made,
        was_enabled=was_enabled,
        warnings=tuple(_warnings(side, indexer, found)),
    )


def _make(side: Side, indexer: IndexerSettings, stream: str) -> dict[str, Any]:
    """As docs/indexer-contract.md has it. One that came into being meanwhile is taken."""
    destination = _destination(side)
    try:
        made = side.aws.ask(
            "lambda",
            "create_event_source_mapping",
            invoked(indexer),
            FunctionName=invoked(indexer),
            EventSourceArn=stream,
            StartingPosition="TRIM_HORIZON",
            Enabled=True,
            BatchSize=_BATCH_SIZE,
            MaximumBatchingWindowInSeconds=indexer.batch_window_s,
            BisectBatchOnFunctionError=True,
            MaximumRetryAttempts=RETRIES,
            MaximumRecordAgeInSeconds=_RECORD_AGE_S,
            FunctionResponseTypes=[PARTIAL],
            DestinationConfig={"OnFailure": {"Destination": destination}},
        )
    except RequestRefusedError as error:
        found = mapping_at_rest(side, indexer, stream) if error.code in _BUSY else None
        if found is None:
            action = "lambda:CreateEventSourceMapping"
            raise MappingNotMadeError(invoked(indexer), action, error.code) from error
        return found
    return find_mapping(side, indexer, stream) or made


def _destination(side: Side) -> str:
    """The ARN that failures go to; the queue is asked for its own."""
    letters = side.environment.dead_letters
    if letters is None:
        raise NoDestinationError(side.target.name, side.file_line("dead_letters.queue", "<name>"))
    if letters.destination is not None:
        return letters.destination
    url = queue_url(side, letters)
    asked = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
    return str(side.aws.ask("sqs", "get_queue_attributes", letters.queue, **asked)["Attributes"]["QueueArn"])


def _check_settings(side: Side, indexer: IndexerSettings, found: dict[str, Any]) -> None:
    findings = tuple(str(one) for one in losing_findings(side, indexer, found))
    if findings:
        raise MappingRefusedError(str(found["UUID"]), str(found.get("State")), findings)


def _enable(side: Side, indexer: IndexerSettings, stream: str, uuid: str) -> None:
    """Ask for it; where Lambda is just changing the mapping, once that has ended."""
    try:
        side.aws.ask("lambda", "update_event_source_mapping", uuid, UUID=uuid, Enabled=True)
    except RequestRefusedError as error:
        if error.code not in _BUSY:
            raise
        found = mapping_at_rest(side, indexer, stream)
        if found is None or found.get("State") != "Enabled":
            raise MappingBusyError(uuid, "being changed by others", 0.0) from error


def _warnings(side: Side, indexer: IndexerSettings, found: dict[str, Any]) -> Iterator[str]:
    for one in slow_findings(side, indexer, str(found["UUID"]), mapping_fields(found)):
        yield f"warning: {one}"
    if indexer.event_source_mapping is None:
        yield f"write it {side.file_line('indexer.event_source_mapping', found['UUID'])}"
