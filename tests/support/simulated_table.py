"""A table whose whole history is known beforehand, read through clients that look like boto3's, in simulated time."""

import bisect
import math
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any, NamedTuple

from tests.support.simulation import START_US, Simulation

TABLE = "simulated"
STREAM_ARN = f"arn:aws:dynamodb:eu-central-1:000000000000:table/{TABLE}/stream/simulated"
Item = dict[str, Any]
LONG_AGO_S = -100_000.0
"""Items that were there before have been written then; the stream knows no more of it."""


class Change(NamedTuple):
    """One write: at which simulated second, which item, and what it was afterwards (None: it is gone)."""

    at_s: float
    key: str
    item: Item | None


class Record(NamedTuple):
    """A change in its shard of the stream. ``created_s``: ApproximateCreationDateTime, in seconds since 1970."""

    change: Change
    kind: str
    sequence_number: str
    created_s: int
    readable_s: float


@dataclass(frozen=True, kw_only=True)
class HistoryRules:
    """How items are written. ``is_hot``: many bursts with several changes in a second."""

    keys: int = 1000
    seconds: float = 90.0
    is_hot: bool = True


def random_changes(rules: HistoryRules, chance: random.Random) -> list[Change]:
    """The history of all keys, in the order of its times: bursts of writes, a quarter of them deletes.

    Seven of ten keys are there from long ago; a quarter of all is never written to.
    """
    changes: list[Change] = []
    for number in range(rules.keys):
        changes += _key_history(f"k{number:04}", rules, chance)
    return sorted(changes)


def _key_history(key: str, rules: HistoryRules, chance: random.Random) -> list[Change]:
    is_there = chance.random() < 0.7
    changes = [Change(LONG_AGO_S, key, {"id": {"S": key}, "n": {"N": "-1"}})] if is_there else []
    at_s = 0.0
    for start in sorted(chance.uniform(0, rules.seconds) for _ in range(chance.randrange(0, 4))):
        at_s = max(at_s, start)
        gap_s = 0.5 if rules.is_hot and chance.random() < 0.6 else 4.0
        for _ in range(chance.randrange(1, 7)):
            at_s += chance.expovariate(1 / gap_s)
            if at_s > rules.seconds:
                return changes
            is_there = not is_there or chance.random() >= 0.25
            item = {"id": {"S": key}, "n": {"N": str(len(changes))}} if is_there else None
            changes.append(Change(at_s, key, item))
    return changes


