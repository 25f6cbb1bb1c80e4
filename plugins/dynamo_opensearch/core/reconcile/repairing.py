"""The repair: every key that differs is offered to every living index, and looked at again afterwards."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.compare.findings import Findings
from dynamo_opensearch.core.compare.join import Kind, Suspect, read_suspects
from dynamo_opensearch.core.compare.looking import Look, Looker
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.compare.resolving import AT_ONCE, Offer
from dynamo_opensearch.core.compare.settling import settle
from dynamo_opensearch.core.reconcile.found import FoundWriter
from dynamo_opensearch.core.reconcile.work_files import FOUND, WorkFiles
from dynamo_opensearch.core.reports import OfferReport

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RepairPorts:
    """What a repair works with. ``offer``: to every living index, both looks. ``waits_s``: before a look afterwards.

    ``offer_read_units``: what the reads of the offers have cost so far. ``remove``: documents that no key leads to,
    from the index that was compared. ``rejected``: how many documents the indices have refused for good so far, which
    are stored by then. ``since_us`` and ``keep_list``: as those of ``SettlePorts``, for what is left.
    """

    looker: Looker
    offer: Offer
    offer_read_units: Callable[[], float]
    remove: Callable[[Sequence[Look]], OfferReport]
    rejected: Callable[[], int]
    files: WorkFiles
    keep_list: Callable[[Path], None]
    since_us: Mapping[str, int]
    waits_s: tuple[float, ...]
    clock: Clock
    scratch: Path


def repairable(comparison: ComparisonReport) -> int:
    """Differences that a repair can do something about: not what the rules or OpenSearch refuse."""
    return comparison.missing + comparison.orphaned + comparison.stale


def repair(comparison: ComparisonReport, began_us: int, ports: RepairPorts) -> ComparisonReport:
    """Offer everything that stood still, look at it again, and say what is left.

    A second run is safe, and counts as the first would have: what was offered and is equal afterwards is mended.

    Raises:
        WorkFileMissingError: the list of what differed is not there.
        ShardsFailedError, ServiceUnavailableError, AccessDeniedError, WorkerClockError: as the looks and offers.
    """
    began_s, read_before = ports.clock.monotonic_s(), _read_units(ports)
    work = _Repair(ports)
    with TemporaryDirectory(dir=ports.scratch, prefix="repair-") as name:
        folder = Path(name)
        ports.files.get(FOUND, folder / FOUND)
        left, lines = folder / "left.parquet", folder / "differences.ndjson"
        with FoundWriter(left, lines, ports.since_us, began_us) as writer:
            for batch in read_suspects(folder / FOUND, AT_ONCE):
                work.mend(batch, writer)
        ports.keep_list(lines)
    findings = work.findings
    return replace(
        comparison,
        missing=findings.differences[Kind.MISSING],
        orphaned=findings.differences[Kind.ORPHANED],
        stale=findings.differences[Kind.STALE],
        refused_later=comparison.refused_later + findings.differences[Kind.REFUSED],  # those before are not offered
        in_motion=comparison.in_motion + findings.in_motion,
        mended=findings.mended.total(),
        mended_kinds={kind.value: count for kind, count in findings.mended.items()},
        unsettled=findings.unsettled,
        rejected=ports.rejected(),
        offers=findings.offers,
        read_units=comparison.read_units + _read_units(ports) - read_before,
        seconds=comparison.seconds + ports.clock.monotonic_s() - began_s,
    )


def _read_units(ports: RepairPorts) -> float:
    return ports.looker.read_units + ports.offer_read_units()


class _Repair:
    """Batches of differences, one after the other. ``findings`` says what became of them."""

    def __init__(self, ports: RepairPorts) -> None:
        self._ports = ports
        self.findings = Findings()

    def mend(self, batch: Sequence[Suspect], writer: FoundWriter) -> None:
        differing = []
        for suspect in batch:
            if suspect.kind is Kind.REFUSED:
                writer.add(suspect, None)
            else:
                differing.append(suspect)
        looks = list(self._ports.looker.look(differing))
        keys = [look.key for look in looks if look.key is not None]
        report = self._ports.offer(keys) if keys else OfferReport()
        log.info("offered %d keys, %d documents in all living indices", len(keys), report.offered)
        removed = self._ports.remove(looks)
        if removed.offered:
            log.info("%d documents that no key leads to, %d of them deleted", removed.offered, removed.deleted)
        self.findings.offers += report + removed
        left: Counter[str] = Counter()
        for settled in settle(differing, self._ports.looker.look, self._ports.waits_s, self._ports.clock):
            if settled.look.kind is Kind.EQUAL:
                self.findings.mended[settled.look.suspect.kind] += 1
                continue
            self.findings.end(settled)
            if not settled.is_in_motion:
                writer.add(settled.look.suspect, settled.look)
                left[settled.look.kind.value] += 1
        if left:
            log.warning("still different after the repair: %s", dict(left))
