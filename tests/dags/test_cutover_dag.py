"""`members_cutover`: order, parameters, what is skipped and what must have succeeded."""

import copy
import runpy
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import ParamValidationError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cutover(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["members_cutover"]
    return dag


def validated(dag: DAG, **params: Any) -> dict[str, Any]:
    """The parameters of a run that is triggered with these."""
    found = copy.deepcopy(dag.params)
    for name, value in params.items():
        found[name] = value
    validated: dict[str, Any] = found.validate()
    return validated


def test_the_steps_are_in_the_guides_order(cutover: DAG) -> None:
    assert {task.task_id: set(task.upstream_task_ids) for task in cutover.tasks} == {
        "identify": set(),
        "hold": {"identify"},
        "wait_for_domain": {"hold"},
        "make_index": {"wait_for_domain"},
        "enable_stream": {"make_index"},
        "wait_for_stream": {"enable_stream"},
        "approve_indexer": {"wait_for_stream"},
        "canary": {"approve_indexer"},
        "remove_canary": {"canary"},
        "backfill": {"canary", "remove_canary"},
        "reconcile": {"backfill"},
        "approve_api": {"reconcile"},
        "report": {"approve_api"},
        "release": {"hold", "report"},
        "confirm": {"release"},
    }


def test_a_step_that_is_left_out_does_not_stop_those_after_it(cutover: DAG) -> None:
    for task_id in ("canary", "backfill", "report"):
        assert cutover.get_task(task_id).trigger_rule == TriggerRule.NONE_FAILED


def test_the_canary_goes_and_the_target_is_let_go_whatever_happened(cutover: DAG) -> None:
    for task_id, follows in (("remove_canary", "canary"), ("release", "hold")):
        task = cutover.get_task(task_id)
        assert task.is_teardown
        assert not task.on_failure_fail_dagrun, "it must not hide a failure"
        assert follows in task.upstream_task_ids
    hold: Any = cutover.get_task("hold")
    assert hold.purpose == "cutover"
    assert hold.is_setup
    assert not cutover.get_task("canary").is_setup, "what follows a setup does not run where it is skipped"


def test_the_leaf_runs_whatever_happened_and_fails_the_run_unless_the_work_is_done(cutover: DAG) -> None:
    assert [task.task_id for task in cutover.leaves] == ["confirm"]
    confirm: Any = cutover.get_task("confirm")
    assert confirm.is_teardown
    assert confirm.on_failure_fail_dagrun
    assert confirm.needs == ("report", "release")


def test_the_report_is_of_every_step_before_it_in_order(cutover: DAG) -> None:
    report: Any = cutover.get_task("report")
    assert report.steps == (
        "identify",
        "hold",
        "wait_for_domain",
        "make_index",
        "enable_stream",
        "wait_for_stream",
        "approve_indexer",
        "canary",
        "backfill",
        "reconcile",
        "approve_api",
    )


def test_a_run_is_for_this_deployments_environment_and_asks_before_it_changes_services(cutover: DAG) -> None:
    assert validated(cutover) == {"environment": "local", "approval": True}
    assert validated(cutover, environment="compose")["environment"] == "compose", (
        "which `identify` refuses, and says so"
    )


@pytest.mark.parametrize(
    ("name", "value"), [("environment", "production"), ("environment", None), ("approval", "yes"), ("approval", None)]
)
def test_a_parameter_out_of_its_bounds_is_refused(cutover: DAG, name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        validated(cutover, **{name: value})


def test_a_deployment_that_is_none_of_the_environments_has_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNAMO_OPENSEARCH_ENVIRONMENT", "staging")
    dag = runpy.run_path(str(ROOT / "dags" / "cutover.py"))["members_cutover"]
    assert validated(dag)["environment"] is None


def test_the_runs_that_it_starts_are_the_targets_and_have_ids_of_this_run(cutover: DAG) -> None:
    for task_id, conf in (("backfill", {}), ("reconcile", {"depth": "keys", "repair": "none"})):
        task: Any = cutover.get_task(task_id)
        assert task.trigger_dag_id == f"members_{task_id}"
        assert task.conf == conf
        assert task.deferrable
        assert task.wait_for_completion
        template = cutover.get_template_env().from_string(task.trigger_run_id)
        assert template.render(run_id="manual__1") == "cutover__manual__1"


@pytest.mark.parametrize("part", ["indexer", "api"])
def test_a_part_of_the_live_system_is_changed_after_an_approval_unless_none_is_wanted(cutover: DAG, part: str) -> None:
    task: Any = cutover.get_task(f"approve_{part}")
    assert task.part == part
    assert task.fail_on_reject
    template: Any = cutover.get_template_env().from_string(task.is_wanted)
    assert [template.render(params={"approval": wanted}) for wanted in (True, False)] == [True, False]
    body = cutover.get_template_env().from_string(task.body).render(run_id="manual__1")
    assert "Approve: " in body
    assert "Reject: the run fails" in body
