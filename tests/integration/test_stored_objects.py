"""Dead letters that lie in S3: read whole, or refused with the reason."""

import base64
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.dead_letters.messages import NotUnderstoodError, StoredObject
from dynamo_opensearch.core.dead_letters.stored_objects import (
    StoredObjectMissingError,
    StoredObjectRefusedError,
    StoredObjects,
)
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from dynamo_opensearch.hooks.dynamodb import DynamoDbTableHook
from tests.support import faults, oracle
from tests.support.fakes import quick_retry
from tests.support.fault_proxy import Answer, Exchange, Fault, FaultProxy
from tools.local import connections, ministack
from tools.local.processes import Server

BODY = b"\x00\xff" + "ü€".encode() * 40_000
KEY = "aws/lambda/6b6b/shardId-0001/2026/11/23/a b+c=é"


def client_of(url: str) -> Any:
    """As the hook makes it: the core retries, botocore does not."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=ministack.REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def bucket(ministack_server: Server) -> Iterator[str]:
    name = f"letters-{uuid.uuid4().hex[:8]}"
    owner = oracle.client(ministack_server.url, "s3")
    owner.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": ministack.REGION})
    owner.put_object(Bucket=name, Key=KEY, Body=BODY)
    yield name
    owner.close()


@pytest.fixture
def s3(dynamodb_proxy: FaultProxy) -> Iterator[Any]:
    """MiniStack's S3 through the proxy."""
    client = client_of(dynamodb_proxy.url)
    yield client
    client.close()


def objects(client: Any, **settings: Any) -> StoredObjects:
    return StoredObjects(client, SystemClock(), quick_retry(1.0), **settings)


def test_an_object_comes_back_byte_by_byte(s3: Any, bucket: str) -> None:
    assert objects(s3).fetch(StoredObject(bucket=bucket, key=KEY)) == BODY


def test_the_version_that_is_named_is_the_one_read(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="twice", Body=b"first")["VersionId"]
    s3.put_object(Bucket=bucket, Key="twice", Body=b"second")
    assert objects(s3).fetch(StoredObject(bucket=bucket, key="twice", version=first)) == b"first"
    assert objects(s3).fetch(StoredObject(bucket=bucket, key="twice")) == b"second"


@pytest.mark.parametrize(("named", "key"), [(None, "not-there"), ("no-such-bucket-at-all", KEY)], ids=["key", "bucket"])
def test_what_is_not_there_is_told_without_its_key(s3: Any, bucket: str, named: str | None, key: str) -> None:
    with pytest.raises(StoredObjectMissingError, match="is not there") as missing:
        objects(s3).fetch(StoredObject(bucket=named or bucket, key=key))
    assert (missing.value.bucket, missing.value.key) == (named or bucket, key)
    assert key not in str(missing.value)


def test_what_is_too_large_is_not_read(s3: Any, bucket: str) -> None:
    letter = StoredObject(bucket=bucket, key=KEY)
    assert objects(s3, most_bytes=len(BODY)).fetch(letter) == BODY
    with pytest.raises(NotUnderstoodError, match="of more than"):
        objects(s3, most_bytes=len(BODY) - 1).fetch(letter)


@pytest.mark.parametrize(("named", "key"), [("no/bucket name", "k"), ("a-bucket", "")])
def test_a_name_that_cannot_be_one_is_no_reason_to_stop(s3: Any, named: str, key: str) -> None:
    with pytest.raises(NotUnderstoodError, match="whose name cannot be one"):
        objects(s3).fetch(StoredObject(bucket=named, key=key))


def test_an_object_that_is_cut_off_in_the_middle_is_read_again(
    s3: Any, bucket: str, dynamodb_proxy: FaultProxy
) -> None:
    dynamodb_proxy.on("shardId", faults.reset_in_mid_answer())
    assert objects(s3).fetch(StoredObject(bucket=bucket, key=KEY)) == BODY
    assert dynamodb_proxy.count("shardId") == 2


def test_an_object_that_was_damaged_on_its_way_is_read_again(s3: Any, bucket: str, dynamodb_proxy: FaultProxy) -> None:
    def damaged(exchange: Exchange) -> None:
        answer = exchange.forward()
        checksum = base64.b64encode(zlib.crc32(answer.body).to_bytes(4, "big")).decode()
        headers = {**answer.headers, "x-amz-checksum-crc32": checksum}
        exchange.reply(Answer(answer.status, headers, b"!" + answer.body[1:]))

    dynamodb_proxy.on("shardId", damaged)
    assert objects(s3).fetch(StoredObject(bucket=bucket, key=KEY)) == BODY
    assert dynamodb_proxy.count("shardId") == 2


def refused(status: int, code: str) -> Fault:
    body = f"<Error><Code>{code}</Code><Message>secret detail</Message></Error>"
    return faults.answered(status, body.encode(), "application/xml")


def test_a_refusal_names_the_action_to_allow(s3: Any, bucket: str, dynamodb_proxy: FaultProxy) -> None:
    dynamodb_proxy.on("shardId", refused(403, "AccessDenied"))
    with pytest.raises(AccessDeniedError, match=f"S3 refused s3:GetObject on 'bucket {bucket}'"):
        objects(s3).fetch(StoredObject(bucket=bucket, key=KEY))


@pytest.mark.parametrize("code", ["InvalidObjectState", "KMS.DisabledException"])
def test_an_object_that_s3_keeps_to_itself_is_told_with_the_code_and_no_more(
    s3: Any, bucket: str, dynamodb_proxy: FaultProxy, code: str
) -> None:
    dynamodb_proxy.on("shardId", refused(400, code))
    with pytest.raises(StoredObjectRefusedError, match=code) as raised:
        objects(s3).fetch(StoredObject(bucket=bucket, key=KEY))
    assert "secret" not in str(raised.value)


def test_an_s3_that_is_slow_for_too_long_ends_the_patience(s3: Any, bucket: str, dynamodb_proxy: FaultProxy) -> None:
    dynamodb_proxy.on("shardId", refused(503, "SlowDown"), times=1_000)
    with pytest.raises(ServiceUnavailableError, match="S3 did not complete GetObject on bucket"):
        objects(s3).fetch(StoredObject(bucket=bucket, key=KEY))


def test_the_hooks_client_reads_it_through_the_connection(
    ministack_server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch, no_aws_credentials: None
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connections.aws_connection(ministack_server.url))
    client = DynamoDbTableHook("aws_default").s3_client()
    assert objects(client).fetch(StoredObject(bucket=bucket, key=KEY)) == BODY
    client.close()
