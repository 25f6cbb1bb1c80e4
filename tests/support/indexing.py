"""The reference indexer behind the local event source mapping, on a rig's table and index."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.indexer.handler import make_indexer
from dynamo_opensearch.indexer.report import BatchReport
from dynamo_opensearch.indexer.settings import IndexerSettings
from tests.support import oracle
from tests.support.rig import Rig, small_item
from tools.local.esm_dead_letters import Destination
from tools.local.event_source_mapping import EventSourceMapping, MappingSettings, event_source_mapping
from tools.local.ministack import REGION

Event = dict[str, Any]


def create_streaming_table(rig: Rig, view_type: str = "NEW_AND_OLD_IMAGES", kind: str = "S") -> str:
    """The rig's table with a stream; the stream's ARN."""
    (key,) = rig.key
    rig.boto.create_table(
        TableName=rig.table,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view_type},
    )
    rig.boto.get_waiter("table_exists").wait(TableName=rig.table, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    return stream_arn(rig)


def stream_arn(rig: Rig) -> str:
    """Of the rig's table."""
    return str(rig.boto.describe_table(TableName=rig.table)["Table"]["LatestStreamArn"])


class IndexingHandler:
    """The Lambda handler with a rig's settings, in this process. ``reports``: of each batch; ``events``: likewise."""

    def __init__(self, rig: Rig, margin_s: float = 6.0) -> None:
        target = Target(
            name="rig",
            table=rig.table,
            key=rig.key,
            alias=rig.alias,
            mapping="none.json",
            indexer_writes="versioned",
            documents=rig.rules,
            environments={"local": {}},
        )
        self.reports: list[BatchReport] = []
        self.events: list[Event] = []
        self._indexer = make_indexer(
            IndexerSettings(
                target=target,
                margin_s=margin_s,
                url=rig.opensearch_url or rig.direct_opensearch,
                auth="none",
                table_region=REGION,
                dynamodb_url=rig.dynamodb_url or rig.direct_dynamodb,
            )
        )

    def __call__(self, event: Event, context: Any) -> dict[str, Any]:
        """As Lambda calls it."""
        self.events.append(event)
        report = self._indexer.index(event, context.get_remaining_time_in_millis() / 1000)
        self.reports.append(report)
        return report.response()

    @property
    def records(self) -> list[Event]:
        """Every record of every batch."""
        return [record for event in self.events for record in event["Records"]]

    @property
    def settled(self) -> int:
        """Conflicts that were settled by a read."""
        return sum(report.settled for report in self.reports)

    def keys_of(self, sequence_numbers: set[str]) -> set[str]:
        """The ids of the items that these records are about."""
        return {
            record["dynamodb"]["Keys"]["id"]["S"]
            for record in self.records
            if record["dynamodb"]["SequenceNumber"] in sequence_numbers
        }


@contextmanager
def mapped(
    rig: Rig,
    handler: Callable[[Event, Any], Any],
    settings: MappingSettings | None = None,
    destination: Destination | None = None,
) -> Iterator[EventSourceMapping]:
    """An event source mapping from the rig's table to a handler."""
    streams = oracle.client(rig.direct_dynamodb, "dynamodbstreams")
    try:
        with event_source_mapping(
            streams, stream_arn(rig), handler, settings or MappingSettings(), destination
        ) as mapping:
            yield mapping
    finally:
        streams.close()


@dataclass
class Churn:
    """Writers that put and delete ``keys`` items, and put some again at once, until the context ends."""

    rig: Rig
    keys: int = 30
    writers: int = 2
    seed: int = 1
    pause_s: float = 0.0
    changes: int = 0
    per_s: float = 0.0
    _errors: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Writes in the background."""
        threads = [threading.Thread(target=self._write, args=(number,)) for number in range(self.writers)]
        began_s = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self.per_s = self.changes / (time.monotonic() - began_s)
        assert self._errors == []

    def for_s(self, seconds: float) -> None:
        """Write so long."""
        with self.going_on():
            time.sleep(seconds)

    def _write(self, writer: int) -> None:
        chance = random.Random(f"{self.seed}:{writer}")
        try:
            while not self._stop.is_set():
                for _ in range(chance.choice([1, 1, 4])):
                    self._change(chance.randrange(self.keys), chance)
                time.sleep(self.pause_s)
        except BaseException as error:  # noqa: BLE001 - asserted to be none, in the test's own thread
            self._errors.append(error)

    def _change(self, number: int, chance: random.Random) -> None:
        if chance.random() < 0.3:
            self.rig.boto.delete_item(TableName=self.rig.table, Key={"id": {"S": f"k{number:04}"}})
        else:
            self.rig.boto.put_item(TableName=self.rig.table, Item=small_item(number, f"v{chance.random()}"))
        with self._lock:
            self.changes += 1
