"""The dead-letter queue: there, encrypted, long-lived, and where the indexer's failures go."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.preflight.findings import Finding, NotAskedForError
from dynamo_opensearch.core.preflight.look import Look, in_terraform, shown
from dynamo_opensearch.core.preflight.refusals import with_refusals
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import DeadLetterSettings

MIN_RETENTION_S = 345_600
"""Four days: a failure of Friday evening is still there on Tuesday."""

_LONGEST_RETENTION_S = 1_209_600


def look_at_dead_letters(side: Side) -> Look:
    """The queue of the target file, and what the event source mapping says of it.

    Raises:
        NotAskedForError: the target file names no queue.
        AccessDeniedError, ServiceUnavailableError: it cannot be asked.
    """
    settings = dead_letter_settings(side)
    try:
        url = queue_url(side, settings)
        answer = side.aws.ask("sqs", "get_queue_attributes", settings.queue, QueueUrl=url, AttributeNames=["All"])
    except ResourceMissingError:
        return Look(seen="no such queue", findings=(_missing(side, settings),))
    found = answer["Attributes"]
    fields = _fields(found)
    return Look(
        seen=f"{queue_name(settings.queue)}: {fields['encryption']}, {fields['message_retention_seconds']} s",
        findings=(
            *with_refusals(side, _encryption_findings(side, found, url)),
            *_retention_findings(side, fields, url),
            *with_refusals(side, _destination_findings(side, settings, found["QueueArn"])),
        ),
        fields=fields,
        align=in_terraform(f"aws_sqs_queue {queue_name(settings.queue)}"),
    )


def dead_letter_settings(side: Side) -> DeadLetterSettings:
    """What the target file says of dead letters.

    Raises:
        NotAskedForError: nothing.
    """
    if side.environment.dead_letters is None:
        raise NotAskedForError(f"environments.{side.name}.dead_letters is not in the target file")
    return side.environment.dead_letters


def queue_name(queue: str) -> str:
    """The name of a queue that is given by name or URL."""
    return queue.rsplit("/", 1)[-1]


def queue_url(side: Side, settings: DeadLetterSettings) -> str:
    """The queue's address, looked up where the file gives its name.

    Raises:
        ResourceMissingError: there is none.
    """
    if "://" in settings.queue:
        return settings.queue
    return str(side.aws.ask("sqs", "get_queue_url", settings.queue, QueueName=settings.queue)["QueueUrl"])


def _fields(found: dict[str, str]) -> dict[str, Any]:
    """By the names of Terraform's aws_sqs_queue, but for ``encryption``."""
    is_sse = found.get("SqsManagedSseEnabled") == "true"
    return {
        "encryption": "KMS" if found.get("KmsMasterKeyId") else "SSE-SQS" if is_sse else "none",
        "message_retention_seconds": int(found["MessageRetentionPeriod"]),
        "visibility_timeout_seconds": int(found.get("VisibilityTimeout", 30)),
        "max_message_size": int(found.get("MaximumMessageSize", 262_144)),
        "receive_wait_time_seconds": int(found.get("ReceiveMessageWaitTimeSeconds", 0)),
    }


def _missing(side: Side, settings: DeadLetterSettings) -> Finding:
    name = queue_name(settings.queue)
    return Finding(
        what=f"queue {name}",
        found="nothing",
        expected="a queue for what the indexer fails on",
        remedy=side.aws_line(
            "sqs",
            "create-queue",
            queue_name=name,
            attributes={"MessageRetentionPeriod": str(_LONGEST_RETENTION_S), "SqsManagedSseEnabled": "true"},
        ),
    )


def _encryption_findings(side: Side, found: dict[str, str], url: str) -> Iterator[Finding]:
    key = found.get("KmsMasterKeyId")
    if not key:
        if found.get("SqsManagedSseEnabled") != "true":
            yield Finding(
                what="encryption",
                found="none",
                expected="SSE-SQS or a KMS key",
                remedy=_set_line(side, url, SqsManagedSseEnabled="true"),
            )
        return
    if key.removeprefix("alias/").startswith("aws/"):
        return  # Amazon's own key, which cannot be switched off
    try:
        state = side.aws.ask("kms", "describe_key", key, KeyId=key)["KeyMetadata"]["KeyState"]
    except ResourceMissingError:
        state = "not there"
    if state != "Enabled":
        yield Finding(
            what=f"KMS key {key}",
            found=str(state),
            expected="Enabled: without it nobody can read or write the queue",
            remedy=side.aws_line("kms", "enable-key", key_id=key)
            if state == "Disabled"
            else _set_line(side, url, KmsMasterKeyId="", SqsManagedSseEnabled="true"),
        )


def _retention_findings(side: Side, fields: dict[str, Any], url: str) -> Iterator[Finding]:
    retention_s = fields["message_retention_seconds"]
    if retention_s < MIN_RETENTION_S:
        yield Finding(
            what="retention",
            found=f"{retention_s} s",
            expected=f"at least {MIN_RETENTION_S} s (4 days)",
            remedy=_set_line(side, url, MessageRetentionPeriod=str(_LONGEST_RETENTION_S)),
        )


def _destination_findings(side: Side, settings: DeadLetterSettings, queue_arn: str) -> Iterator[Finding]:
    """Where the mapping's failures go; that they go anywhere is for the check of the mapping to say."""
    indexer = side.environment.indexer
    uuid = None if indexer is None else indexer.event_source_mapping
    if uuid is None:
        return
    try:
        mapping = side.aws.ask("lambda", "get_event_source_mapping", uuid, UUID=uuid)
    except ResourceMissingError:
        return
    found = (mapping.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination")
    wanted = settings.destination or queue_arn
    if found is not None and found != wanted:
        yield Finding(
            what="on-failure destination of the event source mapping",
            found=shown(found),
            expected=wanted,
            remedy=side.aws_line(
                "lambda",
                "update-event-source-mapping",
                uuid=uuid,
                destination_config={"OnFailure": {"Destination": wanted}},
            ),
        )


def _set_line(side: Side, url: str, **attributes: str) -> str:
    return side.aws_line("sqs", "set-queue-attributes", queue_url=url, attributes=attributes)
