"""What became of one batch."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """Records and keys of a batch; of the keys: ``indexed``, ``deleted``, ``stale`` (the index knows newer).

    ``settled``: conflicts that were answered by reading the item; ``failures``: sequence numbers, in the stream's
    order.
    """

    records: int
    keys: int
    indexed: int
    deleted: int
    stale: int
    settled: int
    failures: tuple[str, ...]

    def response(self) -> dict[str, Any]:
        """What Lambda is answered: https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html."""
        return {"batchItemFailures": [{"itemIdentifier": number} for number in self.failures]}

    def __str__(self) -> str:
        return (
            f"{self.records} records of {self.keys} keys: {self.indexed} indexed, {self.deleted} deleted, "
            f"{self.stale} stale, {self.settled} conflicts settled by a read, {len(self.failures)} records failed"
        )


@dataclass(slots=True)
class Outcome:
    """The report while it comes about."""

    ends: Counter[str] = field(default_factory=Counter)
    failed: set[str] = field(default_factory=set)
    reasons: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def fail(self, sequence_numbers: list[str], reason: str) -> None:
        """These records are reported; ``reason`` holds no values."""
        self.failed.update(sequence_numbers)
        self.reasons[reason] += sequence_numbers

    def report(self, records: int, keys: int) -> BatchReport:
        """Counts, and the failures from the lowest sequence number on."""
        return BatchReport(
            records=records,
            keys=keys,
            indexed=self.ends["indexed"],
            deleted=self.ends["deleted"],
            stale=self.ends["stale"],
            settled=self.ends["settled"],
            failures=tuple(sorted(self.failed, key=_in_stream)),
        )


def _in_stream(sequence_number: str) -> tuple[int, str]:
    """Sequence numbers of one shard compare as integers, which may have different lengths."""
    return len(sequence_number.lstrip("0")), sequence_number.lstrip("0")
