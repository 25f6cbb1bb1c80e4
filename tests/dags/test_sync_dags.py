"""`sync_follow` and `sync_index_cleanup`: one of each for all targets, and they start by themselves."""

from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture(scope="module")
def follow(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["sync_follow"]
    return dag


@pytest.fixture(scope="module")
def cleanup(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["sync_index_cleanup"]
    return dag


def test_they_start_by_themselves_one_run_at_a_time_and_never_for_the_past(follow: DAG, cleanup: DAG) -> None:
    for dag in (follow, cleanup):
        assert dag.is_paused_upon_creation is False
        assert dag.max_active_runs == 1
        assert dag.catchup is False


def test_following_goes_on_run_after_run_and_clean_up_is_hourly(follow: DAG, cleanup: DAG) -> None:
    assert [str(dag.schedule) for dag in (follow, cleanup)] == ["@continuous", "@hourly"]


@pytest.mark.parametrize(
    ("dag_id", "first", "mapped"),
    [
        ("sync_follow", "plan", "follow"),
        ("sync_index_cleanup", "targets", "clean_up"),
    ],
)
def test_the_targets_are_named_when_it_runs_and_each_has_a_task_of_its_own(
    bag: DagBag, dag_id: str, first: str, mapped: str
) -> None:
    dag = bag.dags[dag_id]
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {first: set(), mapped: {first}}
    task: Any = dag.get_task(mapped)
    assert task.is_mapped
    assert task.max_active_tis_per_dagrun is None, "a target does not wait for another"


def test_they_have_no_parameters(follow: DAG, cleanup: DAG) -> None:
    for dag in (follow, cleanup):
        assert not list(dag.params)


def test_no_target_is_needed_for_them_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path))
    (tmp_path / "targets").mkdir()
    (tmp_path / "mappings").mkdir()
    bag = DagBag(str(DAGS))
    assert bag.import_errors == {}
    assert set(bag.dags) == {"sync_follow", "sync_index_cleanup"}
