"""Ranges of stream records, as dead letters name them, read from the stream again: which keys they are about."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dead_letters.messages import KeyEvent, StreamRange
from dynamo_opensearch.core.dead_letters.ranges.shard_sweep import SHARD_GONE, ShardSweep
from dynamo_opensearch.core.dead_letters.ranges.wanted_ranges import WantedRange, WantedRanges
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient, StreamMissingError

log = logging.getLogger(__name__)

STREAM_GONE = "the stream does not exist any more"
NOT_NUMBERS = "its sequence numbers are none"
UPSIDE_DOWN = "its first sequence number is greater than its last"

_MOST_DIGITS = 40
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html"""

_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRange:
    """What became of one range.

    ``events``: of every record of it that the stream still has, in the shard's order. ``lost``: why not all of it
    could be read, without values; None says that both its end numbers were seen, and all that lies between.
    """

    events: tuple[KeyEvent, ...]
    lost: str | None


class RangeReader:
    """Reads ranges of stream records. Give it many at once: each shard is read once for all of its ranges.

    ``stream_for``: the client of a stream by its ARN, asked once for each stream of a ``read``. ``key_attributes``:
    the table's, partition key first. Several shards are read at once, by threads of its own.
    """

    def __init__(self, stream_for: Callable[[str], StreamClient], key_attributes: Sequence[str], clock: Clock) -> None:
        self._stream_for, self._key_attributes, self._clock = stream_for, tuple(key_attributes), clock

    def read(self, ranges: Sequence[StreamRange]) -> list[ReadRange]:
        """What became of each range, in their order. Reads only, so that a second run is safe.

        What the stream no longer has, or never had, is ``lost`` and no error; nor is it one that there are fewer
        records than a range says (a filter of the event source mapping makes batches sparse).

        Raises:
            AccessDeniedError, DynamoDbRequestError, ServiceUnavailableError, WorkerClockError: it cannot be read.
            IteratorExpiredError, RecordsTrimmedError: the stream changed faster than it could be read.
            KeyError: a record lacks a key attribute.
        """
        began_s = self._clock.monotonic_s()
        shards: dict[tuple[str, str], dict[tuple[str, str], WantedRange]] = {}
        for one in ranges:
            if _flaw(one) is None:
                wanted = shards.setdefault((one.stream_arn, one.shard), {})
                if (one.first, one.last) not in wanted:
                    wanted[one.first, one.last] = WantedRange(one.first, one.last)
        sweeps = self._sweep({place: list(wanted.values()) for place, wanted in shards.items()})
        found = {
            (*place, *ends): ReadRange(events=tuple(one.events), lost=one.lost)
            for place, wanted in shards.items()
            for ends, one in wanted.items()
        }
        results = [_result(one, found) for one in ranges]
        self._tell(results, sweeps, began_s)
        return results

    def _sweep(self, shards: dict[tuple[str, str], list[WantedRange]]) -> list[ShardSweep]:
        streams = {arn: _Stream(self._stream_for(arn)) for arn, _ in shards}
        sweeps = [
            streams[arn].sweep(shard, WantedRanges(wanted, self._key_attributes), self._clock)
            for (arn, shard), wanted in shards.items()
        ]
        _run(sweeps)
        return sweeps

    def _tell(self, results: Sequence[ReadRange], sweeps: Sequence[ShardSweep], began_s: float) -> None:
        log.info(
            "%d ranges read in %.1f s, %d of them not in full: %d pages and %d records of %d shards",
            len(results),
            self._clock.monotonic_s() - began_s,
            sum(one.lost is not None for one in results),
            sum(one.pages for one in sweeps),
            sum(one.records for one in sweeps),
            len(sweeps),
        )


class _Stream:
    """One stream during one ``read``. Its shards are listed once, and only when one of them is missed."""

    def __init__(self, client: StreamClient) -> None:
        self._client = client
        self._listed: frozenset[str] | None = None
        self._is_gone = False
        self._lock = threading.Lock()

    def sweep(self, shard: str, wanted: WantedRanges, clock: Clock) -> ShardSweep:
        return ShardSweep(self._client, shard, wanted, lambda: self._why_missing(shard), clock)

    def _why_missing(self, shard: str) -> str | None:
        with self._lock:
            if self._listed is None:
                self._listed = self._list()
        if self._is_gone:
            return STREAM_GONE
        return None if shard in self._listed else SHARD_GONE

    def _list(self) -> frozenset[str]:
        try:
            return frozenset(one.shard for one in self._client.list_shards().shards)
        except StreamMissingError:
            self._is_gone = True
            return frozenset()


def _run(sweeps: Sequence[ShardSweep]) -> None:
    if len(sweeps) < 2:
        for one in sweeps:
            one.run()
        return
    with ThreadPoolExecutor(min(_THREADS, len(sweeps)), thread_name_prefix="ranges") as threads:
        for _ in threads.map(ShardSweep.run, sweeps):
            pass


def _result(one: StreamRange, found: dict[tuple[str, str, str, str], ReadRange]) -> ReadRange:
    read = found.get((one.stream_arn, one.shard, one.first, one.last))
    return read or ReadRange(events=(), lost=_flaw(one))


def _flaw(one: StreamRange) -> str | None:
    """What makes a range impossible. A number that is none must not be asked for: DynamoDB Local fails on it."""
    if not (_is_number(one.first) and _is_number(one.last)):
        return NOT_NUMBERS
    return UPSIDE_DOWN if int(one.first) > int(one.last) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
