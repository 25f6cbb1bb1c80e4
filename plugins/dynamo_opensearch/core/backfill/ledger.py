"""Which pages are acknowledged: a position moves past a page once every document of it, and all before, has its end."""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.offer.tally import TicketResult
from dynamo_opensearch.core.reports import CopyReport, OfferReport, ReportError


@dataclass(frozen=True, slots=True)
class Position:
    """Where to go on: after ``start_key`` of the task's ``segment_number``-th segment; None is its beginning."""

    segment_number: int
    start_key: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the scan and the builder said of one page. ``position``: where a copy goes on after it."""

    position: Position
    scanned: int
    skipped: int
    read_units: float
    documents: int
    refused: list[Reject]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What was acknowledged since the last time: report and rejects of those pages, and where to go on."""

    position: Position
    report: CopyReport
    rejects: list[Reject]


@dataclass(slots=True)
class _OpenPage:
    facts: PageFacts
    offer: OfferReport
    rejects: list[Reject] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        return self.offer.offered == self.facts.documents + len(self.facts.refused)

    def report(self) -> CopyReport:
        facts = self.facts
        return CopyReport(
            scanned=facts.scanned,
            skipped=facts.skipped,
            pages=1,
            read_units=facts.read_units,
            offer=self.offer,
        )


class Ledger:
    """Pages in the order in which they were read. Thread-safe."""

    def __init__(self) -> None:
        self._pages: deque[_OpenPage] = deque()
        self._first_ticket = 0
        self._lock = threading.Lock()

    def open(self, facts: PageFacts) -> int:
        """Enter a page; its documents carry the ticket that is returned."""
        refused = len(facts.refused)
        page = _OpenPage(facts, OfferReport(offered=refused, rejected=refused), list(facts.refused))
        with self._lock:
            self._pages.append(page)
            return self._first_ticket + len(self._pages) - 1

    def settle(self, results: list[TicketResult]) -> None:
        """Enter what became of some documents."""
        with self._lock:
            for result in results:
                page = self._pages[result.ticket - self._first_ticket]
                page.offer += result.report
                page.rejects += result.rejects

    def check_empty(self) -> None:
        """Raises ReportError where a page is left whose documents have not all come to an end."""
        with self._lock:
            if self._pages:
                page = self._pages[0]
                raise ReportError(page.facts.documents + len(page.facts.refused), page.offer.offered)

    def take_acknowledged(self) -> Acknowledged | None:
        """Take out the settled pages at the front; None where there are none."""
        taken: list[_OpenPage] = []
        with self._lock:
            while self._pages and self._pages[0].is_settled:
                taken.append(self._pages.popleft())
            self._first_ticket += len(taken)
        if not taken:
            return None
        report = CopyReport()
        for page in taken:
            report += page.report()
        return Acknowledged(taken[-1].facts.position, report, [one for page in taken for one in page.rejects])
