"""Every form of a dead letter gives the coordinates, keys or objects that it names; every other is refused by name."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from dynamo_opensearch.core.dead_letters.messages import (
    Contents,
    KeyEvent,
    NotUnderstoodError,
    StoredObject,
    StreamRange,
)
from dynamo_opensearch.core.dead_letters.shapes.bodies import MOST_RECORDS, read_contents
from dynamo_opensearch.core.dead_letters.shapes.json_values import parse
from dynamo_opensearch.core.documents.ids import document_id
from tests.support.dead_letter_bodies import (
    ALL,
    BUCKET,
    CREATED_S,
    CREATED_US,
    S3_TEST_EVENT,
    STREAM_ARN,
    TABLE,
    Fields,
    coordinates,
    event,
    of_pipes,
    on_failure,
    record,
    s3_event,
    s3_notification,
    through_sns,
    with_payload,
)
from tools.local.esm_dead_letters import Destination, GivenUp, Reason, S3Destination, Shape, SqsDestination
from tools.local.esm_records import StreamRecord

RANGE = StreamRange(
    stream_arn=STREAM_ARN,
    shard="shardId-00000001573689847184-864758bb",
    first="800000000003126276362",
    last="800000000003126276399",
    records=3,
)
OTHER_ARN = TABLE.arn + "-2"


def read(value: Any) -> Contents:
    return read_contents(json.dumps(value), TABLE)


def refusal(body: str | bytes) -> str:
    with pytest.raises(NotUnderstoodError) as caught:
        read_contents(body, TABLE)
    return caught.value.reason


def refusal_of(value: Any) -> str:
    return refusal(json.dumps(value))


def keys_of(contents: Contents) -> list[str]:
    return [document_id(one.key) for one in contents.keys]


@pytest.mark.parametrize("name", ALL)
def test_each_shape_is_known_by_its_name_as_text_and_as_bytes(name: str) -> None:
    body = json.dumps(ALL[name])
    assert read_contents(body, TABLE) == read_contents(body.encode(), TABLE)
    assert read_contents(body, TABLE).shape == name


def without(fields: Fields, *names: str) -> Fields:
    return {name: value for name, value in fields.items() if name not in names}


@pytest.mark.parametrize(
    "body",
    [
        on_failure(),
        without(on_failure(), "responseContext"),
        without(on_failure(), "requestContext", "responseContext", "version", "timestamp"),
        on_failure() | {"requestContext": None, "responseContext": None, "payload": None},
        on_failure() | {"responseContext": {"statusCode": 200, "functionError": None}},
        on_failure() | {"responseContext": {"statusCode": 200}},
        on_failure() | {"requestContext": {"condition": "RecordAgeExceeded"}},
        on_failure() | {"requestContext": {"condition": "MaximumRecordAgeExceeded"}},
        on_failure(approximateArrivalOfFirstRecord=None, approximateArrivalOfLastRecord=None),
        on_failure(startSequenceNumber=int(RANGE.first), endSequenceNumber=int(RANGE.last)),
    ],
)
def test_on_failure_is_read_with_every_field_missing_that_nobody_needs(body: Fields) -> None:
    assert read(body) == Contents(shape="on-failure", ranges=(RANGE,))


def test_pipes_says_context_where_lambda_says_request_context() -> None:
    assert read(of_pipes()) == Contents(shape="pipes", ranges=(RANGE,))


@pytest.mark.parametrize("size", [None, "3", 0, -1, 2.5, MOST_RECORDS + 1, 10**30, True, []])
def test_a_count_of_records_that_cannot_be_is_none(size: Any) -> None:
    assert read(on_failure(batchSize=size)).ranges[0].records is None


def test_one_record_is_a_range_and_numbers_are_compared_as_numbers() -> None:
    for first in ("9", "000000000000000000009"):
        longer = read(on_failure(startSequenceNumber=first, endSequenceNumber="10")).ranges[0]
        assert (longer.first, longer.last) == (first, "10")
    same = read(on_failure(endSequenceNumber=RANGE.first)).ranges[0]
    assert same.first == same.last == RANGE.first


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"streamArn": None}, "`streamArn` is missing or no text"),
        ({"streamArn": TABLE.arn}, "`streamArn` names no stream"),
        ({"streamArn": OTHER_ARN + "/stream/2026-01-01T00:00:00.000"}, "of another table"),
        ({"streamArn": 7}, "of another table"),
        ({"shardId": ""}, "`shardId` is missing or no text"),
        ({"shardId": "half \ud83d"}, "`shardId` is missing or no text"),
        ({"startSequenceNumber": None}, "a sequence number is missing or none"),
        ({"endSequenceNumber": "last"}, "a sequence number is missing or none"),
        ({"endSequenceNumber": 8e20}, "a sequence number is missing or none"),
        ({"endSequenceNumber": "٣"}, "a sequence number is missing or none"),
        ({"endSequenceNumber": "9" * 41}, "a sequence number is missing or none"),
        ({"endSequenceNumber": "1"}, "a range of sequence numbers that ends before it begins"),
    ],
)
def test_coordinates_that_lead_nowhere_are_refused(changed: Fields, reason: str) -> None:
    assert refusal_of(on_failure(**changed)) == reason
    assert refusal_of(on_failure(**changed) | {"payload": "{"}) == reason


def test_a_payload_is_read_for_keys_and_times_and_makes_the_coordinates_needless() -> None:
    expected = tuple(KeyEvent(({"S": key},), CREATED_US) for key in ("m-1", "m-2"))
    contents = Contents(shape="on-failure with payload", keys=expected)
    assert read(with_payload(json.dumps(event("m-1", "m-2")))) == contents
    assert read(with_payload(event("m-1", "m-2"))) == contents
    assert read(with_payload(json.dumps(event("m-1", "m-2"))) | {"DDBStreamBatchInfo": {}}) == contents


@pytest.mark.parametrize(
    "payload", ["", "{", "[]", json.dumps({"Records": []}), json.dumps(event("m-1", "")), 7, json.dumps([record(), 7])]
)
def test_a_payload_that_cannot_be_read_leaves_the_coordinates(payload: Any) -> None:
    assert read(with_payload(payload)) == Contents(shape="on-failure with unreadable payload", ranges=(RANGE,))


def test_a_payload_does_not_excuse_the_stream_of_another_table() -> None:
    body = with_payload(json.dumps(event("m-1"))) | {"DDBStreamBatchInfo": coordinates(streamArn=OTHER_ARN)}
    assert refusal_of(body) == "of another table"


def test_an_s3_notification_names_objects_by_decoded_keys() -> None:
    contents = read(s3_notification("aws/lambda/a+b%2Bc%3A1/%C3%A9", "plain"))
    assert contents.objects == (
        StoredObject(bucket=BUCKET, key="aws/lambda/a b+c:1/é", version="v1"),
        StoredObject(bucket=BUCKET, key="plain", version="v1"),
    )


def test_an_event_of_eventbridge_names_its_object_as_it_is() -> None:
    assert read(s3_event("a+b%2B:1")).objects == (StoredObject(bucket=BUCKET, key="a+b%2B:1", version="v1"),)


@pytest.mark.parametrize("version", [{}, {"versionId": None}, {"versionId": ""}])
def test_a_bucket_without_versions_gives_none(version: Fields) -> None:
    s3 = {"bucket": {"name": BUCKET}, "object": {"key": "a"} | version}
    assert read(s3_notification("a", s3=s3)).objects == (StoredObject(bucket=BUCKET, key="a"),)


NOT_NEW = "tells of an S3 object that is not new"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (s3_notification("a", eventName="ObjectRemoved:Delete"), NOT_NEW),
        (s3_event("a") | {"detail-type": "Object Deleted"}, NOT_NEW),
        (s3_event("a") | {"detail": None}, "`detail` of an S3 event is missing or no object"),
        (s3_event(""), "`key` of an S3 object is missing or no text"),
        (s3_notification("a", s3=None), "`s3` of an S3 notification is missing or no object"),
        (s3_notification("a", s3={"bucket": None}), "`bucket` of an S3 object is missing or no object"),
        ({"Records": [*s3_notification("a")["Records"], record()]}, "records of S3 and others in one message"),
        ({"Records": [*s3_notification("a")["Records"], 7]}, "a record is missing or no object"),
    ],
)
def test_what_points_to_no_new_object_is_refused(body: Fields, reason: str) -> None:
    assert refusal_of(body) == reason


@pytest.mark.parametrize("name", ALL)
def test_every_shape_can_come_through_sns(name: str) -> None:
    body = ALL[name]
    assert isinstance(body, dict)
    assert read(through_sns(body)) == read(body)


def test_what_s3_writes_to_test_a_queue_names_nothing() -> None:
    assert read(S3_TEST_EVENT) == Contents(shape="S3 test event")


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (event("m-1", "m-2"), "records"),
        (event("m-1", "m-2")["Records"], "records"),
        ([{"key": {"id": "m-1"}}, {"Keys": {"id": {"S": "m-2"}}}], "records"),
        ({"requestPayload": event("m-1", "m-2")}, "invocation"),
        ({"requestPayload": json.dumps(event("m-1", "m-2"))}, "invocation"),
        (record("m-1"), "record"),
        (record("m-1") | {"eventName": "REMOVE"}, "record"),
        (without(record("m-1"), "eventSourceARN"), "record"),
        (record("m-1") | {"eventSourceARN": TABLE.arn, "tableName": "members"}, "record"),
        ({"dynamodb": {"Keys": {"id": "m-1"}}}, "record"),
        ({"dynamodb": {"Keys": None, "NewImage": {"id": {"S": "m-1"}, "age": {"N": "7"}}}}, "record"),
        ({"dynamodb": {"NewImage": None, "OldImage": {"id": "m-1", "age": 7}}}, "record"),
        *(({name: {"id": "m-1", "other": 7}, "attempts": 3}, "key") for name in ("Keys", "keys", "Key", "key")),
        ({"key": {"id": {"S": "m-1"}}, "table": "members"}, "key"),
        ({"key": {"id": {"S": "m-1"}}, "table": TABLE.arn}, "key"),
        ({"key": {"id": {"S": "m-1"}}, "eventSourceARN": STREAM_ARN}, "key"),
    ],
)
def test_records_and_keys_are_read_in_each_of_their_forms(body: Any, shape: str) -> None:
    contents = read(body)
    assert (contents.shape, contents.ranges, contents.objects) == (shape, (), ())
    assert keys_of(contents) == ["m-1", "m-2"][: len(contents.keys)]


UNKNOWN = "JSON of no known form"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        *((value, UNKNOWN) for value in (7, None, True, {}, {"id": {"S": "m-1"}, "name": {"S": "Ada"}})),
        ({"KinesisBatchInfo": coordinates()}, UNKNOWN),
        ({"Records": None}, UNKNOWN),
        ({"requestPayload": None}, UNKNOWN),
        ({"requestPayload": on_failure()}, UNKNOWN),
        ({"DDBStreamBatchInfo": None}, "`DDBStreamBatchInfo` is missing or no object"),
        ([], "it names no records"),
        ({"Records": []}, "it names no records"),
        ([1, 2], "a record is missing or no object"),
        ([record(), {"id": {"S": "m-1"}}], "a record without a key"),
        ([record(), record("")], "key attribute 'id' has no value of type S"),
        ({"dynamodb": {}}, "a record without a key"),
        ({"dynamodb": None}, "`dynamodb` of a record is missing or no object"),
        ({"key": "m-1"}, "the key of a record is missing or no object"),
        ({"key": {"name": "Ada"}}, "no value for key attribute 'id'"),
        (record() | {"eventSourceARN": OTHER_ARN + "/stream/2026-01-01T00:00:00.000"}, "of another table"),
        (record() | {"eventSourceARN": 7}, "of another table"),
        (record() | {"tableName": "orders"}, "of another table"),
        ([record(), record() | {"eventSourceARN": OTHER_ARN}], "of another table"),
        ({"key": {"id": "m-1"}, "table": {"name": "members"}}, "of another table"),
        ({"Type": "Notification", "Message": None}, "`Message` of an SNS envelope is missing or no text"),
        ({"Type": "Notification", "Message": "hello"}, "not JSON"),
        ({"Type": "SubscriptionConfirmation", "Message": "{}"}, UNKNOWN),
    ],
)
def test_what_is_not_known_is_refused_with_the_reason(body: Any, reason: str) -> None:
    assert refusal_of(body) == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ('{"key": {"id": "m-1"}', "not JSON"),
        ('{"key": {"id": "m-1"}, "attempts": NaN}', "not JSON"),
        ('{"key": {"id": "m-1"}, "attempts": -Infinity}', "not JSON"),
        ("x" * 300_000, "not JSON"),
        (b'{"key": {"id": "m-\xff"}}', "not JSON"),
        ('{"key": {"id": "m-1"}}'.encode("utf-16"), "not JSON"),
        ("[" * 100_000, "JSON nested too deep"),
        ('{"key":' * 100_000, "JSON nested too deep"),
        ("[" * 100_000 + "]" * 100_000, "JSON nested too deep"),
        ('"' + "x" * 300_000 + '"', "not JSON"),
    ],
)
def test_what_is_not_json_is_refused_whatever_its_size(body: str | bytes, reason: str) -> None:
    assert refusal(body) == reason


def test_json_in_a_json_string_is_read_once() -> None:
    once = json.dumps(json.dumps(record()))
    assert read_contents(once, TABLE) == read(record())
    assert refusal(json.dumps(once)) == UNKNOWN


def test_a_message_of_250_kb_is_read_and_so_are_numbers_that_no_float_holds() -> None:
    padding = {"name": {"S": "x" * 300_000}, "big": {"N": 10**500}, "huge": 1.5}
    body = json.dumps(record("m-1", NewImage=padding)).replace("1.5", "1e99999999")
    assert keys_of(read_contents(body, TABLE)) == ["m-1"]


def test_an_error_keeps_nothing_of_the_body() -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        parse('{"name": "Ada", ')
    assert caught.value.args == ("not JSON",)
    assert caught.value.__suppress_context__


# What the local event source mapping writes

WRITTEN: list[tuple[Any, ...]] = [
    ("requestContext", "context"),
    ("told", "null", "missing"),
    (True, False),
    ("RecordAgeExceeded", "MaximumRecordAgeExceeded"),
]
SHAPES = [
    Shape(context=context, function_error=function_error, has_response=has_response, age_condition=age_condition)
    for context, function_error, has_response, age_condition in itertools.product(*WRITTEN)
]


class Recorder:
    """A queue and a bucket that remember what was put there."""

    def __init__(self) -> None:
        self.bodies: list[str | bytes] = []

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803 - boto3's names
        self.bodies.append(MessageBody)

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803 - boto3's names
        self.bodies.append(Body)


def given_up(reason: Reason, *, has_raised: bool) -> GivenUp:
    records = [StreamRecord(str(800 + number), CREATED_S, CREATED_S, record(f"m-{number}")) for number in range(3)]
    return GivenUp(
        records=records,
        shard_id="shard-1",
        stream_arn=STREAM_ARN,
        function_arn="arn:aws:lambda:…",
        reason=reason,
        invocations=0 if reason == "age" and not has_raised else 3,
        has_raised=has_raised,
        at=datetime.fromtimestamp(CREATED_S, UTC),
    )


def written(destination: Callable[[Recorder], Destination], reason: Reason, *, has_raised: bool) -> str | bytes:
    recorder = Recorder()
    destination(recorder).send(given_up(reason, has_raised=has_raised))
    (body,) = recorder.bodies
    return body


@pytest.mark.parametrize("has_raised", [True, False])
@pytest.mark.parametrize("reason", ["attempts", "age"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_whatever_the_local_mapping_writes_is_read_back(shape: Shape, reason: Reason, has_raised: bool) -> None:
    name = "pipes" if shape.context == "context" else "on-failure"
    body = written(lambda to: SqsDestination(client=to, queue_url="q", shape=shape), reason, has_raised=has_raised)
    expected = StreamRange(stream_arn=STREAM_ARN, shard="shard-1", first="800", last="802", records=3)
    assert read_contents(body, TABLE) == Contents(shape=name, ranges=(expected,))

    body = written(
        lambda to: S3Destination(client=to, bucket=BUCKET, mapping_uuid="u", shape=shape), reason, has_raised=has_raised
    )
    keys = tuple(KeyEvent(({"S": f"m-{number}"},), CREATED_US) for number in range(3))
    assert read_contents(body, TABLE) == Contents(shape=f"{name} with payload", keys=keys)
