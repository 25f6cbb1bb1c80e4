"""Stream records as Lambda hands them to a function."""

from typing import Any

from tests.support.fakes import NOW_US

Record = dict[str, Any]
NOW_S = NOW_US // 1_000_000
ARN = "arn:aws:dynamodb:eu-central-1:000000000000:table/members/stream/2026-01-01T00:00:00.000"


def put(number: int, image: Record, created_s: float = NOW_S, event_name: str = "MODIFY") -> Record:
    """Record ``number``: the item is this now. Its key is ``id``."""
    record = _record(number, event_name, image["id"], created_s)
    record["dynamodb"]["NewImage"] = image
    return record


def removed(number: int, key: str, created_s: float = NOW_S, *, by_ttl: bool = False) -> Record:
    """Record ``number``: the item is gone."""
    record = _record(number, "REMOVE", {"S": key}, created_s)
    if by_ttl:
        record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    return record


def keys_only(number: int, key: str, created_s: float = NOW_S) -> Record:
    """Record ``number`` of a stream that has no images."""
    return _record(number, "MODIFY", {"S": key}, created_s)


def event(*records: Record) -> Record:
    """A batch."""
    return {"Records": list(records)}


def number(value: int) -> str:
    """The sequence number of record ``value``."""
    return str(10**20 + value)


def _record(value: int, event_name: str, key: Record, created_s: float) -> Record:
    return {
        "eventID": f"{value:032x}",
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": {
            "ApproximateCreationDateTime": created_s,
            "Keys": {"id": key},
            "SequenceNumber": number(value),
            "SizeBytes": 100,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": ARN,
    }
