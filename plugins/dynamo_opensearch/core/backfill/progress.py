"""How far a segment task has got, in a form that survives its process."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

from dynamo_opensearch.core.backfill.ledger import Position
from dynamo_opensearch.core.reports import CopyReport
from dynamo_opensearch.core.state.store import StateStore

_FORMAT = 1


ProgressStore = StateStore
"""One small JSON object per task, kept from try to try."""


@dataclass(frozen=True, kw_only=True)
class CopyIdentity:
    """What a saved position belongs to. On another index or other segments it means nothing."""

    table_id: str
    index_uuid: str
    rules: str
    segments: range
    total_segments: int

    def to_json(self) -> dict[str, Any]:
        """For the store."""
        return {**self.__dict__, "segments": [self.segments[0], self.segments[-1]]}


@dataclass(frozen=True, kw_only=True)
class CopyProgress:
    """Everything before ``position`` is acknowledged and counted in ``report``; its rejects are in ``parts`` files."""

    position: Position = field(default_factory=lambda: Position(0, None))
    report: CopyReport = field(default_factory=CopyReport)
    reasons: dict[str, int] = field(default_factory=dict)
    parts: int = 0
    is_complete: bool = False

    def advanced(self, position: Position, report: CopyReport, reasons: dict[str, int], parts: int) -> "CopyProgress":
        """The progress after some more pages."""
        merged = dict(self.reasons)
        for reason, count in reasons.items():
            merged[reason] = merged.get(reason, 0) + count
        return replace(self, position=position, report=self.report + report, reasons=merged, parts=parts)

    def to_json(self, identity: CopyIdentity, items_estimated: int) -> dict[str, Any]:
        """For the store; ``segments_done``, ``scanned`` and ``items_estimated`` are for whoever shows progress."""
        return {
            "format": _FORMAT,
            "identity": identity.to_json(),
            "position": {
                "segment_number": self.position.segment_number,
                "start_key": self.position.start_key,
            },
            "parts": self.parts,
            "reasons": self.reasons,
            "report": self.report.to_json(),
            "is_complete": self.is_complete,
            "segments": sorted({identity.segments[0], identity.segments[-1]}),
            "segments_done": self.position.segment_number,
            "scanned": self.report.scanned,
            "items_estimated": items_estimated,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``.

        Raises:
            ReportError: the saved counts do not add up.
        """
        return cls(
            position=Position(value["position"]["segment_number"], value["position"]["start_key"]),
            report=CopyReport.from_json(value["report"]),
            reasons=value["reasons"],
            parts=value["parts"],
            is_complete=value["is_complete"],
        )


def resume(saved: dict[str, Any] | None, identity: CopyIdentity) -> CopyProgress:
    """Where a try begins.

    From the saved position, if it is of the same table, index, rules and segments, and there was something left to
    do. A task that had finished begins anew: only a person makes a finished task run again, by clearing it.
    """
    if saved is None or saved.get("format") != _FORMAT or saved["identity"] != identity.to_json():
        return CopyProgress()
    progress = CopyProgress.from_json(saved)
    return CopyProgress() if progress.is_complete else progress
