"""What goes on while an alias is swapped: a writer, the indexer behind the stream, a reader of the alias."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from dynamo_opensearch.indexer.handler import make_indexer
from dynamo_opensearch.indexer.indexer import Indexer
from dynamo_opensearch.indexer.settings import IndexerSettings
from tools.bench.ours import members_target
from tools.bench.rebuild.beside import run_until_told
from tools.bench.rebuild.wired import Wired
from tools.bench.sources import members_client
from tools.bench.target_index import ALIAS
from tools.local import http, members
from tools.local.event_source_mapping import event_source_mapping
from tools.local.ministack import REGION

_READ_EVERY_S = 0.05
_CATCH_UP_S = 60.0
_HOT_KEYS = 5


@dataclass(frozen=True, kw_only=True)
class TrafficTask:
    """``keys``: members 0 to ``keys`` - 1 are changed, half of the changes on a few of them."""

    dynamodb: str
    opensearch: str
    keys: int
    changes_per_s: float


@dataclass
class Reader:
    """Searches through the alias, again and again. ``errors``: answers that were none, or not of every shard."""

    url: str
    reads: int = 0
    errors: int = 0
    slowest_s: float = 0.0

    def run(self, told: threading.Event) -> None:
        """Read until told to stop."""
        while not told.wait(_READ_EVERY_S):
            began_s = time.monotonic()
            self.errors += not self._read()
            self.reads += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)

    def _read(self) -> bool:
        query = {"size": 1, "query": {"term": {"status": "active"}}}
        try:
            answer = http.call(f"{self.url}/{ALIAS}/_search", method="POST", body=query)
        except OSError:
            return False
        return bool(answer["hits"]["hits"] and not answer["_shards"]["failed"])


@dataclass
class Writer:
    """A third each puts, updates and deletes."""

    client: Any
    task: TrafficTask
    changes: int = 0
    seconds: float = 0.0

    def run(self, told: threading.Event) -> None:
        """Write until told to stop, at the rate that is wanted if the table takes it."""
        chance = random.Random(1)
        began_s = time.monotonic()
        while not told.wait(max(0.0, began_s + self.changes / self.task.changes_per_s - time.monotonic())):
            self._change(chance.choice(("put", "update", "delete")), self._number(chance))
            self.changes += 1
        self.seconds = time.monotonic() - began_s

    def _number(self, chance: random.Random) -> int:
        return chance.randrange(_HOT_KEYS if chance.random() < 0.5 else self.task.keys)

    def _change(self, kind: str, number: int) -> None:
        table = {"TableName": members.TABLE}
        if kind == "put":
            item = {**members.typed(members.member(number)), "points": {"N": str(self.changes)}}
            self.client.put_item(**table, Item=item)
            return
        key = {members.HASH_KEY: {"S": members.member_id(number)}}
        if kind == "delete":
            self.client.delete_item(**table, Key=key)
            return
        points = {"points": {"Value": {"N": str(self.changes)}, "Action": "PUT"}}
        self.client.update_item(**table, Key=key, AttributeUpdates=points)


def go_on(said: dict[str, Any], ready: Callable[[], None], told: threading.Event) -> dict[str, Any]:
    """Write, index and read until told; then let the indexer come to the stream's end. Returns what was done."""
    task = TrafficTask(**said)
    writer, reader = Writer(members_client(task.dynamodb), task), Reader(task.opensearch)
    streams, arn = members_client(task.dynamodb, "dynamodbstreams"), Wired(task.dynamodb, task.opensearch).stream_arn
    with event_source_mapping(streams, arn, _Handler(_indexer(task))) as mapping:
        mapping.wait_until_caught_up(_CATCH_UP_S)
        threads = [threading.Thread(target=one.run, args=(told,)) for one in (writer, reader)]
        for thread in threads:
            thread.start()
        ready()
        for thread in threads:
            thread.join()
        mapping.wait_until_caught_up(_CATCH_UP_S)
    return {
        "changes": writer.changes,
        "changes_per_s": writer.changes / writer.seconds,
        "reads": reader.reads,
        "read_errors": reader.errors,
        "slowest_read_s": reader.slowest_s,
        "indexer": asdict(mapping.counts),
    }


@dataclass(frozen=True)
class _Handler:
    indexer: Indexer

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        return self.indexer.index(event, context.get_remaining_time_in_millis() / 1000).response()


def _indexer(task: TrafficTask) -> Indexer:
    return make_indexer(
        IndexerSettings(
            target=members_target().model_copy(update={"alias": ALIAS}),
            margin_s=6.0,
            url=task.opensearch,
            auth="none",
            table_region=REGION,
            dynamodb_url=task.dynamodb,
        )
    )


if __name__ == "__main__":
    run_until_told(go_on)
