"""Looking at dead letters: everything is found, nothing is touched, all is given back."""

from collections.abc import Iterator

import pytest

from dynamo_opensearch.core.dead_letters.messages import Message
from dynamo_opensearch.core.dead_letters.replay import peek
from dynamo_opensearch.core.dead_letters.samples import dead_letter_samples
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.errors import ServiceUnavailableError
from tests.support.memory_queue import QueueConsumer
from tests.support.replayed import LIVE, Replayed

GARBAGE = "this is no JSON"


@pytest.fixture
def letters() -> Replayed:
    made = Replayed()
    made.fail("a", "b", "a")
    made.fail_batch("c", "d", "a")
    made.queue.send(GARBAGE)
    return made


def names(groups: Iterator[list[tuple[object, ...]]]) -> list[str]:
    return [document_id(key) for keys in groups for key in keys]  # type: ignore[arg-type]


def test_every_key_is_found_once_and_every_message_is_visible_again(letters: Replayed) -> None:
    bodies = letters.queue.bodies()
    looking = letters.peek()
    assert sorted(names(looking.groups())) == ["a", "b", "c", "d"]  # type: ignore[arg-type]
    report = looking.report
    assert (report.received, report.left, report.replayed, report.parked) == (5, 5, 0, 0)
    assert (report.events, report.keys) == (6, 4)
    assert report.shapes == {"record": 3, "on-failure": 1, "not understood": 1}
    assert report.reasons == {"not understood: not JSON": 1}
    assert [one.id for one in report.samples] == ["m00004"]
    assert letters.queue.bodies() == bodies
    assert letters.queue.depth().visible == 5


def test_nothing_is_written(letters: Replayed) -> None:
    letters.peek().through()
    assert letters.cluster.documents(LIVE) == {}
    assert (letters.cluster.bulks, letters.parking.parked, letters.sinks) == ([], {}, {})
    assert letters.table.reads == []


def test_the_messages_are_invisible_to_others_while_they_are_looked_at(letters: Replayed) -> None:
    looking = letters.peek().groups()
    next(looking)
    assert letters.queue.depth().in_flight == 5
    looking.close()  # type: ignore[attr-defined]
    assert letters.queue.depth().visible == 5


def test_no_more_are_looked_at_than_are_asked_for(letters: Replayed) -> None:
    report = letters.peek(most=2).through()
    assert (report.received, report.left) == (2, 2)
    assert letters.queue.depth().visible == 5


def test_memory_is_bounded(letters: Replayed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peek, "MOST_HELD", 3)
    assert letters.peek().through().received == 3
    assert letters.queue.depth().visible == 5


def test_a_failure_in_between_gives_all_back(letters: Replayed) -> None:
    class Failing(QueueConsumer):
        def receive(self, most: int, wait_s: float) -> list[Message]:
            if self.queue.depth().in_flight:
                raise ServiceUnavailableError("SQS", "receive", 1, 0.0, "gone")
            return super().receive(2, wait_s)

    with pytest.raises(ServiceUnavailableError):
        letters.peek(Failing(letters.queue, lambda: True)).through()
    assert letters.queue.depth().visible == 5


def test_a_look_is_noted_before_the_first_receive(letters: Replayed) -> None:
    class Killed(BaseException):
        pass

    class Dying(QueueConsumer):
        def receive(self, most: int, wait_s: float) -> list[Message]:
            super().receive(most, wait_s)
            raise Killed

    with pytest.raises(Killed):
        letters.peek(Dying(letters.queue, lambda: False)).through()
    letters.clock.pass_s(60)
    assert letters.replay(max_receives=1).parked == 1, "only what is not understood"
    assert [one.kind for one in letters.parking.parked.values()] == ["not understood"]


def test_a_message_that_comes_twice_while_it_is_looked_at_does_not_count_twice_either(letters: Replayed) -> None:
    class Twice(QueueConsumer):
        def receive(self, most: int, wait_s: float) -> list[Message]:
            found = super().receive(most, wait_s)
            if self.queue.clock.monotonic_s() < 1_002:
                self.release(found)
                self.queue.clock.sleep(1)
            return found

    report = letters.peek(Twice(letters.queue, lambda: True)).through()
    assert report.received == 5
    assert {one.receives for one in letters.queue.stored} == {3}
    assert letters.replay(max_receives=1).kinds == {"not understood": 1}


def test_a_mapping_is_tried_on_the_items_as_they_are_now(letters: Replayed) -> None:
    letters.remove("b")
    sources = list(dead_letter_samples(letters.peek(), letters.table))  # type: ignore[arg-type]
    assert [source.name for source in sources] == ["the dead letters"]
    found = [item["id"]["S"] for source in sources for item in source.items()]
    assert sorted(found) == ["a", "c", "d"]
    assert letters.queue.depth().visible == 5
