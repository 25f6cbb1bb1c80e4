"""Runs that a run starts: once, waited for without a slot, their failure told with where it is."""

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk.exceptions import AirflowRuntimeError, DagRunTriggerException, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from dynamo_opensearch.operators.cutover.started_runs import RunDagOperator
from tests.support.adapters import FakeInstance

DAG_ID, RUN_ID = "members_backfill", "cutover__r1"


class Instance(FakeInstance):
    """With a DAG that may be paused."""

    is_paused = False

    def get_dag(self, dag_id: str) -> Any:
        assert dag_id == DAG_ID
        return self


class OlderInstance(FakeInstance):
    """As before Airflow 3.2, which does not tell of DAGs."""


def unknown(status: int = 404) -> AirflowRuntimeError:
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status}))


def operator() -> RunDagOperator:
    return RunDagOperator(
        task_id="backfill", trigger_dag_id=DAG_ID, trigger_run_id=RUN_ID, conf={"segments": 2}, poll_s=3
    )


@pytest.mark.parametrize("instance", [Instance(), OlderInstance()], ids=["3.3", "3.1"])
def test_a_run_is_started_under_an_id_of_this_run_and_waited_for_without_a_slot(instance: FakeInstance) -> None:
    instance.run_states[DAG_ID, RUN_ID] = unknown()
    with pytest.raises(DagRunTriggerException) as started:
        operator().execute(instance.context)
    asked: Any = started.value
    assert (asked.trigger_dag_id, asked.dag_run_id, asked.conf) == (DAG_ID, RUN_ID, {"segments": 2})
    assert (asked.wait_for_completion, asked.deferrable, asked.poke_interval) == (True, True, 3)
    assert not asked.reset_dag_run


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_an_earlier_try_started_is_waited_for_and_not_started_twice(state: str) -> None:
    instance = Instance()
    instance.run_states[DAG_ID, RUN_ID] = state
    with pytest.raises(TaskDeferred) as deferred:
        operator().execute(instance.context)
    trigger: Any = deferred.value.trigger
    assert isinstance(trigger, DagStateTrigger)
    assert (trigger.dag_id, trigger.run_ids, trigger.states) == (DAG_ID, [RUN_ID], ["success", "failed"])
    assert (trigger.poll_interval, deferred.value.method_name) == (3, "execute_complete")


def test_a_run_that_has_succeeded_meanwhile_is_taken_as_it_is() -> None:
    instance = Instance()
    instance.run_states[DAG_ID, RUN_ID] = "success"
    operator().execute(instance.context)


def check_told(error: Exception) -> None:
    for part in (
        f"run '{RUN_ID}' of DAG '{DAG_ID}' is failed",
        f"/dags/{DAG_ID}/runs/{RUN_ID}",
        "clear them there, then clear this task",
        "Or start this DAG again",
    ):
        assert part in str(error)


def test_a_run_that_has_failed_fails_this_task_once_with_where_it_is() -> None:
    instance = Instance()
    instance.run_states[DAG_ID, RUN_ID] = "failed"
    with pytest.raises(AirflowFailException) as failed:
        operator().execute(instance.context)
    check_told(failed.value)


def ended(state: str) -> None:
    event = ("airflow.providers.standard.triggers.external_task.DagStateTrigger", {"run_ids": [RUN_ID], RUN_ID: state})
    operator().execute_complete(FakeInstance().context, event)


def test_the_end_that_the_triggerer_saw_is_this_tasks() -> None:
    ended("success")
    with pytest.raises(AirflowFailException) as failed:
        ended("failed")
    check_told(failed.value)


def test_a_paused_dag_is_told_before_a_run_of_it_waits_for_ever() -> None:
    instance = Instance()
    instance.is_paused = True
    instance.run_states[DAG_ID, RUN_ID] = unknown()
    with pytest.raises(AirflowFailException, match="airflow dags unpause members_backfill, then clear this task"):
        operator().execute(instance.context)


def test_a_paused_dag_does_not_matter_once_its_run_has_ended() -> None:
    instance = Instance()
    instance.is_paused = True
    instance.run_states[DAG_ID, RUN_ID] = "success"
    operator().execute(instance.context)


def test_an_airflow_that_does_not_answer_is_left_to_a_retry() -> None:
    instance = Instance()
    instance.run_states[DAG_ID, RUN_ID] = unknown(503)
    with pytest.raises(AirflowRuntimeError):
        operator().execute(instance.context)
