"""One batch through the function: called, retried, cut, and at last given up, by count or by age.

As AWS describes it (docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html and
services-dynamodb-errors.html): a failed batch is tried again, split first where that is asked for. A partial response
checkpoints at the lowest number reported, and everything from there on is tried again; with splitting on, the batch is
split there. Not said there, and decided here: a split counts as no retry, and a batch that fails at its first number is
split in two.
"""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tools.local.esm_dead_letters import Destination, GivenUp, Reason
from tools.local.esm_faults import DialledInError, Fails, FaultKind
from tools.local.esm_records import StreamRecord, event_of

log = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any], Any], Any]


@dataclass(frozen=True, kw_only=True)
class RetrySettings:
    """``maximum_retries``, ``maximum_age_s``: None is for ever (AWS: -1). ``first_wait_s`` doubles to the longest."""

    maximum_retries: int | None = None
    maximum_age_s: float | None = None
    bisects: bool = False
    reports_items: bool = True
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0
    function_timeout_s: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Records ``delivered``, ``dead_lettered``, ``dropped`` (given up without a destination), and the calls.

    Calls ``invoked``; of those ``failed`` (raised, or reported items), ``retried`` after a wait, ``bisected``.
    """

    delivered: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    invoked: int = 0
    failed: int = 0
    retried: int = 0
    bisected: int = 0


@dataclass
class Tally:
    """Counts that several threads add to. ``function_errors``: the last exceptions of the function itself."""

    counts: Counts = field(default_factory=Counts)
    function_errors: deque[BaseException] = field(default_factory=lambda: deque(maxlen=20))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **more: int) -> None:
        """Count."""
        with self._lock:
            now = {one.name: getattr(self.counts, one.name) + more.get(one.name, 0) for one in fields(Counts)}
            self.counts = Counts(**now)


class LambdaContext:
    """What a function is told of its invocation."""

    function_name = "indexer"
    function_version = "$LATEST"

    def __init__(self, function_arn: str, ends_s: float, now_s: Callable[[], float]) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self.invoked_function_arn = function_arn
        self._ends_s, self._now_s = ends_s, now_s

    def get_remaining_time_in_millis(self) -> int:
        """Until the function would be ended (which a local mapping does not do)."""
        return max(0, round((self._ends_s - self._now_s()) * 1000))


class Ended(NamedTuple):
    """How one call ended: the position of the first record that failed (None: all went well), and whether it raised."""

    first_failed: int | None
    has_raised: bool


@dataclass(frozen=True)
class _Part:
    """Records that are tried together. ``retries`` so far; ``invocations`` so far."""

    records: Sequence[StreamRecord]
    retries: int = 0
    invocations: int = 0


@dataclass(kw_only=True)
class BatchRunner:
    """Brings batches of one shard to their end, one after the other.

    ``now_s``: seconds since 1970; ``wait``: sleeps, and says whether to go on (False: the mapping is being stopped).
    """

    handler: Handler
    settings: RetrySettings
    shard_id: str
    stream_arn: str
    function_arn: str
    destination: Destination | None
    tally: Tally
    now_s: Callable[[], float]
    wait: Callable[[float], bool]
    fails: Fails | None = None
    fault_kind: FaultKind = "report"

    def run(self, records: Sequence[StreamRecord]) -> Sequence[StreamRecord]:
        """Until every record has been delivered or given up; what is left when the mapping is stopped meanwhile.

        Raises:
            Whatever the destination's client raises: a failure of the mapping itself is not hidden.
        """
        parts = [_Part(records)]
        while parts:
            part = self._young(parts.pop())
            if not part.records:
                continue
            ended = self._invoke(part.records)
            next_parts, is_retry = self._after(part, ended)
            parts += reversed(next_parts)
            if is_retry and not self._pause(next_parts[0].retries):
                return [record for part in reversed(parts) for record in part.records]
        return []

    def _pause(self, retries: int) -> bool:
        self.tally.add(retried=1)
        longest = self.settings.longest_wait_s
        return self.wait(min(longest, self.settings.first_wait_s * 2 ** min(retries - 1, 20)))

    def _after(self, part: _Part, ended: Ended) -> tuple[list[_Part], bool]:
        """What is left of a part, in order, and whether that is a retry, before which there is a wait."""
        if ended.first_failed is None:
            self.tally.add(delivered=len(part.records))
            return [], False
        self.tally.add(failed=1, delivered=ended.first_failed)
        left = part.records[ended.first_failed :]
        invocations = part.invocations + 1
        if self.settings.bisects and len(part.records) > 1:
            self.tally.add(bisected=1)
            middle = 0 if ended.first_failed else len(left) // 2
            halves = [half for half in (left[:middle], left[middle:]) if half]
            return [_Part(half, part.retries, invocations) for half in halves], False
        if self.settings.maximum_retries is not None and part.retries >= self.settings.maximum_retries:
            self._give_up(left, "attempts", invocations, has_raised=ended.has_raised)
            return [], False
        return [_Part(left, part.retries + 1, invocations)], True

    def _young(self, part: _Part) -> _Part:
        """The part without records that have grown too old, which are given up."""
        if self.settings.maximum_age_s is None:
            return part
        oldest_s = self.now_s() - self.settings.maximum_age_s
        count = next(
            (number for number, record in enumerate(part.records) if record.created_s >= oldest_s), len(part.records)
        )
        if count:
            self._give_up(part.records[:count], "age", part.invocations, has_raised=False)
        return _Part(part.records[count:], part.retries, part.invocations)

    def _give_up(self, records: Sequence[StreamRecord], reason: Reason, invocations: int, *, has_raised: bool) -> None:
        if self.destination is None:
            self.tally.add(dropped=len(records))
            return
        self.destination.send(
            GivenUp(
                records=records,
                shard_id=self.shard_id,
                stream_arn=self.stream_arn,
                function_arn=self.function_arn,
                reason=reason,
                invocations=invocations,
                has_raised=has_raised,
                at=datetime.fromtimestamp(self.now_s(), UTC),
            )
        )
        self.tally.add(dead_lettered=len(records))

    def _invoke(self, records: Sequence[StreamRecord]) -> Ended:
        """Call the function, with the faults that are dialled in."""
        self.tally.add(invoked=1)
        faulty = [number for number, record in enumerate(records) if self.fails and self.fails(record.event)]
        context = LambdaContext(self.function_arn, self.now_s() + self.settings.function_timeout_s, self.now_s)
        try:
            if faulty and self.fault_kind == "raise":
                raise DialledInError(f"{len(faulty)} records were to fail")
            spared = [record for number, record in enumerate(records) if number not in set(faulty)]
            answer = self.handler(event_of(spared), context) if spared else None
        except Exception as error:  # noqa: BLE001 - the function's own error, which Lambda answers with a retry
            self.tally.function_errors.append(error)
            log.warning("The function raised %s", type(error).__name__)
            return Ended(0, has_raised=True)
        return self._read_answer(answer, records, faulty)

    def _read_answer(self, answer: Any, records: Sequence[StreamRecord], faulty: list[int]) -> Ended:
        """As Lambda reads it: an answer of another form is a success, an unknown number fails the whole batch."""
        if not self.settings.reports_items:
            return Ended(0 if faulty else None, has_raised=bool(faulty))
        places = {record.sequence_number: number for number, record in enumerate(records)}
        failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
        reported = [places.get(one.get("itemIdentifier"), 0) for one in failures or []]
        return Ended(min([*faulty, *reported], default=None), has_raised=False)
