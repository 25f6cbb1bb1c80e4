"""A local event source mapping: reads a table's stream and calls a function with its records, as Lambda does.

MiniStack's own ignores partial responses, retries and splitting. The function is any Python callable, called in this
process. Lag and faults are dialled in. One thread for each shard, as on AWS with ParallelizationFactor 1.
"""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, takewhile
from typing import Any, NamedTuple, Self

from tools.local.esm_batches import BatchRunner, Counts, Handler, RetrySettings, Tally
from tools.local.esm_dead_letters import Destination
from tools.local.esm_faults import Fails, FaultKind
from tools.local.esm_records import LambdaRecord, StreamRecord
from tools.local.esm_shard import ShardReader, StartingPosition, list_shards

Lag = float | Callable[[LambdaRecord], float]
"""Seconds; a record is delivered no earlier than it was created plus these."""

EMPTY_PAGES_AT_HEAD = 3
SHARDS_EVERY_S = 2.0


class CatchUpTimeoutError(RuntimeError):
    """The mapping did not get to the head of the stream in time."""


@dataclass(frozen=True, kw_only=True)
class MappingSettings:
    """As an event source mapping has them, and the local dials below.

    ``rounding_s``: how far a record's creation time may lie before its creation (60 for DynamoDB Local).
    """

    batch_size: int = 100
    batch_window_s: float = 0.0
    starting_position: StartingPosition = "TRIM_HORIZON"
    retries: RetrySettings = field(default_factory=RetrySettings)
    function_arn: str = "arn:aws:lambda:eu-central-1:000000000000:function:indexer"
    lag_s: Lag = 0.0
    fails: Fails | None = None
    fault_kind: FaultKind = "report"
    rounding_s: float = 1.0
    poll_s: float = 0.1
    most_buffered: int = 100_000


class _Pending(NamedTuple):
    """A record that is to be delivered at ``due_s`` or later (seconds since 1970)."""

    record: StreamRecord
    due_s: float


@dataclass
class _ShardState:
    """What one shard's thread knows, for others to read."""

    pending: deque[_Pending] = field(default_factory=deque)
    in_flight: list[StreamRecord] = field(default_factory=list)
    empty_pages: deque[float] = field(default_factory=lambda: deque(maxlen=EMPTY_PAGES_AT_HEAD))
    """When the last pages, all of them empty, were asked for (steady clock)."""
    is_finished: bool = False

    def oldest(self) -> StreamRecord | None:
        """The first record that is not delivered yet."""
        try:
            return self.in_flight[0] if self.in_flight else self.pending[0].record
        except IndexError:  # none, or delivered in this very moment
            return None

    def is_at_head_since(self, moment_s: float) -> bool:
        """Whether all that was in the stream at that moment has been delivered or given up."""
        if self.oldest() is not None:
            return False
        pages = list(self.empty_pages)
        return self.is_finished or (len(pages) == EMPTY_PAGES_AT_HEAD and pages[0] >= moment_s)


