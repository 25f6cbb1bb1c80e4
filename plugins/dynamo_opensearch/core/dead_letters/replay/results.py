"""The end of a replay: kept for later, shown without keys, and judged."""

import hashlib
from dataclasses import replace
from typing import Any

from dynamo_opensearch.core.dead_letters.replay.report import ReplayReport
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.state.store import StateStore
from dynamo_opensearch.core.state.updating import update

_KEPT_RUNS = 30
_HASH_DIGITS = 12


class DocumentsRefusedError(PermanentError):
    """Indices refuse items of dead letters for good."""

    def __init__(self, refused: int, allowed: int, reasons: dict[str, int]) -> None:
        super().__init__(refused, allowed, reasons)
        self.refused, self.allowed, self.reasons = refused, allowed, reasons

    def __str__(self) -> str:
        reasons = "\n".join(f"  - {count:,}: {reason}" for reason, count in self.reasons.items())
        return (
            f"{self.refused:,} documents of replayed dead letters were refused for good; {self.allowed:,} are allowed "
            f"(budgets.max_rejects). All others are in the indices.\n{reasons}\nThe refused ones are in the reject "
            "files of this run, so no message is needed for them any more. Correct the items or the mapping, then "
            "start this DAG with source `rejects`."
        )


def check_replay(report: ReplayReport, allowed: int) -> None:
    """Raises DocumentsRefusedError where more than ``allowed`` documents were refused."""
    if report.refused > allowed:
        raise DocumentsRefusedError(report.refused, allowed, dict(report.top_reasons()))


def keep_report(store: StateStore, report: ReplayReport, run_id: str, ended_us: int) -> None:
    """Keep the reports of the last runs (``replays|<alias>``). Safe to run again: a run has one.

    Raises:
        StateConflictError: others wrote it each time.
    """

    def change(value: dict[str, Any]) -> dict[str, Any]:
        others = [one for one in value.get("runs", ()) if one["run_id"] != run_id]
        mine = {"run_id": run_id, "ended_us": ended_us, "report": report.to_json()}
        return {"runs": [*others, mine][-_KEPT_RUNS:]}

    update(store, change)


def shareable(report: ReplayReport, *, show_keys: bool) -> dict[str, Any]:
    """The report for XCom and logs: ids as they are, or hashed (SHA-256, 12 digits)."""
    if show_keys:
        return report.to_json()
    samples = tuple(replace(one, ids=tuple(map(_hashed, one.ids))) for one in report.samples)
    return replace(report, samples=samples).to_json()


def _hashed(document_id: str) -> str:
    return hashlib.sha256(document_id.encode()).hexdigest()[:_HASH_DIGITS]
