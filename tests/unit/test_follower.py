"""The follower on a table, a stream and a cluster in memory, with a clock that the test moves."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.follow.caught_up import caught_up
from dynamo_opensearch.core.follow.starts import note_start, noted_start
from dynamo_opensearch.core.follow.state import FollowState
from dynamo_opensearch.core.opensearch.alias import AliasAmbiguousError
from dynamo_opensearch.core.state.index_store import StateConflictError
from dynamo_opensearch.core.stream.position import ShardPosition, StreamPosition
from tests.support.followed import ALIAS, NEXT, PREVIOUS, Followed, SharedState
from tests.support.scripted_stream import ScriptedStream

OLD, NOW, COMING = "members-v1", "members-v2", "members-v3"
DUE_S = 13
"""Rounding and two margins: after this an event is done by one look."""


@pytest.fixture
def target() -> Followed:
    """An index behind the alias, and one that is being built."""
    made = Followed()
    made.cluster.create(NOW, ALIAS)
    made.cluster.create(COMING, NEXT)
    return made


def last_number(stream: ScriptedStream, shard: str = "s1") -> str:
    return str(stream.shards[shard].records[-1]["dynamodb"]["SequenceNumber"])


def done(target: Followed, shard: str = "s1") -> str | None:
    return target.saved().position.shards.get(shard, ShardPosition(after=None)).after


def offers(target: Followed, key: str, alias: str = NEXT) -> int:
    return sum(ids.count(key) for name, ids in target.cluster.bulks if name == alias)


def swap(target: Followed) -> None:
    """What a swap does to the aliases, after it has noted the start of the index that it takes the alias from."""
    started = target.saved().joined[target.cluster.uuids[COMING]].start
    target.start_at(NOW, started)
    target.cluster.aliases[COMING] = {ALIAS}
    target.cluster.aliases[NOW] = {PREVIOUS}


# What is fed, and how often it is looked at


def test_every_change_reaches_the_index_behind_a_marker(target: Followed) -> None:
    for key in "abc":
        target.put(key)
    target.remove("b")
    target.run(target.follower(), 20)
    assert target.cluster.documents(COMING) == target.expected()
    assert target.cluster.documents(NOW) == {}
    assert done(target) == last_number(target.stream)


def test_a_change_is_offered_at_once_and_a_second_time_when_it_is_due(target: Followed) -> None:
    follower = target.follower()
    target.run(follower, 2)
    target.put("a")
    target.run(follower, 2)
    assert target.cluster.documents(COMING) == target.expected()
    assert offers(target, "a") == 1
    target.run(follower, DUE_S + 1)
    assert offers(target, "a") == 2
    target.run(follower, 60)
    assert offers(target, "a") == 2


def test_an_event_that_is_older_than_its_due_time_needs_one_look(target: Followed) -> None:
    target.put("a")
    target.clock.pass_s(DUE_S + 2)
    target.run(target.follower(), 60)
    assert offers(target, "a") == 1
    assert done(target) == last_number(target.stream)


def test_the_second_look_wins_over_an_older_read_that_came_in_between(target: Followed) -> None:
    """What a late writer's stamp hides from the first look: the reason for the second."""
    follower = target.follower()
    target.run(follower, 2)
    target.put("a", "new")
    target.cluster.indices[COMING]["a"] = (target.clock.time_us(), {"id": "a", "value": "old"})
    target.run(follower, 3)
    assert target.cluster.documents(COMING)["a"] == {"id": "a", "value": "old"}
    target.run(follower, DUE_S)
    assert target.cluster.documents(COMING) == target.expected()


def test_the_saved_position_waits_for_the_second_look(target: Followed) -> None:
    follower = target.follower()
    target.run(follower, 2)
    target.put("a")
    target.run(follower, DUE_S - 2)
    assert done(target) is None
    assert target.saved().seen.shards["s1"].after == last_number(target.stream)
    target.run(follower, 4)
    assert done(target) == last_number(target.stream)


