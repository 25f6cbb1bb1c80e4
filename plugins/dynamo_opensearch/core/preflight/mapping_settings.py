"""The settings of an event source mapping, against the indexer's contract: what is lost by them, and what is late."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import IndexerSettings

PARTIAL = "ReportBatchItemFailures"
RETRIES = 10
_UNLIMITED = -1


def mapping_fields(found: dict[str, Any]) -> dict[str, Any]:
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


def slow_findings(side: Side, indexer: IndexerSettings, uuid: str, fields: dict[str, Any]) -> Iterator[Finding]:
    """Settings of a mapping by which changes reach the index late."""
    window_s = fields["maximum_batching_window_in_seconds"]
    if window_s > indexer.batch_window_s:
        yield Finding(
            what="batch window",
            found=f"{window_s} s",
            expected=f"at most {indexer.batch_window_s} s: readers wait for it",
            remedy=update_line(side, uuid, maximum_batching_window_in_seconds=indexer.batch_window_s),
        )


def filter_findings(side: Side, uuid: str, fields: dict[str, Any]) -> Iterator[Finding]:
    """What is not handed to the function."""
    if fields["filter_criteria"]:
        yield Finding(
            what="filter",
            found=", ".join(fields["filter_criteria"]),
            expected="none: an item that leaves the filter must arrive, to be deleted",
            remedy=update_line(side, uuid, filter_criteria={"Filters": []}),
        )


def failure_findings(side: Side, uuid: str, found: dict[str, Any], fields: dict[str, Any]) -> Iterator[Finding]:
    """What becomes of records that the function fails on."""
    if not fields["bisect_batch_on_function_error"]:
        yield Finding(
            what="bisecting",
            found="off",
            expected="on: a poison record takes as few others with it as possible",
            remedy=update_line(side, uuid, bisect_batch_on_function_error=True),
        )
    retries = fields["maximum_retry_attempts"]
    if retries is None or retries < 0:
        yield Finding(
            what="retries",
            found="without end",
            expected=f"a number, such as {RETRIES}: one poison record holds its shard for a day",
            remedy=update_line(side, uuid, maximum_retry_attempts=RETRIES),
        )
    if PARTIAL not in fields["function_response_types"]:
        yield Finding(
            what="partial batch responses",
            found="off",
            expected=f"{PARTIAL}: without it what the function reports as failed is lost",
            remedy=update_line(side, uuid, function_response_types=[PARTIAL]),
        )
    if not (found.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination"):
        letters = side.environment.dead_letters
        yield Finding(
            what="on-failure destination",
            found="none",
            expected="a dead-letter queue: else what fails is lost",
            remedy=update_line(
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


def update_line(side: Side, uuid: str, **arguments: Any) -> str:
    """The line that changes a mapping."""
    return side.aws_line("lambda", "update-event-source-mapping", uuid=uuid, **arguments)
