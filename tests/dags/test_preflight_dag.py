"""`members_preflight`: a task for each check, none in another's way, and the environments that may be chosen."""

import copy
import runpy
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import ParamValidationError

from dynamo_opensearch.core.preflight.checklist import CHECKS
from dynamo_opensearch.core.runbook import RUNBOOK

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def preflight(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["members_preflight"]
    return dag


def test_the_order_of_a_preflight(preflight: DAG) -> None:
    assert {task.task_id: set(task.upstream_task_ids) for task in preflight.tasks} == {
        "identify": set(),
        **{check: {"identify"} for check in CHECKS},
        "gate": set(CHECKS),
        "confirm": {"gate"},
    }


def test_no_check_stops_another_nor_the_gate(preflight: DAG) -> None:
    for name in (*CHECKS, "gate"):
        assert preflight.get_task(name).trigger_rule == TriggerRule.ALL_DONE, name


def test_the_leaf_fails_the_run_unless_the_gate_has_passed(preflight: DAG) -> None:
    assert [task.task_id for task in preflight.leaves] == ["confirm"]
    confirm: Any = preflight.get_task("confirm")
    assert confirm.is_teardown
    assert confirm.on_failure_fail_dagrun
    assert confirm.needs == ("identify", "gate")


def test_a_check_is_named_as_its_task_and_leads_to_its_section(preflight: DAG) -> None:
    for name in CHECKS:
        task: Any = preflight.get_task(name)
        assert task.check == name
        assert f"{RUNBOOK}#{name}" in task.doc_md
        assert f"| `{name}` |" in str(preflight.doc_md)
    assert RUNBOOK in str(preflight.doc_md)


def validated(dag: DAG, name: str, value: Any) -> Any:
    return copy.deepcopy(dag.params.get_param(name)).resolve(value)


def test_the_environments_of_the_target_file_may_be_chosen_and_no_other(preflight: DAG) -> None:
    assert preflight.params["environment"] == "local"
    assert preflight.params["compare_with"] is None
    assert validated(preflight, "environment", "compose") == "compose"
    assert validated(preflight, "compare_with", "local") == "local"
    for name, value in (("environment", "staging"), ("environment", None), ("compare_with", "staging")):
        with pytest.raises(ParamValidationError):
            validated(preflight, name, value)


def test_a_deployment_that_is_no_environment_of_the_file_has_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNAMO_OPENSEARCH_ENVIRONMENT", "staging")
    made = runpy.run_path(str(ROOT / "dags" / "preflight.py"))
    dag: DAG = made["members_preflight"]
    assert dag.params["environment"] is None
    assert validated(dag, "environment", "local") == "local"
