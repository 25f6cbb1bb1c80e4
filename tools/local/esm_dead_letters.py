"""What an event source mapping leaves where a batch is given up: coordinates, with or without the payload.

Shapes: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html. AWS has written some of it in more
than one way; ``Shape`` says which one to write.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from tools.local.esm_records import StreamRecord, event_of

Reason = Literal["attempts", "age"]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """``context``: EventBridge Pipes writes ``context``. ``function_error``: as it was, always null, or left out."""

    context: Literal["requestContext", "context"] = "requestContext"
    function_error: Literal["told", "null", "missing"] = "told"
    has_response: bool = True
    age_condition: Literal["RecordAgeExceeded", "MaximumRecordAgeExceeded"] = "RecordAgeExceeded"


@dataclass(frozen=True, kw_only=True)
class GivenUp:
    """A batch without a future.

    ``invocations``: how often the function was called with it; ``has_raised``: how the last call ended.
    """

    records: Sequence[StreamRecord]
    shard_id: str
    stream_arn: str
    function_arn: str
    reason: Reason
    invocations: int
    has_raised: bool
    at: datetime


class Destination(Protocol):
    """Where it goes (``OnFailure``)."""

    def send(self, given_up: GivenUp) -> None:
        """Leave it there; raises what the service's client raises."""
        ...


@dataclass(frozen=True, kw_only=True)
class SqsDestination:
    """A queue; the message holds coordinates only."""

    client: Any
    queue_url: str
    shape: Shape = Shape()

    def send(self, given_up: GivenUp) -> None:
        """One message."""
        body = json.dumps(message(given_up, self.shape))
        self.client.send_message(QueueUrl=self.queue_url, MessageBody=body)


@dataclass(frozen=True, kw_only=True)
class S3Destination:
    """A bucket; the object holds the whole event as well."""

    client: Any
    bucket: str
    mapping_uuid: str
    shape: Shape = Shape()

    def send(self, given_up: GivenUp) -> None:
        """One object."""
        content = message(given_up, self.shape) | {"payload": json.dumps(event_of(given_up.records))}
        moment = given_up.at.astimezone(UTC)
        key = (
            f"aws/lambda/{self.mapping_uuid}/{given_up.shard_id}/"
            f"{moment:%Y/%m/%d}/{moment:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
        )
        self.client.put_object(Bucket=self.bucket, Key=key, Body=json.dumps(content).encode())


def message(given_up: GivenUp, shape: Shape = Shape()) -> dict[str, Any]:
    """The coordinates of a batch that was given up."""
    first, last = given_up.records[0], given_up.records[-1]
    condition = "RetryAttemptsExhausted" if given_up.reason == "attempts" else shape.age_condition
    told: dict[str, Any] = {
        shape.context: {
            "requestId": str(uuid.uuid4()),
            "functionArn": given_up.function_arn,
            "condition": condition,
            "approximateInvokeCount": given_up.invocations,
        },
        "responseContext": _response(given_up, shape),
        "version": "1.0",
        "timestamp": _milliseconds(given_up.at),
        "DDBStreamBatchInfo": {
            "shardId": given_up.shard_id,
            "startSequenceNumber": first.sequence_number,
            "endSequenceNumber": last.sequence_number,
            "approximateArrivalOfFirstRecord": _seconds(first.created_s),
            "approximateArrivalOfLastRecord": _seconds(last.created_s),
            "batchSize": len(given_up.records),
            "streamArn": given_up.stream_arn,
        },
    }
    if told["responseContext"] is None:
        del told["responseContext"]
    return told


def _response(given_up: GivenUp, shape: Shape) -> dict[str, Any] | None:
    if not shape.has_response or not given_up.invocations:
        return None
    response: dict[str, Any] = {"statusCode": 200, "executedVersion": "$LATEST"}
    if shape.function_error != "missing":
        has_error = shape.function_error == "told" and given_up.has_raised
        response["functionError"] = "Unhandled" if has_error else None
    return response


def _milliseconds(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(since_1970_s: float) -> str:
    return datetime.fromtimestamp(since_1970_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