def test_a_hot_key_costs_two_reads_a_burst_and_does_not_wait_without_bound(target: Followed) -> None:
    follower = target.follower()
    target.run(follower, 2)
    for number in range(100):
        target.put("hot", str(number))
    target.run(follower, 30)
    assert offers(target, "hot") == 2
    before = offers(target, "hot")
    for number in range(400):
        target.put("hot", f"b{number}")
        target.run(follower, 0.1)
        if number % 40 == 0 and number > 200:
            lag_s = (target.clock.time_us() - target.saved().done_us) / 1e6
            assert lag_s < DUE_S + 8
    target.run(follower, 30)
    assert offers(target, "hot") - before <= 250
    assert target.cluster.documents(COMING) == target.expected()
    assert target.saved().counts.records == 500


def test_every_index_gets_what_its_own_field_rules_make_of_the_same_read(target: Followed) -> None:
    target.cluster.create(OLD, PREVIOUS)
    target.rules = {OLD: {"exclude_fields": ["value"]}, COMING: {"renames": {"value": "text"}}}
    target.put("a", "x")
    target.run(target.follower(), 20)
    assert target.cluster.documents(OLD) == {"a": {"id": "a"}}
    assert target.cluster.documents(COMING) == {"a": {"id": "a", "text": "x"}}
    assert target.table.reads == [["a"], ["a"]]


def test_an_item_that_stops_matching_the_filter_of_one_index_is_deleted_there(target: Followed) -> None:
    target.rules = {COMING: {"filter": {"all": [{"attribute": "value", "equals": "keep"}]}}}
    target.put("a", "keep")
    follower = target.follower()
    target.run(follower, 2)
    assert "a" in target.cluster.documents(COMING)
    target.put("a", "other")
    target.run(follower, 20)
    assert target.cluster.documents(COMING) == {}


def test_times_out_of_order_lose_nothing(target: Followed) -> None:
    follower = target.follower()
    target.run(follower, 2)
    chance = random.Random(1)
    for number in range(200):
        target.put(f"k{chance.randrange(20)}", str(number), disorder_s=chance.uniform(-1.5, 1.5))
        target.run(follower, 0.05)
    target.run(follower, 30)
    assert target.cluster.documents(COMING) == target.expected()
    assert done(target) == last_number(target.stream)


def test_shards_that_split_are_followed_into_their_children(target: Followed) -> None:
    follower = target.follower()
    for number in range(5):
        target.put(f"a{number}")
    target.run(follower, 2)
    target.stream.close("s1", "s2", "s3")
    for number in range(5):
        target.put(f"a{number}", "second", shard=f"s{2 + number % 2}")
    target.run(follower, 30)
    assert target.cluster.documents(COMING) == target.expected()
    state = target.saved()
    assert state.position.shards["s1"].is_finished
    assert (done(target, "s2"), done(target, "s3")) == (
        last_number(target.stream, "s2"),
        last_number(target.stream, "s3"),
    )


def test_finished_shards_are_forgotten_once_the_stream_lists_them_no_more(target: Followed) -> None:
    follower = target.follower()
    target.put("a")
    target.stream.close("s1", "s2")
    target.run(follower, 20)
    assert target.saved().position.shards["s1"].is_finished
    target.stream.shards["s1"].is_listed = False
    target.run(follower, 70)
    assert target.saved().position.shards.keys() == {"s2"}
    assert target.saved().gaps == ()


def test_a_parent_is_not_finished_before_its_events_are_done(target: Followed) -> None:
    follower = target.follower()
    target.run(follower, 1)
    target.put("a")
    target.stream.close("s1", "s2")
    target.run(follower, 5)
    assert not target.saved().position.shards["s1"].is_finished
    target.run(follower, DUE_S)
    assert target.saved().position.shards["s1"].is_finished


# What is saved, and when


def test_the_state_is_saved_about_once_a_second(target: Followed) -> None:
    follower = target.follower()
    for number in range(300):
        target.put(f"k{number}")
        target.run(follower, 0.1)
    assert 28 <= len(target.state.saved) <= 36


class KilledError(Exception):
    """Stands for a process that is gone."""


