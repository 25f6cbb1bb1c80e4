"""Dead letters from end to end in a running Airflow, judged by what queue, table and indices hold."""

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.support import oracle
from tests.support.live_traffic import lags_up_to
from tests.system.airflow_deployment import Deployment, deployed, wait_for
from tests.system.dead_letters import (
    GARBAGE,
    Queue,
    break_the_indexer,
    broken_indexer,
    differences,
    parked_messages,
    replay,
    reported,
)
from tests.system.live_members import REINDEX, REPLAY, live_members, unpause_all, wait_for_end
from tests.system.rebuilds import behind
from tools.local import members
from tools.local.esm_faults import FailingShare

ITEMS = 2_000


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("replay")) as started:
        unpause_all(started)
        yield started


@pytest.fixture(autouse=True)
def filled(deployment: Deployment) -> None:
    Queue(deployment).empty()
    deployment.forget_everything(ITEMS)
    assert deployment.finish(deployment.start()) == "success"


def test_a_replay_whose_task_is_killed_empties_the_queue_and_both_sides_are_equal(deployment: Deployment) -> None:
    queue = Queue(deployment)
    records = break_the_indexer(deployment, 1_000)
    behind_before = len(differences(deployment))
    messages = len(queue.bodies())
    run_id = deployment.airflow.trigger(REPLAY, {})

    def kill() -> bool | None:
        """Once messages are in its hands."""
        running = [one for one in deployment.tasks(run_id, "replay", REPLAY) if one["state"] == "running"]
        if not running or not running[0]["pid"] or not queue.depth()[1]:
            return None
        os.kill(running[0]["pid"], signal.SIGKILL)
        return True

    wait_for(kill, 120, "messages in flight")
    assert wait_for_end(deployment, run_id, REPLAY, 500) == "success"

    assert behind_before >= 1_000
    assert records == 1_100
    assert queue.depth() == (0, 0)
    assert differences(deployment) == []
    report = reported(deployment, run_id)
    assert (report["replayed"], report["parked"], report["left"]) == (messages, 0, 0)
    assert deployment.tasks(run_id, "replay", REPLAY)[0]["try_number"] == 2


def test_a_dry_run_and_a_trial_of_another_mapping_leave_everything_as_it_was(deployment: Deployment) -> None:
    queue = Queue(deployment)
    break_the_indexer(deployment, 200)
    queue.send(GARBAGE[0])
    bodies, documents = queue.bodies(), oracle.documents(deployment.search.url, "members-v1")
    strict = deployment.include / "mappings" / "members-strict.json"
    text = (deployment.include / "mappings" / "members.json").read_text()
    strict.write_text(text.replace('"status": {\n        "type": "keyword"', '"status": {\n        "type": "integer"'))
    offered = f"/dags/{REPLAY}/details"
    wait_for(
        lambda: (
            "members-strict.json" in deployment.airflow.call(offered)["params"]["into_mapping"]["schema"]["enum"]
            or None
        ),
        180,
        "the form to offer the file",
    )

    dry = replay(deployment, dry_run=True)
    same = replay(deployment, into_mapping="members.json")
    refused = deployment.airflow.trigger(REPLAY, {"into_mapping": "members-strict.json"})
    assert wait_for_end(deployment, refused, REPLAY) == "failed"
    strict.unlink()

    assert reported(deployment, dry, "look")["received"] == len(bodies)
    assert reported(deployment, same, "look")["left"] == len(bodies)
    log = deployment.log(refused, "look", REPLAY)
    assert "100 of 100 sample documents are refused" in log
    assert "field 'status', expected integer" in log
    assert "changed" not in log
    assert queue.bodies() == bodies
    assert oracle.documents(deployment.search.url, "members-v1") == documents
    assert parked_messages(deployment) == []
    assert set(deployment.search_call("/members-*?expand_wildcards=all")) == {"members-v1"}


def test_garbage_is_parked_whole_the_rest_is_replayed_and_what_is_mended_leaves_the_parking_place(
    deployment: Deployment,
) -> None:
    queue = Queue(deployment)
    break_the_indexer(deployment, 100)
    for body in GARBAGE:
        queue.send(body)

    run_id = replay(deployment)

    assert queue.depth() == (0, 0)
    assert differences(deployment) == []
    parked = parked_messages(deployment)
    assert sorted(one["message"]["body"] for one in parked) == sorted(GARBAGE)
    assert reported(deployment, run_id)["kinds"] == {"not understood": 4}
    assert "4 messages are parked" in deployment.log(run_id, "report", REPLAY)
    for path in (deployment.airflow_home / "reports" / "parked" / "members").glob("*.json"):
        mended = json.loads(path.read_text())
        mended["message"]["body"] = json.dumps({"Keys": {members.HASH_KEY: {"S": members.member_id(1)}}})
        path.write_text(json.dumps(mended))
    again = replay(deployment, source="parked")
    assert reported(deployment, again)["replayed"] == 4
    assert parked_messages(deployment) == []


def test_what_an_index_refuses_is_replayed_from_the_reject_files_once_it_is_corrected(deployment: Deployment) -> None:
    queue = Queue(deployment)
    key = {members.HASH_KEY: {"S": members.member_id(5)}}
    with broken_indexer(deployment) as mapping:
        odd = members.typed(members.member(5)) | {"points": {"S": "many-4711"}}
        deployment.dynamodb.put_item(TableName=members.TABLE, Item=odd)
        mapping.wait_until_caught_up(60)
    run_id = deployment.airflow.trigger(REPLAY, {})
    assert wait_for_end(deployment, run_id, REPLAY) == "failed"
    assert queue.depth() == (0, 0)
    log = deployment.log(run_id, "report", REPLAY)
    assert "1 documents of replayed dead letters were refused" in log
    assert "4711" not in log
    deployment.dynamodb.put_item(TableName=members.TABLE, Item=members.typed(members.member(5)) | key)

    again = replay(deployment, source="rejects")

    assert differences(deployment) == []
    assert reported(deployment, again)["replayed"] == 1
    assert list((deployment.airflow_home / "reports" / "rejects" / "members").rglob("*.ndjson")) == []


def test_a_queue_is_replayed_while_a_rebuild_runs_and_both_indices_end_equal(deployment: Deployment) -> None:
    failing = FailingShare(rate=0.01)
    with live_members(deployment, stable=ITEMS, per_s=150, lag_s=lags_up_to(3.0), fails=failing) as live:
        rebuilding = deployment.airflow.trigger(REINDEX, {})
        replays = 0
        while deployment.airflow.run_state(REINDEX, rebuilding) in ("queued", "running"):
            live.replayed += live.replay_dead_letters()
            replays += 1
            time.sleep(1)
        assert wait_for_end(deployment, rebuilding, REINDEX) == "success"
        live.settle()

    assert replays >= 2
    assert live.replayed > 0
    assert behind(deployment, "members-live") == {"members-v2"}
    live.assert_readers_saw_no_gap()
    live.wait_until_followed()
    live.assert_equal("members-v2")
    live.assert_equal("members-v1")
