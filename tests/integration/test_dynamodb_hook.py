"""The DynamoDB hook: each service at its own endpoint, keys for loopback only, refusals that say what to check."""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.dynamodb.errors import DynamoDbRequestError, TableMissingError
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.hooks.connection_rules import (
    ConnectionMissingError,
    LiteralCredentialsError,
    LoginInAddressError,
)
from dynamo_opensearch.hooks.dynamodb import DynamoDbTableHook
from tests.support.recording_server import RecordingServer, Signature, recording
from tools.local import connections, members, ministack

SECRET_KEY = "wJalrXUtnFEMI-not-a-real-key"
REGION = "eu-central-1"
Connect = Callable[..., DynamoDbTableHook]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, no_aws_credentials: None) -> Connect:
    """Define the connection and make a hook of it; boto3 finds nothing else on this machine."""

    def made(connection: str | dict[str, Any]) -> DynamoDbTableHook:
        text = connection if isinstance(connection, str) else json.dumps({"conn_type": "aws", **connection})
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", text)
        return DynamoDbTableHook("aws_default")

    return made


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    with recording() as started:
        yield started


def at(url: str, **fields: Any) -> dict[str, Any]:
    services = {service: {"endpoint_url": url} for service in ("dynamodb", "dynamodbstreams")}
    return {"extra": {"region_name": REGION, "service_config": services}, **fields}


KEYS = {"login": "AKIDLITERAL", "password": SECRET_KEY}


def table_of(hook: DynamoDbTableHook) -> TableClient:
    return TableClient(hook.table_client(), members.TABLE, SystemClock(), RetryPolicy())


def test_table_and_stream_of_a_real_server_are_read_through_the_connection(connect: Connect, tmp_path: Path) -> None:
    with ministack.started(tmp_path) as aws:
        client = connections.aws_client("dynamodb", aws.url)
        members.create_table(client)
        members.load(client, members.TABLE, 30)
        hook = connect(connections.aws_connection(aws.url))
        items = table_of(hook).scan().content["Items"]
        streams = hook.streams_client().list_streams(TableName=members.TABLE)["Streams"]
    assert sorted(item["memberId"]["S"] for item in items) == sorted(
        members.member(number)["memberId"] for number in range(30)
    )
    assert [stream["TableName"] for stream in streams] == [members.TABLE]


def test_requests_say_that_they_come_from_this_package_within_airflow(
    connect: Connect, server: RecordingServer
) -> None:
    server.answer = lambda _request: (200, {"Items": []})
    connect(at(server.url, **KEYS)).table_client().scan(TableName="members")
    (request,) = server.requests
    said = [part.partition("/")[0] for part in request.headers["user-agent"].split()]
    assert said[:3] == ["dynamo-opensearch", "Botocore", "Airflow"]


def test_requests_are_signed_for_dynamodb_in_the_connections_region(connect: Connect, server: RecordingServer) -> None:
    server.answer = lambda _request: (200, {"Items": []})
    connect(at(server.url, **KEYS)).table_client().scan(TableName="members")
    (request,) = server.requests
    signature = Signature.of(request)
    assert (signature.access_key, signature.region, signature.service) == ("AKIDLITERAL", REGION, "dynamodb")
    assert signature.value == signature.expected(request, SECRET_KEY)


def test_keys_in_the_connection_are_refused_where_it_leads_to_aws(connect: Connect) -> None:
    hook = connect({"extra": {"region_name": REGION}, **KEYS})
    makers = (hook.table_client, hook.streams_client, hook.cloudwatch_client, hook.sqs_client, hook.s3_client)
    for make in (*makers, lambda: hook.client("iam")):
        with pytest.raises(LiteralCredentialsError, match="accepted with a loopback endpoint only") as raised:
            make()
        assert SECRET_KEY not in str(raised.value)


def test_keys_in_the_connection_are_refused_where_only_the_other_service_is_local(connect: Connect) -> None:
    """An endpoint holds for one service: `dynamodb` says nothing about `dynamodbstreams`."""
    services = {"dynamodb": {"endpoint_url": "http://127.0.0.1:8000"}}
    hook = connect({"extra": {"region_name": REGION, "service_config": services}, **KEYS})
    hook.table_client()
    with pytest.raises(LiteralCredentialsError):
        hook.streams_client()