class EventSourceMapping:
    """Runs between ``start`` and ``stop``, or as a context. What goes wrong in it is raised by ``check`` and ``stop``.

    ``streams``: boto3's client of DynamoDB Streams.
    """

    def __init__(
        self,
        streams: Any,
        stream_arn: str,
        handler: Handler,
        settings: MappingSettings = MappingSettings(),
        destination: Destination | None = None,
    ) -> None:
        self.uuid = str(uuid.uuid4())
        self._streams, self._stream_arn, self._handler = streams, stream_arn, handler
        self._settings, self._destination = settings, destination
        self._tally = Tally()
        self._shards: dict[str, _ShardState] = {}
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self._stopping, self._may_run = threading.Event(), threading.Event()
        self._may_run.set()

    @property
    def counts(self) -> Counts:
        """What has happened so far."""
        return self._tally.counts

    @property
    def function_errors(self) -> list[BaseException]:
        """The last exceptions that the function raised; Lambda takes them as failed batches."""
        return list(self._tally.function_errors)

    @property
    def iterator_age_s(self) -> float:
        """Age of the oldest record that is read and not delivered; 0 when there is none (Lambda's IteratorAge)."""
        oldest = [record.created_s for state in list(self._shards.values()) if (record := state.oldest())]
        return max(0.0, time.time() - min(oldest)) if oldest else 0.0

    def start(self) -> None:
        """Begin; LATEST means from now on."""
        self._take_up_shards(self._settings.starting_position)
        self._run_thread(self._watch_shards, "esm-shards")

    def stop(self) -> None:
        """End in order: a call that is going on comes to its end, nothing new begins.

        Raises:
            ExceptionGroup: what went wrong in the mapping itself.
        """
        self._stopping.set()
        self._may_run.set()
        for thread in list(self._threads):
            thread.join()
        self.check()

    def check(self) -> None:
        """Raise what went wrong in the mapping itself, if anything did.

        Raises:
            ExceptionGroup: that.
        """
        if self._errors:
            raise BaseExceptionGroup("the event source mapping failed", list(self._errors))

    def pause(self) -> None:
        """Deliver nothing more until ``resume`` (Enabled: false)."""
        self._may_run.clear()

    def resume(self) -> None:
        """Go on."""
        self._may_run.set()

    def wait_until_caught_up(self, timeout_s: float = 60.0) -> None:
        """Until everything that is in the stream now has been delivered or given up.

        Raises:
            CatchUpTimeoutError: it took longer.
            ExceptionGroup: the mapping failed.
        """
        began_s = time.monotonic()
        while not all(state.is_at_head_since(began_s) for state in list(self._shards.values())):
            self.check()
            if time.monotonic() - began_s > timeout_s:
                raise CatchUpTimeoutError(f"after {timeout_s:.0f} s: {self.counts}, age {self.iterator_age_s:.1f} s")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch_shards(self) -> None:
        while not self._stopping.wait(SHARDS_EVERY_S):
            self._take_up_shards("TRIM_HORIZON")

    def _take_up_shards(self, position: StartingPosition) -> None:
        """Start on shards that are new and whose parents are done with."""
        shards = list(list_shards(self._streams, self._stream_arn))
        listed = {shard.id for shard in shards}
        for shard in shards:
            parent = self._shards.get(shard.parent or "")
            waits = shard.parent in listed and position == "TRIM_HORIZON" and not (parent and parent.is_finished)
            if shard.id in self._shards or waits:
                continue
            state = self._shards[shard.id] = _ShardState()
            reader = ShardReader(self._streams, self._stream_arn, shard.id, position)
            self._run_thread(partial(self._work, reader, state, shard.id), f"esm-{shard.id[-8:]}")

    def _run_thread(self, work: Callable[[], None], name: str) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - raised by check() and stop()
                self._errors.append(error)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, reader: ShardReader, state: _ShardState, shard_id: str) -> None:
        runner = self._runner(shard_id)
        polled_s = 0.0
        while not self._stopping.is_set():
            self._may_run.wait()
            began_s = time.monotonic()
            if len(state.pending) < self._settings.most_buffered and began_s - polled_s >= self._settings.poll_s:
                polled_s = began_s
                _take(state, [_Pending(one, self._due_s(one)) for one in reader.read()], began_s)
            if batch := self._next_batch(state):
                self._deliver(runner, state, batch)
            elif reader.is_ended and not state.pending:
                state.is_finished = True
                return
            else:
                self._stopping.wait(self._settings.poll_s / 4)

    def _deliver(self, runner: BatchRunner, state: _ShardState, batch: list[StreamRecord]) -> None:
        state.in_flight = batch
        for _ in batch:
            state.pending.popleft()
        left = runner.run(batch)
        state.pending.extendleft(_Pending(record, 0.0) for record in reversed(left))
        state.in_flight = []

    def _next_batch(self, state: _ShardState) -> list[StreamRecord]:
        """The records that are due, when the batch is full or its window is over."""
        now_s = time.time()
        first = list(islice(state.pending, self._settings.batch_size))
        due = list(takewhile(lambda one: one.due_s <= now_s, first))
        is_full = len(due) == self._settings.batch_size
        is_time = bool(due) and now_s - due[0].due_s >= self._settings.batch_window_s
        return [one.record for one in due] if is_full or is_time else []

    def _due_s(self, record: StreamRecord) -> float:
        lag_s = self._settings.lag_s
        created_by_s = min(record.seen_s, record.created_s + self._settings.rounding_s)
        return created_by_s + (lag_s(record.event) if callable(lag_s) else lag_s)

    def _runner(self, shard_id: str) -> BatchRunner:
        return BatchRunner(
            handler=self._handler,
            settings=self._settings.retries,
            shard_id=shard_id,
            stream_arn=self._stream_arn,
            function_arn=self._settings.function_arn,
            destination=self._destination,
            tally=self._tally,
            now_s=time.time,
            wait=lambda seconds: not self._stopping.wait(seconds),
            fails=self._settings.fails,
            fault_kind=self._settings.fault_kind,
        )


def _take(state: _ShardState, records: list[_Pending], began_s: float) -> None:
    state.pending.extend(records)
    if records:
        state.empty_pages.clear()
    else:
        state.empty_pages.append(began_s)


@contextmanager
def event_source_mapping(
    streams: Any,
    stream_arn: str,
    handler: Handler,
    settings: MappingSettings = MappingSettings(),
    destination: Destination | None = None,
) -> Iterator[EventSourceMapping]:
    """A mapping while the context lasts.

    Raises:
        ExceptionGroup: at its end, what went wrong in the mapping itself.
    """
    with EventSourceMapping(streams, stream_arn, handler, settings, destination) as mapping:
        yield mapping
