"""A target on real servers whose indexer leaves dead letters in a queue of SQS, and a replay of them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from dynamo_opensearch.core.dead_letters.messages import MessageSource, TableIdentity
from dynamo_opensearch.core.dead_letters.queue.dead_letter_queue import DeadLetterQueue
from dynamo_opensearch.core.dead_letters.ranges.reader import RangeReader
from dynamo_opensearch.core.dead_letters.replay.consumer import Replay, ReplayPorts, ReplaySettings
from dynamo_opensearch.core.dead_letters.replay.dry_receives import dry_receives
from dynamo_opensearch.core.dead_letters.replay.intake import IntakeSettings
from dynamo_opensearch.core.dead_letters.replay.peek import Peek, PeekPorts
from dynamo_opensearch.core.dead_letters.replay.progress import ReplayProgress
from dynamo_opensearch.core.dead_letters.replay.report import ReplayReport
from dynamo_opensearch.core.dead_letters.shapes.bodies import read_contents
from dynamo_opensearch.core.dead_letters.stored_objects import StoredObjects
from dynamo_opensearch.core.dead_letters.understanding import Understanding
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.look.living import LivingIndices
from dynamo_opensearch.core.stamps import StampRule
from tests.support import oracle
from tests.support.dead_letter_stores import MemoryParking
from tests.support.fakes import MemorySink, MemoryStore
from tests.support.follow_rig import FollowRig
from tests.support.rig import Rig

VISIBILITY_S = 10


class DeadLetterRig(FollowRig):
    """A FollowRig with a queue. ``sqs_url``: where SQS is, if not where the table is."""

    def __init__(self, rig: Rig, stamps: StampRule, sqs_url: str = "", arn: str = "") -> None:
        super().__init__(rig, stamps, arn)
        self.sqs = oracle.client(sqs_url or rig.direct_dynamodb, "sqs")
        self.s3 = oracle.client(rig.direct_dynamodb, "s3")
        self.queue_url = self.sqs.create_queue(QueueName=f"dlq-{rig.base}")["QueueUrl"]
        self.parking, self.dry, self.progress = MemoryParking(), MemoryStore(), MemoryStore()

    def close(self) -> None:
        self.sqs.delete_queue(QueueUrl=self.queue_url)
        self.sqs.close()
        self.s3.close()
        super().close()

    # What the queue holds

    def send(self, *bodies: str) -> None:
        """Messages of one's own."""
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies[start : start + 10])
            ]
            assert not self.sqs.send_message_batch(QueueUrl=self.queue_url, Entries=entries).get("Failed")

    def depth(self) -> tuple[int, int]:
        """Visible messages, and those that somebody holds."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def bodies(self) -> list[str]:
        """Every visible message's body, in order; all are visible again afterwards."""
        found: dict[str, tuple[str, str]] = {}
        while messages := self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=30
        ).get("Messages"):
            found |= {one["MessageId"]: (one["Body"], one["ReceiptHandle"]) for one in messages}
        for _, handle in found.values():
            self.sqs.change_message_visibility(QueueUrl=self.queue_url, ReceiptHandle=handle, VisibilityTimeout=0)
        return sorted(body for body, _ in found.values())

    # The package

    @property
    def table(self) -> TableIdentity:
        described = self.rig.boto.describe_table(TableName=self.rig.table)["Table"]
        return TableIdentity(arn=described["TableArn"], key=tuple((name, "S") for name in self.rig.key))

    @contextmanager
    def queue(self, visibility_s: int = VISIBILITY_S) -> Iterator[DeadLetterQueue]:
        rig = self.rig
        with DeadLetterQueue(self.sqs, self.queue_url, rig.clock, rig.retry, visibility_s=visibility_s) as queue:
            yield queue

    def understanding(self) -> Understanding:
        rig, table = self.rig, self.table
        ranges = RangeReader(lambda arn: StreamClient(self.streams, arn, rig.clock, rig.retry), rig.key, rig.clock)
        objects = StoredObjects(self.s3, rig.clock, rig.retry)
        return Understanding(lambda body: read_contents(body, table), objects.fetch, ranges, rig.stamps)

    def intake(self, **settings: Any) -> IntakeSettings:
        defaults = {"began_us": self.rig.clock.time_us(), "others_s": VISIBILITY_S + 5}
        return IntakeSettings(**{**defaults, **settings})

    def replay_settings(self, intake: IntakeSettings, **changes: Any) -> ReplaySettings:
        rig = self.rig
        defaults: dict[str, Any] = {
            "run_id": "run",
            "intake": intake,
            "key_attributes": rig.key,
            "stamps": rig.stamps,
            "bulk_bytes": rig.bulk_bytes,
            "requests_in_flight": rig.requests_in_flight,
        }
        return ReplaySettings(**defaults | changes)

    def replay_ports(self, source: MessageSource, **changes: Any) -> ReplayPorts:
        rig = self.rig
        progress = ReplayProgress(self.progress)
        ports = ReplayPorts(
            source=source,
            understanding=self.understanding(),
            reader=KeyedReader(rig.table_client, rig.key, rig.clock, rig.retry),
            living=LivingIndices(rig.patient, rig.alias, rig.builder_for, self.sender_for, rig.clock),
            rejects=progress.reject_log(lambda index: self.sinks.setdefault(index, MemorySink())),
            parking=self.parking,
            progress=progress,
            dry_receives=dry_receives(self.dry),
            clock=rig.clock,
        )
        return replace(ports, **changes)

    def replay(self, intake: IntakeSettings | None = None, **settings: Any) -> ReplayReport:
        """One consumer, to its end."""
        with self.queue() as queue:
            return Replay(self.replay_settings(intake or self.intake(), **settings), self.replay_ports(queue)).run()

    def replay_beside(self, consumers: int) -> list[ReplayReport]:
        """Several consumers at once, each with what a task of its own has."""
        reports: list[ReplayReport] = []
        intake = self.intake()

        def consume() -> None:
            with self.queue() as queue:
                ports = self.replay_ports(queue, progress=ReplayProgress(MemoryStore()))
                reports.append(Replay(self.replay_settings(intake), ports).run())

        threads = [threading.Thread(target=consume) for _ in range(consumers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(reports) == consumers
        return reports

    @contextmanager
    def peek(self, intake: IntakeSettings | None = None) -> Iterator[Peek]:
        with self.queue() as queue:
            ports = PeekPorts(
                source=queue, understanding=self.understanding(), dry_receives=self.dry, clock=self.rig.clock
            )
            yield Peek(intake or self.intake(), ports)


MakeDeadLetterRig = Callable[..., DeadLetterRig]
