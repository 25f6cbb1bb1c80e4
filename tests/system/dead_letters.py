"""A queue full of dead letters beside a running Airflow, and what becomes of it, by boto3 and the oracle."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support import oracle
from tests.system.airflow_deployment import Deployment
from tests.system.live_members import QUEUE, REPLAY, indexed, wait_for_end
from tools.local import members
from tools.local.esm_batches import RetrySettings
from tools.local.esm_faults import FailingShare

AT_ONCE = RetrySettings(maximum_retries=0)
OTHER_TABLE = json.dumps(
    {
        "requestContext": {"condition": "RetryAttemptsExhausted"},
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001573689847184-864758bb",
            "startSequenceNumber": "800000000003126276362",
            "endSequenceNumber": "800000000003126276362",
            "batchSize": 1,
            "streamArn": "arn:aws:dynamodb:eu-central-1:000000000000:table/orders/stream/2019-11-14T00:04:06.388",
        },
    }
)
GARBAGE = ("this is no JSON", '{"greeting": "hello"}', OTHER_TABLE, "x" * 250_000)


class Queue:
    """The indexer's dead letters."""

    def __init__(self, deployment: Deployment) -> None:
        self.sqs = oracle.client(deployment.aws.url, "sqs")
        self.url = self.sqs.create_queue(QueueName=QUEUE)["QueueUrl"]

    def depth(self) -> tuple[int, int]:
        """Visible messages, and those that somebody holds."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def bodies(self) -> list[str]:
        """Of all messages, which are visible again afterwards."""
        found: dict[str, tuple[str, str]] = {}
        while received := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, VisibilityTimeout=60).get(
            "Messages"
        ):
            found |= {one["MessageId"]: (one["Body"], one["ReceiptHandle"]) for one in received}
        for _, handle in found.values():
            self.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=handle, VisibilityTimeout=0)
        return sorted(body for body, _ in found.values())

    def send(self, body: str) -> None:
        """One more."""
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def send_copies(self, most: int) -> int:
        """Send visible messages once more; how many."""
        copies = 0
        while copies < most and (
            received := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, VisibilityTimeout=2).get(
                "Messages"
            )
        ):
            for one in received:
                self.send(one["Body"])
            copies += len(received)
        return copies

    def empty(self) -> None:
        """Nothing is left of an earlier test."""
        self.sqs.purge_queue(QueueUrl=self.url)


@contextmanager
def broken_indexer(deployment: Deployment, batch_size: int = 10) -> Iterator[Any]:
    """An event source mapping whose function fails on everything from now on; yields it."""
    with indexed(
        deployment,
        fails=FailingShare(rate=1.0),
        batch_size=batch_size,
        retries=AT_ONCE,
        starting_position="LATEST",
    ) as (mapping, _, _):
        yield mapping


def break_the_indexer(deployment: Deployment, changed: int, deleted: int = 100, batch_size: int = 10) -> int:
    """Change members, and delete the last ones, while the indexer fails on everything; the dead-lettered records."""
    with broken_indexer(deployment, batch_size) as mapping:
        changes = [members.typed(members.member(number)) | {"status": {"S": "changed"}} for number in range(changed)]
        for start in range(0, changed, 25):
            members.put_batch(deployment.dynamodb, members.TABLE, changes[start : start + 25])
        for number in range(changed - deleted, changed):
            key = {members.HASH_KEY: {"S": members.member_id(number)}}
            deployment.dynamodb.delete_item(TableName=members.TABLE, Key=key)
        mapping.wait_until_caught_up(600)
        return int(mapping.counts.dead_lettered)


def differences(deployment: Deployment, index: str = "members-v1") -> list[str]:
    """Every way in which an index is not what the table holds."""
    wanted = oracle.expected(deployment.dynamodb, members.TABLE, lambda item: str(item[members.HASH_KEY]))
    return oracle.differences(wanted, oracle.documents(deployment.search.url, index))


def replay(deployment: Deployment, **conf: object) -> str:
    """A replay that ends well; its run id."""
    run_id = deployment.airflow.trigger(REPLAY, conf)
    assert wait_for_end(deployment, run_id, REPLAY, 900) == "success"
    return run_id


def reported(deployment: Deployment, run_id: str, task_id: str = "report") -> dict[str, Any]:
    """The report of a run."""
    report: dict[str, Any] = deployment.returned(run_id, task_id, dag_id=REPLAY)
    return report


def parked_messages(deployment: Deployment) -> list[dict[str, Any]]:
    """What lies in the parking place."""
    folder = deployment.airflow_home / "reports" / "parked" / "members"
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
