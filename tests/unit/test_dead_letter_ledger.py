"""Which messages are done: nothing goes before each change that it names has had its last look."""

import random
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.dead_letters.messages import KeyEvent
from dynamo_opensearch.core.dead_letters.replay.ledger import MessageLedger
from dynamo_opensearch.core.stamps import StampRule

STAMPS = StampRule(stream_rounding_s=1.0, margin_s=6.0)
SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
DUE_S = 13


def ledger() -> MessageLedger:
    return MessageLedger(STAMPS.done_after_us)


def event(name: str, event_us: int | None = NOW) -> KeyEvent:
    return KeyEvent(({"S": name},), event_us)


def look(one: MessageLedger, now_us: int, *names: str) -> list[str]:
    """Look at these, or at all that is wanted now; the messages that are done by it."""
    found = names or tuple(wanted.id for wanted in one.to_look_at(now_us, 100))
    one.acknowledge(found, now_us)
    return one.take_done()


def test_a_message_waits_for_every_key_that_it_names() -> None:
    one = ledger()
    old = NOW - 3_600 * SECOND
    one.enter("m", [event("a", old), event("b", old), event("c", old)], NOW)
    assert (one.fresh, one.pending, one.keys) == (3, 3, 3)
    assert look(one, NOW + 1, "a", "c") == []
    assert look(one, NOW + 2, "b") == ["m"]
    assert (one.fresh, one.pending, one.take_done()) == (0, 0, [])


def test_an_event_of_just_now_is_looked_at_at_once_and_again_after_two_margins_and_the_rounding() -> None:
    one = ledger()
    one.enter("m", [event("a")], NOW)
    assert look(one, NOW + 1) == []
    assert one.next_due_us == NOW + DUE_S * SECOND
    assert one.to_look_at(NOW + DUE_S * SECOND, 100) == []
    assert look(one, NOW + DUE_S * SECOND + 1) == ["m"]


def test_an_event_without_a_time_counts_as_one_of_now() -> None:
    one = ledger()
    one.enter("m", [event("a", None)], NOW)
    assert look(one, NOW + 1) == []
    assert one.next_due_us == NOW + DUE_S * SECOND


def test_of_several_events_of_a_key_in_a_message_the_latest_decides() -> None:
    one = ledger()
    one.enter("m", [event("a", NOW - 60 * SECOND), event("a", NOW), event("a", NOW - 30 * SECOND)], NOW)
    assert look(one, NOW + 1) == []
    assert look(one, NOW + DUE_S * SECOND + 1) == ["m"]


def test_one_look_is_for_all_messages_of_the_key() -> None:
    one = ledger()
    for number in range(5):
        one.enter(f"m{number}", [event("a", NOW - number * SECOND)], NOW)
    assert (one.fresh, one.pending) == (1, 1)
    assert look(one, NOW + 1) == []
    assert look(one, NOW + (DUE_S - 2) * SECOND, "a") == ["m3", "m4"]
    assert look(one, NOW + DUE_S * SECOND + 1, "a") == ["m0", "m1", "m2"]


def test_a_message_that_names_nothing_is_done_at_once() -> None:
    one = ledger()
    one.enter("m", [], NOW)
    assert one.take_done() == ["m"]


def test_a_later_message_of_a_key_that_was_looked_at_late_enough_needs_no_look() -> None:
    one = ledger()
    one.enter("first", [event("a", NOW - 60 * SECOND)], NOW)
    assert look(one, NOW + 1) == ["first"]
    one.enter("second", [event("a", NOW - 50 * SECOND)], NOW)
    assert one.take_done() == ["second"]
    assert (one.fresh, one.keys) == (0, 1)


def test_keys_are_numbers_or_texts_and_one_number_is_one_key() -> None:
    one = ledger()
    events = [KeyEvent(({"N": text},), NOW - 60 * SECOND) for text in ("1", "1.0", "1e0")]
    one.enter("m", events, NOW)
    assert one.pending == 1
    assert look(one, NOW + 1) == ["m"]


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_random_messages_are_done_when_and_only_when_each_event_had_a_look_that_began_late_enough(seed: int) -> None:
    chance, one = random.Random(seed), ledger()
    now_us = NOW
    named: dict[str, list[tuple[str, int]]] = {}
    looks: dict[str, int] = defaultdict(int)
    for step in range(120):
        now_us += chance.randrange(3 * SECOND)
        if step < 60:
            events = [
                event(chance.choice("abcdef"), chance.choice([None, now_us - chance.randrange(20 * SECOND)]))
                for _ in range(chance.randrange(5))
            ]
            named[f"m{step}"] = [(str(each.key[0]["S"]), each.event_us or now_us) for each in events]
            one.enter(f"m{step}", events, now_us)
        wanted = [each.id for each in one.to_look_at(now_us, chance.randrange(1, 8))]
        if chance.random() < 0.8:
            one.acknowledge(wanted, now_us)
            looks |= dict.fromkeys(wanted, now_us)
        done = set(one.take_done())
        for message, events_of in list(named.items()):
            has_all = all(looks[name] > STAMPS.done_after_us(event_us) for name, event_us in events_of)
            assert (message in done) == has_all, "it is let go of at the very moment"
            if has_all:
                del named[message]
    assert named == {}
    assert one.pending == 0
