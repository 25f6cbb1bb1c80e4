"""Ranges of stream records read again from a scripted stream: what is found, what is lost, and at what price."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_opensearch.core.clock import WorkerClockError
from dynamo_opensearch.core.dead_letters.messages import KeyEvent, StreamRange
from dynamo_opensearch.core.dead_letters.ranges.reader import (
    NOT_NUMBERS,
    STREAM_GONE,
    UPSIDE_DOWN,
    RangeReader,
    ReadRange,
)
from dynamo_opensearch.core.dead_letters.ranges.shard_sweep import EMPTY_PAGES_AT_HEAD, REFUSED, SHARD_GONE
from dynamo_opensearch.core.dead_letters.ranges.wanted_ranges import NO_FIRST, NO_LAST, TRIMMED_WITHIN
from dynamo_opensearch.core.dynamodb.errors import DynamoDbRequestError
from dynamo_opensearch.core.dynamodb.stream_client import IteratorExpiredError, RecordsTrimmedError, StreamClient
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from dynamo_opensearch.core.stream.cursor import SHORTEST_WAIT_S
from tests.support.fakes import FakeClock, quick_retry
from tests.support.scripted_stream import ARN, ITERATOR_LIVES_S, ScriptedStream, error

ENDLESS = 10**30
"""More empty pages than anybody reads."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["strict", "lenient"])
def stream(request: pytest.FixtureRequest, clock: FakeClock) -> ScriptedStream:
    """As MiniStack and as DynamoDB Local answer an iterator at a number."""
    made = ScriptedStream(clock)
    made.is_lenient = request.param == "lenient"
    made.add_shard("s1")
    return made


def reader(*streams: ScriptedStream) -> RangeReader:
    """``streams``: of ARNs that end in their place among them."""
    clients = {arn(place): StreamClient(one, arn(place), one.clock, quick_retry()) for place, one in enumerate(streams)}
    return RangeReader(lambda asked: clients[asked], ["id"], streams[0].clock)


def arn(place: int) -> str:
    return f"{ARN}-{place}"


def between(first: str, last: str, shard: str = "s1", stream: int = 0, records: int | None = None) -> StreamRange:
    return StreamRange(stream_arn=arn(stream), shard=shard, first=first, last=last, records=records)


def read(stream: ScriptedStream, *ranges: StreamRange) -> list[ReadRange]:
    return reader(stream).read(ranges)


def keys(one: ReadRange) -> str:
    return " ".join(event.key[0]["S"] for event in one.events)


def fill(stream: ScriptedStream, names: Sequence[str], shard: str = "s1") -> list[str]:
    return [stream.change(shard, name) for name in names]


def many(count: int) -> list[str]:
    return [f"k{number}" for number in range(count)]


def iterators(stream: ScriptedStream) -> list[tuple[str, str | None]]:
    return [(one["ShardIteratorType"], one.get("SequenceNumber")) for one in stream.reads_of("get_shard_iterator")]


# What belongs to a range


def test_both_bounds_are_included_and_nothing_else(stream: ScriptedStream) -> None:
    numbers = fill(stream, "abcdef")
    (one,) = read(stream, between(numbers[1], numbers[3]))
    assert (keys(one), one.lost) == ("b c d", None)


def test_an_event_has_the_key_and_time_of_its_record(stream: ScriptedStream, clock: FakeClock) -> None:
    (number,) = fill(stream, "a")
    (one,) = read(stream, between(number, number))
    assert one == ReadRange(events=(KeyEvent(({"S": "a"},), clock.time_us()),), lost=None)


def test_key_values_come_in_the_tables_order(stream: ScriptedStream, clock: FakeClock) -> None:
    (number,) = fill(stream, "a")
    stream.shards["s1"].records[0]["dynamodb"]["Keys"] = {"sort": {"N": "1"}, "id": {"S": "a"}}
    client = StreamClient(stream, ARN, clock, quick_retry())
    (one,) = RangeReader(lambda _: client, ["id", "sort"], clock).read([between(number, number)])
    assert one.events[0].key == ({"S": "a"}, {"N": "1"})


