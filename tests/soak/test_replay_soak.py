"""5,000 dead-lettered records replayed in a running Airflow, under everything that may come in between.

Results in build/soak.json. SOAK_DEAD_LETTERS changes the number of records.
"""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import oracle
from tests.support.live_traffic import TableTraffic, lags_up_to
from tests.support.soak_results import write_results
from tests.support.trimmable import Trimmer, plan_trimmable
from tests.system.airflow_deployment import Deployment, deployed, wait_for
from tests.system.dead_letters import GARBAGE, Queue, break_the_indexer, differences, parked_messages, replay, reported
from tests.system.live_members import REPLAY, indexed, unpause_all, wait_for_end
from tools.local import members
from tools.local.processes import Launch

RECORDS = int(os.environ.get("SOAK_DEAD_LETTERS", "5000"))
ITEMS = RECORDS

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def trimmable(tmp_path_factory: pytest.TempPathFactory) -> tuple[Launch, Trimmer]:
    return plan_trimmable(tmp_path_factory.mktemp("trimmable"))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, trimmable: tuple[Launch, Trimmer]) -> Iterator[Deployment]:
    launch, _ = trimmable
    with deployed(tmp_path_factory.mktemp("replay-soak"), aws=launch) as started:
        started.change_target(lambda text: text.replace("retry_delay_s: 1", "retry_delay_s: 1\n  retries: 20"))
        unpause_all(started)
        yield started


@pytest.fixture(autouse=True)
def queue(deployment: Deployment) -> Queue:
    queue = Queue(deployment)
    queue.empty()
    deployment.forget_everything(ITEMS)
    assert deployment.finish(deployment.start()) == "success"
    return queue


def judge(
    deployment: Deployment,
    queue: Queue,
    what: str,
    run_id: str,
    records: int,
    lost: frozenset[str] = frozenset(),
    **more: object,
) -> dict[str, Any]:
    """The queue is empty and both sides are equal but for the ``lost`` members; written down."""
    report = reported(deployment, run_id)
    found = {
        "records": records,
        "queue": queue.depth(),
        "differences": sum(difference.split(": ")[1] not in lost for difference in differences(deployment)),
        "report": {
            name: report[name] for name in ("received", "replayed", "parked", "left", "again", "events", "keys")
        },
        "seconds": round(report["seconds"], 1),
        **more,
    }
    write_results(what, found)
    assert found["queue"] == (0, 0)
    assert found["differences"] == 0
    assert report["left"] == 0
    return report


def test_all_is_replayed(deployment: Deployment, queue: Queue) -> None:
    records = break_the_indexer(deployment, RECORDS)
    report = judge(deployment, queue, "replay", replay(deployment), records)
    assert report["parked"] == 0


def test_the_task_is_killed_in_mid_run(deployment: Deployment, queue: Queue) -> None:
    records = break_the_indexer(deployment, RECORDS, batch_size=1)
    run_id, kills = deployment.airflow.trigger(REPLAY, {}), 0

    def kill() -> bool | None:
        """Twice, each time when messages are in its hands and others are done."""
        nonlocal kills
        (task,) = deployment.tasks(run_id, "replay", REPLAY) or ({"state": None},)
        visible, in_flight = queue.depth()
        if task["state"] == "running" and task["pid"] and in_flight and visible < RECORDS * (2 - kills) // 3:
            os.kill(task["pid"], signal.SIGKILL)
            kills += 1
        return deployment.airflow.run_state(REPLAY, run_id) in ("success", "failed") or None

    wait_for(kill, 900, "the run to end")
    assert wait_for_end(deployment, run_id, REPLAY) == "success"
    judge(deployment, queue, "replay, task killed", run_id, records, kills=kills)
    assert kills


def test_opensearch_is_gone_for_a_minute(deployment: Deployment, queue: Queue) -> None:
    records = break_the_indexer(deployment, RECORDS, batch_size=1)
    run_id = deployment.airflow.trigger(REPLAY, {})
    wait_for(lambda: queue.depth()[1] or None, 120, "messages in flight")
    deployment.search.kill()
    time.sleep(60)
    deployment.search.start()
    assert wait_for_end(deployment, run_id, REPLAY, 900) == "success"
    judge(deployment, queue, "replay, OpenSearch gone for a minute", run_id, records)


