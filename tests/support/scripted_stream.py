"""A stream in memory behind the methods of boto3's client: shards that split, end, are trimmed and vanish.

Answers are as ``install_fast_parsing`` leaves them. It stands in for the wire; what AWS really does is told in
docs and seen on the local servers, which have a single shard.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from botocore.exceptions import ClientError

from tests.support.fakes import FakeClock

ARN = "arn:aws:dynamodb:eu-central-1:1:table/members/stream/now"
ITERATOR_LIVES_S = 900


class Meta:
    region_name = "eu-central-1"


@dataclass
class ScriptedShard:
    """``records`` from sequence number ``trimmed`` on are there; ``empty_pages`` are answered before any other."""

    parent: str | None = None
    records: list[dict[str, Any]] = field(default_factory=list)
    trimmed: int = 0
    is_closed: bool = False
    is_listed: bool = True
    empty_pages: int = 0

    @property
    def numbers(self) -> list[str]:
        return [record["dynamodb"]["SequenceNumber"] for record in self.records]


class ScriptedStream:
    """What a StreamClient takes for boto3's client. ``rounding_s``: how coarse record times are.

    An iterator AT a record that is trimmed is refused, as documented
    (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetShardIterator.html); AT a number
    that never was, too, as MiniStack does. ``is_lenient``: as DynamoDB Local does, which gives one for any number, at
    the next record, and says what is trimmed only when records are asked for.
    """

    meta = Meta()

    def __init__(self, clock: FakeClock, rounding_s: float = 1.0, page_records: int = 1000) -> None:
        self.clock, self.rounding_s, self.page_records = clock, rounding_s, page_records
        self.shards: dict[str, ScriptedShard] = {}
        self.is_lenient = False
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.failures: dict[str, list[str]] = {}
        self.before_records: Callable[[], object] = lambda: None
        self._serial = 0

    # What a test does

    def add_shard(self, shard: str, parent: str | None = None) -> ScriptedShard:
        self.shards[shard] = ScriptedShard(parent)
        return self.shards[shard]

    def change(self, shard: str, key: str, kind: str = "MODIFY", disorder_s: float = 0.0) -> str:
        """A record of now; returns its sequence number."""
        self._serial += 1
        number = f"{self._serial * 7 + 10**20}"
        seconds = self.clock.time_us() / 1e6 + disorder_s
        self.shards[shard].records.append(
            {
                "eventName": kind,
                "dynamodb": {
                    "ApproximateCreationDateTime": seconds // self.rounding_s * self.rounding_s,
                    "SequenceNumber": number,
                    "Keys": {"id": {"S": key}},
                },
            }
        )
        return number

    def close(self, shard: str, *children: str) -> None:
        self.shards[shard].is_closed = True
        for child in children:
            self.add_shard(child, shard)

    def fail_once(self, action: str, code: str) -> None:
        """Answer the next call of this action with an error."""
        self.failures.setdefault(action, []).append(code)

    def reads_of(self, action: str = "get_records") -> list[dict[str, Any]]:
        return [asked for name, asked in self.calls if name == action]

    # What boto3's client does

    def describe_stream(self, **asked: Any) -> dict[str, Any]:
        """Two shards a page."""
        self._begin("describe_stream", asked)
        listed = [name for name, shard in self.shards.items() if shard.is_listed]
        start = asked.get("ExclusiveStartShardId")
        first = listed.index(start) + 1 if start else 0
        page = listed[first : first + 2]
        described: dict[str, Any] = {"Shards": [self._described(name) for name in page]}
        if first + 2 < len(listed):
            described["LastEvaluatedShardId"] = page[-1]
        return self._dated({"StreamDescription": described})

    def get_shard_iterator(self, **asked: Any) -> dict[str, Any]:
        self._begin("get_shard_iterator", asked)
        name = asked["ShardId"]
        shard = self._shard(name, "GetShardIterator")
        if asked["ShardIteratorType"] == "TRIM_HORIZON":
            return self._dated({"ShardIterator": self._iterator(name, shard.trimmed)})
        number = asked["SequenceNumber"]
        if asked["ShardIteratorType"] == "AT_SEQUENCE_NUMBER":
            return self._dated({"ShardIterator": self._iterator(name, self._place_of(shard, number))})
        assert asked["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER"
        place = shard.numbers.index(number) + 1
        if place <= shard.trimmed:
            raise error("TrimmedDataAccessException", "GetShardIterator")
        return self._dated({"ShardIterator": self._iterator(name, place)})

    def _place_of(self, shard: ScriptedShard, number: str) -> int:
        if self.is_lenient:
            return sum(int(one) < int(number) for one in shard.numbers)
        if number not in shard.numbers[shard.trimmed :]:
            raise error("TrimmedDataAccessException", "GetShardIterator")
        return shard.numbers.index(number)

    def get_records(self, **asked: Any) -> dict[str, Any]:
        self._begin("get_records", asked)
        self.before_records()
        name, place_text, made_text = asked["ShardIterator"].split("/")
        place, shard = int(place_text), self._shard(name, "GetRecords")
        if self.clock.monotonic_s() - float(made_text) > ITERATOR_LIVES_S:
            raise error("ExpiredIteratorException", "GetRecords")
        if place < shard.trimmed:
            raise error("TrimmedDataAccessException", "GetRecords")
        if shard.empty_pages:
            shard.empty_pages -= 1
            return self._dated({"Records": [], "NextShardIterator": self._iterator(name, place)})
        page = shard.records[place : place + min(asked["Limit"], self.page_records)]
        place += len(page)
        answer: dict[str, Any] = {"Records": page}
        if not shard.is_closed or place < len(shard.records):
            answer["NextShardIterator"] = self._iterator(name, place)
        return self._dated(answer)

    def _begin(self, name: str, asked: dict[str, Any]) -> None:
        self.calls.append((name, asked))
        if self.failures.get(name):
            raise error(self.failures[name].pop(0), name)

    def _shard(self, name: str, action: str) -> ScriptedShard:
        shard = self.shards.get(name)
        if shard is None or not shard.is_listed:
            raise error("ResourceNotFoundException", action)
        return shard

    def _described(self, name: str) -> dict[str, Any]:
        parent = self.shards[name].parent
        return {"ShardId": name} | ({"ParentShardId": parent} if parent else {})

    def _iterator(self, shard: str, place: int) -> str:
        return f"{shard}/{place}/{self.clock.monotonic_s()}"

    def _dated(self, answer: dict[str, Any]) -> dict[str, Any]:
        date = formatdate(self.clock.time_us() / 1e6, usegmt=True)
        return {**answer, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}


def error(code: str, action: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, action)
