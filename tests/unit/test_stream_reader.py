"""Reading a scripted stream: order of shards, ends, iterators that expire, and what the stream has lost."""

import logging
from collections.abc import Iterable

import pytest

from dynamo_opensearch.core.clock import WorkerClockError
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient, StreamMissingError
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.stream.activity import StreamActivity
from dynamo_opensearch.core.stream.cursor import ShardPage
from dynamo_opensearch.core.stream.lineage import childless_shards, readable_shards, skippable_shards
from dynamo_opensearch.core.stream.position import ShardPosition, StreamPosition
from dynamo_opensearch.core.stream.reader import StreamReader
from tests.support.fakes import FakeClock, quick_retry
from tests.support.scripted_stream import ARN, ITERATOR_LIVES_S, ScriptedStream


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stream(clock: FakeClock) -> ScriptedStream:
    made = ScriptedStream(clock)
    made.add_shard("s1")
    return made


def reader(stream: ScriptedStream, position: StreamPosition | None = None, limit: int = 1000) -> StreamReader:
    client = StreamClient(stream, ARN, stream.clock, quick_retry())
    return StreamReader(client, position or StreamPosition(), stream.clock, stream.rounding_s, limit)


def keys(pages: Iterable[ShardPage]) -> list[str]:
    return [record.key["id"]["S"] for page in pages for record in page.records]


def read_all(one: StreamReader, clock: FakeClock, seconds: float = 10.0) -> list[str]:
    """Every key that comes within so long."""
    found: list[str] = []
    end_s = clock.monotonic_s() + seconds
    while clock.monotonic_s() < end_s:
        found += keys(one.pages())
        clock.pass_s(0.1)
    return found


def begun_at(**shards: str | None) -> StreamPosition:
    return StreamPosition(shards={shard: ShardPosition(after=after) for shard, after in shards.items()})


def fill(stream: ScriptedStream, shard: str, *names: str) -> list[str]:
    return [stream.change(shard, name) for name in names]


# Which shards when


def test_children_are_read_after_their_parents_end(stream: ScriptedStream, clock: FakeClock) -> None:
    fill(stream, "s1", *"abcde")
    stream.close("s1", "s2", "s3")
    fill(stream, "s2", "f")
    fill(stream, "s3", "g")
    stream.page_records = 2
    found = read_all(reader(stream), clock)
    assert found[:5] == list("abcde")
    assert sorted(found[5:]) == ["f", "g"]
    names = [call["ShardId"] for call in stream.reads_of("get_shard_iterator")]
    assert (names[0], sorted(names[1:])) == ("s1", ["s2", "s3"])


def test_a_shard_that_splits_while_it_is_read_goes_on_in_its_children(stream: ScriptedStream, clock: FakeClock) -> None:
    one = reader(stream)
    fill(stream, "s1", "a")
    assert read_all(one, clock, 2) == ["a"]
    fill(stream, "s1", "b")
    stream.close("s1", "s2", "s3")
    fill(stream, "s3", "c")
    assert read_all(one, clock, 2) == ["b", "c"]


def test_a_child_whose_parent_is_listed_no_more_is_read(stream: ScriptedStream, clock: FakeClock) -> None:
    stream.close("s1", "s2")
    fill(stream, "s2", "a")
    stream.shards["s1"].is_listed = False
    one = reader(stream)
    assert read_all(one, clock, 2) == ["a"]
    assert one.take_gaps() == []


def test_shards_are_listed_over_all_pages(stream: ScriptedStream, clock: FakeClock) -> None:
    for number in range(2, 7):
        stream.add_shard(f"s{number}")
        fill(stream, f"s{number}", f"k{number}")
    assert sorted(read_all(reader(stream), clock, 2)) == [f"k{number}" for number in range(2, 7)]


def test_a_finished_shard_is_not_read_again(stream: ScriptedStream, clock: FakeClock) -> None:
    fill(stream, "s1", "a")
    stream.close("s1", "s2")
    fill(stream, "s2", "b")
    position = StreamPosition(shards={"s1": ShardPosition(after=None, is_finished=True)})
    assert read_all(reader(stream, position), clock, 2) == ["b"]


def test_new_shards_without_a_parent_are_found_in_time(stream: ScriptedStream, clock: FakeClock) -> None:
    one = reader(stream)
    one.pages()
    stream.add_shard("other")
    fill(stream, "other", "a")
    assert read_all(one, clock, 70) == ["a"]


def test_readable_and_childless_shards() -> None:
    listed = {"a": "gone", "b": "a", "c": "b", "d": "b", "e": None}
    assert readable_shards(listed, set()) == ["a", "e"]
    assert readable_shards(listed, {"a", "b"}) == ["c", "d", "e"]
    assert childless_shards(listed, {"a", "b", "c"}) == ["c"]