class History:
    """What each item was at each moment."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = list(changes)
        self._times: dict[str, list[float]] = {}
        self._items: dict[str, list[Item | None]] = {}
        for change in changes:
            self._times.setdefault(change.key, []).append(change.at_s)
            self._items.setdefault(change.key, []).append(change.item)
        self.keys = sorted(self._times)  # those that ever were

    def item(self, key: str, at_s: float) -> Item | None:
        """The item as it was then."""
        place = bisect.bisect_right(self._times.get(key, []), at_s)
        return self._items[key][place - 1] if place else None

    def before(self) -> dict[str, Item]:
        """What was there from long ago."""
        return {key: item for key in self.keys if (item := self.item(key, 0.0))}

    def final(self) -> dict[str, Item]:
        """Every item that is left in the end."""
        return {key: items[-1] for key, items in self._items.items() if items[-1] is not None}


@dataclass
class Shard:
    """One shard with all that it will ever hold."""

    name: str
    parent: str | None
    opens_s: float
    closes_s: float
    records: list[Record] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class StreamRules:
    """``disorder_s``: record times are up to that much off. ``splits``: shards that are split in two on the way."""

    shards: int = 4
    splits: int = 0
    disorder_s: float = 0.0
    seconds: float = 90.0


class SimulatedStream:
    """The records of a history, by shard; children follow where a shard was split."""

    def __init__(self, history: History, rules: StreamRules, chance: random.Random) -> None:
        self.shards: dict[str, Shard] = {}
        roots = [self._open(f"root-{number}", None, -1.0) for number in range(rules.shards)]
        for shard in chance.sample(roots, min(rules.splits, rules.shards)):
            shard.closes_s = chance.uniform(0.1, 0.9) * rules.seconds
            for half in range(2):
                self._open(f"{shard.name}-{half}", shard.name, shard.closes_s)
        self._was_there: set[str] = set()
        readable_s = 0.0
        for number, change in enumerate(history.changes):
            kind = self._kind(change)
            if change.at_s == LONG_AGO_S:
                continue
            readable_s = max(readable_s, change.at_s + chance.uniform(0.02, 0.3))
            off_s = chance.uniform(-rules.disorder_s, rules.disorder_s)
            created_s = math.floor(START_US / 1e6 + change.at_s + off_s)
            record = Record(change, kind, str(10**20 + number), created_s, readable_s)
            self._shard_of(change).records.append(record)

    def _open(self, name: str, parent: str | None, opens_s: float) -> Shard:
        self.shards[name] = Shard(name, parent, opens_s, math.inf)
        return self.shards[name]

    def _kind(self, change: Change) -> str:
        if change.item is None:
            self._was_there.discard(change.key)
            return "REMOVE"
        kind = "MODIFY" if change.key in self._was_there else "INSERT"
        self._was_there.add(change.key)
        return kind

    def _shard_of(self, change: Change) -> Shard:
        digest = zlib.crc32(change.key.encode())
        roots = [shard for shard in self.shards.values() if shard.parent is None]
        root = roots[digest % len(roots)]
        if change.at_s < root.closes_s:
            return root
        return self.shards[f"{root.name}-{digest // len(roots) % 2}"]


@dataclass(frozen=True, kw_only=True)
class ReadRules:
    """How long reads take (seconds): most are short, a ``long_share`` of them up to ``longest_s``."""

    long_share: float = 0.0
    longest_s: float = 3.0
    stale_s: float = 0.5
    """A scan that is not consistent may see what was so much earlier."""
    empty_pages: float = 0.05
    """Share of pages of the stream that are empty though there is more."""

    def duration_s(self, chance: random.Random) -> float:
        """Of one read."""
        if chance.random() < self.long_share:
            return chance.uniform(0, self.longest_s)
        return chance.uniform(0.002, 0.02)


class SimulatedClients:
    """DynamoDB and its streams as one worker reaches them; ``pages`` items in a page of a scan."""

    meta = SimpleNamespace(region_name="eu-central-1")

    def __init__(
        self,
        history: History,
        stream: SimulatedStream,
        simulation: Simulation,
        chance: random.Random,
        rules: ReadRules | None = None,
    ) -> None:
        self._history, self._stream, self._simulation, self._chance = history, stream, simulation, chance
        self._rules = rules or ReadRules()

    # DynamoDB

    def describe_table(self, **_: Any) -> dict[str, Any]:
        """What the package asks of it."""
        self._simulation.sleep(self._rules.duration_s(self._chance))
        kinds = [{"AttributeName": "id", "AttributeType": "S"}]
        return self._answer({"Table": {"TableName": TABLE, "AttributeDefinitions": kinds}})

    def scan(self, **asked: Any) -> dict[str, Any]:
        """A page; each of its items as it was at a moment of its own while the page was read."""
        keys = [key for key in self._history.keys if _segment(key, asked["TotalSegments"]) == asked["Segment"]]
        if start := asked.get("ExclusiveStartKey"):
            keys = keys[bisect.bisect_right(keys, start["id"]["S"]) :]
        evaluated = keys[: asked.get("Limit", len(keys))]
        stale_s = 0.0 if asked["ConsistentRead"] else self._rules.stale_s
        moment = self._moments(stale_s)
        items = [item for key in evaluated if (item := self._history.item(key, moment()))]
        more = {"LastEvaluatedKey": {"id": {"S": evaluated[-1]}}} if len(evaluated) < len(keys) else {}
        consumed = {"CapacityUnits": len(items) / 2}
        return self._answer({"Items": items, "Count": len(items), "ConsumedCapacity": consumed, **more})

    def batch_get_item(self, **asked: Any) -> dict[str, Any]:
        """Items by key, some of them left unprocessed now and then."""
        wanted = asked["RequestItems"][TABLE]["Keys"]
        assert asked["RequestItems"][TABLE]["ConsistentRead"]
        processed = len(wanted) if self._chance.random() < 0.95 else self._chance.randrange(1, len(wanted) + 1)
        moment = self._moments(0.0)
        items = [item for key in wanted[:processed] if (item := self._history.item(key["id"]["S"], moment()))]
        self._chance.shuffle(items)
        left = {TABLE: {"Keys": wanted[processed:], "ConsistentRead": True}} if processed < len(wanted) else {}
        return self._answer({"Responses": {TABLE: items}, "UnprocessedKeys": left, "ConsumedCapacity": []})

    def _moments(self, stale_s: float) -> Callable[[], float]:
        """Let the read take its time; draws moments within it."""
        began_s = self._simulation.now_s
        self._simulation.sleep(self._rules.duration_s(self._chance))
        ended_s = self._simulation.now_s
        return lambda: self._chance.uniform(began_s - stale_s, ended_s)

    # Streams

    def describe_stream(self, **asked: Any) -> dict[str, Any]:
        """Two shards at a time; one that is split later is not listed yet."""
        self._simulation.sleep(self._rules.duration_s(self._chance))
        now_s = self._simulation.now_s
        listed = [shard for shard in self._stream.shards.values() if shard.opens_s <= now_s]
        names = [shard.name for shard in listed]
        start = names.index(asked["ExclusiveStartShardId"]) + 1 if "ExclusiveStartShardId" in asked else 0
        part = listed[start : start + 2]
        more = {"LastEvaluatedShardId": part[-1].name} if start + 2 < len(listed) else {}
        shards = [
            {"ShardId": one.name, "SequenceNumberRange": {}, **({"ParentShardId": one.parent} if one.parent else {})}
            for one in part
        ]
        return self._answer({"StreamDescription": {"Shards": shards, "StreamStatus": "ENABLED", **more}})

    def get_shard_iterator(self, **asked: Any) -> dict[str, Any]:
        """An iterator is the shard's name and the number of records before it."""
        self._simulation.sleep(self._rules.duration_s(self._chance))
        records, place = self._stream.shards[asked["ShardId"]].records, 0
        numbers = [int(record.sequence_number) for record in records]
        if asked["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER":
            place = bisect.bisect_right(numbers, int(asked["SequenceNumber"]))
        elif asked["ShardIteratorType"] == "AT_SEQUENCE_NUMBER":
            place = bisect.bisect_left(numbers, int(asked["SequenceNumber"]))
        else:
            assert asked["ShardIteratorType"] == "TRIM_HORIZON"
        return self._answer({"ShardIterator": f"{asked['ShardId']}@{place}"})

    def get_records(self, **asked: Any) -> dict[str, Any]:
        """What can be read now; no next iterator once all of a closed shard was read."""
        self._simulation.sleep(self._rules.duration_s(self._chance))
        name, _, place = asked["ShardIterator"].rpartition("@")
        shard, begin, now_s = self._stream.shards[name], int(place), self._simulation.now_s
        end = begin
        if self._chance.random() >= self._rules.empty_pages:
            last = min(len(shard.records), begin + asked["Limit"])
            while end < last and shard.records[end].readable_s <= now_s:
                end += 1
        is_over = shard.closes_s + 0.5 <= now_s and end == len(shard.records)
        following = {} if is_over else {"NextShardIterator": f"{name}@{end}"}
        return self._answer({"Records": [typed_record(one) for one in shard.records[begin:end]], **following})

    def _answer(self, content: dict[str, Any]) -> dict[str, Any]:
        date = formatdate(START_US / 1e6 + self._simulation.now_s, usegmt=True)
        return {**content, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}


def typed_record(record: Record) -> dict[str, Any]:
    """A record in typed JSON, as Lambda hands it over and as the fast path leaves it."""
    change = record.change
    image = {} if change.item is None else {"NewImage": change.item}
    return {
        "eventID": record.sequence_number,
        "eventName": record.kind,
        "eventSource": "aws:dynamodb",
        "eventSourceARN": STREAM_ARN,
        "dynamodb": {
            "ApproximateCreationDateTime": record.created_s,
            "Keys": {"id": {"S": change.key}},
            "SequenceNumber": record.sequence_number,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **image,
        },
    }


def _segment(key: str, total: int) -> int:
    return zlib.crc32(key.encode()[::-1]) % total
