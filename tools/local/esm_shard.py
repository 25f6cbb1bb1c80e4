"""Reading one shard of a stream, for a local event source mapping."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from tools.local.esm_records import StreamRecord, stream_record

log = logging.getLogger(__name__)

StartingPosition = Literal["TRIM_HORIZON", "LATEST"]
PAGE = 1000


@dataclass(frozen=True)
class Shard:
    """A shard and the one that it came from."""

    id: str
    parent: str | None


def list_shards(streams: Any, stream_arn: str) -> Iterator[Shard]:
    """Every shard that the stream still has, all pages."""
    start: dict[str, str] = {}
    while True:
        described = streams.describe_stream(StreamArn=stream_arn, **start)["StreamDescription"]
        for shard in described["Shards"]:
            yield Shard(shard["ShardId"], shard.get("ParentShardId"))
        if not described.get("LastEvaluatedShardId"):
            return
        start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}


class ShardReader:
    """Reads a shard from its starting position on. ``is_ended``: it is closed, and everything was read."""

    def __init__(
        self,
        streams: Any,
        stream_arn: str,
        shard_id: str,
        position: StartingPosition,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._streams, self._stream_arn, self._shard_id = streams, stream_arn, shard_id
        self._now_s, self._last = now_s, ""
        self.is_ended = False
        self._iterator = self._iterator_at(position)

    def read(self) -> list[StreamRecord]:
        """The next page, which may be empty.

        An iterator that has expired is taken anew after the last record; where that was trimmed meanwhile, reading goes
        on at the horizon, and the log says so.

        Raises:
            ClientError: anything else.
        """
        if self.is_ended:
            return []
        try:
            page = self._streams.get_records(ShardIterator=self._iterator, Limit=PAGE)
        except ClientError as error:
            self._iterator = self._iterator_after(error)
            return []
        seen_s = self._now_s()
        region = str(self._streams.meta.region_name)
        records = [stream_record(record, self._stream_arn, region, seen_s) for record in page["Records"]]
        if records:
            self._last = records[-1].sequence_number
        self._iterator = page.get("NextShardIterator") or ""
        self.is_ended = not self._iterator
        return records

    def _iterator_after(self, error: ClientError) -> str:
        code = error.response["Error"]["Code"]
        if code == "ExpiredIteratorException":
            if not self._last:
                return self._iterator_at("TRIM_HORIZON")
            try:
                return self._iterator_at("AFTER_SEQUENCE_NUMBER", SequenceNumber=self._last)
            except ClientError as inner:
                code = inner.response["Error"]["Code"]
        if code != "TrimmedDataAccessException":
            raise error
        log.warning("Shard %s was trimmed while nobody read it: records are lost", self._shard_id)
        return self._iterator_at("TRIM_HORIZON")

    def _iterator_at(self, kind: str, **more: str) -> str:
        answer = self._streams.get_shard_iterator(
            StreamArn=self._stream_arn, ShardId=self._shard_id, ShardIteratorType=kind, **more
        )
        return str(answer["ShardIterator"])
