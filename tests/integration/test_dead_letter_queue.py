"""The dead-letter queue on two SQS servers; a plain boto3 client says what is in it."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dynamo_opensearch.core.aws.sqs_errors import QueueMissingError
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.dead_letters.messages import Depth
from dynamo_opensearch.core.dead_letters.queue.dead_letter_queue import DeadLetterQueue
from dynamo_opensearch.core.errors import AccessDeniedError
from tests.support import faults, oracle
from tests.support.fakes import quick_retry
from tests.support.fault_proxy import FaultProxy
from tools.local import ministack, paths
from tools.local.processes import Server


class WatchedClient:
    """The queue's client, and the newest receipt of each message that went through it."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.receipts: dict[str, str] = {}
        self.receives: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def receive_message(self, **arguments: Any) -> Any:
        self.receives.append(arguments)
        answer = self._client.receive_message(**arguments)
        self.receipts |= {one["MessageId"]: one["ReceiptHandle"] for one in answer.get("Messages") or []}
        return answer


@dataclass
class Ground:
    """A queue of its own on one server. ``other``: a client that is somebody else."""

    server: Server
    name: str
    other: Any
    url: str
    watched: WatchedClient
    opened: list[DeadLetterQueue] = field(default_factory=list)

    def open(self, name: str | None = None, **settings: Any) -> DeadLetterQueue:
        queue = DeadLetterQueue(self.watched, name or self.name, SystemClock(), quick_retry(), **settings)
        self.opened.append(queue)
        return queue

    def send(self, count: int, body: Callable[[int], str] = "body {}".format) -> set[str]:
        for number in range(count):
            self.other.send_message(QueueUrl=self.url, MessageBody=body(number))
        return {body(number) for number in range(count)}

    def depth(self) -> tuple[int, int]:
        """Visible and in flight, by the server."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.other.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def received_by_others(self, wait_s: int = 1, visibility_s: int = 30) -> list[Any]:
        """What somebody else can have now."""
        found: list[Any] = []
        while more := self.other.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_s, VisibilityTimeout=visibility_s
        ).get("Messages"):
            found += more
        return found

    def make_visible(self, message_id: str) -> None:
        """Behind the holder's back."""
        receipt = self.watched.receipts[message_id]
        self.other.change_message_visibility(QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=0)


@pytest.fixture
def ground(either_sqs: Server) -> Iterator[Ground]:
    name = f"dlq-{uuid.uuid4().hex[:8]}"
    other, client = oracle.client(either_sqs.url, "sqs"), oracle.client(either_sqs.url, "sqs")
    url = other.create_queue(QueueName=name)["QueueUrl"]
    made = Ground(either_sqs, name, other, url, WatchedClient(client))
    yield made
    for queue in made.opened:
        queue.close()
    other.delete_queue(QueueUrl=url)
    other.close()
    client.close()


def test_all_that_waits_is_received_once_and_what_is_deleted_is_gone(ground: Ground) -> None:
    bodies = ground.send(47)
    queue = ground.open()
    messages = queue.receive(100, 5.0)
    assert {message.body for message in messages} == bodies
    assert len({message.id for message in messages}) == 47
    assert queue.depth() == Depth(visible=0, in_flight=47)
    assert queue.delete(messages) == messages
    assert ground.depth() == (0, 0)


def test_no_more_than_asked_for_is_taken_from_the_queue(ground: Ground) -> None:
    ground.send(40)
    queue = ground.open()
    assert len(queue.receive(7, 2.0)) <= 7
    assert sum(ground.depth()) == 40
    taken = ground.depth()[1]
    assert taken + len(queue.receive(23, 2.0)) == ground.depth()[1] <= 30


def test_every_receive_is_a_long_poll_within_the_services_limits(ground: Ground) -> None:
    ground.send(30)
    queue = ground.open()
    queue.receive(1_000, 0.0)
    assert ground.watched.receives
    for one in ground.watched.receives:
        assert 1 <= one["WaitTimeSeconds"] <= 20
        assert 1 <= one["MaxNumberOfMessages"] <= 10


def test_an_empty_queue_is_waited_for_and_what_comes_meanwhile_is_had(ground: Ground) -> None:
    queue = ground.open()
    began_s = time.monotonic()
    assert queue.receive(10, 2.0) == []
    assert time.monotonic() - began_s >= 1.9
    ground.send(1)
    (message,) = queue.receive(10, 5.0)
    assert message.body == "body 0"


