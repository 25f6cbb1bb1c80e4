"""The tasks of a service's rollback over scripted services: which component, dry runs, deferring, one replay."""

import importlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.sdk.exceptions import AirflowRuntimeError, DagRunTriggerException, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from dynamo_opensearch.core.services.choosing import choose_health
from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.operators.rollback_service import (
    PlanServiceRollbackOperator,
    RollBackServiceOperator,
    StartReplayOperator,
)
from dynamo_opensearch.operators.run_identity import run_of
from dynamo_opensearch.sensors.service_settled import ServiceSettledSensor
from dynamo_opensearch.triggers.service_settled import ServiceSettledTrigger
from dynamo_opensearch.wiring import services
from tests.support.adapters import FakeConnections, FakeInstance, connect
from tests.support.fakes import NOW_US
from tests.support.scripted_aws import ScriptedAws
from tests.support.scripted_ecs import ScriptedEcs, arn

DAG_ID = "members_rollback_service"
API = {"kind": "ecs", "cluster": "main", "service": "api"}
INDEXER = {"function": "indexer", "alias": "live"}
DEAD_LETTERS = {"queue": "members-indexer-dlq"}


class Runs(FakeInstance):
    """A task instance whose run was triggered at a moment."""

    triggered = datetime.fromtimestamp(NOW_US / 1e6, UTC)

    @property
    def context(self) -> Any:
        return {**super().context, "dag_run": self}

    @property
    def run_after(self) -> datetime:
        return self.triggered

    @property
    def start_date(self) -> datetime | None:
        return self.triggered + timedelta(seconds=40)


@pytest.fixture
def instance() -> Runs:
    return Runs(dag_id=DAG_ID)


@pytest.fixture
def aws() -> ScriptedAws:
    return ScriptedAws()


@pytest.fixture
def ecs(aws: ScriptedAws) -> ScriptedEcs:
    found = ScriptedEcs(aws)
    found.deploy("api:1")
    found.deploy("api:2")
    return found


def connected(monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, **environment: Any) -> FakeConnections:
    """The sample target with this in its file, and AWS as scripted."""
    connections = connect(monkeypatch)
    local = type(connections.environment).model_validate(environment)
    connections = connect(monkeypatch, {"environments": {"local": local}})
    monkeypatch.setattr(services, "control_plane", lambda _: aws.plane)
    return connections


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, ecs: ScriptedEcs) -> FakeConnections:
    return connected(monkeypatch, aws, api=API, indexer=INDEXER, dead_letters=DEAD_LETTERS)


def plan(instance: Runs, component: str = "ecs", replay: bool = False) -> dict[str, Any]:
    operator = PlanServiceRollbackOperator(task_id="plan", target="members", component=component, replay=replay)
    return operator.execute(instance.context)


def roll_back(instance: Runs, planned: dict[str, Any], is_wanted: bool = True) -> dict[str, Any]:
    operator = RollBackServiceOperator(task_id="roll_back", target="members", plan=planned, is_wanted=is_wanted)
    return operator.execute(instance.context)


def sensor(shall: dict[str, Any], **arguments: Any) -> ServiceSettledSensor:
    return ServiceSettledSensor(task_id="settle", target="members", component="ecs", shall=shall, **arguments)


def outcomes(connections: FakeConnections) -> list[str]:
    return [one["outcome"] for one in connections.state("services").load()["ecs"]]


def test_a_dry_run_plans_and_changes_nothing(connections: FakeConnections, ecs: ScriptedEcs, instance: Runs) -> None:
    planned = plan(instance)
    assert (planned["was"]["version"], planned["shall"]["version"]) == (arn("api:2"), arn("api:1"))
    with pytest.raises(AirflowSkipException, match="start it with dry_run false"):
        roll_back(instance, planned, is_wanted=False)
    assert ecs.primary == "api:2"
    assert connections.state("services").load() is None


def test_a_run_changes_what_was_planned_records_it_and_says_in_the_end_that_it_is_stable(
    connections: FakeConnections, ecs: ScriptedEcs, instance: Runs
) -> None:
    done = roll_back(instance, plan(instance))
    assert done["version"] == arn("api:1")
    assert ecs.primary == "api:1"
    assert outcomes(connections) == ["begun"]
    assert "main/api is stable on api:1" in sensor(done).execute(instance.context)
    assert outcomes(connections) == ["stable"]


def test_the_wait_is_in_the_triggerer_and_its_time_counts_from_its_beginning(
    connections: FakeConnections, ecs: ScriptedEcs, instance: Runs
) -> None:
    ecs.next_update = "hangs"
    done = roll_back(instance, plan(instance))
    with pytest.raises(TaskDeferred) as deferred:
        sensor(done, wait_min=5.0, poll_s=3.0).execute(instance.context)
    trigger: Any = deferred.value.trigger
    assert isinstance(trigger, ServiceSettledTrigger)
    assert trigger.serialize() == (
        "dynamo_opensearch.triggers.service_settled.ServiceSettledTrigger",
        {
            "target": "members",
            "component": "ecs",
            "shall": done,
            "give_up_us": NOW_US + 300_000_000,
            "poll_s": 3.0,
        },
    )
    look = trigger.make_look()
    assert look() is None
    ecs.made[-1]["status"] = "SUCCESSFUL"
    ecs.listed = [ecs.listed[0] | {"rolloutState": "COMPLETED", "runningCount": 2}]
    event = look()
    assert event is not None
    assert "main/api is stable on api:1" in sensor(done).resume(instance.context, event)
    assert outcomes(connections) == ["stable"]


