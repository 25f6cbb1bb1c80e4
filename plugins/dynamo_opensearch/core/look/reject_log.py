"""Documents that an index refuses for good: written to its reject files, and counted by reason."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from dynamo_opensearch.core.offer.rejects import Reject, RejectSink

_MOST_KNOWN = 100_000
"""Ids kept to count a document once though it is looked at twice."""


class RejectLog:
    """Rejects by index name. Not thread-safe.

    ``parts`` and ``counts`` are to be saved after ``flush``, and handed to the next process's log: it then writes over
    the parts that were not saved, since the work behind them is done again.
    """

    def __init__(
        self,
        sink_for: Callable[[str], RejectSink],
        parts: Mapping[str, int],
        counts: Mapping[str, Mapping[str, int]],
    ) -> None:
        self._sink_for = sink_for
        self._sinks: dict[str, RejectSink] = {}
        self.parts = dict(parts)
        self._counts = {index: Counter(reasons) for index, reasons in counts.items()}
        self._known: dict[str, set[str]] = defaultdict(set)
        self._unwritten: dict[str, dict[str, Reject]] = defaultdict(dict)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Refused documents by index and reason; one is counted once, as far as this process remembers."""
        return {index: dict(reasons) for index, reasons in self._counts.items()}

    @property
    def has_unwritten(self) -> bool:
        """Whether ``flush`` has something to write."""
        return bool(self._unwritten)

    def add(self, rejects: Iterable[Reject]) -> None:
        """Take rejects on; of one document the last counts."""
        for reject in rejects:
            self._unwritten[reject.index][reject.document.id] = reject
            known = self._known[reject.index]
            if reject.document.id not in known:
                self._counts.setdefault(reject.index, Counter())[str(reject.summary)] += 1
                if len(known) >= _MOST_KNOWN:
                    known.clear()
                known.add(reject.document.id)

    def forget_counts(self, index: str) -> None:
        """Count anew: another index has this name, or the index begins another life."""
        self._counts.pop(index, None)
        self._known.pop(index, None)

    def flush(self, key_attributes: Sequence[str]) -> None:
        """Write what is not written yet, durably."""
        for index, rejects in self._unwritten.items():
            part = self.parts.get(index, 0)
            lines = b"".join(reject.line(key_attributes) for reject in rejects.values())
            self._sink(index, part).write(part, lines)
            self.parts[index] = part + 1
        self._unwritten.clear()

    def _sink(self, index: str, part: int) -> RejectSink:
        if index not in self._sinks:
            self._sinks[index] = self._sink_for(index)
            self._sinks[index].forget_from(part)
        return self._sinks[index]
