"""What a replay cannot replay is kept whole, on the real servers: garbage, records that the stream has lost, poison."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from dynamo_opensearch.core.dead_letters.parking import Parking, clear_covered
from dynamo_opensearch.core.dead_letters.replay.consumer import Replay
from dynamo_opensearch.core.dead_letters.replay.report import ReplayReport
from dynamo_opensearch.core.dead_letters.stored_messages import ParkedMessages
from dynamo_opensearch.operators.dead_letter_files import ObjectStorageParking
from tests.support.dead_letter_rig import DeadLetterRig, MakeDeadLetterRig
from tests.support.failing_indexer import fail_on, record_of
from tests.support.rig import small_item
from tests.support.trimmable import TrimmableServer, trimmable_ministack

OTHER_TABLE = json.dumps(
    {
        "eventName": "INSERT",
        "eventSourceARN": "arn:aws:dynamodb:eu-central-1:000000000000:table/others/stream/2026-01-01T00:00:00.000",
        "dynamodb": {"Keys": {"id": {"S": "k0001"}}},
    }
)
GARBAGE = ("no JSON: \u00e4\U0001f600", '{"of": "another kind"}', OTHER_TABLE, "x" * 250_000)


@pytest.fixture
def parking(tmp_path: Path) -> Parking:
    """In files, as in production."""
    return ObjectStorageParking(ObjectStoragePath(f"file://{tmp_path}/parked"))


@pytest.fixture
def trimmable(tmp_path: Path) -> Iterator[TrimmableServer]:
    with trimmable_ministack(tmp_path) as server:
        yield server


def replayed(letters: DeadLetterRig, parking: Parking, **settings: Any) -> ReplayReport:
    """A replay of the queue."""
    with letters.queue() as queue:
        ports = letters.replay_ports(queue, parking=parking)
        return Replay(letters.replay_settings(letters.intake(), **settings), ports).run()


def parked_bodies(parking: Parking) -> list[str]:
    found = (parking.get(name) for name in parking.names())
    return sorted(str(one.message.body) for one in found if one is not None)


def numbers_of(body: str) -> tuple[str, str]:
    batch = json.loads(body)["DDBStreamBatchInfo"]
    return batch["startSequenceNumber"], batch["endSequenceNumber"]


def keys_between(letters: DeadLetterRig, is_meant: Callable[[str], bool]) -> set[str]:
    """Keys of the stream's records with such sequence numbers, by plain boto3, in whatever shard."""
    keys: set[str] = set()
    for shard in letters.streams.describe_stream(StreamArn=letters.arn)["StreamDescription"]["Shards"]:
        where = {"StreamArn": letters.arn, "ShardId": shard["ShardId"]}
        token = letters.streams.get_shard_iterator(**where, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while token and (page := letters.streams.get_records(ShardIterator=token))["Records"]:
            changes = [record["dynamodb"] for record in page["Records"]]
            keys |= {one["Keys"]["id"]["S"] for one in changes if is_meant(one["SequenceNumber"])}
            token = page.get("NextShardIterator")
    return keys


def test_garbage_is_parked_as_it_was_and_the_rest_is_replayed(
    make_dead_letters: MakeDeadLetterRig, parking: Parking
) -> None:
    letters = make_dead_letters()
    fail_on(letters, range(200), batch_size=5)
    letters.send(*GARBAGE[:3])
    letters.send(GARBAGE[3])

    report = replayed(letters, parking)

    assert (letters.depth(), letters.rig.differences()) == ((0, 0), [])
    assert (report.received, report.replayed, report.parked, report.left) == (44, 40, 4, 0)
    assert parked_bodies(parking) == sorted(GARBAGE)
    assert report.kinds == {"not understood": 4}


def test_of_a_trimmed_shard_everything_but_the_parked_keys_is_replayed(
    trimmable: TrimmableServer, make_dead_letters: MakeDeadLetterRig, parking: Parking
) -> None:
    letters = make_dead_letters(direct_dynamodb=trimmable.server.url)
    fail_on(letters, range(200), batch_size=10)
    bodies = sorted(letters.bodies(), key=numbers_of)
    assert len(bodies) == 20
    cut_first, cut_last = numbers_of(bodies[7])
    cut = keys_between(letters, lambda number: cut_first <= number <= cut_last)
    gone = keys_between(letters, lambda number: number <= cut_first)
    assert (len(cut), len(gone)) == (10, 71)
    trimmable.trim_to(cut_first)

    report = replayed(letters, parking)

    assert letters.depth() == (0, 0)
    assert (report.received, report.replayed, report.parked, report.left) == (20, 12, 8, 0)
    assert report.kinds == {"lost by the stream": 8}
    assert parked_bodies(parking) == sorted(bodies[:8])
    assert set(letters.rig.documents()) == {f"k{number:04}" for number in range(200)} - gone
    kept = {name for one in report.samples for name in one.ids}
    assert kept == cut - gone, "what is left of the half message is told by its keys"


def test_what_the_stream_has_lost_stays_parked_until_a_later_reconciliation_of_all_content_has_passed(
    trimmable: TrimmableServer, make_dead_letters: MakeDeadLetterRig, parking: Parking
) -> None:
    letters = make_dead_letters(direct_dynamodb=trimmable.server.url)
    began_before_us = letters.rig.clock.time_us()
    fail_on(letters, range(30), batch_size=10)
    trimmable.trim_to(max(numbers_of(body)[1] for body in letters.bodies()))
    letters.send(GARBAGE[0])
    assert replayed(letters, parking).parked == 4
    stamps = letters.rig.stamps
    assert clear_covered(parking, began_before_us, stamps) == 0
    assert len(list(parking.names())) == 4

    began_after_us = stamps.done_after_us(letters.rig.clock.time_us()) + 1
    assert clear_covered(parking, began_after_us, stamps) == 3
    assert parked_bodies(parking) == [GARBAGE[0]]
    assert clear_covered(parking, began_after_us, stamps) == 0


def test_a_parked_message_is_replayed_from_its_file_once_it_can_be_understood(
    make_dead_letters: MakeDeadLetterRig, parking: Parking
) -> None:
    letters = make_dead_letters()
    letters.rig.put([small_item(1), small_item(2)])
    letters.send("no JSON", "no JSON either")
    assert replayed(letters, parking).parked == 2
    name = next(parking.names())
    kept = parking.get(name)
    assert kept is not None
    mended = kept.to_json()
    mended["message"]["body"] = record_of(letters, 1)
    parking.put(type(kept).from_json(mended))

    ports = letters.replay_ports(ParkedMessages(parking), parking=None)
    report = Replay(letters.replay_settings(letters.intake()), ports).run()

    assert set(letters.rig.documents()) == {"k0001"}
    assert len(parked_bodies(parking)) == 1
    assert parked_bodies(parking)[0] in ("no JSON", "no JSON either")
    assert report.left == 1


def receive_in_vain(letters: DeadLetterRig, times: int) -> None:
    """Every message is received so often by somebody who gives it back."""
    for _ in range(times):
        letters.bodies()


def test_what_was_received_too_often_is_parked_unread_and_mere_looks_do_not_count(
    make_dead_letters: MakeDeadLetterRig, parking: Parking
) -> None:
    letters = make_dead_letters()
    letters.rig.put([small_item(number) for number in range(12)])
    letters.send(*(record_of(letters, number) for number in range(10)))
    receive_in_vain(letters, 3)
    letters.send(*(record_of(letters, number) for number in (10, 11)))

    report = replayed(letters, parking, max_receives=3)

    assert (report.replayed, report.parked, report.kinds) == (2, 10, {"received too often": 10})
    assert set(letters.rig.documents()) == {"k0010", "k0011"}
    history = [parking.get(name) for name in parking.names()]
    assert {(one.message.receives, one.message.first_received_us is not None) for one in history if one} == {(4, True)}


def test_three_dry_runs_bring_no_message_nearer_to_the_parking_place(
    make_dead_letters: MakeDeadLetterRig, parking: Parking
) -> None:
    letters = make_dead_letters()
    letters.rig.put([small_item(number) for number in range(10)])
    letters.send(*(record_of(letters, number) for number in range(10)))
    bodies = letters.bodies()  # one receive that counts
    for _ in range(3):
        with letters.peek() as looking:
            looking.through()
        assert letters.depth() == (10, 0)
    assert (letters.rig.documents(), list(parking.names())) == ({}, [])

    report = replayed(letters, parking, max_receives=2)

    assert (len(bodies), report.replayed, report.parked) == (10, 10, 0)
    assert letters.rig.differences() == []
