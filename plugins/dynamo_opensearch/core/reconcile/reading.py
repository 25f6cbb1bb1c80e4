"""One part of one side, read into a file for each partition."""

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.collector import collector_paused
from dynamo_opensearch.core.compare.index_side import read_shard, refresh, routing_of_aliases
from dynamo_opensearch.core.compare.rows import PartitionedRowWriter, RowSink, SideRead
from dynamo_opensearch.core.compare.table_side import Depth, ItemRows, read_segments
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.dynamodb.scan import ScanSettings
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.reconcile.plan import Part, ReconcilePlan
from dynamo_opensearch.core.reconcile.work_files import WorkFiles, side_name

log = logging.getLogger(__name__)

_COLLECT_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True)
class ReadPorts:
    """What a reading task works with. ``builder``: by the index's own rules. ``scratch``: a local folder."""

    table: TableClient
    patient: PatientCluster
    builder: DocumentBuilder
    files: WorkFiles
    clock: Clock
    scratch: Path
    consistent_scan: bool = False


def read_part(plan: ReconcilePlan, part: Part, ports: ReadPorts) -> SideRead:
    """Read a part as it is now, and store its rows by partition. A second run replaces the files.

    Memory: a page and ``ROWS_IN_GROUP`` rows, or 500 for each partition.

    Raises:
        ShardsFailedError: a shard did not answer completely.
        AccessDeniedError, TableMissingError, ServiceUnavailableError, WorkerClockError: as the reads.
    """
    with TemporaryDirectory(dir=ports.scratch, prefix="reconcile-") as folder:
        files = [Path(folder) / f"{partition}.parquet" for partition in range(plan.partitions)]
        with collector_paused(), PartitionedRowWriter(files) as writer:
            read = _table(plan, part, ports, writer) if part.side == "table" else _index(plan, part, ports, writer)
        for partition, file in enumerate(files):
            ports.files.put(side_name(part.side, part.number, partition), file)
    log.info("%s: %d rows, %d do not belong, %.1f read units", part, read.rows, read.skipped, read.read_units)
    return read


def depth_of(plan: ReconcilePlan) -> Depth:
    """What the rows of a plan hold.

    Raises:
        ValueError: the plan compares no keys.
    """
    if plan.depth == "content" or plan.depth == "keys":
        return plan.depth
    raise ValueError(f"depth {plan.depth} reads no rows")


def _table(plan: ReconcilePlan, part: Part, ports: ReadPorts, sink: RowSink) -> SideRead:
    rows = ItemRows(ports.builder, depth_of(plan), routing_of_aliases(ports.patient, plan.subject.index))
    scan = ScanSettings(total_segments=plan.total_segments, consistent=ports.consistent_scan, extra=rows.scan_arguments)
    pace = plan.read_units_per_s_and_task
    return read_segments(ports.table, part.pieces, scan, rows, pace, ports.clock, sink, _collecting(ports.clock))


def _index(plan: ReconcilePlan, part: Part, ports: ReadPorts, sink: RowSink) -> SideRead:
    index = plan.subject.index
    refresh(ports.patient, index)
    on_page = _collecting(ports.clock)
    reads = (read_shard(ports.patient, index, shard, depth_of(plan), sink, on_page) for shard in part.pieces)
    return sum(reads, start=SideRead())


def _collecting(clock: Clock) -> Callable[[], None]:
    """Called for each page: collects now and then what libraries leave behind."""
    collected_s = clock.monotonic_s()

    def on_page() -> None:
        nonlocal collected_s
        if clock.monotonic_s() - collected_s > _COLLECT_EVERY_S:
            gc.collect()
            collected_s = clock.monotonic_s()

    return on_page
