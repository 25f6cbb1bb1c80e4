"""`members_reindex` and `members_rollback_index`: order, parameters, people, and what runs whatever happened."""

import copy
import runpy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import ParamValidationError

from dynamo_opensearch.core.state.holder import REBUILD, ROLLBACK

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reindex(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["members_reindex"]
    return dag


@pytest.fixture(scope="module")
def rollback(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["members_rollback_index"]
    return dag


def order_of(dag: DAG) -> dict[str, set[str]]:
    return {task.task_id: set(task.upstream_task_ids) for task in dag.tasks}


def all_before(dag: DAG, task_id: str) -> set[str]:
    return {task.task_id for task in dag.get_task(task_id).get_flat_relatives(upstream=True)}


def test_the_order_of_a_rebuild(reindex: DAG) -> None:
    assert order_of(reindex) == {
        "preflight": set(),
        "hold": {"preflight"},
        "plan": {"hold"},
        "make_index": {"plan"},
        "wait_for_follower": {"make_index"},
        "plan_copy": {"wait_for_follower"},
        "copy": {"plan_copy", "make_index"},
        "copy_index": {"wait_for_follower", "plan", "make_index"},
        "restore_settings": {"copy", "copy_index", "make_index"},
        "wait_for_stream": {"copy", "copy_index", "restore_settings"},
        "compare": {"wait_for_stream"},
        "approve": {"compare", "plan", "make_index"},
        "wait_before_swap": {"approve"},
        "swap": {"wait_before_swap", "plan"},
        "compare_after": {"swap"},
        "release": {"hold", "copy", "copy_index", "restore_settings", "compare_after"},
        "confirm": {"release"},
    }


def test_the_order_of_a_rollback(rollback: DAG) -> None:
    assert order_of(rollback) == {
        "hold": set(),
        "plan": {"hold"},
        "compare_before": {"plan"},
        "wait_for_stream": {"compare_before"},
        "count": {"wait_for_stream", "plan"},
        "swap": {"plan", "count"},
        "compare_after": {"swap"},
        "release": {"hold", "compare_after"},
        "confirm": {"release"},
    }


def test_nothing_is_copied_before_the_follower_feeds_the_index(reindex: DAG) -> None:
    for task_id in ("copy", "copy_index"):
        assert "wait_for_follower" in all_before(reindex, task_id)


def test_the_swap_is_downstream_of_comparison_and_approval(reindex: DAG) -> None:
    assert {"hold", "copy", "copy_index", "restore_settings", "wait_for_stream", "compare", "approve"} <= all_before(
        reindex, "swap"
    )


def test_the_swap_of_a_rollback_waits_for_the_head_of_the_stream(rollback: DAG) -> None:
    assert {"hold", "wait_for_stream"} <= all_before(rollback, "swap")
    waits: Any = rollback.get_task("wait_for_stream")
    assert waits.to_now


def test_the_first_wait_asks_for_the_follower_and_the_others_for_the_head_of_the_stream(reindex: DAG) -> None:
    waits: list[Any] = [reindex.get_task(f"wait_{name}") for name in ("for_follower", "for_stream", "before_swap")]
    assert [one.to_now for one in waits] == [False, True, True]


def test_a_swap_knows_since_when_its_index_is_compared(reindex: DAG, rollback: DAG) -> None:
    for dag, comparison in ((reindex, "compare"), (rollback, "compare_before")):
        swap: Any = dag.get_task("swap")
        assert f"task_ids='{comparison}', key='began_us'" in swap.compared_us
        assert comparison in all_before(dag, "swap")


def test_a_copy_that_is_not_wanted_holds_nothing_up_and_one_that_failed_does(reindex: DAG) -> None:
    after_both = reindex.get_task("wait_for_stream")
    assert after_both.trigger_rule == TriggerRule.NONE_FAILED
    others = [task for task in reindex.tasks if task is not after_both and not task.is_teardown]
    assert {task.trigger_rule for task in others} == {TriggerRule.ALL_SUCCESS}


def test_settings_are_put_back_whatever_came_of_the_copies(reindex: DAG) -> None:
    restore = reindex.get_task("restore_settings")
    assert restore.is_teardown
    assert restore.trigger_rule == TriggerRule.ALL_DONE_SETUP_SUCCESS
    assert [task.task_id for task in restore.upstream_list if task.is_setup] == ["make_index"]
    assert not restore.on_failure_fail_dagrun


@pytest.mark.parametrize("name", ["members_reindex", "members_rollback_index"])
def test_the_target_is_let_go_whatever_happened_and_that_hides_no_failure(bag: DagBag, name: str) -> None:
    release = bag.dags[name].get_task("release")
    assert release.is_teardown
    assert release.trigger_rule == TriggerRule.ALL_DONE_SETUP_SUCCESS
    assert [task.task_id for task in release.upstream_list if task.is_setup] == ["hold"]
    assert not release.on_failure_fail_dagrun


def test_a_rollback_takes_the_target_from_a_rebuild_and_a_rebuild_from_nobody(reindex: DAG, rollback: DAG) -> None:
    of_rebuild: Any = reindex.get_task("hold")
    of_rollback: Any = rollback.get_task("hold")
    assert (of_rebuild.purpose, of_rebuild.pre_empts) == (REBUILD, frozenset())
    assert (of_rollback.purpose, of_rollback.pre_empts) == (ROLLBACK, frozenset({REBUILD}))
    for dag, purpose in ((reindex, REBUILD), (rollback, ROLLBACK)):
        swap: Any = dag.get_task("swap")
        assert swap.purpose == purpose


def test_the_moved_alias_is_told_as_an_event_of_its_asset(reindex: DAG, rollback: DAG) -> None:
    for dag in (reindex, rollback):
        assert [asset.name for asset in dag.get_task("swap").outlets] == ["members-live"]


def test_segments_are_copied_as_many_at_a_time_as_the_target_allows(reindex: DAG) -> None:
    tasks = reindex.get_task("copy")
    assert tasks.is_mapped
    assert tasks.max_active_tis_per_dagrun == 2


def test_parameters_are_those_that_others_rely_on(reindex: DAG, rollback: DAG) -> None:
    assert {name: reindex.params[name] for name in reindex.params} == {
        "source": "table",
        "mapping": None,
        "approval": False,
        "keep_previous_h": None,
    }
    assert {name: rollback.params[name] for name in rollback.params} == {"compare_first": False}


def test_every_mapping_file_is_offered(reindex: DAG) -> None:
    files = sorted(path.name for path in (ROOT / "include" / "mappings").glob("*.json"))
    assert reindex.params.get_param("mapping").schema["enum"] == [None, *files]


def validated(dag: DAG, name: str, value: Any) -> Any:
    """What a run would get; the DAG itself stays as it is."""
    return copy.deepcopy(dag.params.get_param(name)).resolve(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", "index"),
        ("source", "table"),
        ("mapping", None),
        ("mapping", "members.json"),
        ("approval", True),
        ("keep_previous_h", None),
        ("keep_previous_h", 0.01),
        ("keep_previous_h", 8_760),
    ],
)
def test_a_parameter_within_its_bounds_is_taken(reindex: DAG, name: str, value: Any) -> None:
    assert validated(reindex, name, value) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", None),
        ("source", "tables"),
        ("mapping", "../members.json"),
        ("mapping", "no-such.json"),
        ("mapping", ""),
        ("approval", None),
        ("approval", "yes"),
        ("keep_previous_h", 0),
        ("keep_previous_h", -1),
        ("keep_previous_h", 8_761),
        ("keep_previous_h", "a day"),
    ],
)
def test_a_parameter_out_of_bounds_is_refused(reindex: DAG, name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        validated(reindex, name, value)


def test_a_rollback_compares_before_or_after_and_nothing_else_can_be_asked_for(rollback: DAG) -> None:
    for value in (True, False):
        assert validated(rollback, "compare_first", value) is value
    for refused in (None, "no", 0):
        with pytest.raises(ParamValidationError):
            validated(rollback, "compare_first", refused)


def test_people_and_time_limits_of_the_target_reach_the_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "include" / "targets" / "members.yaml").read_text()
    mine = (
        "  owner: search\n  approvers: [ada, bob]\n  approval_timeout_h: 2.5\n  task_timeout_h: 3\n"
        "  retries: 7\n  pool: search_pool\n  queue: search_queue\n"
    )
    for folder in ("targets", "mappings"):
        (tmp_path / folder).mkdir()
    (tmp_path / "targets" / "members.yaml").write_text(text.replace("  owner: search\n", mine))
    (tmp_path / "mappings" / "members.json").write_bytes((ROOT / "include" / "mappings" / "members.json").read_bytes())
    monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path))

    dag: DAG = runpy.run_path(str(ROOT / "dags" / "reindex.py"))["members_reindex"]

    approve: Any = dag.get_task("approve")
    assert approve.assigned_users == [{"id": "ada", "name": "ada"}, {"id": "bob", "name": "bob"}]
    assert approve.response_timeout == timedelta(hours=2.5)
    for task in dag.tasks:
        assert (task.owner, task.pool, task.queue, task.retries) == ("search", "search_pool", "search_queue", 7)
        assert task.execution_timeout == (None if task is approve else timedelta(hours=3))


def test_whoever_may_edit_the_run_approves_where_the_target_names_nobody(reindex: DAG) -> None:
    approve: Any = reindex.get_task("approve")
    assert approve.assigned_users is None
    assert approve.fail_on_reject
    assert approve.defaults is None, "no answer must not count as one"


def test_the_comparison_stands_in_the_question(reindex: DAG) -> None:
    approve: Any = reindex.get_task("approve")
    assert "ti.xcom_pull(task_ids='compare', key='text')" in approve.body
    assert "body" in approve.template_fields
