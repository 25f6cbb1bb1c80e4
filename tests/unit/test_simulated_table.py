"""The simulated table and its stream: what the worlds of the property test are made of."""

import math
import random
from collections.abc import Callable
from typing import Any

from tests.support.simulated_table import (
    LONG_AGO_S,
    STREAM_ARN,
    TABLE,
    Change,
    History,
    HistoryRules,
    ReadRules,
    SimulatedClients,
    SimulatedStream,
    StreamRules,
    random_changes,
)
from tests.support.simulation import START_US, Simulation

RULES = HistoryRules(keys=60, seconds=40.0)


def item(number: int) -> dict[str, Any]:
    return {"id": {"S": "a"}, "n": {"N": str(number)}}


def changes(seed: int = 1) -> list[Change]:
    return random_changes(RULES, random.Random(seed))


def in_simulation(simulation: Simulation, work: Callable[[], Any], after_s: float = 0.0) -> Any:
    results: list[Any] = []
    simulation.spawn("test", lambda: results.append(work()), after_s=after_s)
    simulation.run(20)
    return results[0]


def clients(history: History, simulation: Simulation, **rules: Any) -> SimulatedClients:
    stream = SimulatedStream(history, StreamRules(seconds=RULES.seconds, splits=2), random.Random(1))
    return SimulatedClients(history, stream, simulation, random.Random(2), ReadRules(**rules))


def test_an_item_is_what_its_last_change_made_it() -> None:
    history = History([Change(1.0, "a", item(1)), Change(2.0, "a", None), Change(3.0, "a", item(3))])
    assert [history.item("a", at_s) for at_s in (0.5, 1.0, 1.5, 2.5, 9.0)] == [None, item(1), item(1), None, item(3)]
    assert history.final() == {"a": item(3)}


def test_the_same_seed_makes_the_same_history_and_nothing_absent_is_deleted() -> None:
    assert changes(1) == changes(1) != changes(2)
    there: set[str] = set()
    for change in changes():
        assert change.item is not None or change.key in there
        (there.discard if change.item is None else there.add)(change.key)
    assert sum(change.item is None for change in changes()) > 10


def test_the_stream_has_each_change_but_those_of_long_ago_in_the_order_of_its_shards() -> None:
    history = History(changes())
    stream = SimulatedStream(history, StreamRules(splits=2, disorder_s=1.5, seconds=RULES.seconds), random.Random(1))
    records = [record for shard in stream.shards.values() for record in shard.records]
    assert len(stream.shards) == 8
    assert sorted(record.change for record in records) == [one for one in history.changes if one.at_s != LONG_AGO_S]
    for shard in stream.shards.values():
        times = [record.change.at_s for record in shard.records]
        assert times == sorted(times)
        assert all(shard.opens_s <= time < shard.closes_s for time in times)
    off_s = [record.created_s - START_US / 1e6 - record.change.at_s for record in records]
    assert -2.5 <= min(off_s) < -1.5
    assert 0.5 < max(off_s) <= 1.5


def test_a_scan_by_segments_and_pages_gives_every_item_once() -> None:
    history, simulation = History(changes()), Simulation()
    reader = clients(history, simulation, stale_s=0.0)

    def scan() -> list[str]:
        found = []
        for segment in range(3):
            start: dict[str, Any] = {}
            while True:
                asked = {"Segment": segment, "TotalSegments": 3, "ConsistentRead": True, "Limit": 7, **start}
                page = reader.scan(**asked)
                found += [one["id"]["S"] for one in page["Items"]]
                if "LastEvaluatedKey" not in page:
                    break
                start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        return found

    assert sorted(in_simulation(simulation, scan, after_s=100.0)) == sorted(history.final())


def test_a_read_sees_each_item_as_it_was_while_the_read_lasted() -> None:
    history, simulation = History([Change(at_s / 10, "a", item(at_s)) for at_s in range(1_000)]), Simulation()
    reader = clients(history, simulation, long_share=1.0)
    asked = {TABLE: {"Keys": [{"id": {"S": "a"}}], "ConsistentRead": True}}

    def read() -> None:
        for _ in range(20):
            began_s = simulation.now_s
            answer = reader.batch_get_item(RequestItems=asked)
            if answer["Responses"][TABLE]:
                seen = int(answer["Responses"][TABLE][0]["n"]["N"])
                assert math.floor(began_s * 10) <= seen <= simulation.now_s * 10

    in_simulation(simulation, read, after_s=1.0)


def test_a_reader_of_all_shards_gets_every_record_at_its_time_and_the_end_of_closed_shards() -> None:
    history, simulation = History(changes()), Simulation()
    reader = clients(history, simulation)

    def read_all() -> tuple[int, int]:
        listed: list[str] = []
        start: dict[str, Any] = {}
        while True:
            described = reader.describe_stream(StreamArn=STREAM_ARN, **start)["StreamDescription"]
            listed += [shard["ShardId"] for shard in described["Shards"]]
            if "LastEvaluatedShardId" not in described:
                break
            start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}
        records = ended = 0
        for shard in listed:
            answer = reader.get_shard_iterator(ShardId=shard, ShardIteratorType="TRIM_HORIZON")
            token = answer["ShardIterator"]
            for _ in range(40):
                page = reader.get_records(ShardIterator=token, Limit=50)
                records += len(page["Records"])
                token = page.get("NextShardIterator")
                if token is None:
                    ended += 1
                    break
        return records, ended

    before = in_simulation(simulation, read_all, after_s=10.0)
    after = in_simulation(simulation, read_all, after_s=90.0)
    assert after == (sum(change.at_s != LONG_AGO_S for change in history.changes), 2)
    assert 0 < before[0] < after[0]