def kill_at_random(target: Followed, chance: random.Random, one_in: int) -> Callable[[], None]:
    """Break the next follower's ports at random; the way back is returned."""

    def perhaps() -> None:
        if chance.randrange(one_in) == 0:
            raise KilledError

    def bulk(_alias: str, _ids: list[str]) -> None:
        perhaps()

    read = target.table.read

    def reading(keys: Any) -> Any:
        perhaps()
        yield from read(keys)
        perhaps()

    target.stream.before_records = perhaps
    target.cluster.before_bulk = bulk
    target.table.read = reading  # type: ignore[method-assign]

    def back() -> None:
        target.stream.before_records = lambda: None
        target.cluster.before_bulk = lambda _alias, _ids: None
        target.table.read = read  # type: ignore[method-assign]

    return back


@pytest.mark.parametrize("seed", range(8))
def test_a_follower_that_is_killed_again_and_again_loses_nothing(target: Followed, seed: int) -> None:
    target.cluster.create(OLD, PREVIOUS)
    chance = random.Random(seed)
    back = kill_at_random(target, chance, 25)
    kills = 0
    follower = None
    shards = ["s1"]
    for number in range(400):
        key = f"k{chance.randrange(30)}"
        shard = shards[int(key[1:]) % len(shards)]
        target.put(key, str(number), shard) if chance.random() < 0.7 else target.remove(key, shard)
        if number == 200:
            target.stream.close("s1", "s2", "s3")
            shards = ["s2", "s3"]
        try:
            follower = follower or target.follower()
            target.run(follower, chance.uniform(0, 0.5))
        except KilledError:
            kills += 1
            follower = None
            target.clock.pass_s(chance.uniform(0, 3))
    back()
    assert kills > 20
    target.run(target.follower(), 30)
    assert target.cluster.documents(COMING) == target.cluster.documents(OLD) == target.expected()
    assert (done(target, "s2"), done(target, "s3")) == (
        last_number(target.stream, "s2"),
        last_number(target.stream, "s3"),
    )


def test_nothing_is_saved_before_it_was_acknowledged(target: Followed) -> None:
    """At each saving: every event before the position has a version of a read after its due time."""
    chance = random.Random(5)
    kill_at_random(target, chance, 30)

    def check() -> None:
        state = target.saved()
        position = state.position.shards.get("s1")
        for record in target.stream.shards["s1"].records:
            change = record["dynamodb"]
            if position is None or position.after is None or int(change["SequenceNumber"]) > int(position.after):
                return
            version, _ = target.cluster.indices[COMING][change["Keys"]["id"]["S"]]
            read_us = version + 6_000_000
            assert read_us > change["ApproximateCreationDateTime"] * 1e6 + DUE_S * 1e6

    follower = None
    for number in range(300):
        target.put(f"k{chance.randrange(40)}", str(number))
        try:
            follower = follower or target.follower()
            target.run(follower, 0.3)
        except KilledError:
            follower = None
        if target.state.value is not None:
            check()
    assert done(target) is not None


def test_the_one_that_began_earlier_stops_when_two_follow(target: Followed) -> None:
    first = target.follower()
    target.put("a")
    target.run(first, 2)
    second = target.follower()
    target.run(second, 2)
    with pytest.raises(StateConflictError):
        target.run(first, 2)
    target.run(second, 20)
    assert target.cluster.documents(COMING) == target.expected()


def test_memory_is_bounded_reading_pauses(target: Followed) -> None:
    target.settings = Followed(most_pending=50, keys_per_pass=20).settings
    target.stream.page_records = 10
    follower = target.follower()
    target.run(follower, 1)
    for number in range(200):
        target.put(f"k{number:03}")
    for _ in range(20):
        follower.step()
        target.clock.pass_s(0.25)
    assert 50 <= len(target.cluster.documents(COMING)) < 70
    assert follower.state.counts.records < 70
    target.run(follower, 100)
    assert target.cluster.documents(COMING) == target.expected()
    assert done(target) == last_number(target.stream)


def test_what_an_index_refuses_is_written_down_before_it_counts(target: Followed) -> None:
    target.cluster.create(OLD, PREVIOUS)
    target.cluster.refused = {OLD: {"bad"}}
    follower = target.follower()
    target.run(follower, 1)
    target.put("bad", "secret")
    target.put("good")
    target.run(follower, DUE_S + 4)
    state = target.saved()
    assert done(target) == last_number(target.stream)
    assert state.rejects == {OLD: {"mapper_parsing_exception, field 'value', expected date": 1}}
    lines = [orjson.loads(line) for part in target.sinks[OLD].parts.values() for line in part.splitlines()]
    assert {(line["id"], line["index"], line["document"]["value"]) for line in lines} == {("bad", OLD, "secret")}
    assert state.parts == {OLD: len(target.sinks[OLD].parts)}
    assert COMING not in target.sinks


