"""The first line of a run's log, on a real STS and on servers that do not answer as one."""

import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.wiring import acting_as
from dynamo_opensearch.wiring.acting_as import tell_acting_as
from tests.support.fault_proxy import fault_proxy
from tests.support.faults import answered, delayed
from tests.support.recording_server import recording
from tools.local import connections, ports
from tools.local.ministack import REGION
from tools.local.processes import Server

SECRETS = ("AKIDOFTHELINE", "wJalrXUtnFEMI-not-a-real-key", "correct-horse-battery-staple")
ACCESS_KEY, SECRET_KEY, PASSWORD = SECRETS
REFUSED = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>"
    b"<Message>The token AKIDOFTHELINE is not valid</Message></Error></ErrorResponse>"
)
Tell = Callable[..., str]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, no_aws_credentials: None, caplog: pytest.LogCaptureFixture) -> Tell:
    """The line that a run of the sample target logs, by these connections."""
    caplog.set_level(logging.DEBUG)

    def told(aws: dict[str, Any] | None, search: dict[str, Any] | None = None) -> str:
        monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT", raising=False)
        if aws is not None:
            monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", **aws}))
        fields = {"host": "search.example.com", "login": "ada", "password": PASSWORD} if search is None else search
        monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", json.dumps({"conn_type": "opensearch", **fields}))
        if not fields:
            monkeypatch.delenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT")
        caplog.clear()
        tell_acting_as("members", logging.getLogger("test.acting_as"))
        (line,) = [one.getMessage() for one in caplog.records if one.name == "test.acting_as"]
        assert not [secret for secret in SECRETS if secret in caplog.text]
        return str(line)

    return told


def at(**urls: str) -> dict[str, Any]:
    """An AWS connection with keys, and services at addresses of their own."""
    services = {service: {"endpoint_url": url} for service, url in urls.items()}
    extra = {"region_name": "eu-west-1", "service_config": services}
    return {"login": ACCESS_KEY, "password": SECRET_KEY, "extra": extra}


def test_it_says_account_role_region_address_and_environment(tell: Tell, ministack_server: Server) -> None:
    assert tell(json.loads(connections.aws_connection(ministack_server.url))) == (
        f"target members acts on account 000000000000 as arn:aws:iam::000000000000:root in {REGION}, and on OpenSearch "
        "at https://search.example.com:443; environment local"
    )


def test_an_sts_that_does_not_answer_is_asked_once_and_not_waited_for(
    tell: Tell, ministack_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting_as, "ASK_TIMEOUT_S", 0.5)
    with fault_proxy(ministack_server.url) as proxy:
        proxy.on(lambda _exchange: True, delayed(2), times=100)
        began = time.monotonic()
        line = tell(at(sts=proxy.url))
        took_s = time.monotonic() - began
        assert len(proxy.requests) == 1
    assert (
        "acts on an account that is not known (sts did not complete GetCallerIdentity on the caller: 1 attempt" in line
    )
    assert "ended with ReadTimeoutError) in eu-central-1, and on OpenSearch at https://search.example.com" in line
    assert took_s < 2


def test_without_patience_it_is_three_seconds() -> None:
    assert acting_as.ASK_TIMEOUT_S == 3


def test_an_sts_that_is_not_there_does_not_stop_the_run(tell: Tell) -> None:
    line = tell(at(sts=f"http://127.0.0.1:{ports.free_port()}"))
    assert "an account that is not known (sts did not complete GetCallerIdentity" in line
    assert "EndpointConnectionError) in eu-central-1" in line


def test_a_caller_that_sts_refuses_is_told_by_the_code_alone(tell: Tell, ministack_server: Server) -> None:
    with fault_proxy(ministack_server.url) as proxy:
        proxy.on(lambda _exchange: True, answered(403, REFUSED, "text/xml"))
        line = tell(at(sts=proxy.url))
    assert (
        "not known (sts refused sts:GetCallerIdentity on 'the caller' (InvalidClientTokenId)) in eu-central-1" in line
    )


