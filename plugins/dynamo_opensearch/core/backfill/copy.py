"""Copying segments of a table into an index: read, build, offer, and save how far that is acknowledged."""

import gc
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dynamo_opensearch.core.backfill.ledger import Acknowledged, Ledger, PageFacts, Position
from dynamo_opensearch.core.backfill.progress import CopyIdentity, CopyProgress, ProgressStore, resume
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.collector import collector_paused
from dynamo_opensearch.core.documents.builder import Document, DocumentBuilder, RefusedItem
from dynamo_opensearch.core.dynamodb.pacing import ReadUnitPacer
from dynamo_opensearch.core.dynamodb.scan import ScanPage, ScanSettings, scan_segment
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.pool import OfferPool
from dynamo_opensearch.core.offer.reading import Reading
from dynamo_opensearch.core.offer.rejects import Reject, RejectSink, reasons_by_count
from dynamo_opensearch.core.offer.sender import Sender
from dynamo_opensearch.core.opensearch.errors import ErrorSummary
from dynamo_opensearch.core.reports import CopyReport
from dynamo_opensearch.core.stamps import StampRule

log = logging.getLogger(__name__)

_LOG_EVERY_S = 10.0
_COLLECT_EVERY_S = 5.0


class AliasMovedError(PermanentError):
    """While documents were written, the alias came to lead to another index than the plan said."""

    def __init__(self, alias: str, index: str, strayed: int) -> None:
        super().__init__(alias, index, strayed)
        self.alias, self.index, self.strayed = alias, index, strayed

    def __str__(self) -> str:
        return (
            f"alias {self.alias!r} no longer leads to {self.index!r}, which this run fills. {self.strayed} documents "
            "reached the other index and were read and offered again by its rules; nothing is left to undo. "
            "Start this DAG again, it will plan anew."
        )


@dataclass(frozen=True, kw_only=True)
class CopyPorts:
    """What a copy works with. ``limit`` is the gate that ``sender`` reports to."""

    table: TableClient
    builder: DocumentBuilder
    sender: Sender
    limit: InFlightLimit
    store: ProgressStore
    sink: RejectSink
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class CopySettings:
    """One task's part. ``read_units_per_s`` is this task's share; ``save_every_s`` bounds what a retry reads again."""

    alias: str
    index: str
    segments: range
    scan: ScanSettings
    stamps: StampRule
    bulk_bytes: int
    requests_in_flight: int
    read_units_per_s: float | None
    items_estimated: int
    save_every_s: float = 1.0


def copy_segments(settings: CopySettings, ports: CopyPorts, identity: CopyIdentity) -> CopyProgress:
    """Copy all segments of a task, from where its last try was acknowledged. A second run is safe.

    Raises:
        AliasMovedError: the alias was swapped meanwhile.
        ServiceUnavailableError, AccessDeniedError, WorkerClockError, TableMissingError: as the reads and writes;
            what was acknowledged until then is saved.
    """
    progress = resume(ports.store.load(), identity)
    ports.sink.forget_from(progress.parts)
    copier = _Copier(settings, ports, identity, progress)
    if progress.report.scanned:
        log.info("goes on after %d items that an earlier try had copied", progress.report.scanned)
    with collector_paused():
        return copier.run()