def test_a_reject_that_cannot_be_written_down_keeps_the_position(target: Followed) -> None:
    target.cluster.refused = {COMING: {"bad"}}

    class BrokenSink:
        def write(self, part: int, lines: bytes) -> None:
            raise OSError("no space left")

        def forget_from(self, part: int) -> None:
            return

    target.sinks[COMING] = BrokenSink()  # type: ignore[assignment]
    target.put("bad")
    target.clock.pass_s(60)
    follower = target.follower()
    with pytest.raises(OSError, match="no space"):
        target.run(follower, 5)
    assert done(target) is None
    del target.sinks[COMING]
    target.run(target.follower(), 5)
    assert done(target) == last_number(target.stream)
    assert len(target.sinks[COMING].parts) == 1


def test_a_part_of_rejects_that_was_not_saved_is_written_over(target: Followed) -> None:
    target.cluster.refused = {COMING: {"bad", "worse"}}
    target.put("bad")
    target.clock.pass_s(60)
    target.run(target.follower(), 3)
    saved = target.saved().parts[COMING]
    target.sinks[COMING].parts[saved] = b"of a follower that was killed before it saved\n"
    target.sinks[COMING].parts[saved + 1] = b"the same\n"
    target.put("worse")
    target.run(target.follower(), 3)
    assert b"killed" not in b"".join(target.sinks[COMING].parts.values())
    assert sorted(target.sinks[COMING].parts) == list(range(target.saved().parts[COMING]))


def test_who_has_lost_to_another_follower_does_not_write_over_its_rejects(target: Followed) -> None:
    target.cluster.refused = {COMING: {"of the first", "of the second"}}
    first = target.follower()
    target.run(first, 2)
    target.clock.pass_s(60)
    target.put("of the second")
    second = target.follower()
    target.run(second, 3)
    target.put("of the first")
    with pytest.raises(StateConflictError):
        target.run(first, 3)
    lines = b"".join(target.sinks[COMING].parts.values())
    assert b"of the second" in lines
    assert b"of the first" not in lines


def test_an_item_that_one_index_cannot_make_a_document_of_is_a_reject_there(target: Followed) -> None:
    target.rules = {COMING: {"flatten": {"value": "x."}}}
    target.put("a")
    target.run(target.follower(), 20)
    assert target.saved().rejects == {COMING: {"DocumentBuildError": 1}}
    assert done(target) == last_number(target.stream)


# Joining, leaving, moving


def test_without_a_marker_there_is_nothing_to_feed(target: Followed) -> None:
    target.cluster.aliases[COMING] = set()
    target.put("a")
    step = target.follower().step()
    assert (step.is_fed, target.cluster.bulks) == (False, [])


def test_an_index_that_joins_begins_where_was_noted(target: Followed) -> None:
    target.put("old")
    target.clock.pass_s(600)
    start = StreamPosition(not_before_us=target.clock.time_us() - 60_000_000)
    target.start_at(COMING, start)
    target.put("new")
    target.run(target.follower(), 3)
    assert target.cluster.documents(COMING).keys() == {"new"}
    joined = target.saved().joined[target.cluster.uuids[COMING]]
    assert (joined.index, joined.start) == (COMING, start)


def test_without_a_note_it_begins_at_the_horizon(target: Followed) -> None:
    target.put("old")
    target.clock.pass_s(600)
    target.run(target.follower(), 3)
    assert target.cluster.documents(COMING).keys() == {"old"}


def test_that_an_index_has_joined_is_saved_before_anything_is_read(target: Followed) -> None:
    target.stream.fail_once("get_records", "AccessDeniedException")
    with pytest.raises(Exception, match="refused"):
        target.follower().step()
    assert target.cluster.uuids[COMING] in target.saved().joined
    assert target.saved().head_us == 0


