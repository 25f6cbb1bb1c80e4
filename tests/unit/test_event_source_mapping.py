"""The local event source mapping: batches, retries, splitting, giving up, lag; on a stream that the test writes."""

import base64
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.local.esm_batches import BatchRunner, RetrySettings, Tally
from tools.local.esm_dead_letters import GivenUp, Shape, message
from tools.local.esm_faults import FailingShare
from tools.local.esm_records import StreamRecord, lambda_record
from tools.local.event_source_mapping import (
    CatchUpTimeoutError,
    EventSourceMapping,
    MappingSettings,
    event_source_mapping,
)

ARN = "arn:aws:dynamodb:eu-central-1:000000000000:table/members/stream/2026-01-01T00:00:00.000"
NOW_S = 1_800_000_000.0
Event = dict[str, Any]


def numbers(event: Event) -> list[int]:
    return [int(one["dynamodb"]["SequenceNumber"]) for one in event["Records"]]


def reporting(*failed: int) -> Callable[[Event], Any]:
    """A function that reports these numbers whenever it gets them."""

    def function(event: Event) -> Any:
        found = [one for one in numbers(event) if one in failed]
        return {"batchItemFailures": [{"itemIdentifier": str(one)} for one in found]}

    return function


def raising(*failed: int) -> Callable[[Event], Any]:
    """A function that raises whenever it gets one of these numbers."""

    def function(event: Event) -> Any:
        if set(failed) & set(numbers(event)):
            raise ValueError("poison")

    return function


class Batches:
    """A runner with a clock of its own; ``calls`` holds the numbers of each call."""

    def __init__(self, function: Callable[[Event], Any], **settings: Any) -> None:
        self.calls: list[list[int]] = []
        self.waits: list[float] = []
        self.given_up: list[GivenUp] = []
        self.now_s = NOW_S
        self.tally = Tally()
        self.goes_on = self.queue_is_there = True
        faults = {name: settings.pop(name) for name in ("fails", "fault_kind") if name in settings}

        def handler(event: Event, _context: Any) -> Any:
            self.calls.append(numbers(event))
            return function(event)

        self.runner = BatchRunner(
            handler=handler,
            settings=RetrySettings(**settings),
            shard_id="shard-1",
            stream_arn=ARN,
            function_arn="arn:aws:lambda:eu-central-1:000000000000:function:indexer",
            destination=self,
            tally=self.tally,
            now_s=lambda: self.now_s,
            wait=self.wait,
            **faults,
        )

    def send(self, given_up: GivenUp) -> None:
        if not self.queue_is_there:
            raise ConnectionError("no queue")
        self.given_up.append(given_up)

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now_s += seconds
        return self.goes_on

    def run(self, count: int = 8, created_s: Sequence[float] = ()) -> list[int]:
        times = created_s or [NOW_S] * count
        left = self.runner.run([record(one + 1, created) for one, created in enumerate(times)])
        return [int(one.sequence_number) for one in left]

    @property
    def lost(self) -> list[tuple[list[int], str, int]]:
        return [([int(r.sequence_number) for r in one.records], one.reason, one.invocations) for one in self.given_up]


def record(number: int, created_s: float = NOW_S) -> StreamRecord:
    event = {"eventID": str(number), "dynamodb": {"SequenceNumber": str(number)}}
    return StreamRecord(str(number), created_s, created_s, event)


def test_a_batch_that_succeeds_is_delivered_once() -> None:
    batches = Batches(reporting())
    assert batches.run() == []
    assert batches.calls == [[1, 2, 3, 4, 5, 6, 7, 8]]
    assert (batches.tally.counts.delivered, batches.tally.counts.failed) == (8, 0)


def test_everything_from_the_lowest_number_on_is_tried_again() -> None:
    batches = Batches(reporting(5, 3, 7), maximum_retries=2)
    batches.run()
    assert batches.calls == [[1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8]]
    assert batches.lost == [([3, 4, 5, 6, 7, 8], "attempts", 3)]
    assert batches.waits == [0.1, 0.2]
    counts = batches.tally.counts
    assert (counts.delivered, counts.dead_lettered, counts.retried, counts.failed) == (2, 6, 2, 3)


