"""Other DAGs, and the replay itself, start when the queue of dead letters fills; in a running Airflow."""

import json
from collections.abc import Iterator

import pytest

from tests.system.airflow_deployment import Deployment, deployed, wait_for
from tests.system.dead_letters import Queue, broken_indexer, differences, reported
from tests.system.live_members import REPLAY, unpause_all, wait_for_end
from tools.local import members

ITEMS = 300
WAITS = "waits_for_dead_letters"
DAG_FILE = f"""
from airflow.sdk import DAG

from dynamo_opensearch.sensors.dead_letters_present import DeadLettersPresentSensor

with DAG(dag_id="{WAITS}", schedule=None):
    DeadLettersPresentSensor(task_id="wait", target="members", at_least=3)
"""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One with a second folder of DAGs, as a team has that imports the package's sensors into its own."""
    folder = tmp_path_factory.mktemp("own-dags")
    (folder / "waits.py").write_text(DAG_FILE)
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": "dags-folder", "classpath": local, "kwargs": {}},
        {"name": "own-dags", "classpath": local, "kwargs": {"path": str(folder)}},
    ]
    changes = {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles)}
    with deployed(tmp_path_factory.mktemp("waiting"), changes) as started:
        started.airflow.wait_for_dag(WAITS)
        started.airflow.unpause(WAITS)
        unpause_all(started)
        started.forget_everything(ITEMS)
        assert started.finish(started.start()) == "success"
        yield started


def test_a_sensor_waits_without_a_worker_until_enough_messages_are_there(deployment: Deployment) -> None:
    queue = Queue(deployment)
    run_id = deployment.airflow.trigger(WAITS)
    wait_for(lambda: deployment.states(run_id, WAITS).get("wait") == {"deferred"} or None, 120, "the sensor to defer")
    for _ in range(2):
        queue.send("a letter")
    assert deployment.airflow.run_state(WAITS, run_id) == "running"
    queue.send("a letter")

    assert wait_for_end(deployment, run_id, WAITS, 180) == "success"

    found = deployment.returned(run_id, "wait", dag_id=WAITS)
    assert found == {"messages": 3, "in_flight": 0, "oldest_age_s": None}
    assert queue.depth() == (3, 0)
    queue.empty()


def test_a_queue_that_has_filled_starts_the_replay_by_itself(deployment: Deployment) -> None:
    queue = Queue(deployment)
    deployment.change_target(
        lambda text: text.replace("queue: members-indexer-dlq", "queue: members-indexer-dlq\n      replay_at: 5", 1)
    )
    with broken_indexer(deployment) as mapping:
        for start in range(0, 200, 25):
            items = [members.typed(members.member(number)) for number in range(start, start + 25)]
            changed = [item | {"status": {"S": "changed"}} for item in items]
            members.put_batch(deployment.dynamodb, members.TABLE, changed)
        mapping.wait_until_caught_up(120)
    assert queue.depth()[0] >= 5

    def started() -> str | None:
        runs = deployment.airflow.call(f"/dags/{REPLAY}/dagRuns")["dag_runs"]
        return next((str(run["dag_run_id"]) for run in runs if run["run_type"] == "asset_triggered"), None)

    run_id = wait_for(started, 300, "a run that the queue has started")
    assert wait_for_end(deployment, run_id, REPLAY) == "success"

    assert queue.depth() == (0, 0)
    assert differences(deployment) == []
    assert reported(deployment, run_id)["events"] == 200