def test_results_come_in_the_order_of_the_ranges_each_time_the_same(stream: ScriptedStream) -> None:
    numbers = fill(stream, "abcd")
    ranges = [between(numbers[place], numbers[place]) for place in (2, 0, 3, 1)]
    one = reader(stream)
    first, second = one.read(ranges), one.read(ranges)
    assert [keys(found) for found in first] == ["c", "a", "d", "b"]
    assert first == second


def test_overlapping_nested_and_equal_ranges_each_have_all_their_records(stream: ScriptedStream) -> None:
    n = fill(stream, "abcdefg")
    ranges = [(0, 3), (2, 5), (0, 6), (3, 3), (0, 3), (4, 4)]
    found = read(stream, *(between(n[first], n[last]) for first, last in ranges))
    assert [keys(one) for one in found] == ["a b c d", "c d e f", "a b c d e f g", "d", "a b c d", "e"]
    assert {one.lost for one in found} == {None}


def test_sequence_numbers_are_compared_as_numbers(stream: ScriptedStream) -> None:
    for name, number in zip("abc", ("99", "100", "1000"), strict=True):
        fill(stream, name)
        stream.shards["s1"].records[-1]["dynamodb"]["SequenceNumber"] = number
    (one,) = read(stream, between("99", "1000"))
    assert (keys(one), one.lost) == ("a b c", None)


def test_fewer_records_than_a_range_says_are_no_loss(stream: ScriptedStream) -> None:
    numbers = fill(stream, "abc")
    (one,) = read(stream, between(numbers[0], numbers[2], records=7))
    assert (keys(one), one.lost) == ("a b c", None)


def test_no_ranges_cost_no_call(stream: ScriptedStream) -> None:
    assert read(stream) == []
    assert stream.calls == []


# Pages


def test_a_range_may_lie_on_several_pages(stream: ScriptedStream) -> None:
    stream.page_records = 2
    numbers = fill(stream, many(9))
    (one,) = read(stream, between(numbers[1], numbers[7]))
    assert (keys(one), one.lost) == (" ".join(many(9)[1:8]), None)
    assert len(stream.reads_of()) == 4


def test_empty_pages_are_not_the_end(stream: ScriptedStream, clock: FakeClock) -> None:
    numbers = fill(stream, "abc")
    stream.shards["s1"].empty_pages = EMPTY_PAGES_AT_HEAD - 1
    (one,) = read(stream, between(numbers[0], numbers[2]))
    assert (keys(one), one.lost) == ("a b c", None)
    assert clock.slept == [SHORTEST_WAIT_S] * (EMPTY_PAGES_AT_HEAD - 1)


def test_empty_pages_in_the_middle_of_a_range_are_not_its_end(stream: ScriptedStream) -> None:
    stream.page_records = 2
    numbers = fill(stream, "abcdef")

    def empty_after(page: int) -> None:
        if len(stream.reads_of()) == page:
            stream.shards["s1"].empty_pages = EMPTY_PAGES_AT_HEAD - 1

    stream.before_records = lambda: empty_after(2)
    (one,) = read(stream, between(numbers[0], numbers[5]))
    assert (keys(one), one.lost) == ("a b c d e f", None)


def test_full_pages_follow_each_other_without_a_pause(stream: ScriptedStream, clock: FakeClock) -> None:
    numbers = fill(stream, many(3000))
    read(stream, between(numbers[0], numbers[-1]))
    assert clock.slept == []
    assert {one["Limit"] for one in stream.reads_of()} == {1000}


# The ends of shards


def test_the_last_page_of_a_closed_shard_may_hold_records(stream: ScriptedStream) -> None:
    numbers = fill(stream, "abc")
    stream.close("s1", "s2")
    (one,) = read(stream, between(numbers[0], numbers[2]))
    assert (keys(one), one.lost) == ("a b c", None)


