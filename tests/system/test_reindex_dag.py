"""Rebuilds and rollbacks from end to end in a running Airflow, under traffic, judged by what the servers hold."""

import time
from collections.abc import Iterator

import pytest

from tests.support.live_traffic import lags_up_to
from tests.system.airflow_deployment import Deployment, deployed, wait_for
from tests.system.approvals import answer_approval
from tests.system.live_members import CLEAN_UP, REINDEX, ROLLBACK, live_members, unpause_all
from tests.system.rebuilds import (
    assert_written_all_the_time,
    behind,
    kill_each_step,
    newest_follow_tasks,
    rebuild,
    roll_back,
)
from tools.local import members
from tools.local.esm_faults import FailingShare

ITEMS = 3_000
LEAST_RATE = 100
"""Writes a second that the traffic must reach here; the soak asks for 200."""
STEPS = ("hold", "plan", "make_index", "plan_copy", "copy", "compare", "swap", "compare_after")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("reindex")) as started:
        unpause_all(started)
        yield started


@pytest.fixture(autouse=True)
def filled(deployment: Deployment) -> Iterator[None]:
    path = deployment.include / "targets" / "members.yaml"
    before = path.read_text()
    deployment.forget_everything(ITEMS)
    assert deployment.finish(deployment.start()) == "success"
    yield
    path.write_text(before)
    end_runs(deployment)


def end_runs(deployment: Deployment) -> None:
    """What a failed test has left running must not hold up the next one."""
    for dag_id in (REINDEX, ROLLBACK):
        runs = deployment.airflow.call(f"/dags/{dag_id}/dagRuns?state=running&state=queued")["dag_runs"]
        for run in runs:
            path = f"/dags/{dag_id}/dagRuns/{run['dag_run_id'].replace('+', '%2B')}"
            deployment.airflow.call(path, method="PATCH", body={"state": "failed"})


@pytest.mark.parametrize("source", ["table", "index"])
def test_rebuild_and_rollback_under_traffic_lose_nothing_and_readers_see_no_gap(
    deployment: Deployment, source: str
) -> None:
    failing = FailingShare(rate=0.01)
    with live_members(deployment, stable=ITEMS, lag_s=lags_up_to(5.0), fails=failing) as live:
        rebuilt = rebuild(deployment, source=source)
        assert (behind(deployment, "members-live"), behind(deployment, "members-live-previous")) == (
            {"members-v2"},
            {"members-v1"},
        )
        back = roll_back(deployment)
        assert (behind(deployment, "members-live"), behind(deployment, "members-live-previous")) == (
            {"members-v1"},
            {"members-v2"},
        )
        forward = roll_back(deployment, compare_first=True)
        live.settle()
        assert live.mapping.counts.dead_lettered > 0

    live.assert_readers_saw_no_gap()
    for run_id, dag_id in ((rebuilt, REINDEX), (back, ROLLBACK), (forward, ROLLBACK)):
        assert_written_all_the_time(live, run_id, dag_id, LEAST_RATE)
    assert behind(deployment, "members-live") == {"members-v2"}
    live.wait_until_followed()
    live.assert_equal("members-v2")
    live.assert_equal("members-v1")


def test_each_step_may_be_killed_once(deployment: Deployment) -> None:
    with live_members(deployment, stable=ITEMS) as live:
        run_id = deployment.airflow.trigger(REINDEX, {"source": "table"})
        killed = kill_each_step(deployment, run_id, STEPS)
        assert deployment.finish(run_id, 400, REINDEX) == "success"
        live.settle()

    assert killed == set(STEPS)
    live.assert_readers_saw_no_gap()
    live.wait_until_followed()
    live.assert_equal("members-v2")
    live.assert_equal("members-v1")
    settings = deployment.search_call("/members-v1/_settings?flat_settings=true")["members-v1"]["settings"]
    assert "index.blocks.write" not in settings


