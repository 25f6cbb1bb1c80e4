"""Counting what a table was changed by since a moment, on a scripted stream."""

import pytest

from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.stream.changes import ChangeCounter, StreamChanges
from tests.support.fakes import FakeClock, quick_retry
from tests.support.scripted_stream import ARN, ScriptedStream


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stream(clock: FakeClock) -> ScriptedStream:
    made = ScriptedStream(clock)
    made.add_shard("s1")
    return made


def counter(stream: ScriptedStream, since_s: float = 0.0, longest_s: float = 600.0) -> ChangeCounter:
    """From so many seconds ago."""
    since_us = stream.clock.time_us() - round(since_s * 1e6)
    client = StreamClient(stream, ARN, stream.clock, quick_retry())
    return ChangeCounter(client, since_us, stream.clock, stream.rounding_s, longest_s)


def write(stream: ScriptedStream, shard: str, inserted: int, modified: int = 0, removed: int = 0) -> None:
    for kind, times in (("INSERT", inserted), ("MODIFY", modified), ("REMOVE", removed)):
        for number in range(times):
            stream.change(shard, f"{kind}-{number}", kind)


def test_changes_since_a_moment_are_counted_by_kind(stream: ScriptedStream, clock: FakeClock) -> None:
    write(stream, "s1", 5)
    clock.pass_s(60)
    one = counter(stream)
    write(stream, "s1", 2, 3, 1)
    changes = one.count()
    assert changes == StreamChanges(inserted=2, modified=3, removed=1)
    assert (changes.total, str(changes)) == (6, "2 inserted, 3 modified, 1 removed")


def test_what_was_written_in_the_second_of_the_moment_counts_since_times_are_rounded_down(
    stream: ScriptedStream, clock: FakeClock
) -> None:
    stream.rounding_s = 60.0
    clock.pass_s(-(clock.time_us() / 1e6) % 60 + 50)
    one = counter(stream)
    write(stream, "s1", 1)
    assert one.count().inserted == 1


def test_asked_again_it_reads_on_from_where_it_was(stream: ScriptedStream, clock: FakeClock) -> None:
    one = counter(stream)
    write(stream, "s1", 2_500)
    assert one.count().inserted == 2_500
    read = sum(1 for asked in stream.reads_of() if asked["Limit"] == 1_000)
    clock.pass_s(10)
    write(stream, "s1", 0, removed=7)
    assert one.count() == StreamChanges(inserted=2_500, removed=7)
    assert len(stream.reads_of()) - read < 10
    assert [asked["ShardIteratorType"] for asked in stream.reads_of("get_shard_iterator")] == ["TRIM_HORIZON"]


def test_shards_that_ended_before_the_moment_are_not_read(stream: ScriptedStream, clock: FakeClock) -> None:
    for parent, child in (("s1", "s2"), ("s2", "s3")):
        write(stream, parent, 1)
        stream.close(parent, child)
        clock.pass_s(4 * 3600)
    write(stream, "s3", 1)
    clock.pass_s(3600)
    one = counter(stream)
    write(stream, "s3", 4)
    assert one.count().inserted == 4
    assert {asked["ShardId"] for asked in stream.reads_of("get_shard_iterator")} == {"s3"}


def test_a_shard_that_splits_meanwhile_is_counted_with_its_children(stream: ScriptedStream, clock: FakeClock) -> None:
    one = counter(stream)
    write(stream, "s1", 1)
    assert one.count().inserted == 1
    stream.close("s1", "s2", "s3")
    write(stream, "s2", 2)
    write(stream, "s3", 3)
    assert one.count().inserted == 6


def test_empty_pages_are_not_the_end(stream: ScriptedStream) -> None:
    one = counter(stream)
    write(stream, "s1", 2)
    stream.shards["s1"].empty_pages = 2
    assert one.count().inserted == 2


def test_a_stream_that_grows_faster_than_it_is_read_is_given_up_and_says_so(
    stream: ScriptedStream, clock: FakeClock
) -> None:
    one = counter(stream, longest_s=30)

    def grow() -> None:
        write(stream, "s1", 1_000)
        clock.pass_s(1)

    stream.before_records = grow
    changes = one.count()
    assert not changes.is_complete
    assert str(changes).startswith("at least ")
    assert 30 <= len(stream.reads_of()) <= 35


def test_what_was_trimmed_before_it_was_read_makes_it_at_least_for_ever(
    stream: ScriptedStream, clock: FakeClock
) -> None:
    one = counter(stream)
    write(stream, "s1", 3)
    assert one.count().is_complete
    write(stream, "s1", 5)
    clock.pass_s(1_000)
    stream.shards["s1"].trimmed = 6
    changes = one.count()
    assert (changes.inserted, changes.is_complete) == (5, False)
    assert not one.count().is_complete


def test_a_throttled_stream_is_waited_for(stream: ScriptedStream) -> None:
    one = counter(stream)
    write(stream, "s1", 1)
    for code in ("LimitExceededException", "ProvisionedThroughputExceededException"):
        stream.fail_once("get_records", code)
    assert one.count() == StreamChanges(inserted=1)


def test_a_stream_that_may_not_be_read_is_refused(stream: ScriptedStream) -> None:
    stream.fail_once("get_records", "AccessDeniedException")
    with pytest.raises(AccessDeniedError, match="dynamodb:GetRecords"):
        counter(stream).count()
