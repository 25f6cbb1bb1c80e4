"""Looking at dead letters without touching anything: received, understood, given back."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dead_letters.messages import Message, MessageSource
from dynamo_opensearch.core.dead_letters.replay.dry_receives import note_dry_receives
from dynamo_opensearch.core.dead_letters.replay.intake import Intake, IntakeSettings
from dynamo_opensearch.core.dead_letters.replay.report import ParkedSample, ReplayReport
from dynamo_opensearch.core.dead_letters.understanding import Understanding, Understood
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.state.store import StateStore

MOST_HELD = 100_000
"""SQS lets 120,000 messages of a queue be invisible at once."""

_MESSAGES_PER_PASS = 500
_POLL_S = 1.0


@dataclass(frozen=True, kw_only=True)
class PeekPorts:
    """What looking works with. ``dry_receives``: the state document of that name."""

    source: MessageSource
    understanding: Understanding
    dry_receives: StateStore
    clock: Clock


class Peek:
    """Looks at the messages that are there, each once, and gives all of them back. Not thread-safe.

    They stay invisible to others until the looking ends.
    """

    def __init__(self, settings: IntakeSettings, ports: PeekPorts) -> None:
        self._ports = ports
        self._held: dict[str, Message] = {}
        self._intake = Intake(settings, ports.source, ports.clock, lambda: len(self._held))
        self._seen: set[str] = set()
        self._report = ReplayReport()
        self._again = Counter[str]()
        self._noted = 1

    @property
    def report(self) -> ReplayReport:
        """What was found so far. All of it is left; ``kinds`` that would be parked stand under the reasons."""
        return self._report

    def groups(self) -> Iterator[list[KeyValues]]:
        """Groups of keys that the messages name, each key once.

        Raises:
            SyncError: as the queue and the stream.
        """
        note_dry_receives(self._ports.dry_receives, self._ports.clock)
        try:
            while not self._intake.is_exhausted and len(self._held) < MOST_HELD:
                yield self._pass()
        finally:
            self._ports.source.release(list(self._held.values()))

    def through(self) -> ReplayReport:
        """Go through all messages; the report. Raises as ``groups``."""
        for _ in self.groups():
            continue
        return self.report

    def _pass(self) -> list[KeyValues]:
        new, repeated = self._intake.receive(min(_MESSAGES_PER_PASS, MOST_HELD - len(self._held)), _POLL_S)
        self._note_again(repeated)
        self._held |= {message.id: message for message in new}
        found: dict[str, KeyValues] = {}
        for understood in self._ports.understanding.understand(new) if new else ():
            found |= {document_id(event.key): event.key for event in understood.events}
            self._report += _seen(understood)
        fresh = {name: key for name, key in found.items() if name not in self._seen}
        self._seen.update(fresh)
        self._report += ReplayReport(keys=len(fresh))
        return list(fresh.values())

    def _note_again(self, repeated: Sequence[Message]) -> None:
        """A message that came once more was received once more by somebody who only looks."""
        self._again.update(message.id for message in repeated)
        receives = 1 + max(self._again.values(), default=0)
        if receives > self._noted:
            note_dry_receives(self._ports.dry_receives, self._ports.clock, receives - self._noted)
            self._noted = receives


def _seen(understood: Understood) -> ReplayReport:
    problem = understood.problem
    reasons = {} if problem is None else {f"{problem.kind}: {problem.reason}": 1}
    samples = (
        () if problem is None else (ParkedSample(id=understood.message.id, kind=problem.kind, reason=problem.reason),)
    )
    return ReplayReport(
        received=1,
        left=1,
        events=len(understood.events),
        shapes={understood.shape: 1},
        reasons=reasons,
        samples=samples,
    )
