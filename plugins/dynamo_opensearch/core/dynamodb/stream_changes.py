"""How much a table was changed since a moment, as its stream tells. Bounded: the answer may be "at least"."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock, SystemClock
from dynamo_opensearch.core.dynamodb.errors import CALL_ERRORS, SERVICE, describe, is_passing, permanent_error
from dynamo_opensearch.core.errors import ServiceUnavailableError

_EMPTY_PAGES_AT_HEAD = 3
_MOST_PAGES = 500


@dataclass(frozen=True, kw_only=True)
class StreamChanges:
    """Records since the moment asked about, by event name. ``is_complete``: the whole stream was read."""

    inserted: int = 0
    modified: int = 0
    removed: int = 0
    is_complete: bool = True

    @property
    def total(self) -> int:
        """All of them."""
        return self.inserted + self.modified + self.removed

    def __str__(self) -> str:
        prefix = "" if self.is_complete else "at least "
        return f"{prefix}{self.inserted} inserted, {self.modified} modified, {self.removed} removed"


def count_changes(
    streams: Any,
    stream_arn: str,
    since_us: int,
    clock: Clock | None = None,
    retry: RetryPolicy | None = None,
) -> StreamChanges:
    """Count stream records created at ``since_us`` (microseconds since 1970) or later. Reads only.

    ``streams`` is a boto3 client of DynamoDB Streams. At most 500 pages are read. A shard has its indexer as a reader
    already, so throttling is to be expected, and waited out.

    Raises:
        AccessDeniedError, DynamoDbRequestError: the stream cannot be read.
        ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
    """
    reader = _StreamReader(streams, stream_arn, clock or SystemClock(), retry or RetryPolicy())
    counts: Counter[str] = Counter()
    for number, records in enumerate(reader.pages(), start=1):
        counts.update(
            record["eventName"]
            for record in records
            if record["dynamodb"]["ApproximateCreationDateTime"].timestamp() * 1e6 >= since_us
        )
        if number >= _MOST_PAGES:
            return _changes(counts, is_complete=False)
    return _changes(counts, is_complete=True)


def _changes(counts: Counter[str], *, is_complete: bool) -> StreamChanges:
    return StreamChanges(
        inserted=counts["INSERT"],
        modified=counts["MODIFY"],
        removed=counts["REMOVE"],
        is_complete=is_complete,
    )


class _StreamReader:
    """The pages of all shards, from the horizon to the head."""

    def __init__(self, streams: Any, stream_arn: str, clock: Clock, retry: RetryPolicy) -> None:
        self._streams, self._stream_arn, self._clock, self._retry = streams, stream_arn, clock, retry

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        for shard in self._shards():
            yield from self._shard_pages(shard)

    def _shards(self) -> Iterator[str]:
        start: dict[str, str] = {}
        while True:
            answer = self._call("DescribeStream", self._streams.describe_stream, StreamArn=self._stream_arn, **start)
            described = answer["StreamDescription"]
            yield from (shard["ShardId"] for shard in described["Shards"])
            if not described.get("LastEvaluatedShardId"):
                return
            start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}

    def _shard_pages(self, shard: str) -> Iterator[list[dict[str, Any]]]:
        """The head is believed after several empty pages; a closed shard ends by itself."""
        token = self._call(
            "GetShardIterator",
            self._streams.get_shard_iterator,
            StreamArn=self._stream_arn,
            ShardId=shard,
            ShardIteratorType="TRIM_HORIZON",
        ).get("ShardIterator")
        empty_pages = 0
        while token and empty_pages < _EMPTY_PAGES_AT_HEAD:
            answer = self._call("GetRecords", self._streams.get_records, ShardIterator=token, Limit=1000)
            token = answer.get("NextShardIterator")
            empty_pages = 0 if answer["Records"] else empty_pages + 1
            yield answer["Records"]

    def _call(self, action: str, method: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
        backoff = Backoff(self._retry, self._clock)
        while True:
            try:
                return method(**arguments)
            except CALL_ERRORS as error:
                if not is_passing(error):
                    region = str(self._streams.meta.region_name)
                    raise permanent_error(error, action, self._stream_arn, region) from error
                if not backoff.wait():
                    raise ServiceUnavailableError(
                        SERVICE, action, backoff.attempts, backoff.waited_s, describe(error)
                    ) from error
