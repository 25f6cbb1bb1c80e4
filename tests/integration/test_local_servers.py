"""Each local server answers a real call, comes back after a kill, and is heard on loopback only."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from tools.local import dynamodb_local, elasticmq, http, members, ministack, opensearch
from tools.local.connections import aws_client
from tools.local.processes import Launch, Server, ServerError, running

Started = Callable[[Path], AbstractContextManager[Server]]

LOOPBACK = {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def listening_addresses(server: Server) -> set[str]:
    """Where the server's processes listen."""
    process = psutil.Process(server.pid)
    family = [process, *process.children(recursive=True)]
    return {
        connection.laddr.ip
        for member in family
        for connection in member.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


@pytest.fixture(params=[ministack.started, dynamodb_local.started], ids=["ministack", "dynamodb-local"])
def dynamodb(request: pytest.FixtureRequest, tmp_path: Path) -> Started:
    started: Started = request.param
    return started


def test_a_table_is_loaded_and_counted(dynamodb: Started, tmp_path: Path) -> None:
    with dynamodb(tmp_path) as server:
        client = aws_client("dynamodb", server.url)
        members.create_table(client)
        members.load(client, members.TABLE, 60)
        members.load(client, members.TABLE, 60)
        pages = client.get_paginator("scan").paginate(TableName=members.TABLE)
        found = {item[members.HASH_KEY]["S"]: item for page in pages for item in page["Items"]}
        described = client.describe_table(TableName=members.TABLE)["Table"]
    expected = [members.typed(members.member(number)) for number in range(60)]
    assert len(found) == 60
    for item in expected:
        kept = found[item[members.HASH_KEY]["S"]]
        kept["tags"]["SS"].sort()
        assert kept == item
    assert described["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.mark.parametrize("started", [ministack.started, elasticmq.started], ids=["ministack", "elasticmq"])
def test_a_message_goes_through_a_queue(started: Started, tmp_path: Path) -> None:
    with started(tmp_path) as server:
        client = aws_client("sqs", server.url)
        queue = client.create_queue(QueueName="some")["QueueUrl"]
        client.send_message(QueueUrl=queue, MessageBody="hello")
        (message,) = client.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert message["Body"] == "hello"


def test_opensearch_has_its_documents_back_after_a_kill(tmp_path: Path) -> None:
    with opensearch.started(tmp_path, heap="512m") as server:
        document = f"{server.url}/some/_doc/1"
        http.call(document, method="PUT", body={"city": "Köln"})
        pid = server.pid
        server.kill()
        assert not server.is_running
        assert not psutil.pid_exists(pid)
        server.restart()
        assert http.call(document)["_source"] == {"city": "Köln"}
        assert listening_addresses(server) <= LOOPBACK


def test_opensearch_has_the_thai_analyzer_in_spite_of_the_small_java_runtime(tmp_path: Path) -> None:
    with opensearch.started(tmp_path, heap="512m") as server:
        body = {"analyzer": "thai", "text": "สวัสดีชาวโลก"}
        tokens = http.call(f"{server.url}/_analyze", method="POST", body=body)["tokens"]
    assert len(tokens) > 1


@pytest.mark.parametrize(
    "started",
    [ministack.started, dynamodb_local.started, elasticmq.started],
    ids=["ministack", "dynamodb-local", "elasticmq"],
)
def test_a_server_in_memory_is_heard_on_loopback_only(started: Started, tmp_path: Path) -> None:
    with started(tmp_path) as server:
        assert listening_addresses(server) <= LOOPBACK


def test_a_server_that_ends_at_once_is_an_error_with_its_log(tmp_path: Path) -> None:
    launch = Launch(
        title="broken",
        folder=tmp_path,
        command=("sh", "-c", "echo the port is taken; exit 3"),
        ports=(),
        is_ready=lambda _pid: False,
    )
    with pytest.raises(ServerError, match="broken ended while it was starting") as raised, running(launch):
        pytest.fail("it did not start")
    assert "the port is taken" in str(raised.value)


def test_a_server_that_never_gets_ready_is_an_error_and_is_stopped(tmp_path: Path) -> None:
    asked: list[int] = []

    def never(pid: int) -> bool:
        asked.append(pid)
        return False

    launch = Launch(
        title="slow",
        folder=tmp_path,
        command=(sys.executable, "-c", "import time; time.sleep(600)"),
        ports=(),
        is_ready=never,
        start_timeout_s=0.5,
    )
    with pytest.raises(ServerError, match="slow was not ready after"), running(launch):
        pytest.fail("it did not get ready")
    assert not psutil.pid_exists(asked[0])
