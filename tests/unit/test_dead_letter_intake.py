"""A run takes the messages that were there when it began, each once, and ends though the queue grows."""

from collections.abc import Callable

from dynamo_opensearch.core.dead_letters.messages import Message
from dynamo_opensearch.core.dead_letters.replay.intake import Intake, IntakeSettings
from tests.support.fakes import NOW_US, FakeClock
from tests.support.memory_queue import MemoryQueue, QueueConsumer

BODIES = [f"body {number}" for number in range(25)]


class Taking:
    """One consumer: what it has taken is held until the test lets it go."""

    def __init__(self, most: int | None = None, others_s: float = 150.0, twice_share: float = 0.0) -> None:
        self.clock = FakeClock()
        self.queue = MemoryQueue(self.clock, twice_share=twice_share)
        self.source = self.queue.consumer()
        self.held: dict[str, Message] = {}
        settings = IntakeSettings(began_us=NOW_US, most=most, others_s=others_s)
        self.intake = Intake(settings, self.source, self.clock, lambda: len(self.held))

    def receive(self, most: int = 10, wait_s: float = 1.0) -> list[Message]:
        new, _ = self.intake.receive(most, wait_s)
        self.held |= {message.id: message for message in new}
        return new

    def to_the_end(self, on_poll: Callable[[], None] = lambda: None, limit: int = 1_000) -> list[Message]:
        """Poll until nothing more is to come."""
        taken: list[Message] = []
        for _ in range(limit):
            if self.intake.is_exhausted:
                return taken
            taken += self.receive()
            on_poll()
        raise AssertionError("it does not end")

    def delete_all(self) -> None:
        self.source.delete(list(self.held.values()))
        self.held.clear()


def died(queue: MemoryQueue, most: int) -> list[bool]:
    """A consumer that holds so many; its death is the test's."""
    is_alive = [True]
    assert len(queue.consumer(lambda: is_alive[0]).receive(most, 0)) == most
    return is_alive


def test_all_that_is_there_is_taken_once() -> None:
    taking = Taking()
    taking.queue.send(*BODIES)
    assert sorted(message.body for message in taking.to_the_end()) == sorted(BODIES)
    assert (taking.intake.again, taking.intake.newer) == (0, 0)


def test_an_empty_queue_is_asked_several_times_before_it_is_believed() -> None:
    taking = Taking()
    assert taking.receive() == []
    assert not taking.intake.is_exhausted
    taking.queue.send("late", sent_us=NOW_US)
    assert [message.body for message in taking.to_the_end()] == ["late"]


def test_a_run_ends_though_the_queue_grows_faster_than_it_is_emptied() -> None:
    taking = Taking()
    taking.queue.send(*BODIES)
    taking.clock.pass_s(1)

    def grow() -> None:
        taking.queue.send(*(f"more {taking.queue.sent}" for _ in range(20)))

    taken = taking.to_the_end(grow, limit=100)
    assert {message.body for message in taken} >= set(BODIES)
    assert taking.intake.newer == len(taken) - len(BODIES) > 0
    assert taking.clock.monotonic_s() < 1_000 + 100, "it does not wait for others: nobody else is there"


def test_a_run_ends_though_a_new_message_comes_now_and_then() -> None:
    taking = Taking()
    taking.clock.pass_s(1)
    polls = 0

    def drip() -> None:
        nonlocal polls
        polls += 1
        taking.delete_all()
        if polls % 2:
            taking.queue.send(f"more {polls}")

    taking.to_the_end(drip, limit=100)
    assert taking.intake.newer > 0


def test_no_more_are_taken_than_were_asked_for() -> None:
    taking = Taking(most=7)
    taking.queue.send(*BODIES)
    assert [len(taking.receive(5)) for _ in range(3)] == [5, 2, 0]
    assert taking.intake.is_exhausted
    assert taking.queue.depth().visible == len(BODIES) - 7


def test_none_are_taken_where_none_were_asked_for() -> None:
    taking = Taking(most=0)
    taking.queue.send(*BODIES)
    assert taking.to_the_end() == []
    assert taking.queue.depth().in_flight == 0


def test_a_message_that_comes_again_is_told_apart_and_counts_once() -> None:
    taking = Taking(most=4)
    taking.queue.send("a", "b", "c", "d", "e")
    first = taking.receive(2)
    taking.source.release(first)
    new, repeated = taking.intake.receive(2, 1)
    assert new == []
    assert [message.id for message in repeated] == [message.id for message in first]
    assert (taking.intake.again, taking.intake.is_exhausted) == (2, False)
    taking.source.delete(first)
    assert [message.body for message in taking.receive(5)] == ["c", "d"]


class Stuttering(QueueConsumer):
    """Hands out each message twice in one answer."""

    def receive(self, most: int, wait_s: float) -> list[Message]:
        return [message for message in super().receive(most, wait_s) for _ in range(2)]


def test_a_message_that_comes_twice_at_once_is_new_once() -> None:
    taking = Taking()
    taking.intake._source = Stuttering(taking.queue, lambda: True)
    taking.queue.send("a", "b")
    new, repeated = taking.intake.receive(10, 1)
    assert ([message.body for message in new], repeated) == (["a", "b"], [])
    assert taking.intake.again == 2


def test_messages_that_somebody_else_holds_are_waited_for_and_come_back_when_that_one_is_dead() -> None:
    taking = Taking()
    taking.queue.send(*BODIES)
    is_alive = died(taking.queue, 5)

    def die() -> None:
        is_alive[0] = taking.clock.monotonic_s() < 1_040

    assert len(taking.to_the_end(die)) == len(BODIES)
    assert taking.clock.monotonic_s() >= 1_040 + taking.queue.visibility_s


def test_messages_that_somebody_else_works_on_are_not_waited_for_without_end() -> None:
    taking = Taking(others_s=150)
    taking.queue.send(*BODIES)
    died(taking.queue, 5)
    assert len(taking.to_the_end()) == len(BODIES) - 5
    assert 150 <= taking.clock.monotonic_s() - 1_000 <= 160


def test_what_this_consumer_holds_itself_is_not_waited_for() -> None:
    taking = Taking()
    taking.queue.send(*BODIES)
    assert len(taking.to_the_end()) == len(BODIES)
    assert len(taking.held) == len(BODIES)
    assert taking.clock.monotonic_s() - 1_000 < 10


def test_messages_that_come_again_after_they_were_deleted_do_not_make_a_run_endless() -> None:
    taking = Taking(twice_share=0.3)
    taking.queue.send(*BODIES)
    taken = taking.to_the_end(taking.delete_all, limit=400)
    assert sorted(message.body for message in taken) == sorted(BODIES)