def test_a_closed_shard_without_the_last_number_loses_the_range(stream: ScriptedStream, clock: FakeClock) -> None:
    numbers = fill(stream, "abc")
    stream.close("s1")
    (one,) = read(stream, between(numbers[1], str(int(numbers[2]) + 1)))
    assert (keys(one), one.lost) == ("b c", NO_LAST)
    assert clock.slept == []


def test_a_range_goes_not_on_in_the_shards_children(stream: ScriptedStream) -> None:
    numbers = fill(stream, "ab")
    stream.close("s1", "s2", "s3")
    in_child = fill(stream, "cd", "s3")
    own, beyond = read(stream, between(in_child[0], in_child[1], "s3"), between(numbers[0], in_child[1], "s1"))
    assert (keys(own), own.lost) == ("c d", None)
    assert (keys(beyond), beyond.lost) == ("a b", NO_LAST)


def test_ranges_of_several_shards_and_streams_are_kept_apart(clock: FakeClock) -> None:
    streams = [ScriptedStream(clock), ScriptedStream(clock)]
    numbers: dict[tuple[int, str], tuple[str, str]] = {}
    for place, one in enumerate(streams):
        for shard in many(5):
            one.add_shard(shard)
            first, last = fill(one, [f"{place}{shard}"] * 2, shard)
            numbers[place, shard] = (first, last)
    ranges = [between(first, last, shard, place) for (place, shard), (first, last) in numbers.items()]
    found = reader(*streams).read(ranges)
    assert [keys(one) for one in found] == [f"{place}{shard} {place}{shard}" for place, shard in numbers]


def test_at_the_head_of_an_open_shard_what_was_never_there_is_lost(stream: ScriptedStream, clock: FakeClock) -> None:
    numbers = fill(stream, "abc")
    beyond = [str(int(numbers[-1]) + more) for more in (1, 2, 3)]
    ranges = [between(numbers[1], beyond[0]), between(beyond[1], beyond[2]), between(numbers[2], numbers[2])]
    half, none, whole = read(stream, *ranges)
    assert (keys(half), half.lost) == ("b c", NO_LAST)
    assert (keys(none), none.lost) == ("", NO_FIRST)
    assert (keys(whole), whole.lost) == ("c", None)
    assert len(clock.slept) <= 2 * EMPTY_PAGES_AT_HEAD


def test_a_range_whose_first_number_was_never_there_is_lost(stream: ScriptedStream) -> None:
    numbers = fill(stream, "abc")
    (one,) = read(stream, between(str(int(numbers[0]) + 1), numbers[2]))
    assert (keys(one), one.lost) == ("b c", NO_FIRST)


def test_a_range_whose_last_number_was_never_there_is_lost(stream: ScriptedStream) -> None:
    numbers = fill(stream, "abc")
    (one,) = read(stream, between(numbers[0], str(int(numbers[1]) + 1)))
    assert (keys(one), one.lost) == ("a b", NO_LAST)


def test_an_odd_number_costs_no_other_range(stream: ScriptedStream) -> None:
    numbers = fill(stream, many(50))
    stream.page_records = 5
    odd = [between(str(int(number) + 1), str(int(number) + 2)) for number in numbers]
    whole = [between(number, number) for number in numbers]
    found = read(stream, *odd, *whole)
    assert [one.lost for one in found[:50]] == [NO_FIRST] * 50
    assert [keys(one) for one in found[50:]] == many(50)


def test_after_many_empty_pages_reading_goes_on_at_the_next_range_that_is_there(
    stream: ScriptedStream, clock: FakeClock
) -> None:
    """A stretch without records may be longer than patience; what lies behind it is not lost."""
    numbers = fill(stream, many(60))
    stream.shards["s1"].trimmed = 20
    stretch = EMPTY_PAGES_AT_HEAD + 1
    stream.before_records = lambda: setattr(
        stream.shards["s1"], "empty_pages", ENDLESS if len(stream.reads_of()) <= stretch else 0
    )
    found = read(stream, *(between(number, number) for number in numbers[:40]))
    assert [one.lost for one in found] == [NO_FIRST] * 20 + [None] * 20
    assert [keys(one) for one in found[20:]] == many(60)[20:40]
    assert len(stream.calls) < stretch + 30