def test_a_newcomer_takes_the_position_back_to_its_start(target: Followed) -> None:
    follower = target.follower()
    target.put("first")
    target.run(follower, 30)
    head_us = target.saved().head_us
    assert (done(target), head_us > 0) == (last_number(target.stream), True)
    uuid = target.cluster.create(OLD, PREVIOUS)
    target.run(follower, 3)
    assert target.saved().joined.keys() == {target.cluster.uuids[COMING], uuid}
    assert target.cluster.documents(OLD).keys() == {"first"}
    positions = [FollowState.from_json(one).position.shards.get("s1") for one in target.state.saved]
    assert ShardPosition(after=None) in positions[positions.index(ShardPosition(after=last_number(target.stream))) :]
    heads = [one["head_us"] for one in target.state.saved if uuid in one["joined"]]
    assert heads[0] == 0
    assert heads[-1] >= head_us


def test_a_newcomer_does_not_take_the_others_further_back_than_its_own_start(target: Followed) -> None:
    follower = target.follower()
    for number in range(5):
        target.put(f"k{number}")
    target.run(follower, 600)
    target.cluster.create(OLD, PREVIOUS)
    target.start_at(OLD, StreamPosition(not_before_us=target.clock.time_us() - 60_000_000))
    target.put("new")
    before = offers(target, "k0")
    target.run(follower, 3)
    assert target.cluster.documents(OLD).keys() == {"new"}
    assert offers(target, "k0") == before


def test_after_a_swap_the_old_index_is_fed_and_the_new_one_until_all_is_paid(target: Followed) -> None:
    follower = target.follower()
    target.put("before")
    target.run(follower, 3)
    target.put("at the swap")
    swap(target)
    target.put("after the swap")
    target.run(follower, 3)
    state = target.saved()
    assert {one.index for one in state.joined.values()} == {NOW, COMING}
    assert target.cluster.documents(NOW) == target.cluster.documents(COMING) == target.expected()
    assert (ALIAS, True) in target.senders
    assert (PREVIOUS, False) in target.senders
    owed_until_us = state.joined[target.cluster.uuids[COMING]].owed_until_us
    assert owed_until_us is not None
    target.run(follower, 45)
    assert {one.index for one in target.saved().joined.values()} == {NOW}
    for key in ("before", "at the swap", "after the swap"):
        read_us = target.cluster.indices[COMING][key][0] + 6_000_000
        assert read_us > target.clock.time_us() - 48_000_000 + DUE_S * 1_000_000 or read_us > owed_until_us - 12_000_000
    bulks = len([one for one in target.cluster.bulks if one[0] == ALIAS])
    target.put("much later")
    target.run(follower, 20)
    assert len([one for one in target.cluster.bulks if one[0] == ALIAS]) == bulks
    assert target.cluster.documents(NOW) == target.expected()


def test_what_is_owed_after_a_swap_is_paid_by_the_next_process_too(target: Followed) -> None:
    follower = target.follower()
    target.run(follower, 2)
    target.put("a", "new")
    target.run(follower, 2)
    late = (target.clock.time_us(), {"id": "a", "value": "old"})
    target.cluster.indices[COMING]["a"] = late
    swap(target)
    target.clock.pass_s(300)
    target.run(target.follower(), 60)
    assert target.cluster.documents(COMING) == target.cluster.documents(NOW) == target.expected()
    assert {one.index for one in target.saved().joined.values()} == {NOW}


def test_a_rollback_within_the_debt_keeps_the_index_without_going_back(target: Followed) -> None:
    follower = target.follower()
    target.put("a")
    target.run(follower, 3)
    swap(target)
    target.run(follower, 3)
    target.cluster.aliases = {NOW: {ALIAS}, COMING: {PREVIOUS}}
    target.put("b")
    target.run(follower, 3)
    joined = target.saved().joined
    assert joined[target.cluster.uuids[COMING]].owed_until_us is None
    assert joined[target.cluster.uuids[NOW]].owed_until_us is not None
    target.run(follower, 60)
    target.put("c")
    target.run(follower, 20)
    assert target.cluster.documents(COMING) == target.expected()
    assert {one.index for one in target.saved().joined.values()} == {COMING}


