"""A consumer of dead letters on servers in memory: what it lets go of, when, and what a death leaves behind."""

import json
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from dynamo_opensearch.core.dead_letters.messages import Message
from dynamo_opensearch.core.dead_letters.parking import ParkedMessage
from dynamo_opensearch.core.dead_letters.replay.dry_receives import note_dry_receives
from dynamo_opensearch.core.look.living import NoLivingIndexError
from tests.support.dead_letter_stores import MemoryParking
from tests.support.followed import ALIAS, NEXT, PREVIOUS
from tests.support.memory_queue import QueueConsumer
from tests.support.replayed import LIVE, Replayed

HOUR_US = 3_600_000_000
KEPT, COMING = "members-v0", "members-v2"
GARBAGE = "this is no JSON"


@pytest.fixture
def letters() -> Replayed:
    return Replayed()


class Watching(QueueConsumer):
    """Notes, before each deletion, what is true of the messages that go."""

    def __init__(self, letters: Replayed) -> None:
        super().__init__(letters.queue, lambda: True)
        self.letters = letters
        self.deleted: list[Message] = []
        self.notes: list[tuple[str, bool]] = []

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        self.deleted += messages
        self.notes += [(message.body, self.is_safe(message)) for message in messages]
        return super().delete(messages)

    def is_safe(self, message: Message) -> bool:
        return self.letters.parking.get(message.id) is not None or all(
            self.letters.is_in(key, index) for key in keys_of(message.body) for index in self.letters.cluster.indices
        )


def keys_of(body: str) -> list[str]:
    return [json.loads(body)["dynamodb"]["Keys"]["id"]["S"]] if "Keys" in body else []


def test_every_message_is_replayed_deleted_and_reported(letters: Replayed) -> None:
    letters.fail("a", "b", "a")
    letters.fail_batch("c", "d", "a")
    letters.fail("gone")
    letters.remove("gone")
    report = letters.replay()
    assert letters.queue.stored == []
    assert letters.cluster.documents(LIVE) == letters.expected()
    assert (report.received, report.replayed, report.events, report.keys) == (5, 5, 7, 5)
    assert report.shapes == {"record": 4, "on-failure": 1}
    assert report.looks == report.offer.offered == 10, "each key is looked at at once, and again when that is due"
    assert (report.offer.indexed, report.offer.deleted) == (8, 2)


def test_an_event_that_failed_a_second_after_another_one_was_indexed_is_not_lost(letters: Replayed) -> None:
    letters.put("a", "old")
    letters.cluster.indices[LIVE]["a"] = (letters.clock.time_us(), {"id": "a", "value": "old"})
    letters.clock.pass_s(1)
    letters.fail("a")
    report = letters.replay()
    assert letters.cluster.documents(LIVE) == letters.expected()
    assert (report.offer.stale, report.offer.indexed) == (1, 1)


def test_an_old_message_needs_one_look(letters: Replayed) -> None:
    letters.put("a")
    letters.queue.send(letters.letter("a", letters.clock.time_us() - HOUR_US))
    assert letters.replay().looks == 1
    assert letters.is_in("a")


def test_what_is_to_be_looked_at_now_does_not_wait_for_an_empty_queue(letters: Replayed) -> None:
    for number in range(20):
        letters.put(f"k{number}")
    letters.queue.send(*(letters.letter(f"k{number}", letters.clock.time_us() - HOUR_US) for number in range(20)))
    began_s = letters.clock.monotonic_s()
    deleted_s: list[float] = []

    class Timed(QueueConsumer):
        def delete(self, messages: Sequence[Message]) -> list[Message]:
            deleted_s.append(letters.clock.monotonic_s() - began_s)
            return super().delete(messages)

    letters.replay(Timed(letters.queue, lambda: True), keys_per_pass=2)
    assert letters.queue.stored == []
    assert len(deleted_s) == 10
    assert deleted_s[-1] < 1


def test_nothing_is_deleted_before_it_is_done_in_every_living_index(letters: Replayed) -> None:
    letters.cluster.create(KEPT, PREVIOUS)
    letters.cluster.create(COMING, NEXT)
    letters.fail(*"abc")
    letters.queue.send(GARBAGE)
    source = Watching(letters)
    letters.replay(source)
    assert letters.clock.steady_s > 1_013, "the second looks were waited for"
    assert source.notes == [(one, True) for one, _ in source.notes]
    assert len(source.notes) == 4


