"""Refused documents on an ObjectStoragePath: a local folder, and S3 by the AWS connection."""

import json
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.sdk import ObjectStoragePath

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.targets.environment import Environment
from dynamo_opensearch.hooks.connection_rules import (
    ConnectionMissingError,
    LiteralCredentialsError,
    LoginInAddressError,
)
from dynamo_opensearch.operators.dead_letter_files import ObjectStorageRejectFiles, parking_of, reject_files_of
from dynamo_opensearch.operators.object_storage import ObjectStorageRejectSink, path_part, reports_path, stored_at
from dynamo_opensearch.wiring.target_connections import TargetConnections, load_target
from tools.local.connections import aws_client, aws_connection
from tools.local.processes import Server


@pytest.fixture(params=["file", "s3"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, ministack_server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ObjectStoragePath]:
    if request.param == "file":
        yield ObjectStoragePath(f"file://{tmp_path}/rejects")
        return
    conn_id = f"aws_{uuid.uuid4().hex}"
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", aws_connection(ministack_server.url))
    bucket = f"reports-{uuid.uuid4().hex}"
    aws_client("s3", ministack_server.url).create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    yield ObjectStoragePath(f"s3://{conn_id}@{bucket}/rejects/members/run/copy-0")


def parts(folder: ObjectStoragePath) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_parts_are_written_whole_and_a_second_writing_replaces_the_first(folder: ObjectStoragePath) -> None:
    sink = ObjectStorageRejectSink(folder)
    sink.forget_from(0)
    sink.write(0, b'{"id":"a"}\n{"id":"b"}\n')
    sink.write(1, b'{"id":"c"}\n')
    sink.write(1, b'{"id":"d"}\n')

    assert parts(folder) == {"part-00000.ndjson": b'{"id":"a"}\n{"id":"b"}\n', "part-00001.ndjson": b'{"id":"d"}\n'}


def test_parts_of_an_abandoned_try_are_forgotten_and_the_earlier_ones_stay(folder: ObjectStoragePath) -> None:
    sink = ObjectStorageRejectSink(folder)
    for part in range(4):
        sink.write(part, b"{}\n")

    sink.forget_from(2)

    assert set(parts(folder)) == {"part-00000.ndjson", "part-00001.ndjson"}


def test_folder_of_rejects_is_for_its_owner_alone(tmp_path: Path) -> None:
    sink = ObjectStorageRejectSink(ObjectStoragePath(f"file://{tmp_path}/rejects"))
    sink.write(0, b"{}\n")

    assert stat.S_IMODE((tmp_path / "rejects").stat().st_mode) == 0o700


def test_reports_are_below_airflows_home_where_the_environment_names_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))

    assert str(reports_path(None)) == f"file://{tmp_path}/reports"
    assert str(reports_path("s3://aws_default@bucket/prefix")) == "s3://aws_default@bucket/prefix"


def test_run_id_becomes_one_part_of_a_path() -> None:
    assert path_part("manual__2026-01-01T00:00:00+00:00/../x") == "manual__2026-01-01T00_00_00+00_00_.._x"


SECRET_KEY = "wJalrXUtnFEMI-not-a-real-key"


@pytest.mark.parametrize(
    ("connection", "error", "field"),
    [
        ({"login": "AKIDLITERAL", "password": SECRET_KEY}, LiteralCredentialsError, "login, password"),
        (
            {"extra": {"aws_access_key_id": "AKIDLITERAL", "aws_secret_access_key": SECRET_KEY}},
            LiteralCredentialsError,
            "extra.aws_access_key_id, extra.aws_secret_access_key",
        ),
        (
            {"extra": {"endpoint_url": f"http://ada:{SECRET_KEY}@127.0.0.1:4566"}},
            LoginInAddressError,
            "extra.endpoint_url",
        ),
    ],
    ids=["keys", "keys in the extra", "login in the address"],
)
def test_the_connection_of_a_place_in_s3_keeps_to_the_rules_before_a_session_is_made(
    connection: dict[str, Any],
    error: type[Exception],
    field: str,
    monkeypatch: pytest.MonkeyPatch,
    no_aws_credentials: None,
) -> None:
    monkeypatch.setattr(AwsGenericHook, "get_session", lambda *_, **__: pytest.fail("a session was made"))
    monkeypatch.setenv("AIRFLOW_CONN_AWS_REPORTS", json.dumps({"conn_type": "aws", **connection}))
    place = "s3://aws_reports@bucket/members"
    makers: list[Callable[[], Any]] = [
        lambda: reports_path(place),
        lambda: stored_at(place.replace("s3://", "s3a://")),
        lambda: parking_of(connections_with({"dead_letters": {"queue": "q", "parking": place}})),
        lambda: reject_files_of(connections_with({"reports": place})),
        lambda: ObjectStorageRejectFiles(ObjectStoragePath("file:///tmp")).read(f"{place}/part-00000.ndjson"),
    ]
    for make in makers:
        with pytest.raises(error) as raised:
            make()
        assert "connection 'aws_reports' h" in str(raised.value)
        assert f"({field})" in str(raised.value)
        assert SECRET_KEY not in str(raised.value)


def connections_with(environment: dict[str, Any]) -> TargetConnections:
    target = load_target("members").model_copy(update={"environments": {"local": Environment(**environment)}})
    return TargetConnections(target, SystemClock(), RetryPolicy())


def test_a_place_in_s3_whose_connection_is_not_there_is_refused(no_aws_credentials: None) -> None:
    with pytest.raises(ConnectionMissingError, match="no connection 'aws_nowhere'"):
        stored_at("s3://aws_nowhere@bucket/x")
