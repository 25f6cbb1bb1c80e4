"""How much a table was changed since a moment, as its stream tells. Bounded: the answer may be "at least"."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.dynamodb.errors import CALL_ERRORS, permanent_error

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


def count_changes(streams: Any, stream_arn: str, since_us: int) -> StreamChanges:
    """Count stream records created at ``since_us`` (microseconds since 1970) or later. Reads only.

    ``streams`` is a boto3 client of DynamoDB Streams. At most 500 pages are read.

    Raises:
        AccessDeniedError, DynamoDbRequestError: the stream cannot be read.
    """
    counts: Counter[str] = Counter()
    pages = 0
    try:
        for shard in _shards(streams, stream_arn):
            for records in _pages(streams, stream_arn, shard):
                pages += 1
                counts.update(
                    record["eventName"]
                    for record in records
                    if record["dynamodb"]["ApproximateCreationDateTime"].timestamp() * 1e6 >= since_us
                )
                if pages >= _MOST_PAGES:
                    return _changes(counts, is_complete=False)
    except CALL_ERRORS as error:
        raise permanent_error(error, "GetRecords", stream_arn, str(streams.meta.region_name)) from error
    return _changes(counts, is_complete=True)


def _changes(counts: Counter[str], *, is_complete: bool) -> StreamChanges:
    return StreamChanges(
        inserted=counts["INSERT"],
        modified=counts["MODIFY"],
        removed=counts["REMOVE"],
        is_complete=is_complete,
    )


def _shards(streams: Any, stream_arn: str) -> Iterator[str]:
    start: dict[str, str] = {}
    while True:
        described = streams.describe_stream(StreamArn=stream_arn, **start)["StreamDescription"]
        yield from (shard["ShardId"] for shard in described["Shards"])
        if not described.get("LastEvaluatedShardId"):
            return
        start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}


def _pages(streams: Any, stream_arn: str, shard: str) -> Iterator[list[dict[str, Any]]]:
    """From the horizon to the head, which is believed after several empty pages; a closed shard ends by itself."""
    iterator = streams.get_shard_iterator(StreamArn=stream_arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    token, empty_pages = iterator.get("ShardIterator"), 0
    while token and empty_pages < _EMPTY_PAGES_AT_HEAD:
        answer = streams.get_records(ShardIterator=token, Limit=1000)
        token = answer.get("NextShardIterator")
        empty_pages = 0 if answer["Records"] else empty_pages + 1
        yield answer["Records"]