def test_a_message_says_when_it_was_sent_and_how_often_it_was_received(ground: Ground) -> None:
    began_us = time.time_ns() // 1_000
    ground.send(1)
    queue = ground.open()
    (first,) = queue.receive(1, 5.0)
    queue.release([first])
    (second,) = queue.receive(1, 5.0)
    ended_us = time.time_ns() // 1_000
    assert (first.receives, second.receives) == (1, 2)
    assert first.id == second.id
    assert first.sent_us is not None
    assert first.first_received_us is not None
    assert began_us - 1_000 <= first.sent_us <= first.first_received_us <= ended_us
    assert (second.sent_us, second.first_received_us) == (first.sent_us, first.first_received_us)


def test_what_is_released_can_be_received_at_once_by_anyone(ground: Ground) -> None:
    bodies = ground.send(25)
    queue = ground.open()
    queue.release(queue.receive(100, 5.0))
    assert ground.depth() == (25, 0)
    assert {one["Body"] for one in ground.received_by_others()} == bodies


def test_closing_gives_back_what_is_held_and_only_that(ground: Ground) -> None:
    ground.send(12)
    with ground.open() as queue:
        messages = queue.receive(100, 5.0)
        queue.delete(messages[:5])
    assert ground.depth() == (7, 0)
    queue.close()


def test_what_is_held_stays_invisible_for_longer_than_its_visibility(ground: Ground) -> None:
    ground.send(23)
    queue = ground.open(visibility_s=2)
    messages = queue.receive(100, 5.0)
    assert len(messages) == 23
    time.sleep(5.0)
    assert ground.received_by_others() == []
    assert len(queue.delete(messages)) == 23


def test_after_closing_nothing_is_kept_from_others(ground: Ground) -> None:
    ground.send(3)
    queue = ground.open(visibility_s=2)
    queue.receive(10, 5.0)
    queue.close()
    assert len(ground.received_by_others()) == 3


def test_the_messages_of_a_killed_process_come_back_by_themselves(ground: Ground) -> None:
    bodies = ground.send(15)
    command = [sys.executable, "-m", "tests.support.queue_process", ground.server.url, ground.name, "100", "3"]
    environment = os.environ | {"PYTHONPATH": f"{paths.ROOT}:{paths.ROOT / 'plugins'}"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=paths.ROOT, env=environment)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "15\n"
        time.sleep(4.0)
        assert ground.depth() == (0, 15), "held for longer than their visibility"
        process.kill()
        process.wait()
    time.sleep(3.2)
    found = ground.open().receive(100, 1.0)
    assert {message.body for message in found} == bodies
    assert {message.receives for message in found} == {2}


