"""The OpenSearch hook: how it signs, whom it trusts, what it refuses, and what it keeps to itself."""

import hashlib
import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.models.connection import Connection

from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError, OpenSearchRequestError
from dynamo_opensearch.hooks.opensearch import OpenSearchConnectionError, OpenSearchHook
from tests.support.recording_server import Answer, Recorded, RecordingServer, Signature, recording, self_signed
from tools.local import opensearch, ports

PASSWORD = "correct-horse-battery-staple"
SECRET_KEY = "wJalrXUtnFEMI-not-a-real-key"
ADDRESS = "ada@example.com"
REGION = "eu-central-1"
Connect = Callable[..., OpenSearchHook]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Define the connection and make a hook of it."""

    def made(**fields: Any) -> OpenSearchHook:
        monkeypatch.setenv("AIRFLOW_CONN_SEARCH", json.dumps({"conn_type": "opensearch", **fields}))
        return OpenSearchHook("search")

    return made


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    with recording() as started:
        yield started


@pytest.fixture
def at(server: RecordingServer) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": server.port, "schema": "http"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, no_aws_credentials: None) -> None:
    """An AWS connection without anything; boto3 finds what a test gives it."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))


@pytest.fixture
def keys_of_the_environment(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


def sigv4(**extra: str) -> dict[str, str]:
    return {"auth": "sigv4", "region": REGION, **extra}


def test_without_authentication_no_header_is_sent(
    connect: Connect, server: RecordingServer, at: dict[str, Any]
) -> None:
    connect(**at, extra={"auth": "none"}).cluster().request("GET", "/")
    assert "authorization" not in server.requests[0].headers


def test_the_endpoint_is_told_without_credentials_and_without_a_request(
    connect: Connect, server: RecordingServer, at: dict[str, Any]
) -> None:
    hook = connect(**at, login="ada", password=PASSWORD)
    assert hook.endpoint() == (server.url, False)
    assert connect(host="search.example.com", extra=sigv4()).endpoint() == ("https://search.example.com:443", True)
    assert server.requests == []


def test_a_login_in_the_host_is_refused_and_not_told(connect: Connect) -> None:
    for fields in ({"host": f"ada:{PASSWORD}@search.example.com"}, {"host": f"ada:{PASSWORD}@127.0.0.1"}):
        for ask in (OpenSearchHook.get_conn, OpenSearchHook.endpoint):
            with pytest.raises(OpenSearchConnectionError) as raised:
                ask(connect(**fields))
            said = "connection 'search': host must not hold a login; put it into login and password"
            assert str(raised.value) == said


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"aws_access_key_id": "AKIDLITERAL"}, "extra.aws_access_key_id must not hold access keys; auth sigv4 takes"),
        ({"session": {"SessionToken": SECRET_KEY}}, "extra.session.SessionToken must not hold access keys"),
        ({"url": f"https://ada:{SECRET_KEY}@search.example"}, "extra.url must not hold a login"),
    ],
    ids=["key", "token", "address"],
)
def test_keys_and_logins_in_the_extra_are_refused_and_not_told(
    connect: Connect, extra: dict[str, Any], said: str
) -> None:
    with pytest.raises(OpenSearchConnectionError) as raised:
        connect(host="search.example", extra=extra).get_conn()
    assert str(raised.value).startswith(f"connection 'search': {said}")
    for secret in (SECRET_KEY, "AKIDLITERAL"):
        assert secret not in str(raised.value)


def test_keys_in_the_extra_of_a_connection_to_this_machine_are_let_be(
    connect: Connect, server: RecordingServer, at: dict[str, Any]
) -> None:
    connect(**at, extra={"auth": "none", "aws_access_key_id": "AKIDLITERAL"}).cluster().request("GET", "/")
    assert "AKIDLITERAL" not in str(server.requests)