class _Copier:
    def __init__(
        self, settings: CopySettings, ports: CopyPorts, identity: CopyIdentity, progress: CopyProgress
    ) -> None:
        self._settings, self._ports, self._identity, self._progress = settings, ports, identity, progress
        self._ledger = Ledger()
        self._began_s = self._saved_s = self._logged_s = self._collected_s = ports.clock.monotonic_s()
        self._throttled_before = ports.table.throttled

    def run(self) -> CopyProgress:
        settings, ports = self._settings, self._ports
        pool = OfferPool(
            ports.sender, ports.limit, settings.bulk_bytes, settings.requests_in_flight, self._ledger.settle
        )
        try:
            with pool:
                for position, page in self._pages():
                    pool.offer(self._reading(position, page))
                    self._save_sometimes()
                pool.drain()
        finally:
            self._save()
        self._ledger.check_empty()
        self._progress = replace(self._progress, is_complete=True)
        self._write_progress()
        return self._progress

    def _pages(self) -> Iterator[tuple[Position, ScanPage]]:
        """The pages still to be copied, each with the position after it."""
        settings = self._settings
        pacer = ReadUnitPacer(settings.read_units_per_s, self._ports.clock)
        start = self._progress.position
        for number in range(start.segment_number, len(settings.segments)):
            start_key = start.start_key if number == start.segment_number else None
            for page in scan_segment(self._ports.table, settings.segments[number], settings.scan, pacer, start_key):
                after = Position(number + 1, None) if page.last_key is None else Position(number, page.last_key)
                yield after, page

    def _reading(self, position: Position, page: ScanPage) -> Reading:
        settings = self._settings
        built = self._ports.builder.build(page.items)
        stamp_us = settings.stamps.read_stamp_us(page.began_us)
        refused = [_refused(item, settings.index, stamp_us) for item in built.refused]
        ticket = self._ledger.open(
            PageFacts(position, len(page.items), built.skipped, page.read_units, len(built.documents), refused)
        )
        return Reading(built.documents, stamp_us, page.began_s, settings.index, ticket)

    def _save_sometimes(self) -> None:
        if self._ports.clock.monotonic_s() - self._saved_s >= self._settings.save_every_s:
            self._save()

    def _save(self) -> None:
        """Rejects first, then the position: a position never says more than is durable."""
        acknowledged = self._ledger.take_acknowledged()
        self._saved_s = self._ports.clock.monotonic_s()
        if acknowledged is None:
            return
        self._progress = self._progress.advanced(
            acknowledged.position,
            acknowledged.report + self._effort(),
            reasons_by_count(acknowledged.rejects),
            self._write_rejects(acknowledged),
        )
        self._write_progress()
        self._log_sometimes()
        self._collect_sometimes()
        if acknowledged.report.offer.strayed:
            raise AliasMovedError(self._settings.alias, self._settings.index, acknowledged.report.offer.strayed)

    def _effort(self) -> CopyReport:
        """Seconds and throttled answers since the last saving."""
        seconds = self._saved_s - self._began_s
        throttled = self._ports.table.throttled - self._throttled_before
        self._began_s, self._throttled_before = self._saved_s, self._ports.table.throttled
        return CopyReport(seconds=seconds, throttled=throttled)

    def _write_rejects(self, acknowledged: Acknowledged) -> int:
        if not acknowledged.rejects:
            return self._progress.parts
        key_attributes = self._ports.builder.key_attributes
        lines = b"".join(reject.line(key_attributes) for reject in acknowledged.rejects)
        self._ports.sink.write(self._progress.parts, lines)
        return self._progress.parts + 1

    def _write_progress(self) -> None:
        self._ports.store.save(self._progress.to_json(self._identity, self._settings.items_estimated))

    def _collect_sometimes(self) -> None:
        if self._saved_s - self._collected_s >= _COLLECT_EVERY_S:
            self._collected_s = self._saved_s
            gc.collect()

    def _log_sometimes(self) -> None:
        if self._saved_s - self._logged_s < _LOG_EVERY_S:
            return
        report = self._progress.report
        rate = report.items_per_s
        left = max(0, self._settings.items_estimated - report.scanned)
        log.info(
            "copied %d of about %d items, %.0f items/s, about %.0f s left",
            report.scanned,
            self._settings.items_estimated,
            rate,
            left / rate if rate else 0.0,
        )
        self._logged_s = self._saved_s


def _refused(item: RefusedItem, index: str, stamp_us: int) -> Reject:
    field = getattr(item.error, "field", None)
    summary = ErrorSummary(type(item.error).__name__, field)
    return Reject(item.key, Document(item.id, None, None, item.key), index, stamp_us, summary, str(item.error))