# Where a shard is begun, and again


def test_reading_goes_on_behind_the_record_that_was_read_last(stream: ScriptedStream, clock: FakeClock) -> None:
    numbers = fill(stream, "s1", *"abc")
    assert read_all(reader(stream, begun_at(s1=numbers[1])), clock, 2) == ["c"]
    (asked,) = stream.reads_of("get_shard_iterator")
    assert (asked["ShardIteratorType"], asked["SequenceNumber"]) == ("AFTER_SEQUENCE_NUMBER", numbers[1])


@pytest.mark.parametrize("is_read_before", [True, False])
def test_an_expired_iterator_loses_and_repeats_nothing(
    stream: ScriptedStream, clock: FakeClock, is_read_before: bool
) -> None:
    one = reader(stream)
    if is_read_before:
        fill(stream, "s1", "a")
    assert read_all(one, clock, 2) == (["a"] if is_read_before else [])
    clock.pass_s(ITERATOR_LIVES_S + 1)
    fill(stream, "s1", "b")
    assert read_all(one, clock, 2) == ["b"]
    types = [call["ShardIteratorType"] for call in stream.reads_of("get_shard_iterator")]
    assert types == ["TRIM_HORIZON", "AFTER_SEQUENCE_NUMBER" if is_read_before else "TRIM_HORIZON"]


def test_empty_pages_are_not_the_end(stream: ScriptedStream, clock: FakeClock) -> None:
    stream.shards["s1"].empty_pages = 7
    fill(stream, "s1", "a")
    assert read_all(reader(stream), clock) == ["a"]


# What the stream has lost