def test_without_partial_responses_what_the_function_reports_is_not_read() -> None:
    batches = Batches(reporting(3), reports_items=False, maximum_retries=0)
    batches.run()
    assert (batches.tally.counts.delivered, batches.lost) == (8, [])


def test_a_function_that_raises_gets_the_whole_batch_again() -> None:
    batches = Batches(raising(3), maximum_retries=1)
    batches.run()
    assert batches.calls == [list(range(1, 9))] * 2
    assert batches.lost == [(list(range(1, 9)), "attempts", 2)]
    assert [type(one) for one in batches.tally.function_errors] == [ValueError, ValueError]


def test_splitting_isolates_the_poison_of_a_function_that_raises_and_counts_no_retry() -> None:
    batches = Batches(raising(3), maximum_retries=0, bisects=True)
    batches.run()
    assert batches.calls == [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [1, 2], [3, 4], [3], [4], [5, 6, 7, 8]]
    assert batches.lost == [([3], "attempts", 4)]
    assert (batches.tally.counts.delivered, batches.tally.counts.bisected) == (7, 3)
    assert batches.waits == []


def test_splitting_with_partial_responses_cuts_at_the_number_reported() -> None:
    batches = Batches(reporting(3), maximum_retries=0, bisects=True)
    batches.run()
    assert batches.calls == [[1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8], [3, 4, 5], [3], [4, 5], [6, 7, 8]]
    assert batches.lost == [([3], "attempts", 4)]
    assert (batches.tally.counts.delivered, batches.tally.counts.retried) == (7, 0)


def test_records_of_a_split_batch_keep_their_order() -> None:
    batches = Batches(raising(2, 5), maximum_retries=2, bisects=True)
    batches.run()
    last_call = {one: place for place, call in enumerate(batches.calls) for one in call}
    assert sorted(last_call, key=lambda one: last_call[one]) == list(range(1, 9))


def test_retries_without_limit_end_by_age_with_what_is_too_old() -> None:
    batches = Batches(raising(2), maximum_age_s=10, longest_wait_s=2)
    batches.run(created_s=[NOW_S, NOW_S, NOW_S + 5, NOW_S + 6])
    assert batches.lost == [([1, 2], "age", len(batches.calls) - 1)]
    assert batches.calls[-1] == [3, 4]
    assert batches.tally.counts.delivered == 2


def test_a_record_that_is_too_old_already_is_never_delivered() -> None:
    batches = Batches(reporting(), maximum_age_s=10)
    batches.run(created_s=[NOW_S - 11, NOW_S - 10, NOW_S])
    assert batches.calls == [[2, 3]]
    assert batches.lost == [([1], "age", 0)]


def test_a_mapping_that_is_stopped_between_tries_keeps_what_is_left() -> None:
    batches = Batches(reporting(3))
    batches.goes_on = False
    assert batches.run() == [3, 4, 5, 6, 7, 8]
    assert batches.lost == []


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, "ok", {"x": 1}])
def test_an_answer_that_names_no_record_is_a_success(answer: Any) -> None:
    batches = Batches(lambda _event: answer)
    batches.run()
    assert batches.tally.counts.delivered == 8


@pytest.mark.parametrize("name", ["unknown", "", None])
def test_a_number_that_lambda_does_not_know_fails_the_whole_batch(name: str | None) -> None:
    batches = Batches(lambda _event: {"batchItemFailures": [{"itemIdentifier": name}]}, maximum_retries=0)
    batches.run()
    assert batches.lost == [(list(range(1, 9)), "attempts", 1)]


def test_an_error_of_the_destination_is_not_hidden() -> None:
    batches = Batches(reporting(1), maximum_retries=0)

    batches.queue_is_there = False
    with pytest.raises(ConnectionError):
        batches.run()


def test_without_a_destination_what_is_given_up_is_counted_as_dropped() -> None:
    batches = Batches(reporting(7), maximum_retries=0)
    batches.runner.destination = None
    batches.run()
    assert (batches.tally.counts.dropped, batches.tally.counts.delivered) == (2, 6)


# Faults


