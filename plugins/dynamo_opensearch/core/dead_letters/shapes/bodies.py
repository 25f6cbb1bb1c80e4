"""The forms that a dead letter comes in. Each is told by what it holds, never by the queue that it lay in.

Where they are described:

- on-failure, with and without payload: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
- pipes: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-error-troubleshooting.html
- S3 notification: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
- S3 event: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
- invocation: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
- SNS around any: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

import re
from typing import Any
from urllib.parse import unquote_plus

from dynamo_opensearch.core.dead_letters.messages import (
    Contents,
    KeyEvent,
    NotUnderstoodError,
    StoredObject,
    StreamRange,
    TableIdentity,
)
from dynamo_opensearch.core.dead_letters.shapes.json_values import Number, object_of, opened, parse, text_of
from dynamo_opensearch.core.dead_letters.shapes.records import KEY_MEMBERS, check_arn, key_event, key_events

Fields = dict[str, Any]

MOST_RECORDS = 10_000
"""The largest batch that an event source mapping or a pipe can be set to."""

_is_sequence_number = re.compile(r"[0-9]{1,40}").fullmatch
_is_object_created = re.compile(r"(s3:)?ObjectCreated:.*").fullmatch


def read_contents(body: str | bytes, table: TableIdentity) -> Contents:
    """What a message, or an S3 object that holds one, names. Pure; nothing of the item but its key is kept.

    Raises:
        NotUnderstoodError: no form that is known, another table, or a part of it that cannot be read.
    """
    value = _without_sns(opened(parse(body)))
    if isinstance(value, dict):
        return _read_object(value, table)
    return _read_keys(value, table)


def _without_sns(value: Any) -> Any:
    is_envelope = isinstance(value, dict) and value.get("Type") == "Notification" and "Message" in value
    return opened(parse(text_of(value["Message"], "`Message` of an SNS envelope"))) if is_envelope else value


def _read_object(value: Fields, table: TableIdentity) -> Contents:
    if "DDBStreamBatchInfo" in value:
        return _read_on_failure(value, table)
    if "requestPayload" in value:
        return Contents(shape="invocation", keys=_read_keys(opened(value["requestPayload"]), table).keys)
    if value.get("Event") == "s3:TestEvent":
        return Contents(shape="S3 test event")
    if value.get("source") == "aws.s3":
        return Contents(shape="S3 event", objects=(_event_object(value),))
    if _is_s3_notification(value):
        return Contents(shape="S3 notification", objects=tuple(map(_notified_object, value["Records"])))
    return _read_keys(value, table)


def _read_keys(value: Any, table: TableIdentity) -> Contents:
    """What the records of an event, a list of them, a single one, or a bare key name."""
    if isinstance(value, dict) and isinstance(value.get("Records"), list):
        value = value["Records"]
    if isinstance(value, list):
        return Contents(shape="records", keys=key_events(value, table))
    if isinstance(value, dict) and "dynamodb" in value:
        return Contents(shape="record", keys=(key_event(value, table),))
    if isinstance(value, dict) and any(member in value for member in KEY_MEMBERS):
        return Contents(shape="key", keys=(key_event(value, table),))
    raise NotUnderstoodError("JSON of no known form")


def _read_on_failure(value: Fields, table: TableIdentity) -> Contents:
    """``requestContext`` is Lambda's, ``context`` EventBridge Pipes'; neither says anything that is needed."""
    shape = "pipes" if "context" in value and "requestContext" not in value else "on-failure"
    coordinates = object_of(value["DDBStreamBatchInfo"], "`DDBStreamBatchInfo`")
    check_arn(coordinates.get("streamArn"), table)
    if value.get("payload") is None:
        return Contents(shape=shape, ranges=(_range(coordinates),))
    if keys := _payload_keys(value["payload"], table):
        return Contents(shape=f"{shape} with payload", keys=keys)
    return Contents(shape=f"{shape} with unreadable payload", ranges=(_range(coordinates),))


def _payload_keys(payload: Any, table: TableIdentity) -> tuple[KeyEvent, ...]:
    """Empty when it cannot be read: the coordinates are there as well."""
    try:
        return _read_keys(opened(payload), table).keys
    except NotUnderstoodError:
        return ()


def _range(coordinates: Fields) -> StreamRange:
    first = _sequence_number(coordinates.get("startSequenceNumber"))
    last = _sequence_number(coordinates.get("endSequenceNumber"))
    if int(first) > int(last):
        raise NotUnderstoodError("a range of sequence numbers that ends before it begins")
    return StreamRange(
        stream_arn=_stream_arn(coordinates.get("streamArn")),
        shard=text_of(coordinates.get("shardId"), "`shardId`"),
        first=first,
        last=last,
        records=_record_count(coordinates.get("batchSize")),
    )


def _stream_arn(value: Any) -> str:
    arn = text_of(value, "`streamArn`")
    if not arn.partition("/stream/")[2]:
        raise NotUnderstoodError("`streamArn` names no stream")
    return arn


def _sequence_number(value: Any) -> str:
    text = value.text if isinstance(value, Number) else value
    if not isinstance(text, str) or not _is_sequence_number(text):
        raise NotUnderstoodError("a sequence number is missing or none")
    return text


def _record_count(value: Any) -> int | None:
    text = value.text if isinstance(value, Number) else ""
    is_count = re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) <= MOST_RECORDS
    return int(text) if is_count else None


def _is_s3_notification(value: Fields) -> bool:
    records = value.get("Records")
    return isinstance(records, list) and any(
        isinstance(record, dict) and record.get("eventSource") == "aws:s3" for record in records
    )


def _notified_object(record: Any) -> StoredObject:
    """Here the key is encoded as in a form: ``+`` for a space."""
    fields = object_of(record, "a record")
    if fields.get("eventSource") != "aws:s3":
        raise NotUnderstoodError("records of S3 and others in one message")
    if not _is_object_created(text_of(fields.get("eventName"), "`eventName` of an S3 notification")):
        raise NotUnderstoodError("tells of an S3 object that is not new")
    s3 = object_of(fields.get("s3"), "`s3` of an S3 notification")
    return _stored_object(s3, "versionId", is_encoded=True)


def _event_object(event: Fields) -> StoredObject:
    """Here the key stands as it is."""
    if event.get("detail-type") != "Object Created":
        raise NotUnderstoodError("tells of an S3 object that is not new")
    return _stored_object(object_of(event.get("detail"), "`detail` of an S3 event"), "version-id", is_encoded=False)


def _stored_object(fields: Fields, version_member: str, *, is_encoded: bool) -> StoredObject:
    bucket = object_of(fields.get("bucket"), "`bucket` of an S3 object")
    stored = object_of(fields.get("object"), "`object` of an S3 object")
    key = text_of(stored.get("key"), "`key` of an S3 object")
    return StoredObject(
        bucket=text_of(bucket.get("name"), "`name` of an S3 bucket"),
        key=unquote_plus(key) if is_encoded else key,
        version=text_of(stored[version_member], "the version of an S3 object") if stored.get(version_member) else None,
    )
