"""Both sides read at the same time, each by a few threads, into files."""

import gc
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.collector import collector_paused
from dynamo_opensearch.core.compare.index_side import count_shards, read_shard, refresh
from dynamo_opensearch.core.compare.rows import RowWriter, SideRead
from dynamo_opensearch.core.compare.table_side import Depth, ItemRows, read_segments
from dynamo_opensearch.core.dynamodb.scan import ScanSettings
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.opensearch.patient import PatientCluster

_MOST_READERS = 2
"""Threads for each side: Python works on one page at a time, they only hide waiting, and each holds pages."""

_COLLECT_EVERY_S = 5.0


class _StoppedError(Exception):
    """Another reader has failed, so this one need not go on."""


@dataclass(frozen=True, kw_only=True)
class BothSides:
    """What to read. ``read_units_per_s`` is for all readers of the table together."""

    table: TableClient
    rows: ItemRows
    scan: ScanSettings
    read_units_per_s: float | None
    patient: PatientCluster
    index: str
    depth: Depth
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class SideFiles:
    """One side in files."""

    files: list[Path]
    read: SideRead


def read_both_sides(sides: BothSides, folder: Path) -> tuple[SideFiles, SideFiles]:
    """Table and index as they are now, in files below ``folder``. When one reader fails the others stop.

    Raises:
        ShardsFailedError, ServiceUnavailableError, AccessDeniedError, WorkerClockError: as the readers.
    """
    refresh(sides.patient, sides.index)
    stop = threading.Event()

    def on_page() -> None:
        if stop.is_set():
            raise _StoppedError

    work = {"table": _table_work(sides, folder, on_page), "index": _index_work(sides, folder, on_page)}
    readers = sum(min(_MOST_READERS, len(parts)) for parts in work.values())
    with collector_paused(), ThreadPoolExecutor(readers, thread_name_prefix="compare") as pool:
        futures = {side: {file: pool.submit(read) for file, read in parts.items()} for side, parts in work.items()}
        everything = [future for parts in futures.values() for future in parts.values()]
        try:
            _wait_for(everything)
        finally:
            stop.set()
            for future in everything:
                future.cancel()
    return _side(futures["table"]), _side(futures["index"])


def _wait_for(futures: Iterable[Future[SideRead]]) -> None:
    """Raise what the first to fail raised; collect what libraries leave behind meanwhile."""
    left = set(futures)
    while left:
        done, left = wait(left, timeout=_COLLECT_EVERY_S, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        gc.collect()


def _table_work(sides: BothSides, folder: Path, on_page: Callable[[], None]) -> dict[Path, Callable[[], SideRead]]:
    total = sides.scan.total_segments
    readers = min(_MOST_READERS, total)
    share = None if sides.read_units_per_s is None else sides.read_units_per_s / readers

    def read(first: int, file: Path) -> SideRead:
        segments = range(first, total, readers)
        with RowWriter(file) as writer:
            return read_segments(sides.table, segments, sides.scan, sides.rows, share, sides.clock, writer, on_page)

    files = [folder / f"table-{number}.parquet" for number in range(readers)]
    return {file: partial(read, first, file) for first, file in enumerate(files)}


def _index_work(sides: BothSides, folder: Path, on_page: Callable[[], None]) -> dict[Path, Callable[[], SideRead]]:
    def read(shard: int, file: Path) -> SideRead:
        with RowWriter(file) as writer:
            return read_shard(sides.patient, sides.index, shard, sides.depth, writer, on_page)

    files = [folder / f"index-{shard}.parquet" for shard in range(count_shards(sides.patient, sides.index))]
    return {file: partial(read, shard, file) for shard, file in enumerate(files)}


def _side(futures: dict[Path, Future[SideRead]]) -> SideFiles:
    read = sum((future.result() for future in futures.values()), start=SideRead())
    return SideFiles(files=list(futures), read=read)
