"""What became of the dead letters of a run: counts that add up."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from dynamo_opensearch.core.reports import OfferReport, ReportError

MOST_REASONS = 10
MOST_IDS = 50
"""Of one parked message; a batch names up to 10,000, and all of them are in the parking place."""
_MOST_SAMPLES = 20
_COUNTS = ("received", "replayed", "parked", "left", "again", "newer", "events", "keys", "looks", "refused")


@dataclass(frozen=True, kw_only=True)
class ParkedSample:
    """One parked message, for the report: the first ``ids`` of the documents that it is known to be about."""

    id: str
    kind: str
    reason: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReplayReport:
    """``received == replayed + parked + left``, in messages; a message that came more than once counts once.

    ``replayed``: all its keys done, and deleted. ``left``: given back, or not deleted. ``waiting``: of the parked ones,
    those that a reconciliation will clear. ``again``: received once more. ``newer``: put there after the run had begun.

    ``events``: changes that the settled messages named; ``keys``: items that were looked at (an item that two
    consumers met counts twice); ``looks`` at them; ``offer``: what became of each document of each look in each index;
    ``refused``: documents that an index refuses for good, each counted once. ``seconds``: of all consumers together.
    """

    received: int = 0
    replayed: int = 0
    parked: int = 0
    left: int = 0
    again: int = 0
    newer: int = 0
    events: int = 0
    keys: int = 0
    looks: int = 0
    refused: int = 0
    seconds: float = 0.0
    shapes: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    samples: tuple[ParkedSample, ...] = ()
    offer: OfferReport = field(default_factory=OfferReport)

    def __post_init__(self) -> None:
        if self.received != self.replayed + self.parked + self.left:
            raise ReportError(self.received, self.replayed + self.parked + self.left)
        if self.parked != sum(self.kinds.values()):
            raise ReportError(self.parked, sum(self.kinds.values()))

    @property
    def waiting(self) -> int:
        """Parked messages whose items a reconciliation of all content, with repair, makes good."""
        return self.parked - self.kinds.get("not understood", 0)

    def __add__(self, other: "ReplayReport") -> "ReplayReport":
        counts: dict[str, Any] = {name: getattr(self, name) + getattr(other, name) for name in (*_COUNTS, "seconds")}
        for name in ("shapes", "kinds", "reasons"):
            counts[name] = dict(Counter(getattr(self, name)) + Counter(getattr(other, name)))
        samples = (*self.samples, *other.samples)[:_MOST_SAMPLES]
        return ReplayReport(**counts, samples=samples, offer=self.offer + other.offer)

    def to_json(self) -> dict[str, Any]:
        """For XCom and the state index; ``waiting`` is for readers."""
        samples = [{**asdict(one), "ids": list(one.ids)} for one in self.samples]
        return {**asdict(self), "samples": samples, "waiting": self.waiting}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``; what a newer version has added is left out."""
        known = {one.name: value[one.name] for one in fields(cls) if one.name in value}
        known["offer"] = OfferReport(**value["offer"])
        known["samples"] = tuple(ParkedSample(**{**one, "ids": tuple(one["ids"])}) for one in value["samples"])
        return cls(**known)

    def __str__(self) -> str:
        offer = self.offer
        rows: list[tuple[str, int | str]] = [
            ("messages received", self.received),
            ("  replayed and deleted", self.replayed),
            ("  parked", self.parked),
            ("    of these waiting for a reconciliation", self.waiting),
            ("  left in the queue", self.left),
            ("received once more", self.again),
            ("sent after the run began", self.newer),
            *((f"shape: {shape}", count) for shape, count in sorted(self.shapes.items())),
            ("changes named", self.events),
            ("keys", self.keys),
            ("looks at them", self.looks),
            ("documents offered", offer.offered),
            ("  indexed", offer.indexed),
            ("  deleted", offer.deleted),
            ("  stale: something newer stands there", offer.stale),
            ("  rejected", offer.rejected),
            ("documents refused for good", self.refused),
            *((f"reason: {reason}", count) for reason, count in self.top_reasons()),
        ]
        width = max(len(title) for title, _ in rows)
        return "\n".join(f"{title:<{width}} {count:>12,}" for title, count in rows)

    def top_reasons(self) -> list[tuple[str, int]]:
        """The most frequent reasons of parking and refusing."""
        return Counter(self.reasons).most_common(MOST_REASONS)
