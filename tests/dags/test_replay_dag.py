"""`members_dlq_replay`: order, parameters, and that a run which only looks replays nothing."""

import copy
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError


@pytest.fixture(scope="module")
def replay(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["members_dlq_replay"]
    return dag


def validated(dag: DAG, name: str, value: Any) -> None:
    """Set a parameter as a trigger does, and check all of them."""
    params = copy.deepcopy(dag.params)
    params[name] = value
    params.validate()


def rendered(replay: DAG, template: str, **params: Any) -> Any:
    defaults = dict.fromkeys(replay.params) | {"dry_run": False}
    return replay.get_template_env().from_string(template).render(params={**defaults, **params})


def test_the_order_of_a_replay(replay: DAG) -> None:
    assert {task.task_id: set(task.upstream_task_ids) for task in replay.tasks} == {
        "plan": set(),
        "look": {"plan"},
        "replay": {"plan"},
        "report": {"replay"},
        "confirm": {"look", "report"},
    }


@pytest.mark.parametrize(
    ("params", "only_looks"),
    [({}, False), ({"dry_run": True}, True), ({"into_mapping": "members.json"}, True), ({"max_messages": 5}, False)],
)
def test_a_run_either_looks_or_replays_and_is_judged_by_that(
    replay: DAG, params: dict[str, Any], only_looks: bool
) -> None:
    plan: Any = replay.get_task("plan")
    look: Any = replay.get_task("look")
    confirm: Any = replay.get_task("confirm")
    assert rendered(replay, plan.is_dry_run, **params) is only_looks
    assert rendered(replay, look.is_wanted, **params) is only_looks
    assert rendered(replay, confirm.needs[0], **params) == ("look" if only_looks else "report")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", "stream"),
        ("source", None),
        ("max_messages", 0),
        ("max_messages", 1.5),
        ("dry_run", "maybe"),
        ("into_mapping", "nowhere.json"),
    ],
)
def test_a_parameter_out_of_its_bounds_is_refused(replay: DAG, name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        validated(replay, name, value)