def test_a_role_that_may_not_be_assumed_is_told_by_the_code_alone(tell: Tell, ministack_server: Server) -> None:
    with fault_proxy(ministack_server.url) as proxy:
        proxy.on(lambda _exchange: True, answered(403, REFUSED, "text/xml"))
        aws = at(sts=proxy.url)
        aws["extra"]["role_arn"] = "arn:aws:iam::000000000000:role/worker"
        line = tell(aws)
    assert (
        "an account that is not known (STS refused sts:AssumeRole on \"the role of connection 'aws_default', "
        'arn:aws:iam::000000000000:role/worker" (InvalidClientTokenId)) in eu-central-1' in line
    )


def test_without_credentials_it_says_so(tell: Tell, ministack_server: Server) -> None:
    aws = {"extra": at(sts=ministack_server.url)["extra"]}
    assert "not known (sts refused sts:GetCallerIdentity on 'the caller' (no credentials were found))" in tell(aws)
    assert "no credentials were found" in tell(None), "without a connection boto3's chain is meant"


def test_a_connection_that_is_wrong_in_another_way_is_told_by_the_errors_name(tell: Tell) -> None:
    extra = {"role_arn": "arn:aws:iam::1:role/a", "assume_role_method": f"guess {SECRET_KEY}"}
    assert "an account that is not known (NotImplementedError) in a region that is not known" in tell({"extra": extra})


def test_keys_are_not_sent_to_an_sts_of_aws(tell: Tell) -> None:
    line = tell({"login": ACCESS_KEY, "password": SECRET_KEY, "extra": {}})
    assert "an account that is not known (connection 'aws_default' holds access keys" in line


def test_where_dynamodb_is_not_awss_an_sts_of_aws_is_not_asked(tell: Tell) -> None:
    with recording() as server:
        line = tell(at(dynamodb=server.url))
        assert server.requests == []
    assert "connection 'aws_default' leads to a DynamoDB that is not AWS's, and names no endpoint for sts)" in line


def test_an_interface_endpoint_of_dynamodb_is_awss(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{ports.free_port()}")
    line = tell(at(dynamodb="https://vpce-1-2.dynamodb.eu-central-1.vpce.amazonaws.com"))
    assert "EndpointConnectionError" in line, "STS was asked"


def test_the_region_is_boto3s_where_neither_the_file_nor_the_connection_says_one(
    tell: Tell, ministack_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "include", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "targets" / "members.yaml"
    path.write_text(path.read_text().replace("    region: eu-central-1\n", ""))
    monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    aws = at(sts=ministack_server.url)
    del aws["extra"]["region_name"]
    assert "acts on account 000000000000 as arn:aws:iam::000000000000:root in us-west-2, " in tell(aws)
    assert "in eu-west-1, " in tell(at(sts=ministack_server.url)), "the connection's goes before it"
    assert "an account that is not known (connection" in (line := tell(at(dynamodb="http://127.0.0.1:1")))
    assert " in eu-west-1, " in line, "known without a client"


def test_a_connection_to_opensearch_that_makes_no_sense_is_told(tell: Tell, ministack_server: Server) -> None:
    line = tell(json.loads(connections.aws_connection(ministack_server.url)), {"host": ""})
    assert "acts on account 000000000000" in line
    assert "OpenSearch at an address that is not known (connection 'opensearch_default': has no host); " in line


def test_a_connection_to_opensearch_that_is_not_there_is_told(tell: Tell, ministack_server: Server) -> None:
    line = tell(json.loads(connections.aws_connection(ministack_server.url)), {})
    assert "acts on account 000000000000" in line
    assert "OpenSearch at an address that is not known (The conn_id `opensearch_default` isn't defined); " in line


def test_a_target_without_this_environment_is_told_and_the_task_says_the_rest(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNAMO_OPENSEARCH_ENVIRONMENT", "staging")
    line = tell(None)
    assert line.startswith("target members: on what this run acts is not known (")
    assert line.endswith("; environment staging")
