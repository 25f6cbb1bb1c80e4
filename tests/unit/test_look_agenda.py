"""Which keys need a look, now or later, and which events are done."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.look.agenda import LookAgenda

MOST = 100


def key(name: str) -> KeyValues:
    return ({"S": name},)


def owe(agenda: LookAgenda, name: str, due_us: int) -> None:
    agenda.owe(name, key(name), due_us)


def wanted(agenda: LookAgenda, now_us: int, most: int = MOST) -> dict[str, bool]:
    """Names, and whether it is for an event that was not looked at yet."""
    return {one.id: one.is_first for one in agenda.to_look_at(now_us, most)}


def test_an_event_is_looked_at_at_once_and_again_after_its_due_time() -> None:
    agenda = LookAgenda()
    owe(agenda, "a", due_us=100)
    assert wanted(agenda, 10) == {"a": True}
    agenda.acknowledge(["a"], 10)
    assert not agenda.is_done("a", 100)
    assert (agenda.fresh, agenda.next_due_us) == (0, 100)
    assert wanted(agenda, 100) == {}
    assert wanted(agenda, 101) == {"a": False}
    agenda.acknowledge(["a"], 101)
    assert agenda.is_done("a", 100)
    agenda.settle("a")
    assert (wanted(agenda, 1_000), agenda.next_due_us) == ({}, None)


def test_an_old_event_needs_one_look() -> None:
    agenda = LookAgenda()
    owe(agenda, "a", due_us=100)
    agenda.acknowledge(["a"], 101)
    assert agenda.is_done("a", 100)
    agenda.settle("a")
    assert wanted(agenda, 1_000) == {}


def test_a_look_that_began_at_the_due_time_itself_is_not_late_enough() -> None:
    agenda = LookAgenda()
    owe(agenda, "a", due_us=100)
    agenda.acknowledge(["a"], 100)
    assert not agenda.is_done("a", 100)


def test_what_was_not_acknowledged_is_wanted_again() -> None:
    agenda = LookAgenda()
    owe(agenda, "a", due_us=100)
    assert wanted(agenda, 10) == wanted(agenda, 11) == {"a": True}
    agenda.acknowledge(["a"], 11)
    assert wanted(agenda, 101) == wanted(agenda, 102) == {"a": False}


def test_one_second_look_is_for_all_events_of_the_key_that_are_due() -> None:
    agenda = LookAgenda()
    for due_us in (100, 150, 120):
        owe(agenda, "a", due_us)
    agenda.acknowledge(["a"], 10)
    assert wanted(agenda, 101) == {"a": False}
    agenda.acknowledge(["a"], 101)
    assert [agenda.is_done("a", due_us) for due_us in (100, 150, 120)] == [True, False, False]
    agenda.settle("a")
    assert wanted(agenda, 151) == {"a": False}
    agenda.acknowledge(["a"], 151)
    assert agenda.is_done("a", 150)


def test_a_clock_that_was_put_back_costs_another_look() -> None:
    agenda = LookAgenda()
    owe(agenda, "a", due_us=100)
    agenda.acknowledge(["a"], 10)
    assert wanted(agenda, 101) == {"a": False}
    agenda.acknowledge(["a"], 90)
    assert wanted(agenda, 102) == {"a": False}
    agenda.acknowledge(["a"], 102)
    assert agenda.is_done("a", 100)


def test_neither_kind_of_look_keeps_the_other_waiting() -> None:
    agenda = LookAgenda()
    for number in range(20):
        owe(agenda, f"old-{number}", due_us=100)
    agenda.acknowledge([f"old-{number}" for number in range(20)], 10)
    for number in range(20):
        owe(agenda, f"new-{number}", due_us=300)
    found = wanted(agenda, 200, most=10)
    assert len(found) == 10
    assert sum(found.values()) == 5


def test_where_only_one_kind_waits_it_has_all_places() -> None:
    agenda = LookAgenda()
    for number in range(20):
        owe(agenda, f"k{number:02}", due_us=100)
    assert len(wanted(agenda, 10, most=10)) == 10
    agenda.acknowledge([f"k{number:02}" for number in range(20)], 10)
    assert wanted(agenda, 200, most=10) == {f"k{number:02}": False for number in range(10)}


def test_a_key_that_is_remembered_needs_no_look_for_an_event_that_its_last_look_was_late_enough_for() -> None:
    agenda = LookAgenda(remembers=2)
    owe(agenda, "a", due_us=100)
    agenda.acknowledge(["a"], 101)
    agenda.settle("a")
    owe(agenda, "a", due_us=100)
    assert agenda.is_done("a", 100)
    assert wanted(agenda, 200) == {}
    agenda.settle("a")
    owe(agenda, "a", due_us=101)
    assert wanted(agenda, 200) == {"a": True}


def test_the_keys_looked_at_longest_ago_are_forgotten_and_the_met_ones_counted() -> None:
    agenda = LookAgenda(remembers=2)
    for name in "abca":
        owe(agenda, name, due_us=100)
        if not agenda.is_done(name, 100):
            agenda.acknowledge([name], 101)
        agenda.settle(name)
    assert agenda.met == 4  # "a" had been forgotten
    owe(agenda, "c", due_us=100)
    assert agenda.met == 4
    assert agenda.is_done("c", 100)


def test_without_a_memory_every_event_is_looked_at() -> None:
    agenda = LookAgenda()
    owe(agenda, "a", due_us=100)
    agenda.acknowledge(["a"], 101)
    agenda.settle("a")
    owe(agenda, "a", due_us=100)
    assert wanted(agenda, 200) == {"a": True}


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(1, 5))
def test_every_event_gets_a_look_that_began_after_its_due_time(seed: int, remembers: int, most: int) -> None:
    """Keys at random, answers that fail, a clock that hesitates: what is done has had its look, and all gets done."""
    chance, agenda = random.Random(seed), LookAgenda(remembers)
    now_us, owed, last_look = 1_000, [], dict.fromkeys("abcd", 0)
    for step in range(200):
        now_us += chance.randrange(4)
        if step < 100 and chance.random() < 0.5:
            name, due_us = chance.choice("abcd"), now_us + chance.randrange(-5, 20)
            owe(agenda, name, due_us)
            owed.append((name, due_us))
        names = [one.id for one in agenda.to_look_at(now_us, most)]
        assert len(names) <= most
        if names and chance.random() < 0.7:
            agenda.acknowledge(names, now_us)
            last_look |= dict.fromkeys(names, now_us)
        for name, due_us in [one for one in owed if agenda.is_done(*one)]:
            assert last_look[name] > due_us
            agenda.settle(name)
            owed.remove((name, due_us))
    assert owed == []
    assert (agenda.fresh, wanted(agenda, now_us + 1_000)) == (0, {})