def test_an_empty_shard_whose_ranges_are_all_trimmed_costs_little(stream: ScriptedStream) -> None:
    numbers = fill(stream, many(2000))
    stream.shards["s1"].trimmed = 2000
    found = read(stream, *(between(number, number) for number in numbers))
    assert {one.lost for one in found} == {NO_FIRST}
    assert len(stream.calls) < EMPTY_PAGES_AT_HEAD + 40


# Iterators


def test_an_expired_iterator_is_asked_for_anew_behind_the_last_record(stream: ScriptedStream, clock: FakeClock) -> None:
    stream.page_records = 2
    numbers = fill(stream, "abcdef")
    stream.before_records = lambda: clock.pass_s(ITERATOR_LIVES_S + 1) if len(stream.reads_of()) == 2 else None
    (one,) = read(stream, between(numbers[0], numbers[5]))
    assert (keys(one), one.lost) == ("a b c d e f", None)
    assert iterators(stream) == [("AT_SEQUENCE_NUMBER", numbers[0]), ("AFTER_SEQUENCE_NUMBER", numbers[1])]


def test_an_iterator_that_expires_before_the_first_record_is_asked_for_at_the_same_place(
    stream: ScriptedStream,
) -> None:
    numbers = fill(stream, "ab")
    stream.fail_once("get_records", "ExpiredIteratorException")
    (one,) = read(stream, between(numbers[1], numbers[1]))
    assert (keys(one), one.lost) == ("b", None)
    assert iterators(stream) == [("AT_SEQUENCE_NUMBER", numbers[1])] * 2


def test_iterators_that_expire_at_once_again_and_again_are_told(stream: ScriptedStream) -> None:
    (number,) = fill(stream, "a")
    for _ in range(6):
        stream.fail_once("get_records", "ExpiredIteratorException")
    with pytest.raises(IteratorExpiredError):
        read(stream, between(number, number))


# What the stream has lost


def test_of_a_range_whose_start_is_trimmed_the_rest_is_read(stream: ScriptedStream) -> None:
    numbers = fill(stream, "abcdef")
    stream.shards["s1"].trimmed = 2
    gone, half, whole = read(
        stream, between(numbers[0], numbers[1]), between(numbers[0], numbers[4]), between(numbers[2], numbers[3])
    )
    assert (keys(gone), gone.lost) == ("", NO_FIRST)
    assert (keys(half), half.lost) == ("c d e", NO_FIRST)
    assert (keys(whole), whole.lost) == ("c d", None)


def test_records_trimmed_in_the_middle_while_it_is_read_lose_the_range(stream: ScriptedStream) -> None:
    """Both its ends were seen, and yet not all of it."""
    stream.page_records = 2
    numbers = fill(stream, "abcdefgh")

    def trim() -> None:
        if len(stream.reads_of()) == 2:
            stream.shards["s1"].trimmed = 5

    stream.before_records = trim
    cut, before, behind = read(
        stream, between(numbers[0], numbers[6]), between(numbers[0], numbers[1]), between(numbers[5], numbers[7])
    )
    assert (keys(cut), cut.lost) == ("a b f g", TRIMMED_WITHIN)
    assert (keys(before), before.lost) == ("a b", None)
    assert (keys(behind), behind.lost) == ("f g h", None)


def test_records_that_come_again_from_the_horizon_are_taken_once(stream: ScriptedStream) -> None:
    """Nothing was trimmed, whatever the stream said; a range is rather called lost than whole."""
    stream.page_records = 2
    numbers = fill(stream, "abcd")

    def fail() -> None:
        if len(stream.reads_of()) == 2:
            raise error("TrimmedDataAccessException", "GetRecords")

    stream.before_records = fail
    (one,) = read(stream, between(numbers[0], numbers[3]))
    assert (keys(one), one.lost) == ("a b c d", TRIMMED_WITHIN)


