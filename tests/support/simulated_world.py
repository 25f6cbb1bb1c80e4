"""A thousand items with random histories, the package at work on them in simulated time, and a real OpenSearch."""

import json
import random
import uuid
from dataclasses import dataclass, field
from typing import Any

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.offer.destination import Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.sender import BulkSender
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster
from dynamo_opensearch.core.opensearch.index_state import META_KEY, read_index
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.stamps import StampRule
from tests.support import oracle
from tests.support.simulated_indexer import IndexerRules, SimulatedMapping, make_indexer
from tests.support.simulated_letters import ReplayRules, SimulatedLetters
from tests.support.simulated_table import (
    LONG_AGO_S,
    TABLE,
    History,
    HistoryRules,
    ReadRules,
    SimulatedClients,
    SimulatedStream,
    StreamRules,
    random_changes,
)
from tests.support.simulated_wire import SimulatedWire, WireRules
from tests.support.simulation import START_US, SimulatedClock, Simulation
from tools.local import http

KEY = ("id",)
SKEW_S = 2.0
RULES_OF_FIRST: dict[str, Any] = {}


@dataclass(frozen=True, kw_only=True)
class Hazards:
    """What one world puts up with."""

    history: HistoryRules = field(default_factory=HistoryRules)
    disorder_s: float = 1.5
    shards: int = 4
    splits: int = 1
    skew_s: float = SKEW_S
    wire: WireRules = field(default_factory=lambda: WireRules(late_share=0.3, lost_share=0.04, twice_share=0.1))
    reads: ReadRules = field(default_factory=lambda: ReadRules(long_share=0.2))
    indexer: IndexerRules = field(default_factory=lambda: IndexerRules(lag_share=0.3, failing_share=0.1))
    replay: ReplayRules = field(default_factory=ReplayRules)


class World:
    """Names are unique. ``worker`` gives each actor a clock, a wire and clients of its own."""

    def __init__(self, url: str, cluster: OpenSearchCluster, seed: int, hazards: Hazards) -> None:
        self.url, self.seed, self.hazards = url, seed, hazards
        self._cluster = cluster
        self.simulation = Simulation()
        self.stamps = StampRule()
        self.base = f"w{uuid.uuid4().hex[:10]}"
        self.alias = f"{self.base}-live"
        self.history = History(random_changes(hazards.history, self.chance("history")))
        stream_rules = StreamRules(
            shards=hazards.shards,
            splits=hazards.splits,
            disorder_s=hazards.disorder_s,
            seconds=hazards.history.seconds,
        )
        self.stream = SimulatedStream(self.history, stream_rules, self.chance("stream"))
        self.letters = SimulatedLetters(self.stream, self.simulation, self.chance("letters"), hazards.replay)
        self.mapping = SimulatedMapping(
            self.stream, self._indexer_for, self.simulation, self.chance("mapping"), hazards.indexer, self.letters.take
        )

    def chance(self, actor: str) -> random.Random:
        """The chances of one actor, which do not depend on what others do."""
        return random.Random(f"{self.seed}/{actor}")

    def worker(self, actor: str) -> "Worker":
        """One actor's ways to the servers."""
        return Worker(self, actor)

    def index(self, number: int) -> str:
        """Its name."""
        return f"{self.base}-v{number}"

    def create_index(self, number: int, alias: str, rules: dict[str, Any]) -> None:
        """An index that takes any document, and forgets no delete."""
        body = {
            "mappings": {"enabled": False, "_meta": {META_KEY: {"field_rules": rules, "key": ["id"]}}},
            "settings": {
                "number_of_shards": 1,
                "number_of_replicas": 0,
                "gc_deletes": "1d",
                "refresh_interval": -1,
                "translog.durability": "async",
            },
            "aliases": {alias: {}},
        }
        self.call(self.index(number), "PUT", body)

    def fill_first(self) -> None:
        """Index 1 with all that was there from long ago, as an indexer has brought it then."""
        version = START_US + round(LONG_AGO_S * 1e6)
        lines: list[dict[str, Any]] = []
        for key, item in self.history.before().items():
            lines.append({"index": {"_id": key, "version": version, "version_type": "external"}})
            lines.append({"id": key, "n": int(item["n"]["N"])})
        cluster = self._cluster
        answer = cluster.request(
            "POST", f"/{self.index(1)}/_bulk", body="".join(json.dumps(one) + "\n" for one in lines).encode()
        )
        assert not answer["errors"]

    def forget_deletes(self) -> None:
        """What a node does that starts again; nobody acts while it is away."""
        indices = f"{self.base}-v*"
        self.call(f"{indices}/_close", "POST")
        self.call(f"{indices}/_open", "POST")
        self.call(f"_cluster/health/{indices}?wait_for_status=green&timeout=30s")

    def call(self, path: str, method: str = "GET", body: object = None) -> Any:
        """Plain HTTP to OpenSearch."""
        return http.call(f"{self.url}/{path}", method=method, body=body, timeout_s=60)

    def differences(self, index: str) -> list[str]:
        """Every way in which the index (or the one behind an alias) is not what the table is in the end."""
        ((_, found),) = self.call(f"{index}/_mapping").items()
        renames = found["mappings"].get("_meta", {}).get(META_KEY, {}).get("field_rules", {}).get("renames", {})
        expected = {
            key: {renames.get(name, name): value for name, value in oracle.plain_item(item).items()}
            for key, item in self.history.final().items()
        }
        return oracle.differences(expected, oracle.documents(self.url, index))

    def close(self) -> None:
        """Remove what this world made."""
        self.call(f"{self.base}*?expand_wildcards=all", "DELETE")

    def _indexer_for(self, shard: str) -> Any:
        worker = self.worker(f"indexer of {shard}")
        return make_indexer(self.alias, worker.wire, worker.clients, worker.clock, self.stamps)


class Worker:
    """One process: its clock is off by up to ``skew_s``, and so is nobody else's by just as much."""

    def __init__(self, world: World, actor: str) -> None:
        chance = world.chance(actor)
        most = world.hazards.skew_s
        self._world = world
        self.clock = SimulatedClock(world.simulation, chance.choice([-most, most, chance.uniform(-most, most)]))
        self.retry = RetryPolicy(jitter=chance.random)
        self.wire = SimulatedWire(world._cluster, world.simulation, chance, world.hazards.wire)
        self.patient = PatientCluster(self.wire, self.clock, self.retry)
        self.clients = SimulatedClients(world.history, world.stream, world.simulation, chance, world.hazards.reads)
        self.table = TableClient(self.clients, TABLE, self.clock, self.retry)
        self.reader = KeyedReader(self.table, KEY, self.clock, self.retry)
        self.refresher = Refresher(self.reader, self.builder_for, world.stamps)

    def builder_for(self, index: str) -> DocumentBuilder:
        """By the index's own rules."""
        return DocumentBuilder(KEY, read_index(self.patient, index).field_rules or FieldRules.model_validate({}))

    def sender(self, alias: str, limit: InFlightLimit | None = None) -> BulkSender:
        """What writes through an alias."""
        destination = Destination(alias=alias, index_behind=lambda: index_behind(self.patient, alias, self._world.base))
        return BulkSender(self.wire, destination, self.refresher, limit or InFlightLimit(4), self.clock, self.retry)