def test_a_fault_that_reports_leaves_the_record_out() -> None:
    batches = Batches(reporting(), maximum_retries=0, fails=lambda one: one["eventID"] == "3")
    batches.run()
    assert batches.calls == [[1, 2, 4, 5, 6, 7, 8]]
    assert batches.lost == [([3, 4, 5, 6, 7, 8], "attempts", 1)]


def test_a_fault_that_raises_calls_nothing() -> None:
    batches = Batches(reporting(), maximum_retries=0, fails=lambda one: one["eventID"] == "3", fault_kind="raise")
    batches.run()
    assert batches.calls == []
    assert batches.given_up[0].has_raised


def test_a_failing_share_is_the_same_for_the_same_seed_and_may_pass() -> None:
    events = [record(one).event for one in range(2_000)]
    always, again, other = FailingShare(0.01, seed=7), FailingShare(0.01, seed=7), FailingShare(0.01, seed=8)
    chosen = [one["eventID"] for one in events if always(one)]
    assert 5 < len(chosen) < 40
    assert [one["eventID"] for one in events if again(one)] == chosen
    assert [one["eventID"] for one in events if other(one)] != chosen
    twice = FailingShare(1.0, times=2)
    assert [twice(events[0]) for _ in range(3)] == [True, True, False]
    assert always.chosen == frozenset(chosen)


# What is left behind


def given_up(**changes: Any) -> GivenUp:
    values: dict[str, Any] = {
        "records": [record(17, NOW_S - 30), record(19, NOW_S - 29)],
        "shard_id": "shardId-00000001573689847184-864758bb",
        "stream_arn": ARN,
        "function_arn": "arn:aws:lambda:eu-central-1:000000000000:function:indexer",
        "reason": "attempts",
        "invocations": 3,
        "has_raised": True,
        "at": datetime.fromtimestamp(NOW_S + 0.717, UTC),
    }
    return GivenUp(**{**values, **changes})


def test_a_message_has_awss_fields_and_no_data() -> None:
    told = message(given_up())
    assert told["requestContext"].pop("requestId")
    assert told == {
        "requestContext": {
            "functionArn": "arn:aws:lambda:eu-central-1:000000000000:function:indexer",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 3,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2027-01-15T08:00:00.717Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001573689847184-864758bb",
            "startSequenceNumber": "17",
            "endSequenceNumber": "19",
            "approximateArrivalOfFirstRecord": "2027-01-15T07:59:30Z",
            "approximateArrivalOfLastRecord": "2027-01-15T07:59:31Z",
            "batchSize": 2,
            "streamArn": ARN,
        },
    }


@pytest.mark.parametrize(
    ("told", "changes", "expected"),
    [
        (Shape(), {"has_raised": False}, {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None}),
        (Shape(function_error="null"), {}, {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None}),
        (Shape(function_error="missing"), {}, {"statusCode": 200, "executedVersion": "$LATEST"}),
        (Shape(has_response=False), {}, "missing"),
        (Shape(), {"invocations": 0}, "missing"),
    ],
)
def test_the_response_is_told_null_or_left_out(told: Shape, changes: dict[str, Any], expected: Any) -> None:
    assert message(given_up(**changes), told).get("responseContext", "missing") == expected


def test_the_condition_of_age_has_two_names_and_pipes_call_the_context_otherwise() -> None:
    assert message(given_up(reason="age"))["requestContext"]["condition"] == "RecordAgeExceeded"
    told = message(given_up(reason="age"), Shape(context="context", age_condition="MaximumRecordAgeExceeded"))
    assert told["context"]["condition"] == "MaximumRecordAgeExceeded"
    assert "requestContext" not in told


