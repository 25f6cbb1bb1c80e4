"""Dead letters as services and people write them, each in its bare form. The table is ``members``."""

import json
from typing import Any

from dynamo_opensearch.core.dead_letters.messages import TableIdentity

Fields = dict[str, Any]

TABLE = TableIdentity(arn="arn:aws:dynamodb:eu-central-1:000000000000:table/members", key=(("id", "S"),))
STREAM_ARN = TABLE.arn + "/stream/2026-01-01T00:00:00.000"
CREATED_S = 1_800_000_000
CREATED_US = CREATED_S * 1_000_000
BUCKET = "letters"


def coordinates(**changed: Any) -> Fields:
    """Where a batch lies in the stream: three records."""
    return {
        "shardId": "shardId-00000001573689847184-864758bb",
        "startSequenceNumber": "800000000003126276362",
        "endSequenceNumber": "800000000003126276399",
        "approximateArrivalOfFirstRecord": "2019-11-14T00:13:19Z",
        "approximateArrivalOfLastRecord": "2019-11-14T00:13:19Z",
        "batchSize": 3,
        "streamArn": STREAM_ARN,
    } | changed


def on_failure(**changed: Any) -> Fields:
    """What Lambda leaves; ``changed`` are members of the coordinates."""
    return {
        "requestContext": {"functionArn": "arn:aws:lambda:…", "condition": "RetryAttemptsExhausted"},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2019-11-14T00:13:49.717Z",
        "DDBStreamBatchInfo": coordinates(**changed),
    }


def of_pipes() -> Fields:
    """What EventBridge Pipes leaves (https://github.com/localstack/localstack has its context's two members)."""
    arn = "arn:aws:pipes:eu-central-1:000000000000:pipe/indexer"
    return {
        "context": {"partnerResourceArn": arn, "condition": "RetryAttemptsExhausted"},
        "version": "1.0",
        "timestamp": "2024-03-08T00:00:00Z",
        "DDBStreamBatchInfo": coordinates(),
    }


def record(key: str = "m-1", **changed: Any) -> Fields:
    """A stream record as a function gets it; ``changed`` are members of its ``dynamodb``."""
    return {
        "eventID": "1",
        "eventName": "MODIFY",
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "ApproximateCreationDateTime": CREATED_S,
            "Keys": {"id": {"S": key}},
            "NewImage": {"id": {"S": key}, "name": {"S": "Ada"}},
            "SequenceNumber": "800000000003126276362",
        }
        | changed,
        "eventSourceARN": STREAM_ARN,
    }


def event(*keys: str) -> Fields:
    """A batch with one record for each key."""
    return {"Records": [record(key) for key in keys]}


def with_payload(payload: Any) -> Fields:
    """What Lambda leaves in S3."""
    return on_failure() | {"payload": payload}


def s3_notification(*keys: str, **changed: Any) -> Fields:
    """What S3 sends when objects were made; ``keys`` as they stand there, encoded; ``changed`` are members of each."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": BUCKET}, "object": {"key": key, "size": 1024, "versionId": "v1"}},
            }
            | changed
            for key in keys
        ]
    }


def s3_event(key: str, **changed: Any) -> Fields:
    """The same by EventBridge."""
    return {
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"bucket": {"name": BUCKET}, "object": {"key": key, "version-id": "v1"}, "reason": "PutObject"},
    } | changed


S3_TEST_EVENT: Fields = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Bucket": BUCKET,
    "RequestId": "5582815E1AEA5",
}


def through_sns(body: Fields) -> Fields:
    """A message that came by a topic, raw delivery off."""
    return {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:…", "Message": json.dumps(body)}


ALL: dict[str, Fields | list[Fields]] = {
    "on-failure": on_failure(),
    "pipes": of_pipes(),
    "on-failure with payload": with_payload(json.dumps(event("m-1", "m-2"))),
    "on-failure with unreadable payload": with_payload("{"),
    "S3 notification": s3_notification("a/b"),
    "S3 event": s3_event("a/b"),
    "S3 test event": S3_TEST_EVENT,
    "records": event("m-1", "m-2"),
    "record": record(),
    "key": {"key": {"id": "m-1"}},
    "invocation": {"requestContext": {}, "requestPayload": event("m-1"), "responsePayload": {}},
}
"""One of each shape, by the name that a report gives it."""