def test_an_index_of_the_same_name_with_another_uuid_is_a_newcomer(target: Followed) -> None:
    follower = target.follower()
    target.put("a")
    target.run(follower, 20)
    target.cluster.delete(COMING)
    uuid = target.cluster.create(COMING, NEXT)
    target.run(follower, 3)
    assert target.saved().joined.keys() == {uuid}
    assert target.cluster.documents(COMING) == target.expected()


def test_an_index_that_is_gone_is_owed_nothing(target: Followed) -> None:
    target.cluster.create(OLD, PREVIOUS)
    follower = target.follower()
    target.put("a")
    target.run(follower, 2)
    target.cluster.delete(COMING)
    target.put("b")
    target.run(follower, 20)
    assert target.cluster.documents(OLD) == target.expected()
    assert {one.index for one in target.saved().joined.values()} == {OLD}
    target.cluster.aliases[OLD] = set()
    assert not target.run(follower, 5).is_fed
    assert target.saved().joined == {}


def before_the_next_bulk(target: Followed, happens: Callable[[], object]) -> None:
    def once(_alias: str, _ids: list[str]) -> None:
        target.cluster.before_bulk = lambda _alias, _ids: None
        happens()

    target.cluster.before_bulk = once


@pytest.mark.parametrize("age_s", [0, 60])
def test_a_marker_that_moves_between_planning_and_writing_costs_nothing(target: Followed, age_s: int) -> None:
    """The write through the marker reaches another index: it does not count, and the plan is made anew."""
    other = "members-v4"
    target.rules = {COMING: {"renames": {"value": "text"}}}
    follower = target.follower()
    target.run(follower, 2)

    def move() -> None:
        target.cluster.create(other, NEXT)
        target.start_at(other, StreamPosition(not_before_us=target.clock.time_us()))
        target.cluster.aliases[COMING] = {ALIAS}
        target.cluster.aliases[NOW] = set()

    target.put("a")
    target.clock.pass_s(age_s)
    before_the_next_bulk(target, move)
    target.run(follower, 60)
    assert target.cluster.documents(COMING) == {"a": {"id": "a", "text": "1"}}
    assert target.cluster.documents(other) == {"a": {"id": "a", "value": "1"}}


@pytest.mark.parametrize("age_s", [0, 60])
def test_a_marker_that_is_removed_while_something_is_written_is_planned_anew(target: Followed, age_s: int) -> None:
    follower = target.follower()
    target.run(follower, 2)

    def move() -> None:
        target.cluster.aliases = {COMING: {ALIAS}, NOW: set()}

    target.put("a")
    target.clock.pass_s(age_s)
    before_the_next_bulk(target, move)
    target.run(follower, 3)
    assert target.cluster.documents(COMING) == target.expected()


def test_a_look_that_reached_no_index_says_nothing_about_the_head(target: Followed) -> None:
    follower = target.follower()
    target.run(follower, 5)
    moment_us = target.clock.time_us()
    target.put("a")

    def lose() -> None:
        target.cluster.aliases[COMING] = set()

    for _ in range(20):
        before_the_next_bulk(target, lose)
        follower.step()
        target.clock.pass_s(0.3)
        target.cluster.aliases[COMING] = {NEXT}
    assert target.saved().head_us <= moment_us
    target.cluster.before_bulk = lambda _alias, _ids: None
    target.run(follower, 5)
    assert target.saved().head_us > moment_us
    assert target.cluster.documents(COMING) == target.expected()


def test_a_marker_over_two_indices_is_refused(target: Followed) -> None:
    target.cluster.create("members-v9", NEXT)
    with pytest.raises(AliasAmbiguousError, match="members-v9"):
        target.follower().step()


def test_a_gap_is_kept_in_the_state(target: Followed) -> None:
    follower = target.follower()
    target.put("a")
    target.run(follower, 20)
    number = done(target)
    for key in "bcd":
        target.put(key)
    target.stream.shards["s1"].trimmed = 3
    target.run(target.follower(), 3)
    assert [(gap.shard, gap.after) for gap in target.saved().gaps] == [("s1", number)]


