"""The first tasks of a cutover: the own environment only, the hold kept, the stream switched on once."""

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from dynamo_opensearch.core.cutover.alias_index import MadeIndex
from dynamo_opensearch.core.state.holder import Holder
from dynamo_opensearch.operators.cutover import preparing
from dynamo_opensearch.operators.cutover.preparing import (
    EnableStreamOperator,
    IdentifyCutoverOperator,
    MakeIndexOperator,
)
from dynamo_opensearch.operators.preflight import IdentifyCallerOperator
from dynamo_opensearch.wiring import cutover as wiring
from tests.support.adapters import FakeConnections, FakeInstance, connect
from tests.support.scripted_aws import ScriptedAws
from tests.support.scripted_table import ScriptedTable

DAG_ID = "members_cutover"


@pytest.fixture
def instance() -> FakeInstance:
    return FakeInstance(dag_id=DAG_ID)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> FakeConnections:
    return connect(monkeypatch)


@pytest.fixture
def identified(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The environments that were looked at."""
    found: list[str | None] = []

    def execute(self: IdentifyCallerOperator, context: Any) -> list[Any]:
        found.append(self.environment)
        return []

    monkeypatch.setattr(IdentifyCallerOperator, "execute", execute)
    return found


def identify(instance: FakeInstance, environment: str | None) -> None:
    operator = IdentifyCutoverOperator(task_id="identify", target="members", environment=environment)
    operator.execute(instance.context)


@pytest.mark.parametrize("environment", ["local", None])
def test_the_deployments_own_environment_is_acted_on(
    instance: FakeInstance, identified: list[str | None], environment: str | None
) -> None:
    identify(instance, environment)
    assert identified == [environment]


def test_another_environment_is_refused_with_where_to_start_it(
    instance: FakeInstance, identified: list[str | None]
) -> None:
    with pytest.raises(AirflowFailException) as refused:
        identify(instance, "compose")
    for part in (
        "environment 'compose' was asked for, and this Airflow is the deployment for 'local'",
        "Nothing was changed",
        "Start this DAG, 'members_cutover', in the Airflow whose DYNAMO_OPENSEARCH_ENVIRONMENT is 'compose'",
    ):
        assert part in str(refused.value)
    assert "The target file has" not in str(refused.value)
    assert identified == []


def test_an_environment_that_nobody_knows_is_refused_with_those_that_are_there(
    instance: FakeInstance, identified: list[str | None]
) -> None:
    with pytest.raises(AirflowFailException, match="The target file has local, compose"):
        identify(instance, "production")


def test_a_deployment_of_an_environment_that_the_file_lacks_acts_on_nothing(
    instance: FakeInstance, identified: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNAMO_OPENSEARCH_ENVIRONMENT", "staging")
    with pytest.raises(AirflowFailException, match="no environment 'staging'"):
        identify(instance, "staging")
    assert identified == []


def make_index(instance: FakeInstance) -> dict[str, Any]:
    return MakeIndexOperator(task_id="make_index", target="members").execute(instance.context)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that an index was made for."""
    runs: list[str] = []

    def make(_: Any, run_id: str) -> MadeIndex:
        runs.append(run_id)
        return MadeIndex(alias="members-live", index="members-v1", uuid="u", was_there=False, made_by=run_id)

    monkeypatch.setattr(preparing, "make_index_behind_alias", make)
    return runs


def test_the_index_is_made_by_the_run_that_holds_the_target(
    connections: FakeConnections, instance: FakeInstance, made: list[str]
) -> None:
    assert make_index(instance) == {
        "alias": "members-live",
        "index": "members-v1",
        "uuid": "u",
        "was_there": False,
        "made_by": instance.run_id,
    }
    held = connections.state("holder").load()
    assert (held["run_id"], held["purpose"]) == (instance.run_id, "cutover")


def test_no_index_is_made_while_another_run_holds_the_target(
    connections: FakeConnections, instance: FakeInstance, made: list[str]
) -> None:
    other = Holder(deployment="local", dag_id="members_reindex", run_id="other", purpose="rebuild", since_us=1)
    connections.state("holder").save(other.to_json())
    with pytest.raises(AirflowFailException, match="does not hold the target any more"):
        make_index(instance)
    assert made == []


def test_the_stream_is_switched_on_with_the_view_type_of_the_file_once(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = ScriptedAws()
    ScriptedTable(aws)
    monkeypatch.setattr(wiring, "control_plane", lambda _: aws.plane)
    for _ in range(2):
        EnableStreamOperator(task_id="enable_stream", target="members").execute(instance.context)
    assert aws.made("dynamodb.UpdateTable") == [
        {
            "TableName": "members",
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        }
    ]


def test_a_stream_of_another_view_type_fails_the_task_for_good(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = ScriptedAws()
    ScriptedTable(aws).switch_on("OLD_IMAGE")
    monkeypatch.setattr(wiring, "control_plane", lambda _: aws.plane)
    with pytest.raises(AirflowFailException, match="is on with OLD_IMAGE"):
        EnableStreamOperator(task_id="enable_stream", target="members").execute(instance.context)
