"""Ranges of stream records read again from both DynamoDBs: they answer differently what is not in a shard."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.dead_letters.messages import StreamRange
from dynamo_opensearch.core.dead_letters.ranges.reader import NOT_NUMBERS, STREAM_GONE, RangeReader, ReadRange
from dynamo_opensearch.core.dead_letters.ranges.shard_sweep import REFUSED, SHARD_GONE
from dynamo_opensearch.core.dead_letters.ranges.wanted_ranges import NO_FIRST, NO_LAST, TRIMMED_WITHIN
from dynamo_opensearch.core.dynamodb.fast_parsing import install_fast_parsing
from dynamo_opensearch.core.dynamodb.stream_client import MOST_RECORDS, RecordsPage, StreamClient
from tests.support import oracle
from tests.support.fakes import quick_retry
from tests.support.rig import small_item
from tests.support.trimmable import TrimmableServer, trimmable_ministack
from tools.local.processes import Server

RECORDS = 40


class Streamed:
    """A table of its own whose stream has a record of each put; ``numbers``: of the records, by plain boto3."""

    def __init__(self, url: str) -> None:
        self.boto = oracle.client(url)
        self.plain = oracle.client(url, "dynamodbstreams")
        self.fast = oracle.client(url, "dynamodbstreams")
        install_fast_parsing(self.fast)
        self.table = f"ranges-{uuid.uuid4().hex[:8]}"
        self.boto.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.boto.get_waiter("table_exists").wait(TableName=self.table, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        self.arn = str(self.boto.describe_table(TableName=self.table)["Table"]["LatestStreamArn"])
        self.numbers: list[str] = []
        self.shard = ""
        self.before_page: Callable[[], object] = lambda: None

    def close(self) -> None:
        for client in (self.plain, self.fast):
            client.close()
        if self.table in self.boto.list_tables()["TableNames"]:
            self.boto.delete_table(TableName=self.table)
        self.boto.close()

    def put(self, count: int, first: int = 0) -> None:
        for number in range(first, first + count):
            self.boto.put_item(TableName=self.table, Item=small_item(number))

    def note_numbers(self) -> list[str]:
        """Of the records that the stream has now."""
        (described,) = self.plain.describe_stream(StreamArn=self.arn)["StreamDescription"]["Shards"]
        self.shard = described["ShardId"]
        token = self.plain.get_shard_iterator(StreamArn=self.arn, ShardId=self.shard, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        records: list[Any] = []
        while token and (page := self.plain.get_records(ShardIterator=token))["Records"]:
            records += page["Records"]
            token = page.get("NextShardIterator")
        self.numbers = [str(record["dynamodb"]["SequenceNumber"]) for record in records]
        return self.numbers

    def range(self, first: int, last: int) -> StreamRange:
        """Of the records at these places."""
        return self.named(self.numbers[first], self.numbers[last])

    def named(self, first: str, last: str, *, shard: str = "", arn: str = "") -> StreamRange:
        return StreamRange(stream_arn=arn or self.arn, shard=shard or self.shard, first=first, last=last)

    def read(self, *ranges: StreamRange, most_records: int = 1000) -> list[ReadRange]:
        """``most_records``: of a page."""

        def stream_for(arn: str) -> StreamClient:
            return SmallPages(self, arn, most_records)

        return RangeReader(stream_for, ["id"], SystemClock()).read(ranges)


class SmallPages(StreamClient):
    """So that a few records fill several. ``before_page`` is told of each."""

    def __init__(self, streamed: Streamed, arn: str, most_records: int) -> None:
        super().__init__(streamed.fast, arn, SystemClock(), quick_retry(10))
        self._streamed, self._most_records = streamed, most_records

    def records(self, iterator: str, limit: int = MOST_RECORDS) -> RecordsPage:
        self._streamed.before_page()
        return super().records(iterator, min(limit, self._most_records))


MakeStreamed = Callable[[Server], Streamed]


@pytest.fixture
def trimmable(tmp_path: Path) -> Iterator[TrimmableServer]:
    with trimmable_ministack(tmp_path) as server:
        yield server


@pytest.fixture
def make_streamed() -> Iterator[MakeStreamed]:
    made: list[Streamed] = []

    def make(server: Server) -> Streamed:
        made.append(Streamed(server.url))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def filled(make_streamed: MakeStreamed, either_dynamodb: Server) -> Streamed:
    one = make_streamed(either_dynamodb)
    one.put(RECORDS)
    assert len(one.note_numbers()) == RECORDS
    return one


def ids(one: ReadRange) -> list[str]:
    return [event.key[0]["S"] for event in one.events]


def names(first: int, last: int) -> list[str]:
    return [f"k{number:04}" for number in range(first, last + 1)]


@pytest.mark.parametrize("most_records", [1000, 7])
def test_ranges_are_found_with_both_their_bounds(filled: Streamed, most_records: int) -> None:
    ranges = [(3, 9), (30, 39), (9, 9), (0, 39), (3, 9)]
    found = filled.read(*(filled.range(*one) for one in ranges), most_records=most_records)
    assert [ids(one) for one in found] == [names(*one) for one in ranges]
    assert {one.lost for one in found} == {None}


def test_an_event_has_its_records_time(filled: Streamed) -> None:
    (one,) = filled.read(filled.range(0, 0))
    (event,) = one.events
    assert event.event_us is not None
    assert event.event_us % 1_000_000 == 0
    assert abs(time.time() - event.event_us / 1e6) < 120


def test_what_lies_far_apart_is_reached_by_a_jump(filled: Streamed) -> None:
    near, far = filled.read(filled.range(0, 0), filled.range(38, 39), most_records=3)
    assert (ids(near), ids(far)) == (names(0, 0), names(38, 39))


def test_numbers_that_the_shard_never_had_lose_their_range_and_no_other(filled: Streamed) -> None:
    last, width = filled.numbers[-1], len(filled.numbers[-1])
    before = str(int(filled.numbers[0]) - 1).zfill(width)
    beyond = [str(int(last) + more * 10**6).zfill(width) for more in (1, 2)]
    early, late, none, whole = filled.read(
        filled.named(before, filled.numbers[2]),
        filled.named(filled.numbers[37], beyond[0]),
        filled.named(*beyond),
        filled.range(5, 6),
        most_records=7,
    )
    assert (ids(early), early.lost) == (names(0, 2), NO_FIRST)
    assert (ids(late), late.lost) == (names(37, 39), NO_LAST)
    assert (ids(none), none.lost) == ([], NO_FIRST)
    assert (ids(whole), whole.lost) == (names(5, 6), None)


def test_numbers_of_another_form_are_compared_by_value(filled: Streamed) -> None:
    """Whatever the server makes of them."""
    first, last = (filled.numbers[place].zfill(40) for place in (4, 6))
    (one,) = filled.read(filled.named(first, last))
    assert (ids(one), one.lost) == (names(4, 6), None)


def test_garbage_loses_its_own_range_only(filled: Streamed) -> None:
    number = filled.numbers[0]
    found = filled.read(
        filled.named("x" * 25, "y" * 25),
        filled.named("1", "2"),
        filled.named(number, number, shard="s"),
        filled.named(number, number, arn="a"),
        filled.named(number, number, arn="a" * 40),
        filled.named(number, number, shard="shardId-00000000000000000000-deadbeef"),
        filled.named(number, number, arn=filled.arn.replace(filled.table, "another-table")),
        filled.range(1, 2),
    )
    reasons = [one.lost for one in found]
    assert reasons == [NOT_NUMBERS, NO_FIRST, REFUSED, REFUSED, STREAM_GONE, SHARD_GONE, STREAM_GONE, None]


def test_a_stream_that_was_switched_off_is_read_to_its_end(filled: Streamed) -> None:
    filled.boto.update_table(TableName=filled.table, StreamSpecification={"StreamEnabled": False})
    beyond = str(int(filled.numbers[-1]) + 1).zfill(len(filled.numbers[-1]))
    whole, half = filled.read(filled.range(30, 39), filled.named(filled.numbers[38], beyond), most_records=7)
    assert (ids(whole), whole.lost) == (names(30, 39), None)
    assert (ids(half), half.lost) == (names(38, 39), NO_LAST)


def test_the_stream_of_a_deleted_table_is_read_while_it_is_there(filled: Streamed) -> None:
    filled.boto.delete_table(TableName=filled.table)
    (one,) = filled.read(filled.range(3, 20))
    assert (ids(one), one.lost) == (names(3, 20), None)


def test_of_what_is_trimmed_the_rest_is_read(trimmable: TrimmableServer, make_streamed: MakeStreamed) -> None:
    one = make_streamed(trimmable.server)
    one.put(RECORDS)
    one.note_numbers()
    trimmable.trim_to(one.numbers[9])
    gone, half, whole = one.read(one.range(0, 4), one.range(5, 14), one.range(10, 19), most_records=7)
    assert (ids(gone), gone.lost) == ([], NO_FIRST)
    assert (ids(half), half.lost) == (names(10, 14), NO_FIRST)
    assert (ids(whole), whole.lost) == (names(10, 19), None)


def test_a_stream_of_which_all_is_trimmed_has_lost_every_range(
    trimmable: TrimmableServer, make_streamed: MakeStreamed
) -> None:
    one = make_streamed(trimmable.server)
    one.put(RECORDS)
    one.note_numbers()
    trimmable.trim_to(one.numbers[-1])
    found = one.read(*(one.range(place, place) for place in range(RECORDS)))
    assert {read.lost for read in found} == {NO_FIRST}


def test_records_that_are_trimmed_while_they_are_read_lose_the_range(
    trimmable: TrimmableServer, make_streamed: MakeStreamed
) -> None:
    one = make_streamed(trimmable.server)
    one.put(RECORDS)
    one.note_numbers()
    pages = 0

    def trim() -> None:
        nonlocal pages
        pages += 1
        if pages == 2:
            trimmable.trim_to(one.numbers[19])

    one.before_page = trim
    cut, behind = one.read(one.range(2, 30), one.range(20, 25), most_records=7)
    assert (ids(cut), cut.lost) == (names(2, 8) + names(20, 30), TRIMMED_WITHIN)
    assert (ids(behind), behind.lost) == (names(20, 25), None)