def test_writers_and_the_mended_indexer_work_on_the_same_members(deployment: Deployment, queue: Queue) -> None:
    records = break_the_indexer(deployment, RECORDS)
    with (
        indexed(deployment, lag_s=lags_up_to(5.0)) as (mapping, _, _),
        TableTraffic(deployment.aws.url, members.TABLE, RECORDS - 2_000, 2_000, per_s=150) as traffic,
    ):
        run_id = replay(deployment)
        traffic.stop()
        mapping.wait_until_caught_up(600)
    judge(deployment, queue, "replay, live writers", run_id, records, writes=traffic.kinds.total())


def test_messages_come_twice(deployment: Deployment, queue: Queue) -> None:
    """Somebody makes messages visible while they are worked on."""
    records = break_the_indexer(deployment, RECORDS, batch_size=1)
    run_id = deployment.airflow.trigger(REPLAY, {})
    wait_for(lambda: queue.depth()[1] or None, 120, "messages in flight")
    copies = queue.send_copies(500)
    assert wait_for_end(deployment, run_id, REPLAY, 900) == "success"
    judge(deployment, queue, "replay, messages twice", run_id, records, copies=copies)


def test_one_message_in_a_hundred_is_garbage(deployment: Deployment, queue: Queue) -> None:
    records = break_the_indexer(deployment, RECORDS, batch_size=1)
    wanted = Counter(GARBAGE[number % len(GARBAGE)] for number in range(records // 100))
    for body in wanted.elements():
        queue.send(body)
    report = judge(deployment, queue, "replay, one in a hundred garbage", replay(deployment), records)
    assert Counter(one["message"]["body"] for one in parked_messages(deployment)) == wanted
    assert report["kinds"] == {"not understood": wanted.total()}


def keys_by_number(deployment: Deployment) -> dict[str, str]:
    """The member of each record that the table's stream has, by sequence number; by plain boto3."""
    streams = oracle.client(deployment.aws.url, "dynamodbstreams")
    arn = deployment.dynamodb.describe_table(TableName=members.TABLE)["Table"]["LatestStreamArn"]
    found: dict[str, str] = {}
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        where = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        token = streams.get_shard_iterator(**where)["ShardIterator"]
        while token and (page := streams.get_records(ShardIterator=token))["Records"]:
            changes = [record["dynamodb"] for record in page["Records"]]
            found |= {one["SequenceNumber"]: one["Keys"][members.HASH_KEY]["S"] for one in changes}
            token = page.get("NextShardIterator")
    streams.close()
    return found


def test_half_of_the_shard_is_trimmed(deployment: Deployment, queue: Queue, trimmable: tuple[Launch, Trimmer]) -> None:
    """All but the members whose only changes the stream has lost are equal, and what told of them is parked."""
    records = break_the_indexer(deployment, RECORDS)
    bodies = queue.bodies()
    ranges = sorted(
        (batch["startSequenceNumber"], batch["endSequenceNumber"])
        for batch in (json.loads(body)["DDBStreamBatchInfo"] for body in bodies)
    )
    cut_at = ranges[len(ranges) // 2][0]
    keys = keys_by_number(deployment)
    failed = {number: key for number, key in keys.items() if number >= ranges[0][0]}
    assert len(failed) == records
    lost = frozenset(failed[one] for one in failed if one <= cut_at) - {failed[one] for one in failed if one > cut_at}
    _, trimmer = trimmable
    trimmer.trim_to(cut_at)
    try:
        run_id = replay(deployment)
    finally:
        trimmer.trim_to("")

    gone = sum(first <= cut_at for first, _ in ranges)
    report = judge(
        deployment, queue, "replay, half of the shard trimmed", run_id, records, lost, members_lost=len(lost)
    )
    wrong = {difference.split(": ")[1] for difference in differences(deployment)}
    assert wrong == lost
    assert (report["parked"], report["kinds"]) == (gone, {"lost by the stream": gone})
    parked = {one["message"]["body"] for one in parked_messages(deployment) if one["run_id"] == run_id}
    assert parked == {
        body for body in bodies if json.loads(body)["DDBStreamBatchInfo"]["startSequenceNumber"] <= cut_at
    }
