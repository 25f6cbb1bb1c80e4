"""First looks for one index up to the head, as a swap makes them."""

import pytest

from dynamo_opensearch.core.follow.catch_up import CatchUp, CatchUpStrayedError
from tests.support.followed import ALIAS, NEXT, Followed

NOW, COMING = "members-v1", "members-v2"


@pytest.fixture
def target() -> Followed:
    made = Followed()
    made.cluster.create(NOW, ALIAS)
    made.cluster.create(COMING, NEXT)
    made.put("seen")
    made.run(made.follower(), 10)
    return made


def catch_up(target: Followed) -> CatchUp:
    return CatchUp(target.settings, target.ports(), COMING, NEXT, target.saved().seen)


def test_it_looks_at_what_the_follower_has_not_seen_and_saves_nothing(target: Followed) -> None:
    for key in "abca":
        target.put(key)
    target.remove("c")
    saved = target.state.version
    assert catch_up(target).drain() == 3
    assert target.cluster.documents(COMING) == target.expected()
    assert target.cluster.documents(NOW) == {}
    assert target.state.version == saved


def test_the_second_call_costs_one_page_and_one_request_and_no_pause(target: Followed) -> None:
    one = catch_up(target)
    target.put("a")
    one.drain()
    target.put("b")
    before = (len(target.stream.calls), len(target.table.reads), len(target.cluster.bulks), len(target.clock.slept))
    assert one.drain() == 1
    after = (len(target.stream.calls), len(target.table.reads), len(target.cluster.bulks), len(target.clock.slept))
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1, 0]
    assert target.cluster.documents(COMING) == target.expected()


def test_the_follower_makes_the_second_looks_of_what_was_caught_up(target: Followed) -> None:
    target.put("a")
    catch_up(target).drain()
    target.cluster.indices[COMING]["a"] = (target.clock.time_us(), {"id": "a", "value": "of a late writer"})
    target.run(target.follower(), 20)
    assert target.cluster.documents(COMING) == target.expected()


def test_it_reads_on_in_shards_that_came_since(target: Followed) -> None:
    one = catch_up(target)
    one.drain()
    target.put("a")
    target.stream.close("s1", "s2", "s3")
    target.put("b", shard="s2")
    target.put("c", shard="s3")
    assert one.drain() == 3
    assert target.cluster.documents(COMING) == target.expected()


def test_a_marker_that_leads_elsewhere_is_an_error(target: Followed) -> None:
    target.put("a")
    one = catch_up(target)
    target.cluster.aliases = {NOW: {NEXT}, COMING: {ALIAS}}
    with pytest.raises(CatchUpStrayedError, match="does not lead to it any more"):
        one.drain()


def test_what_the_index_refuses_does_not_keep_the_swap(target: Followed) -> None:
    target.cluster.refused = {COMING: {"bad"}}
    target.put("bad")
    target.put("good")
    assert catch_up(target).drain() == 2
    assert target.sinks == {}
    target.run(target.follower(), 3)
    assert target.saved().rejects[COMING]