def test_a_stream_that_is_trimmed_faster_than_it_is_read_is_told(stream: ScriptedStream) -> None:
    (number,) = fill(stream, "a")
    for _ in range(6):
        stream.fail_once("get_records", "TrimmedDataAccessException")
    with pytest.raises(RecordsTrimmedError):
        read(stream, between(number, number))


def test_a_vanished_shard_loses_its_ranges_and_no_others(stream: ScriptedStream) -> None:
    stream.add_shard("s2")
    gone, there = fill(stream, "ab"), fill(stream, "cd", "s2")
    stream.shards["s1"].is_listed = False
    lost, whole = read(stream, between(gone[0], gone[1]), between(there[0], there[1], "s2"))
    assert (keys(lost), lost.lost) == ("", SHARD_GONE)
    assert (keys(whole), whole.lost) == ("c d", None)


def test_a_shard_that_vanishes_while_it_is_read_leaves_what_was_read(stream: ScriptedStream) -> None:
    stream.page_records = 2
    numbers = fill(stream, "abcd")

    def vanish() -> None:
        stream.shards["s1"].is_listed = len(stream.reads_of()) < 2

    stream.before_records = vanish
    half, whole = read(stream, between(numbers[0], numbers[3]), between(numbers[0], numbers[1]))
    assert (keys(half), half.lost) == ("a b", SHARD_GONE)
    assert (keys(whole), whole.lost) == ("a b", None)


def test_a_shard_that_is_listed_is_asked_for_again(stream: ScriptedStream) -> None:
    numbers = fill(stream, "ab")
    for _ in range(3):
        stream.fail_once("get_records", "ResourceNotFoundException")
    (one,) = read(stream, between(numbers[0], numbers[1]))
    assert (keys(one), one.lost) == ("a b", None)
    assert len(stream.reads_of("describe_stream")) == 1


def test_a_shard_that_is_listed_and_never_there_is_given_up(stream: ScriptedStream) -> None:
    numbers = fill(stream, "ab")
    for _ in range(50):
        stream.fail_once("get_shard_iterator", "ResourceNotFoundException")
    (one,) = read(stream, between(numbers[0], numbers[1]))
    assert one.lost == SHARD_GONE


def test_a_vanished_stream_is_listed_once_for_all_its_shards(clock: FakeClock) -> None:
    stream = ScriptedStream(clock)
    for _ in range(4):
        stream.fail_once("describe_stream", "ResourceNotFoundException")
    found = read(stream, *(between("1", "2", shard) for shard in many(9)))
    assert {one.lost for one in found} == {STREAM_GONE}
    assert len(stream.reads_of("describe_stream")) == 1


# What is no range, and what goes up


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        ("", "1", NOT_NUMBERS),
        ("1", "x" * 21, NOT_NUMBERS),
        ("-1", "1", NOT_NUMBERS),
        ("1_0", "20", NOT_NUMBERS),
        ("²", "20", NOT_NUMBERS),
        ("1", "1" * 41, NOT_NUMBERS),
        ("2", "1", UPSIDE_DOWN),
    ],
)
def test_what_cannot_be_a_range_is_not_asked_for(stream: ScriptedStream, first: str, last: str, reason: str) -> None:
    (one,) = read(stream, between(first, last))
    assert one == ReadRange(events=(), lost=reason)
    assert stream.calls == []


@pytest.mark.parametrize("code", ["ValidationException", "ParamValidationError"])
def test_a_start_that_is_refused_is_looked_for_from_the_horizon(stream: ScriptedStream, code: str) -> None:
    numbers = fill(stream, "abc")
    stream.fail_once("get_shard_iterator", code)
    refused, other = read(stream, between(numbers[0], numbers[1]), between(numbers[2], numbers[2]))
    assert (keys(refused), refused.lost) == ("a b", None)
    assert (keys(other), other.lost) == ("c", None)