def test_a_message_is_in_the_parking_place_before_it_is_deleted(letters: Replayed) -> None:
    letters.queue.send(GARBAGE)
    source = Watching(letters)
    report = letters.replay(source, run_id="manual")
    assert source.notes == [(GARBAGE, True)]
    (parked,) = letters.parking.parked.values()
    assert (parked.message.body, parked.kind, parked.run_id) == (GARBAGE, "not understood", "manual")
    assert (report.parked, report.waiting, report.kinds) == (1, 0, {"not understood": 1})


def test_what_cannot_be_parked_is_not_deleted(letters: Replayed) -> None:
    class Full(MemoryParking):
        def put(self, parked: ParkedMessage) -> None:
            raise OSError("no space")

    letters.queue.send(GARBAGE)
    with pytest.raises(OSError, match="no space"):
        letters.replay(ports={"parking": Full()})
    assert letters.queue.bodies() == [GARBAGE]


def test_what_an_index_refuses_is_written_to_its_rejects_before_the_message_goes(letters: Replayed) -> None:
    letters.cluster.refused = {LIVE: {"bad"}}
    letters.fail("bad", "good")
    seen: list[dict[str, Any]] = []

    class Reading(QueueConsumer):
        def delete(self, messages: Sequence[Message]) -> list[Message]:
            seen.extend(orjson.loads(line) for part in letters.sinks[LIVE].parts.values() for line in part.splitlines())
            return super().delete(messages)

    report = letters.replay(Reading(letters.queue, lambda: True))
    assert [one["id"] for one in seen] == ["bad"]
    assert letters.queue.stored == []
    assert (report.replayed, report.refused) == (2, 1), "counted once, though it was looked at twice"
    assert report.offer.rejected == 2


def test_of_a_range_that_was_trimmed_in_part_the_rest_is_indexed_before_the_message_is_parked(
    letters: Replayed,
) -> None:
    body = letters.fail_batch("a", "b", "c")
    letters.stream.shards["s1"].trimmed = 1
    report = letters.replay()
    assert sorted(letters.cluster.documents(LIVE)) == ["b", "c"]
    (parked,) = letters.parking.parked.values()
    assert (parked.message.body, parked.kind, parked.ids) == (body, "lost by the stream", ("b", "c"))
    assert (report.parked, report.waiting, letters.queue.stored) == (1, 1, [])


def test_a_message_that_was_received_too_often_is_parked_unread_with_its_history(letters: Replayed) -> None:
    letters.put("a")
    letters.queue.send(letters.letter("a"), receives=3)
    letters.queue.send(letters.letter("a"), receives=2)
    report = letters.replay(max_receives=3)
    (parked,) = letters.parking.parked.values()
    assert (parked.kind, parked.shape, parked.message.receives) == ("received too often", "not read", 4)
    assert (report.replayed, report.parked) == (1, 1)


def test_receives_of_those_who_only_look_do_not_count(letters: Replayed) -> None:
    letters.put("a")
    letters.queue.send(letters.letter("a"), receives=1)
    for _ in range(3):
        letters.peek().through()
    assert letters.replay(max_receives=2).replayed == 1
    assert letters.parking.parked == {}


def test_receives_of_one_who_began_to_look_while_the_replay_went_on_do_not_count_either(letters: Replayed) -> None:
    letters.put("a")

    class Late(QueueConsumer):
        def receive(self, most: int, wait_s: float) -> list[Message]:
            if not self.queue.sent:
                note_dry_receives(letters.dry.handle(), letters.clock)
                self.queue.send(letters.letter("a"), receives=2, sent_us=letters.clock.time_us())
            return super().receive(most, wait_s)

    assert letters.replay(Late(letters.queue, lambda: True), max_receives=2).replayed == 1


def test_what_sqs_hands_over_again_after_it_was_deleted_is_deleted_again(letters: Replayed) -> None:
    letters.fail(*"abcdefgh")
    letters.queue.twice_share = 0.6
    report = letters.replay()
    assert letters.queue.stored == []
    assert (report.received, report.replayed) == (8, 8)
    assert report.again > 0


class Refusing(QueueConsumer):
    """The first deletion is refused, as by an old receipt; the messages come again."""

    refusals = 1

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        if self.refusals:
            self.refusals -= 1
            self.release(messages)
            return []
        return super().delete(messages)


