"""`members_cutover`: the guide's six steps in order, what is skipped, and what the run's end depends on."""

import copy
import itertools
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import ParamValidationError

from dynamo_opensearch.core.preflight.checklist import CHECKS, FIRST_STEPS

STEPS = [
    "identify",
    "hold",
    "wait_for_domain",
    "preflight",
    "make_index",
    "enable_stream",
    "wait_for_stream",
    "approve_indexer",
    "deploy_indexer",
    "move_indexer",
    "settle_indexer",
    "enable_mapping",
    "wait_for_mapping",
    "canary",
    "remove_canary",
    "backfill",
    "reconcile",
    "approve_api",
    "deploy_api",
    "settle_api",
    "report",
    "release",
    "confirm",
]


@pytest.fixture(scope="module")
def cutover(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["members_cutover"]
    return dag


def task(dag: DAG, name: str) -> Any:
    return dag.get_task(name)


def test_the_steps_follow_each_other_and_nothing_else_is_beside_them(cutover: DAG) -> None:
    for before, after in itertools.pairwise(STEPS):
        assert before in task(cutover, after).upstream_task_ids, after
    assert {one.task_id for one in cutover.tasks} == set(STEPS)


def test_the_canarys_item_goes_whatever_became_of_the_canary(cutover: DAG) -> None:
    remove = task(cutover, "remove_canary")
    assert remove.is_teardown
    assert remove.on_failure_fail_dagrun
    assert not [one.task_id for one in cutover.tasks if one.is_setup and one.task_id != "hold"], (
        "a teardown does not run when its setup failed, and what follows a setup does not run where that is skipped"
    )


def test_where_the_canary_has_failed_nothing_is_filled(cutover: DAG) -> None:
    assert task(cutover, "backfill").upstream_task_ids == {"canary", "remove_canary"}


def test_what_the_target_file_does_not_name_is_skipped_and_the_rest_goes_on(cutover: DAG) -> None:
    for name in ("deploy_indexer", "backfill", "deploy_api", "report"):
        assert task(cutover, name).trigger_rule == TriggerRule.NONE_FAILED, name
    for name in ("move_indexer", "canary", "settle_api", "approve_api"):
        assert task(cutover, name).trigger_rule == TriggerRule.ALL_SUCCESS, name


def test_the_target_is_let_go_whatever_happened_and_the_leaf_says_whether_the_work_is_done(cutover: DAG) -> None:
    assert task(cutover, "release").is_teardown
    assert task(cutover, "hold").is_setup
    confirm = task(cutover, "confirm")
    assert confirm.is_teardown
    assert confirm.on_failure_fail_dagrun
    assert set(confirm.needs) == {"reconcile", "report", "release"}, "this target's file names neither indexer nor API"
    assert [one.task_id for one in cutover.leaves if not one.is_teardown] == []


def test_the_gate_compares_all_keys_and_mends_nothing(cutover: DAG) -> None:
    assert task(cutover, "backfill").trigger_dag_id == "members_backfill"
    reconcile = task(cutover, "reconcile")
    assert (reconcile.trigger_dag_id, reconcile.conf) == ("members_reconcile", {"depth": "keys", "repair": "none"})
    assert reconcile.trigger_run_id == "cutover__{{ run_id }}", "a second try finds the run of the first"


def test_the_checks_before_it_are_some_of_the_checklist(cutover: DAG) -> None:
    assert task(cutover, "preflight").checks == FIRST_STEPS["cutover"]
    assert set(FIRST_STEPS["cutover"]) <= set(CHECKS)


def test_it_asks_before_it_changes_the_live_system_unless_told_otherwise(cutover: DAG) -> None:
    assert copy.deepcopy(cutover.params).validate() == {"environment": "local", "approval": True}


@pytest.mark.parametrize(("name", "value"), [("environment", "nowhere"), ("environment", None), ("approval", "no")])
def test_a_parameter_out_of_its_bounds_is_refused(cutover: DAG, name: str, value: Any) -> None:
    def validate() -> None:
        params = copy.deepcopy(cutover.params)
        params[name] = value
        params.validate()

    with pytest.raises(ParamValidationError):
        validate()