def test_a_stale_position_without_an_index_that_had_joined_is_no_gap(target: Followed) -> None:
    target.put("a")
    target.run(target.follower(), 20)
    target.cluster.delete(COMING)
    target.run(target.follower(), 1)
    target.put("b")
    target.stream.shards["s1"].trimmed = 1
    target.clock.pass_s(100_000)
    target.cluster.create(COMING, NEXT)
    target.run(target.follower(), 3)
    assert target.saved().gaps == ()
    assert target.cluster.documents(COMING).keys() == {"b"}


def test_another_stream_is_a_gap_and_is_read_from_its_horizon(target: Followed) -> None:
    target.put("a")
    target.run(target.follower(), 20)
    assert target.state.value is not None
    target.state.value["stream_arn"] = "arn:before"
    target.run(target.follower(), 20)
    assert [gap.shard for gap in target.saved().gaps] == ["stream arn:before"]
    assert offers(target, "a") == 3


# What others ask


def test_a_sensor_learns_whether_an_index_is_caught_up_and_else_why(target: Followed) -> None:
    moment_us = target.clock.time_us()
    assert "is sync_follow running" in caught_up(None, COMING, moment_us).reason
    follower = target.follower()
    follower.step()
    state = target.saved()
    assert caught_up(state, COMING, 0)
    assert f"does not feed '{OLD}' yet; it feeds {COMING}" in caught_up(state, OLD, 0).reason
    assert "not at the head since an index has joined" in caught_up(state, COMING, moment_us).reason
    target.run(follower, 5)
    state = target.saved()
    assert caught_up(state, COMING, moment_us)
    later = caught_up(state, COMING, target.clock.time_us() + 60_000_000)
    assert "s before it" in later.reason
    assert not later


def test_the_head_is_not_claimed_before_its_changes_had_their_first_look(target: Followed) -> None:
    follower = target.follower()
    target.run(follower, 5)
    moment_us = target.clock.time_us()
    target.put("a")

    def fail(_alias: str, _ids: list[str]) -> None:
        raise PassingError("down")

    target.cluster.before_bulk = fail
    for _ in range(20):
        with pytest.raises(PassingError):
            target.run(follower, 5)
        target.clock.pass_s(0.3)
    assert target.saved().head_us <= moment_us


def test_a_quiet_follower_says_how_long_it_may_be_gone(target: Followed) -> None:
    follower = target.follower()
    assert target.run(follower, target.settings.silent_after_s / 2).quiet_s is None
    assert target.run(follower, target.settings.silent_after_s).quiet_s == target.settings.longest_quiet_s
    target.put("a")
    assert target.run(follower, 2).quiet_s is None
    assert target.saved().seen.shards["s1"].after == last_number(target.stream)
    step = target.run(follower, DUE_S + 30)
    assert step.quiet_s == target.settings.longest_quiet_s
    assert done(target) == last_number(target.stream)
    swap(target)
    assert target.run(follower, 3).quiet_s is None


def test_a_quiet_follower_is_back_when_a_second_look_is_due(target: Followed) -> None:
    target.settings = replace(target.settings, silent_after_s=2)
    follower = target.follower()
    target.run(follower, 10)
    target.put("a")
    step = target.run(follower, 9)
    assert step.quiet_s is not None
    assert 0 < step.quiet_s <= DUE_S - 8
    target.clock.pass_s(step.quiet_s)
    target.run(target.follower(), 2)
    assert offers(target, "a") == 2


def test_starts_are_kept_by_index_and_the_last_note_counts() -> None:
    shared = SharedState()
    for number in range(30):
        note_start(shared.handle(), f"uuid-{number}", StreamPosition(not_before_us=number))
    note_start(shared.handle(), "uuid-29", StreamPosition(not_before_us=7))
    assert noted_start(shared.handle(), "uuid-29") == StreamPosition(not_before_us=7)
    assert noted_start(shared.handle(), "uuid-0") == StreamPosition()
    assert len(shared.value or {}) == 20


def test_a_state_survives_json(target: Followed) -> None:
    target.cluster.refused = {COMING: {"a"}}
    target.put("a")
    target.run(target.follower(), 3)
    swap(target)
    target.run(target.follower(), 3)
    state = target.saved()
    assert FollowState.from_json(orjson.loads(orjson.dumps(state.to_json()))) == state