def test_a_message_that_somebody_else_got_meanwhile_is_not_told_as_deleted(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    ground.send(14)
    queue = ground.open()
    messages = queue.receive(100, 5.0)
    lost = messages[3]
    ground.make_visible(lost.id)
    (taken,) = ground.received_by_others()
    assert taken["MessageId"] == lost.id
    assert queue.delete(messages) == [message for message in messages if message is not lost]
    assert ground.depth() == (0, 1)
    assert "1 of 14 messages were not deleted" in caplog.text
    assert lost.body not in caplog.text
    assert queue.delete([lost]) == []


def test_what_others_got_is_kept_from_them_no_longer(ground: Ground) -> None:
    """The keeper drops a receipt that is not good any more, and goes on with the others."""
    ground.send(4)
    queue = ground.open(visibility_s=2)
    messages = queue.receive(10, 5.0)
    ground.make_visible(messages[0].id)
    (taken,) = ground.received_by_others(visibility_s=60)
    time.sleep(3.0)
    ground.other.change_message_visibility(
        QueueUrl=ground.url, ReceiptHandle=taken["ReceiptHandle"], VisibilityTimeout=0
    )
    assert len(ground.received_by_others()) == 1
    assert queue.delete(messages) == messages[1:]


def test_a_message_delivered_twice_is_handed_over_once_and_deleted_by_its_newest_receipt(ground: Ground) -> None:
    ground.send(1)
    queue = ground.open()
    messages = queue.receive(10, 5.0)
    ground.make_visible(messages[0].id)
    first_receipt = ground.watched.receipts[messages[0].id]
    assert queue.receive(10, 1.0) == []
    assert ground.watched.receipts[messages[0].id] != first_receipt
    assert queue.delete(messages) == messages
    assert ground.depth() == (0, 0)


def test_deleting_twice_is_harmless(ground: Ground) -> None:
    ground.send(2)
    queue = ground.open()
    messages = queue.receive(10, 5.0)
    assert queue.delete([*messages, *messages]) == [*messages, *messages]
    assert queue.delete(messages) == []
    queue.release(messages)
    assert ground.depth() == (0, 0)


def test_a_large_body_comes_as_it_was_sent(ground: Ground) -> None:
    bodies = ground.send(12, lambda number: f"{number} " + "ü€" * 50_000)
    with ground.open() as queue:
        assert {message.body for message in queue.receive(100, 5.0)} == bodies


def test_the_queue_may_be_named_by_its_address(ground: Ground) -> None:
    ground.send(1)
    assert len(ground.open(ground.url).receive(1, 5.0)) == 1


def test_a_queue_that_is_not_there_is_told_with_its_region(ground: Ground) -> None:
    with pytest.raises(QueueMissingError, match="'no-such-queue' does not exist in region 'eu-central-1'"):
        ground.open("no-such-queue").depth()
    ground.other.delete_queue(QueueUrl=ground.other.create_queue(QueueName="gone")["QueueUrl"])
    with pytest.raises(QueueMissingError):
        ground.open(ground.url.replace(ground.name, "gone")).receive(1, 1.0)


def client_without_retries(url: str) -> Any:
    """As the hook makes it: the core retries, botocore does not."""
    return boto3.client(
        "sqs",
        endpoint_url=url,
        region_name=ministack.REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def faulty(ministack_server: Server, dynamodb_proxy: FaultProxy) -> Iterator[Ground]:
    """MiniStack through the proxy; ``other`` goes past it."""
    name = f"dlq-{uuid.uuid4().hex[:8]}"
    other, client = oracle.client(ministack_server.url, "sqs"), client_without_retries(dynamodb_proxy.url)
    url = other.create_queue(QueueName=name)["QueueUrl"]
    made = Ground(ministack_server, name, other, url, WatchedClient(client))
    yield made
    for queue in made.opened:
        queue.close()
    other.close()
    client.close()


def test_an_answer_with_messages_that_is_lost_costs_their_visibility_and_no_message(
    faulty: Ground, dynamodb_proxy: FaultProxy
) -> None:
    bodies = faulty.send(10)
    dynamodb_proxy.on("ReceiveMessage", faults.reset_in_mid_answer())
    found = faulty.open(visibility_s=2).receive(100, 5.0)
    assert {message.body for message in found} == bodies
    assert {message.receives for message in found} == {2}


def test_a_delete_whose_answer_is_lost_is_asked_again(faulty: Ground, dynamodb_proxy: FaultProxy) -> None:
    """MiniStack refuses the receipt of what is gone; then nobody is told that it was deleted."""
    faulty.send(3)
    queue = faulty.open()
    messages = queue.receive(3, 5.0)
    dynamodb_proxy.on("DeleteMessageBatch", faults.reset_in_mid_answer())
    assert queue.delete(messages) == []
    assert dynamodb_proxy.count("DeleteMessageBatch") == 2
    assert faulty.depth() == (0, 0)


def test_a_service_that_is_away_for_a_moment_keeps_no_message_from_being_held(
    faulty: Ground, dynamodb_proxy: FaultProxy
) -> None:
    faulty.send(5)
    queue = faulty.open(visibility_s=3)
    messages = queue.receive(5, 5.0)
    dynamodb_proxy.on("ChangeMessageVisibilityBatch", faults.reset_before_forwarding(), times=3)
    time.sleep(5.0)
    assert dynamodb_proxy.count("ChangeMessageVisibilityBatch") > 3
    assert faulty.received_by_others() == []
    assert queue.delete(messages) == messages


def test_a_refusal_while_messages_are_held_is_raised_where_they_are_worked_on(
    faulty: Ground, dynamodb_proxy: FaultProxy
) -> None:
    faulty.send(2)
    queue = faulty.open(visibility_s=2)
    messages = queue.receive(2, 5.0)
    denied = faults.aws_error("AccessDeniedException", "User: arn:aws:iam::1:user/x may not", prefix="com.amazon#")
    dynamodb_proxy.on("ChangeMessageVisibilityBatch", denied)
    time.sleep(1.5)
    with pytest.raises(AccessDeniedError, match="sqs:ChangeMessageVisibility on"):
        queue.delete(messages)
    queue.close()
    assert len(faulty.received_by_others()) == 2
