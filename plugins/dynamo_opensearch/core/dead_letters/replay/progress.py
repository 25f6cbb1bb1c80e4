"""What the tries of one consumer have done so far: a try that was killed leaves its counts to the next."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from dynamo_opensearch.core.dead_letters.replay.report import ReplayReport
from dynamo_opensearch.core.look.reject_log import RejectLog
from dynamo_opensearch.core.offer.rejects import RejectSink
from dynamo_opensearch.core.state.store import StateStore


class ReplayProgress:
    """Kept in ``store``, saved after each group of messages was deleted. Not thread-safe.

    A process that is killed between a deletion and its saving leaves those messages out of the counts.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        saved = store.load() or {}
        self._parts: dict[str, int] = saved.get("parts", {})
        self._refused: dict[str, dict[str, int]] = saved.get("refused", {})
        self.report = ReplayReport.from_json(saved["report"]) if "report" in saved else ReplayReport()

    def reject_log(self, sink_for: Callable[[str], RejectSink]) -> RejectLog:
        """Where refused documents of an index go, behind those of the tries before."""
        return RejectLog(sink_for, self._parts, self._refused)

    def add(self, more: ReplayReport, rejects: RejectLog) -> None:
        """Add to the report, and save it with how far the reject files are."""
        self.report = self.report + more
        self._store.save({"report": self.report.to_json(), "parts": rejects.parts, "refused": rejects.counts})

    def total(self, rejects: RejectLog) -> ReplayReport:
        """All tries, with what the indices have refused."""
        refused = Counter[str]()
        for reasons in rejects.counts.values():
            refused.update(reasons)
        reasons = Counter(self.report.reasons) + refused
        return replace(self.report, refused=refused.total(), reasons=dict(reasons))