def test_trimmed_records_are_said_out_loud_and_reading_goes_on_at_the_horizon(
    stream: ScriptedStream, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = fill(stream, "s1", *"abcd")
    stream.shards["s1"].trimmed = 2
    one = reader(stream, begun_at(s1=numbers[0]))
    with caplog.at_level(logging.WARNING):
        assert read_all(one, clock, 2) == ["c", "d"]
    (gap,) = one.take_gaps()
    assert (gap.shard, gap.after) == ("s1", numbers[0])
    assert "what was changed there is not known" in caplog.text
    assert one.take_gaps() == []


def test_records_trimmed_under_an_iterator_are_a_gap(stream: ScriptedStream, clock: FakeClock) -> None:
    one = reader(stream)
    numbers = fill(stream, "s1", "a")
    assert read_all(one, clock, 2) == ["a"]
    fill(stream, "s1", *"bcd")
    stream.shards["s1"].trimmed = 3
    assert read_all(one, clock, 2) == ["d"]
    assert [(gap.shard, gap.after) for gap in one.take_gaps()] == [("s1", numbers[0])]


def test_a_vanished_shard_is_a_gap_and_its_children_are_read(stream: ScriptedStream, clock: FakeClock) -> None:
    numbers = fill(stream, "s1", "a", "b")
    stream.close("s1", "s2")
    fill(stream, "s2", "c")
    stream.shards["s1"].is_listed = False
    one = reader(stream, begun_at(s1=numbers[0]))
    ended, child = one.pages()
    assert (ended.shard, ended.is_end) == ("s1", True)
    assert keys([child]) == ["c"]
    assert [gap.shard for gap in one.take_gaps()] == ["s1"]


def test_a_shard_that_vanishes_under_its_iterator_is_a_gap(stream: ScriptedStream, clock: FakeClock) -> None:
    one = reader(stream)
    fill(stream, "s1", "a")
    assert read_all(one, clock, 2) == ["a"]
    stream.close("s1", "s2")
    fill(stream, "s2", "b")
    stream.shards["s1"].is_listed = False
    assert read_all(one, clock, 2) == ["b"]
    assert [gap.shard for gap in one.take_gaps()] == ["s1"]


def test_a_listed_shard_that_is_not_there_is_given_up_after_some_tries(
    stream: ScriptedStream, clock: FakeClock
) -> None:
    for _ in range(3):
        stream.fail_once("get_shard_iterator", "ResourceNotFoundException")
    one = reader(stream)
    read_all(one, clock, 2)
    assert [gap.shard for gap in one.take_gaps()] == ["s1"]


def test_a_stream_that_is_gone_is_told_with_the_way_out(stream: ScriptedStream) -> None:
    stream.fail_once("describe_stream", "ResourceNotFoundException")
    with pytest.raises(StreamMissingError, match="still has its stream enabled"):
        reader(stream).pages()


def test_a_stream_that_may_not_be_read_is_refused(stream: ScriptedStream) -> None:
    stream.fail_once("get_records", "AccessDeniedException")
    with pytest.raises(AccessDeniedError, match="dynamodb:GetRecords"):
        reader(stream).pages()


def test_throttling_is_waited_out(stream: ScriptedStream, clock: FakeClock) -> None:
    fill(stream, "s1", "a")
    stream.fail_once("get_records", "LimitExceededException")
    assert read_all(reader(stream), clock, 2) == ["a"]


def test_an_answer_by_another_clock_is_discarded(stream: ScriptedStream, clock: FakeClock) -> None:
    stream.before_records = lambda: clock.pass_s(0)
    original = stream._dated
    stream._dated = lambda answer: {  # type: ignore[method-assign]
        **original(answer),
        "ResponseMetadata": {"HTTPHeaders": {"date": "Mon, 23 Nov 2026 00:00:00 GMT"}},
    }
    with pytest.raises(WorkerClockError):
        reader(stream).pages()


# Not before a moment


def not_before(clock: FakeClock, ago_s: float = 0.0) -> StreamPosition:
    return StreamPosition(not_before_us=clock.time_us() - round(ago_s * 1e6))


def test_records_older_than_the_moment_are_skipped_generously(stream: ScriptedStream, clock: FakeClock) -> None:
    for second in range(20):
        fill(stream, "s1", f"k{second:02}")
        clock.pass_s(1)
    position = not_before(clock)
    fill(stream, "s1", "now")
    stream.change("s1", "late", disorder_s=-9)
    found = read_all(reader(stream, position), clock, 2)
    assert found[-2:] == ["now", "late"]
    assert 7 <= len(found) <= 9


def test_closed_parents_are_skipped_by_the_first_record_of_a_child(stream: ScriptedStream, clock: FakeClock) -> None:
    for parent, child in (("s1", "s2"), ("s2", "s3"), ("s3", "s4")):
        fill(stream, parent, f"old-{parent}")
        stream.close(parent, child)
        clock.pass_s(3600)
    fill(stream, "s4", "before")
    clock.pass_s(3600)
    position = not_before(clock)
    fill(stream, "s4", "after")
    one = reader(stream, position)
    pages = one.pages()
    assert sorted(page.shard for page in pages if page.is_end) == ["s1", "s2", "s3"]
    assert keys(pages) == ["after"]
    assert [call["ShardId"] for call in stream.reads_of("get_shard_iterator")] == ["s4", "s4"]


def test_a_parent_whose_child_begins_later_is_read(stream: ScriptedStream, clock: FakeClock) -> None:
    fill(stream, "s1", "old")
    clock.pass_s(100)
    position = not_before(clock)
    fill(stream, "s1", "new")
    stream.close("s1", "s2", "s3")
    fill(stream, "s2", "newer")
    assert read_all(reader(stream, position), clock, 2) == ["new", "newer"]


def test_skippable_shards_are_found_from_the_youngest_generation_on() -> None:
    listed = {"a": None, "b": "a", "c": "b", "d": "b", "e": None, "f": "e"}
    asked: list[str] = []

    def begins_early(shard: str) -> bool:
        asked.append(shard)
        return shard == "d"

    assert skippable_shards(listed, listed, begins_early) == ["a", "b"]
    assert sorted(asked) == ["c", "d", "f"]


def test_a_shard_that_was_begun_is_not_skipped_whatever_the_times_say(stream: ScriptedStream, clock: FakeClock) -> None:
    numbers = fill(stream, "s1", "a", "b")
    stream.close("s1", "s2")
    fill(stream, "s2", "c")
    clock.pass_s(100)
    position = StreamPosition(shards=begun_at(s1=numbers[0]).shards, not_before_us=clock.time_us())
    assert read_all(reader(stream, position), clock, 2)[:1] == ["b"]


# How often


def test_an_idle_shard_is_asked_about_once_a_second(stream: ScriptedStream, clock: FakeClock) -> None:
    one = reader(stream)
    read_all(one, clock, 5)
    before = len(stream.reads_of())
    read_all(one, clock, 20)
    assert 17 <= len(stream.reads_of()) - before <= 21


def test_a_busy_shard_is_asked_at_most_five_times_a_second(stream: ScriptedStream, clock: FakeClock) -> None:
    one = reader(stream)
    stream.before_records = lambda: fill(stream, "s1", "a")
    for _ in range(1000):
        one.pages()
        clock.pass_s(0.01)
    assert 45 <= len(stream.reads_of()) <= 51


# The head


def test_the_head_is_known_after_several_pages_that_were_not_full(stream: ScriptedStream, clock: FakeClock) -> None:
    one = reader(stream)
    assert one.head_us == 0
    began_us = clock.time_us()
    one.pages()
    assert one.head_us == 0
    read_all(one, clock, 3)
    assert began_us <= one.head_us <= clock.time_us()


def test_full_pages_say_no_more_than_their_last_record(stream: ScriptedStream, clock: FakeClock) -> None:
    for second in range(40):
        fill(stream, "s1", f"k{second}")
        clock.pass_s(1)
    one = reader(stream, limit=10)
    one.pages()
    last_us = round(stream.shards["s1"].records[9]["dynamodb"]["ApproximateCreationDateTime"] * 1e6)
    assert one.head_us == last_us - 3_500_000


def test_a_child_that_is_not_read_yet_keeps_the_head_unknown(stream: ScriptedStream, clock: FakeClock) -> None:
    one = reader(stream)
    read_all(one, clock, 3)
    assert one.head_us
    stream.close("s1", "s2")
    while not any(page.is_end for page in one.pages()):
        clock.pass_s(0.1)
    assert one.head_us == 0
    read_all(one, clock, 3)
    assert one.head_us


def test_a_stream_that_was_switched_off_has_a_head_in_the_end(stream: ScriptedStream, clock: FakeClock) -> None:
    fill(stream, "s1", "a")
    stream.close("s1")
    one = reader(stream)
    began_us = clock.time_us()
    assert read_all(one, clock, 60) == ["a"]
    assert one.head_us > began_us
    assert one.head_us <= clock.time_us() - 30_000_000


def test_draining_reads_without_pauses_up_to_a_page_that_is_not_full(stream: ScriptedStream, clock: FakeClock) -> None:
    fill(stream, "s1", *"abcdefg")
    one = reader(stream, limit=3)
    assert keys(page for pages in one.drain() for page in pages) == list("abcdefg")
    before = len(stream.reads_of())
    assert keys(page for pages in one.drain() for page in pages) == []
    assert (len(stream.reads_of()) - before, clock.slept) == (1, [])


def test_draining_goes_on_in_the_children_of_a_shard_that_ends(stream: ScriptedStream, clock: FakeClock) -> None:
    fill(stream, "s1", "a")
    stream.close("s1", "s2", "s3")
    fill(stream, "s2", "b")
    fill(stream, "s3", "c")
    assert keys(page for pages in reader(stream).drain() for page in pages) == ["a", "b", "c"]


# Whether anything happened


def activity(stream: ScriptedStream, position: StreamPosition) -> StreamActivity:
    client = StreamClient(stream, ARN, stream.clock, quick_retry())
    return StreamActivity(client, position, stream.clock, stream.rounding_s)


def happens_within(one: StreamActivity, clock: FakeClock, seconds: float = 3.0) -> bool:
    end_s = clock.monotonic_s() + seconds
    while clock.monotonic_s() < end_s:
        if one.has_record():
            return True
        clock.pass_s(0.2)
    return False


def test_activity_is_a_record_behind_the_position(stream: ScriptedStream, clock: FakeClock) -> None:
    (seen,) = fill(stream, "s1", "a")
    one = activity(stream, begun_at(s1=seen))
    assert not happens_within(one, clock)
    fill(stream, "s1", "b")
    assert happens_within(one, clock)
    assert one.has_record()
    assert {call["Limit"] for call in stream.reads_of()} == {1}


def test_activity_is_seen_in_a_shard_that_came_after_the_position(stream: ScriptedStream, clock: FakeClock) -> None:
    (seen,) = fill(stream, "s1", "a")
    one = activity(stream, begun_at(s1=seen))
    assert not happens_within(one, clock)
    stream.close("s1", "s2")
    assert not happens_within(one, clock)
    fill(stream, "s2", "b")
    assert happens_within(one, clock)


# Positions


def test_the_earlier_position_is_taken_shard_by_shard_by_number() -> None:
    one = StreamPosition(
        shards={
            "both": ShardPosition(after="99"),
            "horizon": ShardPosition(after=None),
            "mine": ShardPosition(after="5"),
            "finished": ShardPosition(after="9", is_finished=True),
            "done": ShardPosition(after="9", is_finished=True),
        },
        not_before_us=7,
    )
    other = StreamPosition(
        shards={
            "both": ShardPosition(after="100"),
            "horizon": ShardPosition(after="3"),
            "theirs": ShardPosition(after="5"),
            "finished": ShardPosition(after="8"),
            "done": ShardPosition(after=None, is_finished=True),
        },
        not_before_us=9,
    )
    merged = one.earlier_of(other)
    assert merged == other.earlier_of(one)
    assert merged.not_before_us == 7
    assert merged.shards == {
        "both": ShardPosition(after="99"),
        "horizon": ShardPosition(after=None),
        "mine": ShardPosition(after=None),
        "theirs": ShardPosition(after=None),
        "finished": ShardPosition(after="8"),
        "done": ShardPosition(after=None, is_finished=True),
    }


def test_a_position_survives_json() -> None:
    position = StreamPosition(
        shards={"a": ShardPosition(after="1"), "b": ShardPosition(after=None, is_finished=True)}, not_before_us=3
    )
    assert StreamPosition.from_json(position.to_json()) == position
