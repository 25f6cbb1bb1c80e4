"""A target on real servers whose stream is followed: several indices, each with rules of its own, and a live writer."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from dynamo_opensearch.core.dynamodb.fast_parsing import install_fast_parsing
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.dynamodb.table_description import describe_table
from dynamo_opensearch.core.follow.follower import Follower, FollowPorts, FollowSettings, FollowStep
from dynamo_opensearch.core.offer.conditional import ConditionalSender
from dynamo_opensearch.core.offer.destination import Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.sender import BulkSender, Sender
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.state.index_store import IndexStateStore
from tests.support import oracle
from tests.support.fakes import MemorySink
from tests.support.rig import ANYTHING, Rig


class FollowRig:
    """A follower's ports on a Rig whose table has a stream. Several followers may be made, one after the other."""

    def __init__(self, rig: Rig, stamps: StampRule, arn: str = "") -> None:
        self.rig = rig
        rig.stamps = stamps
        self.arn = arn or self._new_stream()
        self.streams = oracle.client(rig.direct_dynamodb, "dynamodbstreams")
        install_fast_parsing(self.streams)
        self.sinks: dict[str, MemorySink] = {}
        self.state_index = f".{rig.base}-state"

    def _new_stream(self) -> str:
        self.rig.create_table(stream=True)
        arn = describe_table(self.rig.table_client).stream_arn
        assert arn is not None
        return arn

    def close(self) -> None:
        self.streams.close()
        self.rig.call(f"{self.state_index}?ignore_unavailable=true", "DELETE")

    def create_index(self, index: str, *aliases: str, mappings: dict[str, Any] = ANYTHING) -> str:
        """An index of the target behind these aliases; its UUID."""
        body = {
            "mappings": mappings,
            "settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
            "aliases": {alias: {} for alias in aliases},
        }
        self.rig.call(index, "PUT", body)
        return str(self.rig.call(f"{index}/_settings")[index]["settings"]["index"]["uuid"])

    def store(self, kind: str) -> IndexStateStore:
        return IndexStateStore(self.rig.patient, self.state_index, f"{kind}|{self.rig.alias}")

    def sender_for(self, alias: str, is_fed_by_indexer: bool) -> Sender:
        rig = self.rig
        kind = ConditionalSender if rig.unversioned and is_fed_by_indexer else BulkSender
        reader = KeyedReader(rig.table_client, rig.key, rig.clock, rig.retry)
        destination = Destination(alias=alias, index_behind=lambda: index_behind(rig.patient, alias, rig.base))
        refresher = Refresher(reader, rig.builder_for, rig.stamps)
        return kind(rig.cluster, destination, refresher, InFlightLimit(rig.requests_in_flight), rig.clock, rig.retry)

    def settings(self, **changes: Any) -> FollowSettings:
        rig = self.rig
        defaults: dict[str, Any] = {
            "alias": rig.alias,
            "index_base": rig.base,
            "stream_arn": self.arn,
            "stamps": rig.stamps,
            "bulk_bytes": rig.bulk_bytes,
            "requests_in_flight": rig.requests_in_flight,
        }
        return FollowSettings(**defaults | changes)

    def ports(self) -> FollowPorts:
        rig = self.rig
        return FollowPorts(
            stream=StreamClient(self.streams, self.arn, rig.clock, rig.retry),
            reader=KeyedReader(rig.table_client, rig.key, rig.clock, rig.retry),
            patient=rig.patient,
            sender_for=self.sender_for,
            builder_for=rig.builder_for,
            store=self.store("follow"),
            starts=self.store("starts"),
            sink_for=lambda index: self.sinks.setdefault(index, MemorySink()),
            clock=rig.clock,
        )

    def follower(self, **settings: Any) -> Follower:
        return Follower(self.settings(**settings), self.ports())

    def differences(self, index: str, change: Callable[[oracle.Plain], oracle.Plain] = dict) -> list[str]:
        """Every way in which an index is not what its rules make of the table, by the oracle."""
        wanted = oracle.expected(self.rig.boto, self.rig.table, lambda item: str(item["id"]))
        return oracle.differences({name: change(one) for name, one in wanted.items()}, self.rig.documents(index))


def run_until(follower: Follower, is_enough: Callable[[Follower, FollowStep], bool], timeout_s: float = 60.0) -> None:
    """Step, waiting as the follower says, until it is enough."""
    end_s = time.monotonic() + timeout_s
    while True:
        step = follower.step()
        if is_enough(follower, step):
            return
        assert time.monotonic() < end_s, f"not enough after {timeout_s:.0f} s: {follower.state}"
        if not step.has_work:
            time.sleep(min(step.wait_s, 0.5))


def at_head_since(moment_us: int) -> Callable[[Follower, FollowStep], bool]:
    """Every change before the moment has had its first look."""
    return lambda follower, _: follower.state.head_us >= moment_us


def all_done_since(moment_us: int) -> Callable[[Follower, FollowStep], bool]:
    """Every change before the moment is done."""
    return lambda follower, _: follower.state.done_us >= moment_us


class Changer:
    """Creates, replaces, updates and deletes at about ``per_s``, half of it on five hot keys, keys reused.

    Most go in batches: a writer that is cheap leaves the machine to what is tested.
    """

    def __init__(self, rig: Rig, per_s: float, keys: int = 300) -> None:
        self._rig, self._per_s, self._keys = rig, per_s, keys
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._chance = random.Random(1)
        self.counts: Counter[str] = Counter()
        self._began_s = self._ended_s = 0.0

    @property
    def changes_per_s(self) -> float:
        return self.counts.total() / (self._ended_s - self._began_s)

    def _write(self) -> None:
        while not self._stop.is_set():
            self._batch()
            self._update(self._number())
            ahead_s = self._began_s + self.counts.total() / self._per_s - time.monotonic()
            if ahead_s > 0:
                time.sleep(ahead_s)

    def _number(self) -> int:
        return self._chance.randrange(5) if self._chance.random() < 0.5 else self._chance.randrange(self._keys)

    def _batch(self) -> None:
        """Puts and deletes of different keys."""
        requests: list[dict[str, Any]] = []
        for number in {self._number() for _ in range(24)}:
            kind = self._chance.choice(("put", "put", "delete"))
            key = {"id": {"S": f"k{number:04}"}}
            self.counts[kind] += 1
            item = {**key, "number": {"N": str(number)}, "value": self._value(), "extra": self._value()}
            requests.append({"PutRequest": {"Item": item}} if kind == "put" else {"DeleteRequest": {"Key": key}})
        self._rig.boto.batch_write_item(RequestItems={self._rig.table: requests})

    def _update(self, number: int) -> None:
        self.counts["update"] += 1
        self._rig.boto.update_item(
            TableName=self._rig.table,
            Key={"id": {"S": f"k{number:04}"}},
            UpdateExpression="SET #v = :v, extra = :v",
            ExpressionAttributeNames={"#v": "value"},
            ExpressionAttributeValues={":v": self._value()},
        )

    def _value(self) -> dict[str, str]:
        return {"S": f"v{self.counts.total()}"}

    def __enter__(self) -> Self:
        self._began_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._ended_s = time.monotonic()
