"""Dead letters of a target in memory: a Followed with a queue, and consumers of it, which may die."""

import json
from dataclasses import replace
from typing import Any

from dynamo_opensearch.core.dead_letters.messages import MessageSource, TableIdentity
from dynamo_opensearch.core.dead_letters.ranges.reader import RangeReader
from dynamo_opensearch.core.dead_letters.replay.consumer import Replay, ReplayPorts, ReplaySettings
from dynamo_opensearch.core.dead_letters.replay.dry_receives import dry_receives
from dynamo_opensearch.core.dead_letters.replay.intake import IntakeSettings
from dynamo_opensearch.core.dead_letters.replay.peek import Peek, PeekPorts
from dynamo_opensearch.core.dead_letters.replay.progress import ReplayProgress
from dynamo_opensearch.core.dead_letters.replay.report import ReplayReport
from dynamo_opensearch.core.dead_letters.shapes.bodies import read_contents
from dynamo_opensearch.core.dead_letters.understanding import Understanding
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.look.living import LivingIndices
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from tests.support.dead_letter_stores import MemoryParking
from tests.support.dying import Fate
from tests.support.fakes import MemorySink, quick_retry
from tests.support.followed import ALIAS, Followed, SharedState
from tests.support.memory_queue import MemoryQueue
from tests.support.scripted_stream import ARN

LIVE = "members-v1"
TABLE = TableIdentity(arn=ARN.partition("/stream/")[0], key=(("id", "S"),))


class Replayed(Followed):
    """``LIVE`` is behind the alias. ``at_deletion``: what the test looks at just before messages are deleted."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.cluster.create(LIVE, ALIAS)
        self.queue = MemoryQueue(self.clock)
        self.parking = MemoryParking()
        self.progress, self.dry = SharedState(), SharedState()

    # The indexer's failures

    def letter(self, key: str, created_us: int | None = None) -> str:
        """A message with the record of a change of this key, of now if nothing else is said."""
        seconds = (self.clock.time_us() if created_us is None else created_us) // 1_000_000
        changed = {"ApproximateCreationDateTime": seconds, "Keys": {"id": {"S": key}}}
        return json.dumps({"eventName": "MODIFY", "dynamodb": changed, "eventSourceARN": ARN})

    def fail(self, *keys: str) -> None:
        """Change these items; the indexer leaves a message for each."""
        for key in keys:
            self.put(key, f"{key} {self.clock.time_us()}")
            self.queue.send(self.letter(key))

    def fail_batch(self, *keys: str) -> str:
        """Change these items; the indexer leaves one message with the coordinates of all. Its body."""
        numbers = [self.put(key, f"{key} {self.clock.time_us()}") for key in keys]
        place = {"shardId": "s1", "startSequenceNumber": numbers[0], "endSequenceNumber": numbers[-1]}
        body = json.dumps({"requestContext": {}, "DDBStreamBatchInfo": {**place, "streamArn": ARN}})
        self.queue.send(body)
        return body

    # The package

    def understanding(self) -> Understanding:
        ranges = RangeReader(lambda arn: StreamClient(self.stream, arn, self.clock, quick_retry()), ("id",), self.clock)
        return Understanding(lambda body: read_contents(body, TABLE), lambda _: b"", ranges, self.stamps)

    def replay_settings(self, most: int | None = None, others_s: float = 150.0, **changes: Any) -> ReplaySettings:
        settings = ReplaySettings(
            run_id="run",
            intake=IntakeSettings(began_us=self.clock.time_us(), most=most, others_s=others_s),
            key_attributes=("id",),
            stamps=self.stamps,
            bulk_bytes=100_000,
            requests_in_flight=1,
        )
        return replace(settings, **changes)

    def replay_ports(self, source: MessageSource, fate: Fate, **changes: Any) -> ReplayPorts:
        progress = ReplayProgress(fate.watch(self.progress.handle(), "load", "save"))

        def sink_for(index: str) -> Any:
            return fate.watch(self.sinks.setdefault(index, MemorySink()), "write", "forget_from")

        ports = ReplayPorts(
            source=fate.watch(source, "receive", "delete", "depth"),
            understanding=self.understanding(),
            reader=fate.watch(self.table, "read"),
            living=LivingIndices(
                PatientCluster(self.cluster, self.clock, quick_retry()),
                ALIAS,
                self.builder_for,
                self.sender_for,
                self.clock,
            ),
            rejects=progress.reject_log(sink_for),
            parking=fate.watch(self.parking, "put"),
            progress=progress,
            dry_receives=dry_receives(self.dry.handle()),
            clock=self.clock,
        )
        return replace(ports, **changes)

    def replay(
        self, source: MessageSource | None = None, ports: Any = None, fate: Fate | None = None, **settings: Any
    ) -> ReplayReport:
        """One consumer, until its end or its death (``Died``)."""
        fate = fate or Fate()
        cluster = self.cluster
        self.cluster = fate.watch(cluster, "request")
        try:
            taken = source or self.queue.consumer(lambda: not fate.is_dead)
            return Replay(self.replay_settings(**settings), self.replay_ports(taken, fate, **(ports or {}))).run()
        finally:
            self.cluster = cluster

    def peek(self, source: MessageSource | None = None, most: int | None = None) -> Peek:
        """Somebody who looks."""
        intake = IntakeSettings(began_us=self.clock.time_us(), most=most)
        ports = PeekPorts(
            source=source or self.queue.consumer(),
            understanding=self.understanding(),
            dry_receives=self.dry.handle(),
            clock=self.clock,
        )
        return Peek(intake, ports)

    # What it comes to

    def is_in(self, key: str, index: str = LIVE) -> bool:
        """Whether an index has this item as the table has it."""
        return self.cluster.documents(index).get(key) == self.expected().get(key)
