"""Dead letters of a simulated event source mapping, in all the forms that they come in, in a queue in memory."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.dead_letters.messages import TableIdentity
from tests.support.memory_queue import MemoryQueue
from tests.support.simulated_table import STREAM_ARN, Record, SimulatedStream, typed_record
from tests.support.simulation import SimulatedClock, Simulation

TABLE_IDENTITY = TableIdentity(arn=STREAM_ARN.partition("/stream/")[0], key=(("id", "S"),))


@dataclass(frozen=True, kw_only=True)
class ReplayRules:
    """How dead letters are replayed.

    ``later_s``: how long after its failure a message can be received, at most. ``looks_twice``: the rule.
    ``twice_share``: of the receives that hand out a message once more. ``consumers``: at work side by side.
    """

    later_s: float = 40.0
    looks_twice: bool = True
    twice_share: float = 0.1
    consumers: int = 1


class SimulatedLetters:
    """What the indexer gave up. Its queue's clock is right."""

    def __init__(
        self, stream: SimulatedStream, simulation: Simulation, chance: random.Random, rules: ReplayRules
    ) -> None:
        self._chance, self._rules = chance, rules
        self._shard_of = {
            record.sequence_number: name for name, shard in stream.shards.items() for record in shard.records
        }
        clock = SimulatedClock(simulation)
        self.queue = MemoryQueue(clock, visibility_s=8.0, twice_share=rules.twice_share, chance=chance)

    def take(self, records: list[Record]) -> None:
        """Records of one shard that were given up just now."""
        if records:
            for body in self._bodies(sorted(records, key=lambda record: int(record.sequence_number))):
                self.queue.send(body, after_s=self._chance.uniform(0, self._rules.later_s))

    def _bodies(self, records: Sequence[Record]) -> list[str]:
        form = self._chance.randrange(4)
        if form == 0:
            return [json.dumps(typed_record(record)) for record in records]
        if form == 1:
            return [json.dumps({"Records": [typed_record(record) for record in records]})]
        if form == 2:
            return [json.dumps(self._coordinates(record, record)) for record in records]
        return [json.dumps(self._coordinates(records[0], records[-1]))]

    def _coordinates(self, first: Record, last: Record) -> dict[str, Any]:
        """As Lambda leaves them; what was indexed in between is a part of the range as well."""
        place = {
            "shardId": self._shard_of[first.sequence_number],
            "startSequenceNumber": first.sequence_number,
            "endSequenceNumber": last.sequence_number,
            "streamArn": STREAM_ARN,
        }
        return {"requestContext": {}, "version": "1.0", "DDBStreamBatchInfo": place}