def test_a_password_is_not_sent_readable_but_to_this_machine(
    connect: Connect, server: RecordingServer, at: dict[str, Any]
) -> None:
    ada = {"login": "ada", "password": PASSWORD}
    for schema, extra in (("http", {"auth": "basic"}), ("http", {})):
        with pytest.raises(OpenSearchConnectionError, match="schema http, which is accepted for loopback") as raised:
            connect(host="search.example", schema=schema, extra=extra, **ada).get_conn()
        assert PASSWORD not in str(raised.value)
    connect(host="search.example", schema="https", **ada).get_conn()
    connect(host="search.example", schema="http", extra={"auth": "none"}, **ada).get_conn()
    connect(**at, **ada).cluster().request("GET", "/")
    assert len(server.requests) == 1


def test_basic_authentication_sends_login_and_password(
    connect: Connect, server: RecordingServer, at: dict[str, Any]
) -> None:
    connect(**at, login="searcher", password="a:b", extra={"auth": "basic"}).cluster().request("GET", "/")
    assert server.requests[0].headers["authorization"] == "Basic c2VhcmNoZXI6YTpi"


@pytest.mark.usefixtures("keys_of_the_environment")
@pytest.mark.parametrize(
    ("method", "path", "params", "body"),
    [
        ("GET", "/", None, None),
        (
            "POST",
            "/members-live/_bulk",
            {"filter_path": "errors,items.*.status", "timeout": "30s"},
            b'{"a":"\xc3\xb6"}\n',
        ),
        ("PUT", "/.state/_doc/progress%7Ca%20b%7C1", {"if_seq_no": "4"}, {"key": "Köln"}),
    ],
    ids=["root", "bulk", "escaped"],
)
def test_each_request_is_signed_as_botocore_signs_it(
    connect: Connect,
    server: RecordingServer,
    at: dict[str, Any],
    method: str,
    path: str,
    params: dict[str, str] | None,
    body: Any,
) -> None:
    connect(**at, extra=sigv4()).cluster().request(method, path, params=params, body=body)
    (request,) = server.requests
    signature = Signature.of(request)
    assert (signature.access_key, signature.region, signature.service) == ("AKIDENVIRONMENT", REGION, "es")
    assert {"host", "x-amz-date"} <= set(signature.signed_headers)
    assert request.headers["x-amz-content-sha256"] == hashlib.sha256(request.body).hexdigest()
    assert signature.value == signature.expected(request, SECRET_KEY)


ROTATING = """
import datetime, json, pathlib, sys
counter = pathlib.Path(sys.argv[1])
number = int(counter.read_text() or 0) + 1 if counter.exists() else 1
counter.write_text(str(number))
expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
print(json.dumps({"Version": 1, "AccessKeyId": f"AKID{number}", "SecretAccessKey": f"secret-{number}",
                  "SessionToken": f"token-{number}", "Expiration": expires.isoformat()}))
"""


@pytest.mark.usefixtures("aws")
def test_credentials_that_change_between_requests_are_used_as_they_are_then(
    connect: Connect, server: RecordingServer, at: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "rotate.py").write_text(ROTATING)
    process = f"{sys.executable} {tmp_path / 'rotate.py'} {tmp_path / 'counter'}"
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {process}\n")
    cluster = connect(**at, extra=sigv4()).cluster()
    for _ in range(3):
        cluster.request("GET", "/")
    numbers = []
    for request in server.requests:
        signature = Signature.of(request)
        numbers.append(int(signature.access_key.removeprefix("AKID")))
        assert request.headers["x-amz-security-token"] == f"token-{numbers[-1]}"
        assert "x-amz-security-token" in signature.signed_headers
        assert signature.value == signature.expected(request, f"secret-{numbers[-1]}")
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 3


@pytest.mark.usefixtures("aws")
def test_signing_without_credentials_says_so(connect: Connect, at: dict[str, Any]) -> None:
    with pytest.raises(OpenSearchConnectionError, match="found no AWS credentials"):
        connect(**at, extra=sigv4()).get_conn()


