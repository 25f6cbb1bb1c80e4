"""A consumer of dead letters dies at each of its calls in turn: the next one finds all that it left."""

import itertools
import json

from tests.support.dying import Died, Fate
from tests.support.followed import NEXT, PREVIOUS
from tests.support.replayed import LIVE, Replayed

HOUR_US = 3_600_000_000
KEPT, COMING = "members-v0", "members-v2"
GARBAGE = "this is no JSON"


def keys_of(body: str) -> list[str]:
    return [json.loads(body)["dynamodb"]["Keys"]["id"]["S"]] if "Keys" in body else []


def disaster(letters: Replayed) -> list[str]:
    """Three living indices, and of every kind of message some; the bodies that end in the parking place."""
    letters.cluster.create(KEPT, PREVIOUS)
    letters.cluster.create(COMING, NEXT)
    letters.cluster.refused = {COMING: {"bad"}}
    lost = letters.fail_batch("x", "y")
    letters.stream.shards["s1"].trimmed = 1
    letters.fail(*"abc", "bad", "a")
    letters.fail_batch("d", "e")
    letters.put("f")
    letters.queue.send(letters.letter("f", letters.clock.time_us() - HOUR_US), GARBAGE)
    unread = letters.letter("g")
    letters.queue.send(unread, receives=90)
    return sorted([lost, GARBAGE, unread])


def nothing_is_lost(letters: Replayed) -> bool:
    """Whether each message is in the queue, in the parking place, or in every index (or on its rejects)."""
    ids = {one.id for one in letters.queue.stored} | set(letters.parking.parked)
    rejects = b"".join(letters.sinks[COMING].parts.values()) if COMING in letters.sinks else b""
    for one in letters.queue.deleted:
        for key in keys_of(one.body) if one.id not in ids else ():
            indices = [index for index in (LIVE, KEPT, COMING) if (index, key) != (COMING, "bad")]
            assert all(letters.is_in(key, index) for index in indices)
            assert key != "bad" or b'"bad"' in rejects
    return True


def test_whatever_call_a_consumer_dies_at_the_next_one_loses_nothing() -> None:
    for survived in itertools.count():
        letters = Replayed()
        parked = disaster(letters)
        fate = Fate(survived)
        try:
            letters.replay(fate=fate, max_receives=50)
        except Died:
            assert nothing_is_lost(letters)
        report = letters.replay(max_receives=50)
        assert nothing_is_lost(letters)
        assert letters.queue.stored == []
        assert sorted(one.message.body for one in letters.parking.parked.values()) == parked
        wanted = {key: one for key, one in letters.expected().items() if key != "x"}
        assert letters.cluster.documents(LIVE) == letters.cluster.documents(KEPT) == wanted
        assert letters.cluster.documents(COMING) == {key: one for key, one in wanted.items() if key != "bad"}
        assert report.received <= letters.queue.sent
        if not fate.is_dead:
            break
    assert survived > 20, "it never got to die"
    assert (report.received, report.refused) == (10, 1)
