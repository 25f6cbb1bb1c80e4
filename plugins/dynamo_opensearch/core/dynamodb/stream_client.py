"""Calls to one stream: its shards, iterators and pages of records."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from dynamo_opensearch.core.aws.errors import describe
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.dynamodb.errors import permanent_error
from dynamo_opensearch.core.dynamodb.patient_calls import PatientCalls
from dynamo_opensearch.core.errors import PassingError, PermanentError

MOST_RECORDS = 1000
"""GetRecords returns at most as many, or 1 MB."""

_FULL_PAGE_BYTES = 800_000
"""An answer of this size may have been cut by the other limit."""


class StreamMissingError(PermanentError):
    """There is no such stream: it was switched off a day ago, or its table is gone."""

    def __init__(self, stream_arn: str) -> None:
        super().__init__(stream_arn)
        self.stream_arn = stream_arn

    def __str__(self) -> str:
        return (
            f"stream {self.stream_arn!r} does not exist. Check that the table still has its stream enabled "
            "(a stream that is switched on anew has another ARN), and region and account of the AWS connection."
        )


class IteratorExpiredError(PassingError):
    """A shard iterator is older than 15 minutes. Caught by the reader, which asks for a new one."""

    def __init__(self, stream_arn: str) -> None:
        super().__init__(stream_arn)
        self.stream_arn = stream_arn

    def __str__(self) -> str:
        return f"an iterator of stream {self.stream_arn!r} has expired; the reader tries again with a new one"


class RecordsTrimmedError(PassingError):
    """The stream no longer has what lies after the position: it keeps records for 24 hours."""

    def __init__(self, stream_arn: str, action: str) -> None:
        super().__init__(stream_arn, action)
        self.stream_arn, self.action = stream_arn, action

    def __str__(self) -> str:
        return (
            f"stream {self.stream_arn!r} no longer has the records asked for ({self.action}). What was changed then is "
            "not known: start this DAG again with a comparison, or reconcile."
        )


class ShardMissingError(PassingError):
    """The stream does not list the shard any more."""

    def __init__(self, stream_arn: str, action: str) -> None:
        super().__init__(stream_arn, action)
        self.stream_arn, self.action = stream_arn, action

    def __str__(self) -> str:
        return (
            f"a shard of stream {self.stream_arn!r} is not there any more ({self.action}); the reader tries again "
            "with the shards that are"
        )


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard as DescribeStream lists it."""

    shard: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class ShardListing:
    """All shards that the stream listed when it was asked at ``began_us``."""

    shards: tuple[Shard, ...]
    began_us: int


class StreamRecord(NamedTuple):
    """One change: its place in the shard, the key in typed JSON, kind, and when (microseconds since 1970, rounded)."""

    sequence_number: str
    key: Item
    kind: str
    created_us: int


@dataclass(frozen=True, slots=True)
class RecordsPage:
    """One answer of GetRecords, begun at ``began_us``. ``next_iterator``: None at the end of a closed shard.

    ``is_full``: more records may be waiting behind it.
    """

    records: list[StreamRecord]
    next_iterator: str | None
    began_us: int
    is_full: bool


class StreamClient:
    """One stream through a boto3 client whose own retries are off: this is the layer that retries. Thread-safe.

    The client must have been given ``install_fast_parsing``. A shard has its indexer as a reader already, so
    throttling is to be expected, and waited out.
    """

    def __init__(self, client: Any, stream_arn: str, clock: Clock, retry: RetryPolicy) -> None:
        self.stream_arn = stream_arn
        self._client = client
        self._calls = PatientCalls(f"stream {stream_arn!r}", self._permanent, clock, retry)

    def list_shards(self) -> ShardListing:
        """All shards, from all pages of DescribeStream.

        Raises:
            StreamMissingError, AccessDeniedError, ServiceUnavailableError, WorkerClockError: it cannot be read.
        """
        shards: list[Shard] = []
        start: dict[str, str] = {}
        began_us: int | None = None
        while True:
            answer = self._calls.call(
                "DescribeStream", self._client.describe_stream, StreamArn=self.stream_arn, **start
            )
            began_us = answer.began_us if began_us is None else began_us
            described = answer.content["StreamDescription"]
            shards += [Shard(one["ShardId"], one.get("ParentShardId")) for one in described["Shards"]]
            if not described.get("LastEvaluatedShardId"):
                return ShardListing(tuple(shards), began_us)
            start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}

    def iterator(self, shard: str, after: str | None) -> str | None:
        """An iterator behind a sequence number, or at the shard's horizon.

        Raises:
            RecordsTrimmedError: the stream has trimmed that place.
            ShardMissingError: it has no such shard any more.
            AccessDeniedError, DynamoDbRequestError, ServiceUnavailableError, WorkerClockError: it cannot be read.
        """
        if after is None:
            return self._iterator(shard, ShardIteratorType="TRIM_HORIZON")
        return self._iterator(shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=after)

    def iterator_at(self, shard: str, sequence_number: str) -> str | None:
        """An iterator whose first record is the one with this number.

        What a number that the shard never had leads to is not documented; the local servers differ.

        Raises:
            RecordsTrimmedError: the stream has trimmed it; a server may say so only when records are asked for.
            ShardMissingError: it has no such shard any more.
            DynamoDbRequestError: the number has no form that DynamoDB takes.
            AccessDeniedError, ServiceUnavailableError, WorkerClockError: it cannot be read.
        """
        return self._iterator(shard, ShardIteratorType="AT_SEQUENCE_NUMBER", SequenceNumber=sequence_number)

    def records(self, iterator: str, limit: int = MOST_RECORDS) -> RecordsPage:
        """One page. An empty one with a next iterator is not the end.

        Raises:
            IteratorExpiredError: the iterator is too old.
            RecordsTrimmedError, ShardMissingError: as ``iterator``.
            AccessDeniedError, DynamoDbRequestError, ServiceUnavailableError, WorkerClockError: it cannot be read.
        """
        answer = self._calls.call("GetRecords", self._client.get_records, ShardIterator=iterator, Limit=limit)
        records = [_record(one) for one in answer.content["Records"]]
        is_full = len(records) >= limit or answer.body_bytes >= _FULL_PAGE_BYTES
        return RecordsPage(records, answer.content.get("NextShardIterator"), answer.began_us, is_full)

    def _iterator(self, shard: str, **place: str) -> str | None:
        answer = self._calls.call(
            "GetShardIterator", self._client.get_shard_iterator, StreamArn=self.stream_arn, ShardId=shard, **place
        )
        return answer.content.get("ShardIterator")

    def _permanent(self, error: Exception, action: str) -> Exception:
        code = describe(error) if isinstance(error, ClientError) else ""
        if code == "ExpiredIteratorException":
            return IteratorExpiredError(self.stream_arn)
        if code == "TrimmedDataAccessException":
            return RecordsTrimmedError(self.stream_arn, action)
        if code == "ResourceNotFoundException":
            if action == "DescribeStream":
                return StreamMissingError(self.stream_arn)
            return ShardMissingError(self.stream_arn, action)
        return permanent_error(error, action, self.stream_arn, str(self._client.meta.region_name))


def _record(record: dict[str, Any]) -> StreamRecord:
    change = record["dynamodb"]
    created_us = round(float(change["ApproximateCreationDateTime"]) * 1e6)
    return StreamRecord(change["SequenceNumber"], change.get("Keys", {}), record["eventName"], created_us)
