"""Counting what became of each page's documents."""

from collections import defaultdict
from dataclasses import dataclass, field

from dynamo_opensearch.core.offer.bulk_answer import Verdict
from dynamo_opensearch.core.offer.reading import Batch
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.reports import OfferReport


@dataclass(frozen=True, slots=True)
class TicketResult:
    """The end of all documents that one batch held of one page."""

    ticket: int
    report: OfferReport
    rejects: list[Reject]


@dataclass(slots=True)
class _Counts:
    offered: int = 0
    ends: dict[Verdict, int] = field(default_factory=lambda: defaultdict(int))
    effort: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    rejects: list[Reject] = field(default_factory=list)


class Tally:
    """Counts of one batch, by ticket. One thread."""

    def __init__(self, batch: Batch) -> None:
        self._counts: dict[int, _Counts] = defaultdict(_Counts)
        for reading in batch:
            self._counts[reading.ticket].offered += len(reading.documents)

    def end(self, ticket: int, verdict: Verdict, count: int = 1) -> None:
        """These documents have come to their end."""
        self._counts[ticket].ends[verdict] += count

    def reject(self, ticket: int, reject: Reject) -> None:
        """This document was refused for good."""
        self._counts[ticket].rejects.append(reject)
        self.end(ticket, Verdict.REJECTED)

    def effort(self, ticket: int, kind: str, count: int) -> None:
        """Documents ``resent``, ``reread`` or ``strayed``."""
        self._counts[ticket].effort[kind] += count

    def results(self) -> list[TicketResult]:
        """One result for each page that the batch held documents of.

        Raises:
            ReportError: a document has no end, or two.
        """
        return [
            TicketResult(
                ticket,
                OfferReport(
                    offered=counts.offered,
                    indexed=counts.ends[Verdict.INDEXED],
                    deleted=counts.ends[Verdict.DELETED],
                    stale=counts.ends[Verdict.STALE],
                    rejected=counts.ends[Verdict.REJECTED],
                    **counts.effort,
                ),
                counts.rejects,
            )
            for ticket, counts in self._counts.items()
        ]
