"""Taking a target, keeping it, letting it go; and the leaf that says whether a run did its work."""

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk.api.datamodels._generated import DagRunState
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.rebuild.write_block import BlockNotRemovedError
from dynamo_opensearch.core.state.holder import CLEAN_UP, REBUILD, ROLLBACK, Holder, HolderLostError, TargetHeldError
from dynamo_opensearch.operators import hold
from dynamo_opensearch.operators.hold import AirflowRunStates, HoldTargetOperator, ReleaseTargetOperator, keep_hold
from dynamo_opensearch.operators.rebuild import PlanRebuildOperator
from dynamo_opensearch.operators.run_result import ConfirmResultOperator
from dynamo_opensearch.operators.swap import SwapAliasOperator
from dynamo_opensearch.wiring.deployment import deployment_name
from tests.support.adapters import DAG_ID, RUN_ID, FakeConnections, FakeInstance, connect

OTHER = ("members_rollback_index", "manual__other")


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> FakeConnections:
    return connect(monkeypatch)


@pytest.fixture
def instance() -> FakeInstance:
    return FakeInstance()


def held_by(connections: FakeConnections, dag_id: str, run_id: str, purpose: str) -> None:
    holder = Holder(deployment=deployment_name(), dag_id=dag_id, run_id=run_id, purpose=purpose, since_us=1)
    connections.state("holder").save(holder.to_json())


def holder_of(connections: FakeConnections) -> tuple[str, str] | None:
    value = connections.state("holder").load()
    return (value["dag_id"], value["run_id"]) if value else None


def take(instance: FakeInstance, purpose: str = REBUILD, pre_empts: frozenset[str] = frozenset()) -> Any:
    return HoldTargetOperator(task_id="hold", target="members", purpose=purpose, pre_empts=pre_empts).execute(
        instance.context
    )


@pytest.mark.parametrize("state", list(DagRunState))
def test_a_run_is_finished_when_airflow_says_success_or_failed(instance: FakeInstance, state: DagRunState) -> None:
    instance.run_states[OTHER] = state
    assert AirflowRunStates(instance).is_finished(*OTHER) == (state.value in ("success", "failed"))


def test_a_run_that_airflow_does_not_know_is_not_called_finished(instance: FakeInstance) -> None:
    answer = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404, "message": "Not Found"})
    instance.run_states[OTHER] = AirflowRuntimeError(answer)
    assert not AirflowRunStates(instance).is_finished(*OTHER)


def test_an_airflow_that_does_not_answer_is_no_answer(instance: FakeInstance) -> None:
    for detail in ({"status_code": 500}, {"status_code": None}, None):
        instance.run_states[OTHER] = AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))
        with pytest.raises(AirflowRuntimeError):
            AirflowRunStates(instance).is_finished(*OTHER)


def test_a_free_target_is_taken_and_taken_again_by_the_same_run(
    connections: FakeConnections, instance: FakeInstance
) -> None:
    first = take(instance)
    assert first == take(instance)
    assert holder_of(connections) == (DAG_ID, RUN_ID)


def test_a_held_target_is_waited_for_by_retries(connections: FakeConnections, instance: FakeInstance) -> None:
    held_by(connections, *OTHER, purpose=ROLLBACK)
    with pytest.raises(TargetHeldError, match="manual__other"):
        take(instance)
    assert holder_of(connections) == OTHER


@pytest.mark.parametrize("state", [DagRunState.SUCCESS, DagRunState.FAILED])
def test_the_hold_of_a_finished_run_counts_no_more(
    connections: FakeConnections, instance: FakeInstance, state: DagRunState
) -> None:
    held_by(connections, *OTHER, purpose=ROLLBACK)
    instance.run_states[OTHER] = state
    take(instance)
    assert holder_of(connections) == (DAG_ID, RUN_ID)


def test_a_rollback_takes_the_target_from_a_rebuild_but_not_from_a_clean_up(
    connections: FakeConnections, instance: FakeInstance
) -> None:
    held_by(connections, *OTHER, purpose=CLEAN_UP)
    with pytest.raises(TargetHeldError):
        take(instance, ROLLBACK, frozenset({REBUILD}))
    held_by(connections, *OTHER, purpose=REBUILD)
    take(instance, ROLLBACK, frozenset({REBUILD}))
    assert holder_of(connections) == (DAG_ID, RUN_ID)


def test_a_cleared_task_takes_the_target_again_when_it_is_free(
    connections: FakeConnections, instance: FakeInstance
) -> None:
    keep_hold(connections, instance.context, REBUILD)
    assert holder_of(connections) == (DAG_ID, RUN_ID)


def test_a_step_whose_run_lost_the_target_stops(connections: FakeConnections, instance: FakeInstance) -> None:
    held_by(connections, *OTHER, purpose=ROLLBACK)
    with pytest.raises(HolderLostError):
        keep_hold(connections, instance.context, REBUILD)


@pytest.mark.parametrize(
    "operator",
    [
        PlanRebuildOperator(task_id="plan", target="members"),
        SwapAliasOperator(task_id="swap", target="members", purpose=REBUILD, swap_plan={}),
    ],
    ids=lambda operator: operator.task_id,
)
def test_a_lost_hold_is_not_tried_again_and_nothing_is_asked_of_the_servers(
    connections: FakeConnections, instance: FakeInstance, operator: Any
) -> None:
    held_by(connections, *OTHER, purpose=ROLLBACK)
    with pytest.raises(AirflowFailException, match="does not hold the target any more") as caught:
        operator.execute(instance.context)
    assert isinstance(caught.value.__cause__, HolderLostError)
    assert connections.servers.requests == []
    assert instance.pushed == {}


def release(instance: FakeInstance) -> None:
    ReleaseTargetOperator(task_id="release", target="members").execute(instance.context)


def test_the_target_is_let_go_and_letting_go_again_does_no_harm(
    connections: FakeConnections, instance: FakeInstance
) -> None:
    take(instance)
    release(instance)
    assert holder_of(connections) is None
    release(instance)
    assert holder_of(connections) is None


def test_the_hold_of_another_run_stays(connections: FakeConnections, instance: FakeInstance) -> None:
    held_by(connections, *OTHER, purpose=ROLLBACK)
    release(instance)
    assert holder_of(connections) == OTHER


def test_the_hold_stays_while_the_write_block_stays(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def still_blocked(*_: Any) -> None:
        raise BlockNotRemovedError("members-v1", "503")

    take(instance)
    monkeypatch.setattr(hold, "put_write_block_back", still_blocked)
    with pytest.raises(PassingError, match="could not be taken away"):
        release(instance)
    assert holder_of(connections) == (DAG_ID, RUN_ID)


def confirm(instance: FakeInstance) -> None:
    ConfirmResultOperator(task_id="confirm", needs=["verify", "release"]).execute(instance.context)


def test_a_run_whose_work_is_done_is_confirmed(instance: FakeInstance) -> None:
    instance.task_states = {"verify": "success", "release": "success"}
    confirm(instance)


@pytest.mark.parametrize("state", ["failed", "skipped", "upstream_failed", None])
def test_a_run_without_one_of_its_results_is_failed_and_not_tried_again(
    instance: FakeInstance, state: str | None
) -> None:
    instance.task_states = {"verify": "success"} | ({"release": state} if state else {})
    with pytest.raises(AirflowFailException, match="'release'"):
        confirm(instance)