def test_a_shard_whose_name_is_refused_loses_its_ranges(stream: ScriptedStream) -> None:
    numbers = fill(stream, "abc")
    stream.fail_once("get_shard_iterator", "ValidationException")
    stream.fail_once("get_shard_iterator", "ValidationException")
    (one,) = read(stream, between(numbers[0], numbers[1]))
    assert one == ReadRange(events=(), lost=REFUSED)


@pytest.mark.parametrize("action", ["get_shard_iterator", "get_records"])
@pytest.mark.parametrize(
    ("code", "raised"),
    [("AccessDeniedException", AccessDeniedError), ("SomethingNewException", DynamoDbRequestError)],
)
def test_what_needs_a_person_goes_up(stream: ScriptedStream, action: str, code: str, raised: type[Exception]) -> None:
    numbers = fill(stream, "abc")
    stream.fail_once(action, code)
    with pytest.raises(raised):
        read(stream, between(numbers[0], numbers[1]))


def test_throttling_is_waited_out_and_goes_up_when_it_stays(stream: ScriptedStream) -> None:
    numbers = fill(stream, "abc")
    stream.fail_once("get_records", "LimitExceededException")
    (one,) = read(stream, between(numbers[0], numbers[1]))
    assert one.lost is None
    for _ in range(1000):
        stream.fail_once("get_records", "LimitExceededException")
    with pytest.raises(ServiceUnavailableError):
        read(stream, between(numbers[0], numbers[1]))


def test_an_answer_by_another_clock_is_discarded(stream: ScriptedStream, clock: FakeClock) -> None:
    numbers = fill(stream, "ab")
    stream.before_records = lambda: setattr(clock, "now_us", clock.now_us + 60_000_000)
    client = StreamClient(stream, ARN, clock, quick_retry())
    stamped = stream._dated
    stream._dated = lambda answer: {  # type: ignore[method-assign]
        **stamped(answer),
        "ResponseMetadata": {"HTTPHeaders": {"date": "Mon, 23 Nov 2026 00:00:00 GMT"}},
    }
    with pytest.raises(WorkerClockError):
        RangeReader(lambda _: client, ["id"], clock).read([between(numbers[0], numbers[1])])


def test_a_result_survives_pickling() -> None:
    one = ReadRange(events=(KeyEvent(({"S": "a"},), 1),), lost=NO_FIRST)
    assert pickle.loads(pickle.dumps(one)) == one


# The price


def test_thousands_of_single_records_cost_hardly_more_calls_than_pages(stream: ScriptedStream) -> None:
    numbers = fill(stream, many(5000))
    found = read(stream, *(between(number, number) for number in reversed(numbers)))
    assert [keys(one) for one in found] == many(5000)[::-1]
    assert iterators(stream) == [("AT_SEQUENCE_NUMBER", numbers[0])]
    assert len(stream.reads_of()) == 5


def test_reading_ends_with_the_last_wanted_record(stream: ScriptedStream) -> None:
    numbers = fill(stream, many(5000))
    read(stream, between(numbers[10], numbers[20]))
    assert len(stream.calls) == 2


def test_a_desert_is_jumped_over(stream: ScriptedStream) -> None:
    numbers = fill(stream, many(50_000))
    one, other = read(stream, between(numbers[5], numbers[6]), between(numbers[45_000], numbers[45_001]))
    assert (keys(one), keys(other)) == ("k5 k6", "k45000 k45001")
    assert iterators(stream) == [("AT_SEQUENCE_NUMBER", numbers[5]), ("AT_SEQUENCE_NUMBER", numbers[45_000])]
    assert len(stream.reads_of()) == 4


