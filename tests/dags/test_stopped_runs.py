"""What Airflow makes of a run that a person marks as failed, at whatever task: it must not end green.

Airflow's own functions decide, on the metadata database of this test session; no task is executed.
"""

from typing import Any

import pendulum
import pytest
from airflow import settings
from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk import DAG
from airflow.utils.db import synchronize_log_template
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from jinja2 import Template

from dynamo_opensearch.operators.run_result import ConfirmResultOperator

BY_HAND = ("members_backfill", "members_cutover", "members_preflight", "members_reindex", "members_rollback_index")
STEPS_UNTIL_IT_ENDS = 10
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # Airflow's, in .airflowignore


@pytest.fixture(scope="module")
def known(bag: DagBag) -> DagBag:
    """The DAGs, known to a scheduler."""
    import_all_models()  # type: ignore[no-untyped-call]
    Base.metadata.create_all(settings.engine)
    synchronize_log_template()
    with create_session() as session:
        session.add(DagBundleModel(name="tests"))
    sync_bag_to_db(bag, "tests", None)
    return bag


def marked_as_failed(dag: DAG, task_id: str, state: str, session: Any) -> DagRun:
    """A run whose tasks before this one have succeeded, while this one is in ``state``; then the mark."""
    serialized = SerializedDagModel.get_dag(dag.dag_id, session=session)
    assert serialized is not None
    run: DagRun = serialized.create_dagrun(
        run_id=f"{task_id}-{state}",
        run_after=pendulum.now("UTC"),
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.RUNNING,
        session=session,
    )
    run.dag = serialized
    before = {task.task_id for task in dag.get_task(task_id).get_flat_relatives(upstream=True)}
    for instance in run.get_task_instances(session=session):
        if instance.task_id in before or instance.task_id == task_id:
            instance.state = state if instance.task_id == task_id else "success"
    session.flush()
    set_dag_run_state_to_failed(dag=serialized, run_id=run.run_id, commit=True, session=session)
    return run


def rendered(needed: str) -> str:
    """The name of a task, as in a run that is no dry run."""
    return str(Template(needed).render(params={"dry_run": False}))


def finish(dag: DAG, run: DagRun, session: Any) -> str:
    """Schedule what is to be scheduled, say of each task that it did what it is for, and return the run's state."""
    for _ in range(STEPS_UNTIL_IT_ENDS):
        session.flush()
        session.refresh(run)
        if run.state in ("success", "failed"):
            return str(run.state)
        ready, _ = run.update_state(session=session, execute_callbacks=False)
        states = {one.task_id: one.state for one in run.get_task_instances(session=session)}
        for instance in ready:
            task = dag.get_task(instance.task_id)
            needs = [rendered(name) for name in task.needs] if isinstance(task, ConfirmResultOperator) else ()
            instance.state = "success" if all(states[name] == "success" for name in needs) else "failed"
    raise AssertionError(f"the run did not end: {states}")


@pytest.mark.parametrize("dag_id", BY_HAND)
@pytest.mark.parametrize("state", ["running", "up_for_retry"])
def test_a_run_that_a_person_marks_as_failed_is_not_green_whichever_task_it_was_at(
    known: DagBag, dag_id: str, state: str
) -> None:
    dag = known.dags[dag_id]
    ends: dict[str, str] = {}
    for task in dag.tasks:
        if not task.is_teardown:
            with create_session() as session:
                ends[task.task_id] = finish(dag, marked_as_failed(dag, task.task_id, state, session), session)
    assert set(ends.values()) == {"failed"}, ends