@pytest.mark.usefixtures("keys_of_the_environment")
def test_signing_without_a_region_says_so(connect: Connect, at: dict[str, Any]) -> None:
    with pytest.raises(OpenSearchConnectionError, match="needs a region"):
        connect(**at, extra={"auth": "sigv4"}).get_conn()


@pytest.mark.usefixtures("aws")
def test_keys_in_the_aws_connection_are_taken_for_loopback_only(
    connect: Connect, server: RecordingServer, at: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    literal = {"conn_type": "aws", "login": "AKIDLITERAL", "password": SECRET_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(literal))
    connect(**at, extra=sigv4()).cluster().request("GET", "/")
    assert Signature.of(server.requests[0]).access_key == "AKIDLITERAL"
    for fields in (
        {"login": "AKIDLITERAL", "password": SECRET_KEY},
        {"extra": {"session_kwargs": {"aws_access_key_id": "AKIDLITERAL", "aws_secret_access_key": SECRET_KEY}}},
    ):
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", **fields}))
        with pytest.raises(OpenSearchConnectionError, match="holds access keys") as raised:
            connect(host="search.example", extra=sigv4()).get_conn()
        said = str(raised.value)
        assert said.startswith("connection 'search': its AWS connection 'aws_default' holds access keys (")
        assert SECRET_KEY not in said


@pytest.mark.usefixtures("aws")
def test_keys_of_the_aws_connection_are_not_sent_to_an_sts_of_aws_for_a_role(
    connect: Connect, server: RecordingServer, at: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"role_arn": "arn:aws:iam::123456789012:role/worker", "region_name": REGION}
    literal = {"conn_type": "aws", "login": "AKIDLITERAL", "password": SECRET_KEY, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(literal))
    with pytest.raises(OpenSearchConnectionError, match=r"holds access keys \(login, password\)"):
        connect(**at, extra=sigv4()).get_conn()
    assert server.requests == []


@pytest.mark.usefixtures("aws")
def test_an_aws_connection_that_is_not_there_is_not_replaced_by_other_credentials(
    connect: Connect, at: dict[str, Any]
) -> None:
    with pytest.raises(OpenSearchConnectionError, match="this Airflow has no connection 'aws_search'"):
        connect(**at, extra=sigv4(aws_conn_id="aws_search")).get_conn()


@pytest.mark.usefixtures("keys_of_the_environment")
def test_serverless_is_refused_with_the_reason(connect: Connect, at: dict[str, Any]) -> None:
    with pytest.raises(OpenSearchConnectionError, match=r"OpenSearch Serverless \(aoss\) lacks calls"):
        connect(**at, extra=sigv4(service="aoss")).get_conn()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "has no host"),
        ({"host": "https://search.example"}, "host must not hold a scheme"),
        ({"host": "search.example", "schema": "ftp"}, "schema must be http or https, got 'ftp'"),
        ({"host": "search.example", "extra": {"auth": "kerberos"}}, "auth must be one of none, basic, sigv4"),
        ({"host": "search.example", "login": "me", "extra": {"auth": "basic"}}, "needs login and password"),
        ({"host": "search.example", "extra": {"verify_certs": False}}, "accepted for loopback addresses only"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_connection_that_makes_no_sense_is_refused_with_its_rule(
    connect: Connect, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(OpenSearchConnectionError, match=message) as raised:
        connect(**fields).get_conn()
    assert "'search'" in str(raised.value)


def test_the_constructor_reads_and_connects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("the constructor did something")

    monkeypatch.setattr(OpenSearchHook, "get_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    OpenSearchHook("search")


def test_a_certificate_that_nobody_vouches_for_is_refused_and_one_in_ca_certs_is_taken(
    connect: Connect, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path / "certificate.pem")
    with recording(certificate) as server:
        fields = {"host": "127.0.0.1", "port": server.port, "schema": "https"}
        with pytest.raises(ConnectionLostError, match="SSL"):
            connect(**fields, extra={"auth": "none"}).cluster().request("GET", "/")
        assert server.requests == []
        connect(**fields, extra={"auth": "none", "ca_certs": str(certificate)}).cluster().request("GET", "/")
        connect(**fields, extra={"auth": "none", "verify_certs": False}).cluster().request("GET", "/")
        assert len(server.requests) == 2


def test_https_is_meant_where_no_schema_is_given(connect: Connect) -> None:
    (connection,) = connect(host="search.example").get_conn().transport.connection_pool.connections
    assert connection.host == "https://search.example:443"


@pytest.mark.usefixtures("keys_of_the_environment")
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_says_to_check_region_credentials_and_role(
    connect: Connect, server: RecordingServer, at: dict[str, Any], status: int
) -> None:
    text = "Credential should be scoped to a valid region, AKIDENVIRONMENT is not allowed to es:ESHttpGet"
    server.answer = lambda _request: (status, {"message": text})
    with pytest.raises(AccessDeniedError) as raised:
        connect(**at, extra=sigv4(region="us-east-1")).cluster().request("GET", "/members-live")
    message = str(raised.value)
    assert "OpenSearch refused GET on '/members-live'" in message
    assert "Check the region and credentials of the connection" in message
    assert "AKIDENVIRONMENT" not in message


def refuse_with_the_value(request: Recorded) -> Answer:
    """As OpenSearch does it, whose reasons quote what they refuse."""
    error = {"type": "mapper_parsing_exception", "reason": f"Preview of field's value: {request.body.decode()}"}
    return 400, {"error": {"root_cause": [error], **error}, "status": 400}


@pytest.mark.usefixtures("keys_of_the_environment")
@pytest.mark.parametrize("fails", [False, True], ids=["answered", "refused"])
@pytest.mark.parametrize(
    "fields",
    [{"login": "searcher", "password": PASSWORD, "extra": {"auth": "basic"}}, {"extra": sigv4()}],
    ids=["basic", "sigv4"],
)
def test_no_credential_and_no_body_is_in_any_log(
    connect: Connect,
    server: RecordingServer,
    at: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fields: dict[str, Any],
    fails: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    if fails:
        server.answer = refuse_with_the_value
    hook = connect(**at, **fields)
    hook.test_connection()
    try:
        hook.cluster().request("POST", "/members-live/_bulk", body={"email": ADDRESS})
    except OpenSearchRequestError:
        logging.getLogger("test").exception("the request failed")
    sent = [request.headers["authorization"] for request in server.requests]
    assert len(sent) == 2
    logged = caplog.text + "".join(capfd.readouterr())
    for secret in (PASSWORD, SECRET_KEY, ADDRESS, *(one.split("Signature=")[-1][-40:] for one in sent)):
        assert secret not in logged


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with opensearch.started(tmp_path_factory.mktemp("search"), heap="512m") as started:
        yield started


def test_the_button_in_the_ui_finds_a_real_cluster(search: Any, connect: Connect) -> None:
    hook = connect(host=search.host, port=search.port, schema="http", extra={"auth": "none"})
    assert hook.test_connection() == (True, "opensearch 3.8.0 answered")


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")  # Airflow's own call of it
def test_airflow_itself_gets_from_the_connection_type_to_the_hook(search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connection: Any = Connection(
        conn_id="some",
        conn_type="opensearch",
        host=search.host,
        port=search.port,
        schema="http",
        extra=json.dumps({"auth": "none"}),
    )
    monkeypatch.setenv("AIRFLOW_CONN_SOME", connection.get_uri())  # as the REST API's route does it
    assert connection.test_connection() == (True, "opensearch 3.8.0 answered")


def test_the_button_says_what_is_wrong(connect: Connect) -> None:
    is_well, message = connect(host="127.0.0.1", port=ports.free_port(), schema="http").test_connection()
    assert not is_well
    assert message.startswith("OpenSearch gave no complete answer")
    assert connect(host="").test_connection() == (False, "connection 'search': has no host")