@pytest.mark.parametrize(
    ("hidden", "fields"),
    [
        (KEYS, "login, password"),
        ({"login": "AKIDLITERAL"}, "login"),
        ({"extra": {"aws_access_key_id": "AKIDLITERAL"}}, "extra.aws_access_key_id"),
        (
            {"extra": {"aws_access_key_id": "AKIDLITERAL", "aws_secret_access_key": SECRET_KEY}},
            "extra.aws_access_key_id, extra.aws_secret_access_key",
        ),
        ({"extra": {"aws_session_token": SECRET_KEY}}, "extra.aws_session_token"),
        (
            {"extra": {"session_kwargs": {"aws_access_key_id": "AKIDLITERAL", "aws_secret_access_key": SECRET_KEY}}},
            "extra.session_kwargs.aws_access_key_id, extra.session_kwargs.aws_secret_access_key",
        ),
        ({"extra": {"former": "AKIAIOSFODNN7EXAMPLE"}}, "extra.former"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_keys_are_refused_wherever_they_stand_and_told_by_the_field_alone(
    connect: Connect, server: RecordingServer, hidden: dict[str, Any], fields: str
) -> None:
    extra = {"region_name": REGION, **hidden.get("extra", {})}
    with pytest.raises(LiteralCredentialsError) as raised:
        connect({**hidden, "extra": extra}).table_client()
    said = str(raised.value)
    assert said.startswith(f"connection 'aws_default' holds access keys ({fields}); they are accepted with a loopback")
    for secret in (SECRET_KEY, "AKIDLITERAL", "AKIAIOSFODNN7EXAMPLE"):
        assert secret not in said
    local = at(server.url)["extra"] | extra
    assert connect({**hidden, "extra": local}).table_client().meta.endpoint_url == server.url


def test_keys_are_not_sent_to_an_sts_of_aws_for_a_role(connect: Connect, server: RecordingServer) -> None:
    """Making the client would ask for the role at once."""
    extra = at(server.url)["extra"] | {"role_arn": "arn:aws:iam::123456789012:role/worker"}
    with pytest.raises(LiteralCredentialsError, match=r"\(login, password\)"):
        connect({**KEYS, "extra": extra}).table_client()
    assert server.requests == []


@pytest.mark.parametrize("url", ["http://ada:{}@127.0.0.1:8000", "https://ada:{}@dynamodb.eu-central-1.amazonaws.com"])
def test_a_login_in_an_address_is_refused_loopback_or_not(connect: Connect, url: str) -> None:
    for extra, field in (
        ({"endpoint_url": url.format(SECRET_KEY)}, "extra.endpoint_url"),
        (at(url.format(SECRET_KEY))["extra"], "extra.service_config.dynamodb.endpoint_url, "),
        ({"config_kwargs": {"proxies": {"https": url.format(SECRET_KEY)}}}, "extra.config_kwargs.proxies.https"),
    ):
        with pytest.raises(LoginInAddressError) as raised:
            connect({"extra": {"region_name": REGION, **extra}}).table_client()
        said = str(raised.value)
        assert said.startswith(f"connection 'aws_default' has a login in an address ({field}")
        assert SECRET_KEY not in said


def test_a_connection_that_is_not_there_is_not_replaced_by_other_credentials(no_aws_credentials: None) -> None:
    with pytest.raises(ConnectionMissingError, match="this Airflow has no connection 'aws_production'"):
        DynamoDbTableHook("aws_production", REGION).table_client()
    assert DynamoDbTableHook("aws_default", REGION).table_client().meta.region_name == REGION


def test_who_does_not_want_to_wait_says_so(connect: Connect) -> None:
    patient = connect({"extra": {"region_name": REGION}}).client("sts").meta.config
    assert (patient.connect_timeout, patient.read_timeout) == (10, 60)
    hurried = DynamoDbTableHook("aws_default", timeout_s=3.0).client("sts").meta.config
    assert (hurried.connect_timeout, hurried.read_timeout) == (3.0, 3.0)
    assert hurried.retries["total_max_attempts"] == 1


def test_the_constructor_reads_and_connects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("the constructor did something")

    monkeypatch.setattr(DynamoDbTableHook, "get_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    DynamoDbTableHook("aws_default")


def refusal(code: str, message: str, status: int = 400) -> Callable[[Any], tuple[int, Any]]:
    prefix = "com.amazon.coral.service" if "Exception" in code else "com.amazonaws.dynamodb.v20120810"
    return lambda _request: (status, {"__type": f"{prefix}#{code}", "message": message})


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "ExpiredTokenException",
        "MissingAuthenticationTokenException",
    ],
)
def test_a_refusal_says_to_check_region_credentials_and_role(
    connect: Connect, server: RecordingServer, code: str
) -> None:
    server.answer = refusal(code, "User: arn:aws:sts::1:assumed-role/x is not authorized")
    with pytest.raises(AccessDeniedError) as raised:
        table_of(connect(at(server.url, **KEYS))).scan()
    assert len(server.requests) == 1, "it is not tried again"
    message = str(raised.value)
    assert f"refused dynamodb:Scan on 'members in {REGION}' ({code})" in message
    assert "Check the region and credentials of the connection" in message


def test_a_table_of_another_region_is_missing_in_this_one_and_the_message_names_it(
    connect: Connect, server: RecordingServer
) -> None:
    server.answer = refusal("ResourceNotFoundException", "Requested resource not found")
    with pytest.raises(TableMissingError, match=f"'members' does not exist in region '{REGION}'"):
        table_of(connect(at(server.url, **KEYS))).describe()


def test_another_refusal_keeps_its_code(connect: Connect, server: RecordingServer) -> None:
    server.answer = refusal("ValidationException", "1 validation error detected")
    with pytest.raises(DynamoDbRequestError, match="ValidationException: 1 validation error detected"):
        table_of(connect(at(server.url, **KEYS))).scan()


def test_missing_credentials_are_told_as_such(connect: Connect, server: RecordingServer) -> None:
    with pytest.raises(AccessDeniedError, match="no credentials were found"):
        table_of(connect(at(server.url))).scan()
    assert server.requests == []


def test_no_credential_and_no_item_is_in_any_log(
    connect: Connect,
    server: RecordingServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = lambda _request: (200, {"Items": [{"email": {"S": "ada@example.com"}}]})
    table_of(connect(at(server.url, **KEYS))).scan()
    (request,) = server.requests
    logged = caplog.text + "".join(capfd.readouterr())
    for secret in (SECRET_KEY, Signature.of(request).value, "ada@example.com"):
        assert secret not in logged
