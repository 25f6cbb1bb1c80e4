"""What waits for AWS's parts: at once, in the triggerer, or given up with what to do."""

import importlib
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from dynamo_opensearch.core.cutover.readiness import Readiness
from dynamo_opensearch.core.errors import PassingError, PermanentError
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError
from dynamo_opensearch.sensors.domain_active import DomainActiveSensor
from dynamo_opensearch.sensors.readiness import ReadinessSensor
from dynamo_opensearch.sensors.table_stream_enabled import TableStreamEnabledSensor
from dynamo_opensearch.triggers.readiness import ReadinessTrigger
from dynamo_opensearch.wiring import cutover as wiring
from tests.support.adapters import FakeConnections, FakeInstance, connect
from tests.support.fakes import NOW_US
from tests.support.scripted_aws import ScriptedAws
from tests.support.scripted_table import STREAM, ScriptedTable

SENSORS: list[type[ReadinessSensor]] = [DomainActiveSensor, TableStreamEnabledSensor]
NOT_YET, READY = Readiness(is_ready=False, seen="not yet"), Readiness(is_ready=True, seen="it is there", value="x")


@pytest.fixture
def aws() -> ScriptedAws:
    return ScriptedAws()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws) -> FakeConnections:
    monkeypatch.setattr(wiring, "control_plane", lambda _: aws.plane)
    return connect(monkeypatch)


@pytest.fixture(params=SENSORS)
def sensor_class(request: pytest.FixtureRequest) -> type[ReadinessSensor]:
    found: type[ReadinessSensor] = request.param
    return found


def answer(monkeypatch: pytest.MonkeyPatch, sensor: type[ReadinessSensor], *found: Readiness | Exception) -> None:
    """What one look after the other comes to; the last one stays."""
    left = list(found)

    def look() -> Readiness:
        one = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(sensor.trigger_class, "make_readiness", staticmethod(lambda _: look))


def test_it_returns_at_once_what_is_ready(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch, sensor_class: type[ReadinessSensor]
) -> None:
    answer(monkeypatch, sensor_class, READY)
    assert sensor_class(task_id="wait", target="members").execute(FakeInstance().context) == "x"


def test_it_waits_in_the_triggerer_and_its_time_counts_from_its_beginning(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch, sensor_class: type[ReadinessSensor]
) -> None:
    answer(monkeypatch, sensor_class, NOT_YET, NOT_YET, READY)
    sensor = sensor_class(task_id="wait", target="members", wait_min=2.0, poll_s=3.0)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(FakeInstance().context)
    trigger: Any = deferred.value.trigger
    assert isinstance(trigger, ReadinessTrigger)
    path, saved = trigger.serialize()
    assert saved == {"target": "members", "give_up_us": NOW_US + 120_000_000, "poll_s": 3.0}
    module, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(module), name)(**saved).serialize() == (path, saved)
    look = trigger.make_look()
    assert look() is None
    event = look()
    assert event is not None
    assert sensor.resume(FakeInstance().context, event) == "x"


def test_when_its_time_is_up_it_fails_once_with_what_was_seen_and_what_to_do(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch, sensor_class: type[ReadinessSensor]
) -> None:
    answer(monkeypatch, sensor_class, NOT_YET)
    event = sensor_class.trigger_class("members", NOW_US, 1.0).make_look()()
    assert event is not None
    with pytest.raises(AirflowFailException) as failed:
        sensor_class(task_id="wait", target="members", wait_min=5.0).resume(FakeInstance().context, event)
    assert str(failed.value) == f"not yet. Waited 5 min. {sensor_class.advice} Then clear this task."


def test_what_passes_is_left_to_a_retry_and_what_is_permanent_is_not(
    connections: FakeConnections, monkeypatch: pytest.MonkeyPatch, sensor_class: type[ReadinessSensor]
) -> None:
    for error, expected in ((PassingError("away"), PassingError), (PermanentError("refused"), AirflowFailException)):
        answer(monkeypatch, sensor_class, error)
        with pytest.raises(expected):
            sensor_class(task_id="wait", target="members").execute(FakeInstance().context)


def test_the_stream_is_that_of_the_targets_table_with_the_view_type_of_its_file(
    connections: FakeConnections, aws: ScriptedAws
) -> None:
    ScriptedTable(aws).switch_on("NEW_AND_OLD_IMAGES")
    sensor = TableStreamEnabledSensor(task_id="wait_for_stream", target="members")
    assert sensor.execute(FakeInstance().context) == STREAM
    assert aws.made("dynamodb.DescribeTable") == [{"TableName": "members"}]


def test_the_domain_is_the_one_that_the_target_file_names_and_its_address_that_of_the_connection(
    connections: FakeConnections, aws: ScriptedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = type(connections.environment).model_validate(
        {"opensearch": {"domain": "arn:aws:es:eu-central-1:123456789012:domain/members"}}
    )
    connections = connect(monkeypatch, {"environments": {"local": environment}})
    monkeypatch.setenv(
        "AIRFLOW_CONN_OPENSEARCH_DEFAULT",
        '{"conn_type": "opensearch", "host": "127.0.0.1", "port": 9, "schema": "http"}',
    )
    status = {"DomainId": "x", "DomainName": "members", "ARN": "x" * 20, "ClusterConfig": {}}
    aws.scripts["opensearch.DescribeDomain"] = lambda _: {"DomainStatus": status | {"Created": True, "Endpoint": "e"}}
    connections.servers.routes["/"] = ConnectionLostError("ConnectTimeoutError")
    with pytest.raises(TaskDeferred) as deferred:
        DomainActiveSensor(task_id="wait_for_domain", target="members").execute(FakeInstance().context)
    trigger: Any = deferred.value.trigger
    trigger.give_up_us = 0
    assert trigger.make_look()()["seen"] == "http://127.0.0.1:9 does not answer (ConnectTimeoutError)"
    assert aws.made("opensearch.DescribeDomain") == [{"DomainName": "members"}] * 2