def test_records_have_lambdas_shape() -> None:
    moment = datetime.fromtimestamp(NOW_S, UTC)
    told = lambda_record(
        {
            "eventID": "7",
            "eventName": "REMOVE",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "eu-central-1",
            "userIdentity": {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"},
            "dynamodb": {
                "ApproximateCreationDateTime": moment,
                "Keys": {"id": {"B": b"\x00\xff"}},
                "OldImage": {"id": {"B": b"\x00\xff"}, "l": {"L": [{"BS": [b"a"]}]}, "t": {"BOOL": True}},
                "SequenceNumber": "100",
                "SizeBytes": 7,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        },
        ARN,
        "eu-central-1",
    )
    binary = base64.b64encode(b"\x00\xff").decode()
    assert told == {
        "eventID": "7",
        "eventName": "REMOVE",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
        "dynamodb": {
            "ApproximateCreationDateTime": 1_800_000_000,
            "Keys": {"id": {"B": binary}},
            "OldImage": {"id": {"B": binary}, "l": {"L": [{"BS": ["YQ=="]}]}, "t": {"BOOL": True}},
            "SequenceNumber": "100",
            "SizeBytes": 7,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": ARN,
    }
    assert type(told["dynamodb"]["ApproximateCreationDateTime"]) is int


# The whole, on a stream in memory


class Stream:
    """boto3's client of DynamoDB Streams, as far as the mapping uses it. ``shards``: id to parent and records."""

    def __init__(self) -> None:
        self.shards: dict[str, tuple[str | None, list[Event]]] = {"s1": (None, [])}
        self.closed: set[str] = set()
        self.errors: list[str] = []
        self.meta = type("Meta", (), {"region_name": "eu-central-1"})
        self._count = 0

    def add(self, count: int = 1, shard: str = "s1", created_s: float | None = None) -> None:
        for _ in range(count):
            self._count += 1
            moment = datetime.fromtimestamp(time.time() if created_s is None else created_s, UTC)
            part = {"ApproximateCreationDateTime": moment, "SequenceNumber": str(self._count), "Keys": {}}
            self.shards[shard][1].append({"eventID": str(self._count), "eventName": "INSERT", "dynamodb": part})

    def describe_stream(self, **_: Any) -> Any:
        shards = [{"ShardId": name, "ParentShardId": parent} for name, (parent, _) in self.shards.items()]
        return {"StreamDescription": {"Shards": shards}}

    def get_shard_iterator(self, *, ShardId: str, ShardIteratorType: str, **more: str) -> Any:  # noqa: N803
        records = self.shards[ShardId][1]
        if ShardIteratorType == "AFTER_SEQUENCE_NUMBER":
            known = [one["dynamodb"]["SequenceNumber"] for one in records]
            place = known.index(more["SequenceNumber"]) + 1
        else:
            place = len(records) if ShardIteratorType == "LATEST" else 0
        return {"ShardIterator": f"{ShardId}:{place}"}

    def get_records(self, *, ShardIterator: str, **_: Any) -> Any:  # noqa: N803
        if self.errors:
            raise ClientError({"Error": {"Code": self.errors.pop(0)}}, "GetRecords")
        shard, place = ShardIterator.split(":")
        records = self.shards[shard][1]
        page = records[int(place) : int(place) + 3]
        end = int(place) + len(page)
        is_last = shard in self.closed and end == len(records)
        return {"Records": page} | ({} if is_last else {"NextShardIterator": f"{shard}:{end}"})


class Seen:
    """A function that remembers what it got, and when."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.at_s: list[float] = []

    def __call__(self, event: Event, _context: Any) -> None:
        self.batches.append(numbers(event))
        self.at_s.append(time.time())

    @property
    def all(self) -> list[int]:
        return [one for batch in self.batches for one in batch]


def settings(**changes: Any) -> MappingSettings:
    return MappingSettings(**{"poll_s": 0.005, **changes})


def test_every_record_is_delivered_once_and_in_order() -> None:
    stream, seen = Stream(), Seen()
    stream.add(10)
    with event_source_mapping(stream, ARN, seen, settings(batch_size=4)) as mapping:
        mapping.wait_until_caught_up(5)
        stream.add(3)
        mapping.wait_until_caught_up(5)
        assert mapping.iterator_age_s == 0
    assert seen.all == list(range(1, 14))
    assert max(map(len, seen.batches)) <= 4


def test_latest_begins_with_what_comes_afterwards() -> None:
    stream, seen = Stream(), Seen()
    stream.add(5)
    with event_source_mapping(stream, ARN, seen, settings(starting_position="LATEST")) as mapping:
        stream.add(2)
        mapping.wait_until_caught_up(5)
    assert seen.all == [6, 7]


def test_a_child_is_read_after_its_parent() -> None:
    stream, seen = Stream(), Seen()
    stream.add(5)
    stream.shards |= {"s2": ("s1", []), "s3": ("gone", [])}
    stream.add(2, "s2")
    stream.add(2, "s3")
    stream.closed = {"s1", "s2", "s3"}
    with event_source_mapping(stream, ARN, seen, settings()) as mapping:
        deadline_s = time.monotonic() + 10
        while len(seen.all) < 9:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        mapping.wait_until_caught_up(5)
    assert [one for one in seen.all if one <= 7] == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(seen.all) == list(range(1, 10))


def test_an_expired_iterator_is_taken_anew_and_a_trimmed_one_at_the_horizon() -> None:
    stream, seen = Stream(), Seen()
    stream.add(5)
    with event_source_mapping(stream, ARN, seen, settings()) as mapping:
        mapping.wait_until_caught_up(5)
        stream.errors = ["ExpiredIteratorException"]
        stream.add(1)
        mapping.wait_until_caught_up(5)
        assert seen.all == [1, 2, 3, 4, 5, 6]
        stream.errors = ["TrimmedDataAccessException"]
        mapping.wait_until_caught_up(5)
    assert seen.all == [1, 2, 3, 4, 5, 6] * 2


def test_any_other_error_of_the_stream_is_raised_at_the_end() -> None:
    stream = Stream()
    mapping = EventSourceMapping(stream, ARN, Seen(), settings())
    stream.errors = ["AccessDeniedException"]
    mapping.start()
    with pytest.raises(BaseExceptionGroup) as caught:
        mapping.wait_until_caught_up(5)
    assert isinstance(caught.value.exceptions[0], ClientError)
    with pytest.raises(BaseExceptionGroup):
        mapping.stop()


def test_a_record_is_delivered_no_earlier_than_its_lag_says() -> None:
    stream, seen = Stream(), Seen()
    with event_source_mapping(
        stream, ARN, seen, settings(lag_s=lambda one: 0.3 if one["eventID"] == "2" else 0.0)
    ) as mapping:
        began_s = time.time()
        stream.add(3)
        time.sleep(0.15)
        assert seen.all == [1]
        assert mapping.iterator_age_s > 0.1
        mapping.wait_until_caught_up(5)
    assert seen.all == [1, 2, 3]
    assert seen.at_s[-1] - began_s >= 0.3


def test_a_batch_window_gathers_records() -> None:
    stream, seen = Stream(), Seen()
    with event_source_mapping(stream, ARN, seen, settings(batch_window_s=0.2, batch_size=6)) as mapping:
        stream.add(2)
        time.sleep(0.05)
        stream.add(2)
        time.sleep(0.05)
        stream.add(2)
        mapping.wait_until_caught_up(5)
    assert seen.batches == [[1, 2, 3, 4, 5, 6]]


def test_a_paused_mapping_delivers_nothing_until_it_goes_on() -> None:
    stream, seen = Stream(), Seen()
    with event_source_mapping(stream, ARN, seen, settings()) as mapping:
        mapping.pause()
        time.sleep(0.03)
        stream.add(2)
        with pytest.raises(CatchUpTimeoutError):
            mapping.wait_until_caught_up(0.2)
        assert seen.all == []
        mapping.resume()
        mapping.wait_until_caught_up(5)
    assert seen.all == [1, 2]


def test_stopping_lets_the_call_end_and_leaves_no_thread() -> None:
    stream, began, ended = Stream(), threading.Event(), threading.Event()

    def slow(_event: Event, context: Any) -> None:
        began.set()
        time.sleep(0.1)
        assert 0 < context.get_remaining_time_in_millis() <= 60_000
        ended.set()

    stream.add(1)
    mapping = EventSourceMapping(stream, ARN, slow, settings())
    mapping.start()
    assert began.wait(5)
    mapping.stop()
    assert ended.is_set()
    assert not [one for one in threading.enumerate() if one.name.startswith("esm-")]