def test_a_trigger_comes_back_as_it_was_saved() -> None:
    trigger = ServiceSettledTrigger("members", "ecs", InService(version="x").to_json(), NOW_US, 2.0)
    path, saved = trigger.serialize()
    module, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(module), name)(**saved).serialize() == (path, saved)


def test_what_ecs_took_back_fails_the_task_and_is_recorded(
    connections: FakeConnections, ecs: ScriptedEcs, instance: Runs
) -> None:
    ecs.next_update = "rolled back"
    done = roll_back(instance, plan(instance))
    with pytest.raises(AirflowFailException, match="the deployment circuit breaker acted"):
        sensor(done).execute(instance.context)
    assert outcomes(connections) == ["rolled back"]


@pytest.mark.parametrize(
    ("component", "replay", "environment", "says"),
    [
        ("ecs", False, {}, "the file has no api. Correct environments.local"),
        ("ecs", False, {"api": {"kind": "lambda", "function": "f", "alias": "a"}}, "its api is of kind lambda"),
        ("lambda_api", False, {"api": API}, "its api is of kind ecs"),
        ("lambda_indexer", False, {}, "the file has no indexer"),
        ("lambda_indexer", False, {"indexer": {"function": "f"}}, "indexer.alias is not set, so function 'f'"),
        ("lambda_edge", False, {"api": API}, "there are ecs, lambda_api, lambda_indexer"),
        ("ecs", True, {"api": API, "dead_letters": DEAD_LETTERS}, "start members_dlq_replay by itself"),
        ("lambda_indexer", True, {"indexer": INDEXER}, "the file has no dead_letters"),
    ],
)
def test_what_the_target_file_does_not_name_is_refused_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch,
    aws: ScriptedAws,
    instance: Runs,
    component: str,
    replay: bool,
    environment: dict[str, Any],
    says: str,
) -> None:
    connected(monkeypatch, aws, **environment)
    with pytest.raises(AirflowFailException) as error:
        plan(instance, component, replay)
    assert says in str(error.value)
    assert "nothing was changed" in str(error.value)
    assert aws.calls == []


def test_a_lambda_api_and_the_indexer_are_asked_by_their_own_names(
    monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, instance: Runs
) -> None:
    def alias(asked: dict[str, Any]) -> dict[str, Any]:
        return {"FunctionVersion": "2", "RevisionId": "r", "Name": asked["Name"]}

    aws.scripts["lambda.GetAlias"] = alias
    aws.scripts["lambda.ListVersionsByFunction"] = lambda _: {"Versions": [{"Version": "1"}, {"Version": "2"}]}
    aws.scripts["lambda.GetFunctionConfiguration"] = lambda _: {}
    api = {"kind": "lambda", "function": "members-api", "alias": "prod", "health_url": "http://127.0.0.1:1/health"}
    connected(monkeypatch, aws, api=api, indexer=INDEXER)
    assert plan(instance, "lambda_api")["resource"] == "Lambda alias members-api:prod"
    assert plan(instance, "lambda_indexer")["resource"] == "Lambda alias indexer:live"


def test_the_health_of_the_api_is_not_that_of_the_indexer(monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws) -> None:
    url = "http://127.0.0.1:1/health"
    connections = connected(monkeypatch, aws, api=API | {"health_url": url}, indexer=INDEXER)
    assert choose_health("ecs", connections.environment) is not None
    assert choose_health("lambda_indexer", connections.environment) is None
    assert choose_health("ecs", connected(monkeypatch, aws, api=API).environment) is None


def test_a_run_was_triggered_before_it_began_and_that_counts(connections: FakeConnections, instance: Runs) -> None:
    run = run_of(instance.context)
    assert (run.dag_id, run.run_id, run.triggered_us) == (DAG_ID, instance.run_id, NOW_US)


def test_a_run_that_waited_for_its_turn_while_another_changed_it_refuses(
    connections: FakeConnections, ecs: ScriptedEcs, instance: Runs
) -> None:
    connections.clock.pass_s(60)  # type: ignore[attr-defined]
    first = Runs(dag_id=DAG_ID, run_id="manual__first")
    roll_back(first, plan(first))
    with pytest.raises(AirflowFailException, match="changed by another run since this one was triggered"):
        plan(instance)
    assert ecs.primary == "api:1"


def start(instance: Runs, is_wanted: bool = True) -> None:
    StartReplayOperator(
        task_id="start_replay",
        trigger_dag_id="members_dlq_replay",
        trigger_run_id="rollback_service__r1",
        conf={"source": "queue"},
        is_wanted=is_wanted,
    ).execute(instance.context)


def unknown() -> AirflowRuntimeError:
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404}))


def test_a_replay_is_started_under_a_run_id_of_this_run(instance: Runs) -> None:
    instance.run_states["members_dlq_replay", "rollback_service__r1"] = unknown()
    with pytest.raises(DagRunTriggerException) as started:
        start(instance)
    asked: Any = started.value
    assert (asked.trigger_dag_id, asked.dag_run_id) == ("members_dlq_replay", "rollback_service__r1")
    assert asked.conf == {"source": "queue"}
    assert not asked.wait_for_completion


def test_a_replay_that_an_earlier_try_started_is_not_started_twice(instance: Runs) -> None:
    start(instance)


def test_no_replay_is_started_where_none_was_asked_for(instance: Runs) -> None:
    with pytest.raises(AirflowSkipException):
        start(instance, is_wanted=False)


def test_an_airflow_that_does_not_answer_is_left_to_a_retry(instance: Runs) -> None:
    broken = AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 503}))
    instance.run_states["members_dlq_replay", "rollback_service__r1"] = broken
    with pytest.raises(AirflowRuntimeError):
        start(instance)
