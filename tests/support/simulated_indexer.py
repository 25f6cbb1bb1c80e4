"""The reference indexer behind a simulated event source mapping: lag, dead letters, one batch of a shard at a time."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.indexer.indexer import Indexer, IndexerPorts
from dynamo_opensearch.indexer.leading_index import LeadingIndex
from tests.support.simulated_table import TABLE, Record, Shard, SimulatedClients, SimulatedStream, typed_record
from tests.support.simulation import Simulation

INVOCATION_S = 60.0
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class IndexerRules:
    """``lag_share`` of the batches come up to ``lag_s`` late; ``failing_share`` of the records are dead letters."""

    lag_share: float = 0.0
    lag_s: float = 30.0
    failing_share: float = 0.0
    most_records: int = 40


@dataclass
class Lane:
    """One shard's invocations. ``done_s``: for each record done, its creation and when it was done with."""

    shard: Shard
    indexer: Indexer
    place: int = 0
    done: list[tuple[int, float]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether all of the shard's records are done with."""
        return self.place == len(self.shard.records)


class SimulatedMapping:
    """An event source mapping. ``on_failure`` gets the records that were given up."""

    def __init__(
        self,
        stream: SimulatedStream,
        indexer_for: Callable[[str], Indexer],
        simulation: Simulation,
        chance: random.Random,
        rules: IndexerRules,
        on_failure: Callable[[list[Record]], None],
    ) -> None:
        self._simulation, self._chance, self._rules, self._on_failure = simulation, chance, rules, on_failure
        self._lanes = {name: Lane(shard, indexer_for(name)) for name, shard in stream.shards.items()}

    def start(self) -> None:
        """A task for each shard; a child's waits for its parent's."""
        for name, lane in self._lanes.items():
            self._simulation.spawn(f"indexer of {name}", partial(self._run, lane), process="the indexer")

    @property
    def is_over(self) -> bool:
        """Whether every record of the history is done with."""
        return all(lane.is_over for lane in self._lanes.values())

    def stands_at_s(self, within_s: float) -> float:
        """Creation (seconds since 1970) of the oldest record that was not done with so long ago; infinity: none."""
        since_s = self._simulation.now_s - within_s
        oldest = [lane.shard.records[lane.place].created_s for lane in self._lanes.values() if not lane.is_over]
        oldest += [created_s for lane in self._lanes.values() for created_s, at_s in lane.done if at_s >= since_s]
        return min(oldest, default=float("inf"))

    def _run(self, lane: Lane) -> None:
        if lane.shard.parent is not None:
            while not self._lanes[lane.shard.parent].is_over:
                self._simulation.sleep(0.5)
        while not lane.is_over:
            batch = self._next_batch(lane)
            failing = [record for record in batch if self._chance.random() < self._rules.failing_share]
            left = [record for record in batch if record not in failing]
            for _ in range(_TRIES):
                left = self._invoke(lane.indexer, left)
            self._on_failure(failing + left)
            lane.place += len(batch)
            lane.done += [(record.created_s, self._simulation.now_s) for record in batch]

    def _next_batch(self, lane: Lane) -> list[Record]:
        """Wait for the next record, some lag, and take what has come until then."""
        records, chance = lane.shard.records, self._chance
        self._sleep_until(records[lane.place].readable_s)
        size = chance.randrange(1, self._rules.most_records + 1)
        is_late = chance.random() < self._rules.lag_share
        lag_s = chance.uniform(0, self._rules.lag_s) if is_late else chance.uniform(0.05, 0.4)
        self._sleep_until(records[lane.place].readable_s + lag_s)
        now_s = self._simulation.now_s
        return [record for record in records[lane.place : lane.place + size] if record.readable_s <= now_s]

    def _sleep_until(self, at_s: float) -> None:
        self._simulation.sleep(at_s - self._simulation.now_s)

    def _invoke(self, indexer: Indexer, records: list[Record]) -> list[Record]:
        """What is left to be tried again: from the lowest failure on."""
        if not records:
            return []
        report = indexer.index({"Records": [typed_record(record) for record in records]}, INVOCATION_S)
        if not report.failures:
            return []
        lowest = min(map(int, report.failures))
        return [record for record in records if int(record.sequence_number) >= lowest]


def make_indexer(alias: str, cluster: Cluster, clients: SimulatedClients, clock: Clock, stamps: StampRule) -> Indexer:
    """The package's own, on these ways to its servers."""
    key = ("id",)
    return Indexer(
        IndexerPorts(
            cluster=cluster,
            leading=LeadingIndex(cluster, alias, key, FieldRules.model_validate({}), clock),
            reader_for=lambda retry: KeyedReader(TableClient(clients, TABLE, clock, retry), key, clock, retry),
            clock=clock,
        ),
        table=TABLE,
        alias=alias,
        key_attributes=key,
        stamps=stamps,
    )
