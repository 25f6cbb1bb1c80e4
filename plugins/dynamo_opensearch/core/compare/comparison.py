"""Comparing an index with its table: every key, and every document where content is asked for.

Memory does not depend on the number of rows: pages, row groups, the join engine's limit, ten thousand suspects.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.compare.both_sides import BothSides, SideFiles, read_both_sides
from dynamo_opensearch.core.compare.findings import Findings
from dynamo_opensearch.core.compare.index_side import routing_of_aliases
from dynamo_opensearch.core.compare.join import Found, JoinSettings, Kind, join_partition, partitions_for
from dynamo_opensearch.core.compare.looking import Looker
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.compare.resolving import Offer, Resolver, most_suspects
from dynamo_opensearch.core.compare.rows import SideRead
from dynamo_opensearch.core.compare.table_side import Depth, ItemRows
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.scan import ScanSettings
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.opensearch.patient import PatientCluster

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ComparisonSettings:
    """What to compare, and what it may cost.

    ``index``: a concrete one. ``read_units_per_s``: of the scan; None for no limit. ``memory_bytes``: what the join
    may use before it spills to disk. ``settle_waits_s``: between looks at what differs, together longer than the
    indexer's lag. ``max_mends``: None to look only; else as many documents may be offered.
    """

    index: str
    depth: Depth
    total_segments: int = 1
    read_units_per_s: float | None = None
    consistent_scan: bool = False
    memory_bytes: int = 150_000_000
    settle_waits_s: tuple[float, ...] = (3, 6, 12, 24)
    max_mends: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.total_segments <= 1_000_000:
            raise ValueError(f"total_segments must be 1 to 1,000,000, got {self.total_segments}")
        if self.max_mends is not None and self.max_mends < 0:
            raise ValueError(f"max_mends must be 0 or more, got {self.max_mends}")


@dataclass(frozen=True, kw_only=True)
class ComparisonPorts:
    """What a comparison works with. ``builder``: by the index's own rules. ``offer``: ``Mender.offer``, to mend.

    ``scratch``: a folder for some 60 bytes a row, removed at the end.
    """

    table: TableClient
    reader: KeyedReader
    patient: PatientCluster
    builder: DocumentBuilder
    clock: Clock
    scratch: Path
    offer: Offer | None = None


def compare(settings: ComparisonSettings, ports: ComparisonPorts) -> ComparisonReport:
    """Read both sides, join them, look again at what differs, and mend it where that is allowed.

    A second run is safe: nothing is written but offers. What a writer changes meanwhile is no difference.

    Raises:
        ShardsFailedError: a shard of the index did not answer completely.
        ServiceUnavailableError, AccessDeniedError, TableMissingError, WorkerClockError: as the reads and writes.
        OpenSearchRequestError: 404 when the index is not there.
    """
    began_s = ports.clock.monotonic_s()
    index_routing = routing_of_aliases(ports.patient, settings.index)
    looker = Looker(
        settings.index,
        settings.depth,
        index_routing,
        key_kinds(ports.table.describe(), ports.builder.key_attributes),
        ports.builder,
        ports.reader,
        ports.patient,
    )
    resolver = Resolver(looker.look, ports.offer, settings.max_mends, settings.settle_waits_s, ports.clock)
    with TemporaryDirectory(dir=ports.scratch, prefix="compare-") as folder:
        table, index = read_both_sides(_both_sides(settings, ports, index_routing), Path(folder))
        log.info("read %d items and %d documents, joining them", table.read.rows, index.read.rows)
        files, found = _join(table, index, settings.memory_bytes, Path(folder))
        if found.suspects > most_suspects(table.read.rows, settings.max_mends if ports.offer else None):
            resolver.leave(files, found)
        else:
            resolver.resolve(files, found)
    read_units = table.read.read_units + looker.read_units
    seconds = ports.clock.monotonic_s() - began_s
    report = conclude(
        settings.index, settings.depth, table.read, index.read, found, resolver.findings, read_units, seconds
    )
    log.info("%s", report)
    return report


def key_kinds(description: dict[str, Any], key_attributes: Sequence[str]) -> tuple[str, ...]:
    """The types (S, N or B) of these attributes, by DescribeTable's ``Table``."""
    kinds = {one["AttributeName"]: str(one["AttributeType"]) for one in description["AttributeDefinitions"]}
    return tuple(kinds[name] for name in key_attributes)


def _both_sides(settings: ComparisonSettings, ports: ComparisonPorts, index_routing: str | None) -> BothSides:
    rows = ItemRows(ports.builder, settings.depth, index_routing)
    return BothSides(
        table=ports.table,
        rows=rows,
        scan=ScanSettings(
            total_segments=settings.total_segments, consistent=settings.consistent_scan, extra=rows.scan_arguments
        ),
        read_units_per_s=settings.read_units_per_s,
        patient=ports.patient,
        index=settings.index,
        depth=settings.depth,
        clock=ports.clock,
    )


def _join(table: SideFiles, index: SideFiles, memory_bytes: int, folder: Path) -> tuple[list[Path], Found]:
    """Files of suspects, and counts."""
    partitions = partitions_for(table.read.rows + index.read.rows)
    files = [folder / f"suspects-{partition}.parquet" for partition in range(partitions)]
    settings = JoinSettings(memory_bytes=memory_bytes, scratch=folder)
    found = Found()
    for partition, file in enumerate(files):
        found += join_partition(table.files, index.files, partition, partitions, settings, file)
    return files, found


def conclude(
    index: str,
    depth: Depth,
    table_read: SideRead,
    index_read: SideRead,
    found: Found,
    findings: Findings,
    read_units: float,
    seconds: float,
) -> ComparisonReport:
    """The report of both readings, their join, and what became of the suspects.

    Raises:
        ComparisonCountError: the numbers do not add up, so something of it was lost.
    """
    return ComparisonReport(
        index=index,
        depth=depth,
        table_count=table_read.rows,
        index_count=index_read.rows,
        skipped=table_read.skipped,
        found=found,
        missing=findings.differences[Kind.MISSING],
        orphaned=findings.differences[Kind.ORPHANED],
        stale=findings.differences[Kind.STALE],
        refused_later=findings.differences[Kind.REFUSED],
        in_motion=findings.in_motion,
        mended=findings.mended.total(),
        mended_kinds={kind.value: count for kind, count in findings.mended.items()},
        unsettled=findings.unsettled,
        rejected=findings.rejected,
        offers=findings.offers,
        read_units=read_units,
        seconds=seconds,
        samples=findings.samples,
        differing_fields=dict(findings.fields.most_common()),
    )