def test_what_could_not_be_deleted_counts_as_left_and_is_deleted_when_it_comes_again(letters: Replayed) -> None:
    for key in "ab":
        letters.put(key)
        letters.queue.send(letters.letter(key, letters.clock.time_us() - HOUR_US))
    report = letters.replay(Refusing(letters.queue, lambda: True))
    assert (report.received, report.replayed, report.left, report.again) == (2, 0, 2, 2)
    assert letters.queue.stored == []
    assert letters.cluster.documents(LIVE) == letters.expected()


def test_without_a_parking_place_what_is_not_understood_stays_though_it_comes_again(letters: Replayed) -> None:
    class Again(QueueConsumer):
        def receive(self, most: int, wait_s: float) -> list[Message]:
            if self.queue.clock.monotonic_s() < 1_003:
                self.release([Message(id=one.id, body=one.body) for one in self.queue.stored])
                self.queue.clock.sleep(1)
            return super().receive(most, wait_s)

    letters.queue.send(GARBAGE)
    report = letters.replay(Again(letters.queue, lambda: True), ports={"parking": None}, others_s=0)
    assert letters.queue.bodies() == [GARBAGE]
    assert (report.left, report.parked, report.again) == (1, 0, 2)
    assert list(report.reasons) == ["not understood: not JSON"]
    assert [one.id for one in report.samples] == ["m00000"]


def test_an_alias_that_moves_in_mid_run_leaves_no_index_behind(letters: Replayed) -> None:
    """A rebuild swaps between the first look's read and its write, and is rolled back so at the second look."""
    letters.cluster.create(COMING, NEXT)
    letters.rules = {COMING: {"renames": {"value": "text"}}}
    letters.fail(*"abc")
    moves = [{LIVE: {PREVIOUS}, COMING: {ALIAS}}, {LIVE: {ALIAS}, COMING: {PREVIOUS}}]

    def move(alias: str, ids: list[str]) -> None:
        if len(moves) == 2 or (moves and letters.clock.steady_s > 1_013):
            letters.cluster.aliases = moves.pop(0)

    letters.cluster.before_bulk = move
    letters.replay()
    assert moves == []
    assert letters.cluster.documents(LIVE) == letters.expected()
    renamed = {key: {"id": one["id"], "text": one["value"]} for key, one in letters.expected().items()}
    assert letters.cluster.documents(COMING) == renamed
    assert letters.queue.stored == []


def test_an_index_that_is_deleted_in_mid_run_is_owed_nothing(letters: Replayed) -> None:
    letters.cluster.create(KEPT, PREVIOUS)
    letters.fail(*"abc")

    def delete(alias: str, ids: list[str]) -> None:
        if alias == PREVIOUS and KEPT in letters.cluster.indices:
            letters.cluster.delete(KEPT)

    letters.cluster.before_bulk = delete
    assert letters.replay().replayed == 3
    assert letters.cluster.documents(LIVE) == letters.expected()


def test_without_a_living_index_nothing_is_let_go_of(letters: Replayed) -> None:
    letters.fail("a")
    letters.cluster.delete(LIVE)
    with pytest.raises(NoLivingIndexError, match=ALIAS):
        letters.replay()
    assert len(letters.queue.stored) == 1


def test_no_more_messages_are_taken_than_are_asked_for(letters: Replayed) -> None:
    letters.fail(*(f"k{number}" for number in range(30)))
    report = letters.replay(most=12)
    assert (report.replayed, len(letters.queue.stored)) == (12, 18)
    assert letters.queue.depth().in_flight == 0


def test_memory_is_bounded_by_messages_and_keys_whatever_the_queue_holds(letters: Replayed) -> None:
    letters.fail(*(f"k{number:03}" for number in range(200)))
    held: list[int] = []

    class Counting(QueueConsumer):
        def receive(self, most: int, wait_s: float) -> list[Message]:
            found = super().receive(most, wait_s)
            held.append(self.queue.depth().in_flight)
            return found

    bounds: dict[str, Any] = {"most_held": 40, "messages_per_pass": 15, "keys_per_pass": 7, "most_pending": 30}
    report = letters.replay(Counting(letters.queue, lambda: True), **bounds)
    assert report.replayed == 200
    assert max(held) <= 44, "keys are counted when the messages are in"
    assert letters.cluster.documents(LIVE) == letters.expected()