def test_rejected_approval_leaves_the_alias_removes_the_new_index_and_the_run_is_not_green(
    deployment: Deployment,
) -> None:
    run_id = deployment.airflow.trigger(REINDEX, {"approval": True})
    body = answer_approval(deployment, REINDEX, run_id, "approve", "Reject")

    assert deployment.finish(run_id, 240, REINDEX) == "failed"
    assert "documents in the index" in body
    assert behind(deployment, "members-live") == {"members-v1"}
    assert set(deployment.search_call("/members-*")) == {"members-v1"}
    assert deployment.states(run_id, REINDEX)["swap"] == {"upstream_failed"}
    assert "the swap was rejected" in deployment.log(run_id, "approve", REINDEX)


def test_approved_rebuild_swaps(deployment: Deployment) -> None:
    run_id = deployment.airflow.trigger(REINDEX, {"approval": True})
    answer_approval(deployment, REINDEX, run_id, "approve", "Approve")

    assert deployment.finish(run_id, 240, REINDEX) == "success"
    assert behind(deployment, "members-live") == {"members-v2"}


def test_clean_up_deletes_the_previous_index_when_its_time_is_over_and_the_follower_ends(
    deployment: Deployment,
) -> None:
    rebuild(deployment, keep_previous_h=0.0001)
    run_id = deployment.airflow.trigger(CLEAN_UP)

    assert deployment.finish(run_id, 240, CLEAN_UP) == "success"
    assert set(deployment.search_call("/members-*")) == {"members-v2"}
    assert behind(deployment, "members-live-previous") == set()
    wait_for(
        lambda: (
            any(one["task_id"] == "plan" and one["state"] == "deferred" for one in newest_follow_tasks(deployment))
            or None
        ),
        120,
        "the follower to wait for work again",
    )


def offered_mappings(deployment: Deployment) -> list[str]:
    """What the form of the rebuild offers; Airflow has read the DAG since the last file came, or not yet."""
    offered: list[str] = deployment.airflow.call(f"/dags/{REINDEX}/details")["params"]["mapping"]["schema"]["enum"]
    return offered


def test_documents_that_the_old_mapping_refuses_are_told_before_a_rollback(deployment: Deployment) -> None:
    mapping = deployment.include / "mappings" / "members-free.json"
    text = (deployment.include / "mappings" / "members.json").read_text()
    mapping.write_text(text.replace('"points": {\n        "type": "integer"', '"points": {\n        "type": "keyword"'))
    wait_for(lambda: "members-free.json" in offered_mappings(deployment) or None, 120, "the form to offer the file")
    rebuild(deployment, mapping="members-free.json")
    odd = members.typed(members.member(1)) | {"points": {"S": "many-4711"}}
    with live_members(deployment, stable=ITEMS) as live:
        deployment.dynamodb.put_item(TableName=members.TABLE, Item=odd)
        live.settle()
        live.wait_until_followed()
    run_id = deployment.airflow.trigger(ROLLBACK)

    assert deployment.finish(run_id, 300, ROLLBACK) == "failed"
    plan_log = deployment.log(run_id, "plan", ROLLBACK)
    assert "field 'points', expected integer" in plan_log
    assert behind(deployment, "members-live") == {"members-v1"}
    assert "1 stale" in deployment.log(run_id, "compare_after", ROLLBACK)
    for task in deployment.airflow.task_instances(ROLLBACK, run_id):
        assert "4711" not in "\n".join(deployment.airflow.log_lines(task))
    mapping.unlink()


def test_a_failed_rebuild_leaves_the_alias_and_the_next_run_takes_its_index_on(deployment: Deployment) -> None:
    deployment.dynamodb.put_item(
        TableName=members.TABLE, Item={"memberId": {"S": "wrong-1"}, "points": {"S": "not-a-number"}}
    )
    deployment.change_target(lambda text: text.replace("required_fields: [memberId, email, status]", ""))
    run_id = deployment.airflow.trigger(REINDEX, {})
    state = deployment.finish(run_id, 300, REINDEX)
    assert state == "failed"
    assert behind(deployment, "members-live") == {"members-v1"}
    deployment.dynamodb.delete_item(TableName=members.TABLE, Key={"memberId": {"S": "wrong-1"}})
    time.sleep(1)
    again = rebuild(deployment)

    assert behind(deployment, "members-live") == {"members-v2"}
    assert "members-v2" in deployment.log(again, "plan", REINDEX)
