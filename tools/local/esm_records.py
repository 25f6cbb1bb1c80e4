"""Stream records as boto3 gives them, in the shape in which Lambda hands them to a function."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LambdaRecord = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One record. ``created_s``: as the stream says, so rounded down; ``seen_s``: when it was read (since 1970)."""

    sequence_number: str
    created_s: float
    seen_s: float
    event: LambdaRecord


def lambda_record(record: Mapping[str, Any], stream_arn: str, region: str) -> LambdaRecord:
    """The record of an event: times as numbers, binary as base64 text, ``userIdentity`` spelt as Lambda spells it."""
    moment = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
    event: LambdaRecord = {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": record.get("eventVersion", "1.1"),
        "eventSource": record.get("eventSource", "aws:dynamodb"),
        "awsRegion": record.get("awsRegion", region),
        "dynamodb": {
            **{name: _as_json(value) for name, value in record["dynamodb"].items()},
            "ApproximateCreationDateTime": int(moment) if moment.is_integer() else moment,
        },
        "eventSourceARN": stream_arn,
    }
    if identity := record.get("userIdentity"):
        event["userIdentity"] = {"type": identity["Type"], "principalId": identity["PrincipalId"]}
    return event


def stream_record(record: Mapping[str, Any], stream_arn: str, region: str, seen_s: float) -> StreamRecord:
    """A record of GetRecords, read at ``seen_s``."""
    stream_part = record["dynamodb"]
    return StreamRecord(
        stream_part["SequenceNumber"],
        stream_part["ApproximateCreationDateTime"].timestamp(),
        seen_s,
        lambda_record(record, stream_arn, region),
    )


def event_of(records: Sequence[StreamRecord]) -> dict[str, Any]:
    """What the function is called with."""
    return {"Records": [record.event for record in records]}


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {name: _as_json(member) for name, member in value.items()}
    return [_as_json(member) for member in value] if isinstance(value, list | set) else value
