"""After the join: look again at what differed, and keep what stands still."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.compare.comparison import conclude
from dynamo_opensearch.core.compare.join import Found
from dynamo_opensearch.core.compare.looking import Looker
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.compare.resolving import Resolver, most_suspects
from dynamo_opensearch.core.compare.rows import SideRead
from dynamo_opensearch.core.reconcile.found import FoundWriter
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.reading import depth_of
from dynamo_opensearch.core.reconcile.work_files import FOUND, WorkFiles, suspects_name

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SettlePorts:
    """What settling works with. ``waits_s``: between looks, together longer than the indexer's lag.

    ``since_us``: by id, since when an earlier run has it on its list. ``keep_list``: stores the list for people.
    """

    looker: Looker
    files: WorkFiles
    keep_list: Callable[[Path], None]
    since_us: Mapping[str, int]
    waits_s: tuple[float, ...]
    clock: Clock
    scratch: Path


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A comparison, and of its differences how many an earlier list has had, the oldest since ``oldest_us``."""

    comparison: ComparisonReport
    known: int
    oldest_us: int | None


def settle(
    plan: ReconcilePlan, table: SideRead, index: SideRead, found: Found, max_repairs: int, ports: SettlePorts
) -> Settled:
    """Look again at everything that differed, unless it is far too much, and store what is left. Safe to run again.

    Raises:
        ComparisonCountError: the numbers of the tasks before do not add up.
        WorkFileMissingError: a joining task's file is not there.
        ShardsFailedError, ServiceUnavailableError, AccessDeniedError, WorkerClockError: as the looks.
    """
    began_s = ports.clock.monotonic_s()
    with TemporaryDirectory(dir=ports.scratch, prefix="settle-") as name:
        folder = Path(name)
        suspects = _bring(plan, ports.files, folder)
        stored, lines = folder / "found.parquet", folder / "differences.ndjson"
        with FoundWriter(stored, lines, ports.since_us, plan.began_us) as writer:
            resolver = Resolver(ports.looker.look, None, None, ports.waits_s, ports.clock, writer.add)
            if found.suspects > most_suspects(table.rows, max_repairs):
                resolver.leave(suspects, found)
            else:
                resolver.resolve(suspects, found)
        ports.files.put(FOUND, stored)
        ports.keep_list(lines)
    read_units = table.read_units + ports.looker.read_units
    seconds = ports.clock.monotonic_s() - began_s
    subject, findings = plan.subject, resolver.findings
    comparison = conclude(subject.index, depth_of(plan), table, index, found, findings, read_units, seconds)
    return Settled(comparison=comparison, known=writer.known, oldest_us=writer.oldest_us)


def _bring(plan: ReconcilePlan, files: WorkFiles, folder: Path) -> Sequence[Path]:
    brought = []
    for partition in range(plan.partitions):
        name = suspects_name(partition)
        files.get(name, folder / name)
        brought.append(folder / name)
    return brought
