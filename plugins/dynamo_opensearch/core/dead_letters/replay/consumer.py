"""One consumer of a replay: messages in, their keys looked at in every living index, and away with what is done."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dead_letters.messages import Message, MessageSource
from dynamo_opensearch.core.dead_letters.parking import ParkedMessage, Parking
from dynamo_opensearch.core.dead_letters.replay.intake import Intake, IntakeSettings
from dynamo_opensearch.core.dead_letters.replay.ledger import MessageLedger
from dynamo_opensearch.core.dead_letters.replay.progress import ReplayProgress
from dynamo_opensearch.core.dead_letters.replay.report import MOST_IDS, ParkedSample, ReplayReport
from dynamo_opensearch.core.dead_letters.understanding import Problem, Understanding, Understood
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.look.living import LivingIndices
from dynamo_opensearch.core.look.looker import Looker
from dynamo_opensearch.core.look.reject_log import RejectLog
from dynamo_opensearch.core.stamps import StampRule

log = logging.getLogger(__name__)

_SHORTEST_POLL_S = 1.0
_LONGEST_POLL_S = 5.0
_MOST_SLEEP_S = 1.0
_LOG_EVERY_S = 15.0
_AFTER_A_MOVE_S = 0.25


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """``max_receives``: receives, without mere looks, after which a message is parked unread.

    Memory: ``most_held`` messages, ``most_pending`` keys, and for each request in flight ``bulk_bytes``.
    """

    run_id: str
    intake: IntakeSettings
    key_attributes: tuple[str, ...]
    stamps: StampRule
    bulk_bytes: int
    requests_in_flight: int
    max_receives: int | None = None
    most_held: int = 5_000
    most_pending: int = 50_000
    messages_per_pass: int = 1_000
    keys_per_pass: int = 2_000


@dataclass(frozen=True, kw_only=True)
class ReplayPorts:
    """What a consumer works with. ``parking``: None where what cannot be replayed stays where it is.

    ``dry_receives``: how many receives of a message sent at that time (microseconds since 1970) were mere looks.
    """

    source: MessageSource
    understanding: Understanding
    reader: KeyedReader
    living: LivingIndices
    rejects: RejectLog
    parking: Parking | None
    progress: ReplayProgress
    dry_receives: Callable[[int | None], int]
    clock: Clock


class Replay:
    """Replays once. Not thread-safe; uses threads of its own.

    It can be killed at any point, and another one may run beside it: a message is deleted only after all that it names
    is done in every living index, or after it is in the parking place. What a second run does again changes nothing.
    """

    def __init__(self, settings: ReplaySettings, ports: ReplayPorts) -> None:
        self._settings, self._ports, self._clock = settings, ports, ports.clock
        self._held: dict[str, Understood] = {}
        self._stay: set[str] = set()
        self._ledger = MessageLedger(settings.stamps.done_after_us)
        self._intake = Intake(settings.intake, ports.source, ports.clock, lambda: len(self._held))
        self._report = ReplayReport()
        self._counted = Counter[str]()
        self._began_s = self._logged_s = ports.clock.monotonic_s()

    def run(self) -> ReplayReport:
        """Until every message that was there when the run began has its end; the report of all tries.

        Raises:
            NoLivingIndexError, AliasAmbiguousError: there is nothing to write to.
            ServiceUnavailableError, AccessDeniedError, WorkerClockError: as the reads and writes. Nothing is lost.
        """
        while not (self._intake.is_exhausted and not self._held):
            self._take_in()
            self._look()
            self._let_go()
            self._log_sometimes()
        self._save()
        return self._ports.progress.total(self._ports.rejects)

    # In

    def _take_in(self) -> None:
        settings = self._settings
        if self._ledger.fresh or self._due_in_s() <= 0:
            return  # what is to be looked at now does not wait for the queue
        room = min(settings.messages_per_pass, settings.most_held - len(self._held))
        if self._intake.is_exhausted or room <= 0 or self._ledger.pending >= settings.most_pending:
            self._sleep_until_due()
            return
        new, repeated = self._intake.receive(room, self._poll_s())
        self._delete_again(repeated)
        read: list[Message] = []
        for message in new:
            if self._is_received_too_often(message):
                self._park_unread(message)
            else:
                read.append(message)
        for understood in self._ports.understanding.understand(read) if read else ():
            self._held[understood.message.id] = understood
            self._ledger.enter(understood.message.id, understood.events, self._clock.time_us())

    def _delete_again(self, repeated: Sequence[Message]) -> None:
        """What may leave, and came once more: SQS delivers at least once."""
        ended = [message for message in repeated if message.id not in self._held and message.id not in self._stay]
        if ended:
            self._ports.source.delete(ended)

    def _is_received_too_often(self, message: Message) -> bool:
        most, receives = self._settings.max_receives, message.receives
        if most is None or receives <= most:
            return False
        return receives - self._ports.dry_receives(message.sent_us) > most

    def _park_unread(self, message: Message) -> None:
        problem = Problem(kind="received too often", reason=f"received more than {self._settings.max_receives} times")
        self._held[message.id] = Understood(message=message, shape="not read", events=(), problem=problem)
        self._ledger.enter(message.id, (), self._clock.time_us())

    def _poll_s(self) -> float:
        return max(_SHORTEST_POLL_S, min(_LONGEST_POLL_S, self._due_in_s()))

    def _due_in_s(self) -> float:
        due_us = self._ledger.next_due_us
        return _LONGEST_POLL_S if due_us is None else (due_us + 1 - self._clock.time_us()) / 1e6

    def _sleep_until_due(self) -> None:
        if self._held:
            self._clock.sleep(max(0.0, min(_MOST_SLEEP_S, self._due_in_s())))

    # Look

    def _look(self) -> None:
        settings, ports = self._settings, self._ports
        wanted = self._ledger.to_look_at(self._clock.time_us(), settings.keys_per_pass)
        if not wanted:
            return
        feeds = ports.living.current()
        looker = Looker(ports.reader, feeds, settings.stamps, settings.bulk_bytes, settings.requests_in_flight)
        result = looker.look([one.key for one in wanted])
        ports.rejects.add(result.rejects)
        for look in result.looks:
            if look.is_acknowledged:
                self._ledger.acknowledge(look.names, look.began_us)
        if result.has_moved:
            ports.living.note_moved()
            self._clock.sleep(_AFTER_A_MOVE_S)
        self._report += ReplayReport(looks=len(wanted), offer=result.offer)

    # Out

    def _let_go(self) -> None:
        done = [self._held[one] for one in self._ledger.take_done()]
        if not done:
            return
        self._ports.rejects.flush(self._settings.key_attributes)
        leaving = [one.message for one in done if self._may_leave(one)]
        self._stay |= {one.message.id for one in done} - {message.id for message in leaving}
        gone = self._ports.source.delete(leaving) if leaving else []
        stuck = {one.id for one in leaving} - {one.id for one in gone}
        for one in done:
            del self._held[one.message.id]
            name = one.message.id
            self._report += _outcome(one, is_stuck=name in stuck, stays=name in self._stay)
        self._save()

    def _may_leave(self, done: Understood) -> bool:
        """Whether the source may let go of it: it is replayed, or in the parking place now."""
        if done.problem is None:
            return True
        if self._ports.parking is None:
            return False
        self._ports.parking.put(
            ParkedMessage(
                message=done.message,
                kind=done.problem.kind,
                reason=done.problem.reason,
                shape=done.shape,
                ids=_ids(done),
                parked_us=self._clock.time_us(),
                run_id=self._settings.run_id,
            )
        )
        return True

    def _save(self) -> None:
        now_s = self._clock.monotonic_s()
        seconds, self._began_s = now_s - self._began_s, now_s
        counted = Counter(again=self._intake.again, newer=self._intake.newer, keys=self._ledger.keys)
        more = counted - self._counted
        self._counted = counted
        counts = ReplayReport(seconds=seconds, again=more["again"], newer=more["newer"], keys=more["keys"])
        self._ports.progress.add(self._report + counts, self._ports.rejects)
        self._report = ReplayReport()

    def _log_sometimes(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._logged_s < _LOG_EVERY_S:
            return
        self._logged_s = now_s
        report = self._ports.progress.report
        log.info(
            "%d messages replayed, %d parked so far; %d held, %d keys of them wait for a look",
            report.replayed,
            report.parked,
            len(self._held),
            self._ledger.pending,
        )


def _outcome(done: Understood, *, is_stuck: bool, stays: bool) -> ReplayReport:
    """The report of one message that was settled. Where it could not be deleted it is left, and comes again."""
    counts = ReplayReport(received=1, left=1, events=len(done.events), shapes={done.shape: 1})
    problem = done.problem
    if is_stuck:
        return counts
    if problem is None:
        return replace(counts, left=0, replayed=1)
    sample = ParkedSample(id=done.message.id, kind=problem.kind, reason=problem.reason, ids=_ids(done)[:MOST_IDS])
    counts = replace(counts, reasons={f"{problem.kind}: {problem.reason}": 1}, samples=(sample,))
    return counts if stays else replace(counts, left=0, parked=1, kinds={problem.kind: 1})


def _ids(done: Understood) -> tuple[str, ...]:
    return tuple(sorted({document_id(event.key) for event in done.events}))
