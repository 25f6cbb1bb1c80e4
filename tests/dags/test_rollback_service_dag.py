"""`members_rollback_service`: order, parameters, what a dry run and a replay leave out."""

import copy
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError


@pytest.fixture(scope="module")
def rollback(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["members_rollback_service"]
    return dag


def rendered(dag: DAG, template: str, **params: Any) -> Any:
    defaults = {"component": "ecs", "replay": False, "dry_run": True}
    return dag.get_template_env().from_string(template).render(params={**defaults, **params})


def validated(dag: DAG, **params: Any) -> dict[str, Any]:
    """The parameters of a run that is triggered with these."""
    found = copy.deepcopy(dag.params)
    for name, value in params.items():
        found[name] = value
    validated: dict[str, Any] = found.validate()
    return validated


def test_the_change_follows_the_plan_and_the_replay_follows_the_wait(rollback: DAG) -> None:
    assert {task.task_id: set(task.upstream_task_ids) for task in rollback.tasks} == {
        "plan": set(),
        "roll_back": {"plan"},
        "settle": {"roll_back"},
        "start_replay": {"settle"},
        "confirm": {"start_replay"},
    }


def test_the_leaf_runs_whatever_happened_and_fails_the_run_unless_the_work_is_done(rollback: DAG) -> None:
    assert [task.task_id for task in rollback.leaves] == ["confirm"]
    confirm: Any = rollback.get_task("confirm")
    assert confirm.is_teardown
    assert confirm.on_failure_fail_dagrun


def test_a_run_is_dry_unless_it_is_told_otherwise_and_names_its_component(rollback: DAG) -> None:
    assert validated(rollback, component="ecs") == {"component": "ecs", "replay": False, "dry_run": True}
    with pytest.raises(ParamValidationError):
        validated(rollback)


@pytest.mark.parametrize(
    ("name", "value"),
    [("component", "lambda"), ("component", None), ("component", "ECS"), ("replay", "yes"), ("dry_run", None)],
)
def test_a_parameter_out_of_its_bounds_is_refused(rollback: DAG, name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        validated(rollback, **{"component": "ecs", name: value})


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_changes_nothing(rollback: DAG, dry_run: bool) -> None:
    change: Any = rollback.get_task("roll_back")
    assert rendered(rollback, change.is_wanted, dry_run=dry_run) is not dry_run


@pytest.mark.parametrize(
    ("params", "needs"),
    [
        ({}, {"plan"}),
        ({"replay": True}, {"plan"}),
        ({"dry_run": False}, {"settle"}),
        ({"dry_run": False, "replay": True}, {"settle", "start_replay"}),
    ],
)
def test_a_run_is_judged_by_what_it_was_asked_for(rollback: DAG, params: dict[str, bool], needs: set[str]) -> None:
    """A dry run by its plan: one that is refused must not end green."""
    start: Any = rollback.get_task("start_replay")
    confirm: Any = rollback.get_task("confirm")
    assert {rendered(rollback, one, **params) for one in confirm.needs} == needs
    assert rendered(rollback, start.is_wanted, **params) is params.get("replay", False)


def test_the_replay_is_that_of_the_target_and_has_an_id_of_the_run(rollback: DAG) -> None:
    start: Any = rollback.get_task("start_replay")
    assert start.trigger_dag_id == "members_dlq_replay"
    template = rollback.get_template_env().from_string(start.trigger_run_id)
    assert template.render(run_id="manual__1") == "rollback_service__manual__1"