def test_a_jump_to_what_is_not_there_is_not_made_twice(stream: ScriptedStream) -> None:
    """Reading goes on where it was, so that no other range is lost by it."""
    numbers = fill(stream, many(10_000))
    odd = str(int(numbers[7_000]) + 1)
    first, wrong, last = read(
        stream, between(numbers[0], numbers[0]), between(odd, odd), between(numbers[9_000], numbers[9_000])
    )
    assert [first.lost, wrong.lost, last.lost] == [None, NO_FIRST, None]
    assert sum(number == odd for _, number in iterators(stream)) == 1


# Against a model


@dataclass(frozen=True)
class Case:
    """``trims``: before so many GetRecords, how many records are gone. ``ranges``: places, beyond the end too."""

    count: int
    ranges: list[tuple[int, int]]
    trims: dict[int, int]
    empty: dict[int, int]
    expires: frozenset[int]
    page_records: int
    is_closed: bool
    is_lenient: bool


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(1, 40))
    place = st.integers(0, count + 2)
    pairs = draw(st.lists(st.tuples(place, place), max_size=12))
    call = st.integers(1, 12)
    return Case(
        count=count,
        ranges=[(min(pair), max(pair)) for pair in pairs],
        trims=draw(st.dictionaries(call, place, max_size=3)),
        empty=draw(st.dictionaries(call, st.integers(1, EMPTY_PAGES_AT_HEAD // 2 - 1), max_size=2)),
        expires=draw(st.frozensets(call, max_size=2)),
        page_records=draw(st.integers(1, 8)),
        is_closed=draw(st.booleans()),
        is_lenient=draw(st.booleans()),
    )


class Model:
    """The stream of a case, and what was trimmed and handed out when."""

    def __init__(self, case: Case) -> None:
        self.case, self.clock = case, FakeClock()
        self.stream = ScriptedStream(self.clock, page_records=case.page_records)
        self.stream.is_lenient = case.is_lenient
        self.shard = self.stream.add_shard("s1")
        self.numbers = fill(self.stream, many(case.count))
        self.numbers += [str(int(self.numbers[-1]) + 7 * more) for more in (1, 2, 3)]
        self.shard.is_closed = case.is_closed
        self.stream.before_records = self.before

    def before(self) -> None:
        call = len(self.stream.reads_of())
        self.shard.trimmed = max(self.shard.trimmed, min(self.case.trims.get(call, 0), self.case.count))
        if call in self.case.empty:
            self.shard.empty_pages = self.case.empty[call]
        if call in self.case.expires:
            self.clock.pass_s(ITERATOR_LIVES_S + 1)

    def read(self) -> list[ReadRange]:
        ranges = [between(self.numbers[first], self.numbers[last]) for first, last in self.case.ranges]
        return read(self.stream, *ranges)


@given(cases())
def test_found_is_what_the_stream_has_and_lost_is_whatever_it_lacks(case: Case) -> None:
    model = Model(case)
    for (first, last), one in zip(case.ranges, model.read(), strict=True):
        found = [int(event.key[0]["S"][1:]) for event in one.events]
        there = list(range(first, min(last + 1, case.count)))
        assert found == sorted(set(found))
        assert set(found) <= set(there)
        if one.lost is None:
            assert found == list(range(first, last + 1))  # nothing is ever called whole that is not
        assert set(there[max(0, model.shard.trimmed - first) :]) <= set(found)  # what is still there was read
        if last < case.count and first >= model.shard.trimmed:
            assert one.lost is None  # nothing is called lost that is there


@given(cases(), st.integers(0, 42))
def test_of_a_stream_at_rest_all_that_is_there_is_found_and_lost_is_what_lacks_an_end(case: Case, trimmed: int) -> None:
    model = Model(replace(case, trims={}))
    model.shard.trimmed = trimmed = min(trimmed, case.count)
    for (first, last), one in zip(case.ranges, model.read(), strict=True):
        assert keys(one).split() == many(case.count)[max(first, trimmed) : last + 1]
        assert (one.lost is None) == (first >= trimmed and last < case.count)
