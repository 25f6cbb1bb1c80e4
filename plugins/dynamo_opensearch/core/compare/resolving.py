"""Working through what differed: settle it, mend it where that is allowed, look again. Ten thousand at a time."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.compare.findings import Findings
from dynamo_opensearch.core.compare.join import Found, Kind, Suspect, read_suspects
from dynamo_opensearch.core.compare.looking import Look
from dynamo_opensearch.core.compare.settling import LookAt, Settled, settle
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.reports import OfferReport

log = logging.getLogger(__name__)

Offer = Callable[[Sequence[KeyValues]], OfferReport]
"""Offers the items of these keys as they are now; ``Mender.offer``."""

OnDifference = Callable[[Suspect, Look | None], None]
"""Told of each difference that is left, with the last look at it; None where it was not looked at again."""

AT_ONCE = 10_000
"""Suspects in memory, and the fewest that are worth looking at however small the table is."""
_WORTH_LOOKING_AT = 0.01
"""A larger share of the table is no lag: something else is wrong, and looking at each would take hours."""


def most_suspects(table_count: int, max_mends: int | None) -> int:
    """So many are looked at again; of more, none."""
    return max(AT_ONCE, int(table_count * _WORTH_LOOKING_AT), max_mends or 0)


def _nobody(suspect: Suspect, look: Look | None) -> None:
    """An ``OnDifference`` that does nothing."""


class Resolver:
    """Works through suspects. ``findings`` says what became of them. One thread."""

    def __init__(
        self,
        look_at: LookAt,
        offer: Offer | None,
        max_mends: int | None,
        waits_s: Sequence[float],
        clock: Clock,
        on_difference: OnDifference = _nobody,
    ) -> None:
        self._look_at, self._waits_s, self._clock = look_at, tuple(waits_s), clock
        self._offer = offer
        self._on_difference = on_difference
        self._max_mends = self._mends_left = max_mends or 0
        self._orphans = self._orphans_ahead = 0  # that stand still; that were found and not looked at yet
        self._deletes = True
        self.findings = Findings()

    def resolve(self, files: Sequence[Path], found: Found) -> None:
        """Settle and mend everything in these files.

        Where more orphans stand still than may be mended, none is deleted: that many are no slip of an indexer, but
        perhaps another table, or a filter that was changed.

        Raises:
            ShardsFailedError, ServiceUnavailableError, AccessDeniedError, WorkerClockError: as the looks and offers.
        """
        self._orphans_ahead = found.orphaned
        for suspects in self._batches(files):
            log.info("%d documents differed at first reading, looking at them again", len(suspects))
            differing = []
            for settled in settle(suspects, self._look_at, self._waits_s, self._clock):
                if settled.is_in_motion:
                    self._end(settled)
                else:
                    self.findings.name(settled.look)
                    differing.append(settled)
            self._orphans_ahead -= sum(suspect.kind is Kind.ORPHANED for suspect in suspects)
            self._orphans += sum(map(_is_orphan, differing))
            for settled in self._mend(differing):
                self._end(settled)

    def leave(self, files: Sequence[Path], found: Found) -> None:
        """Count everything as it was found, with a few samples: it is too much to look at."""
        log.warning("%d documents differed, too many to look at again: they are reported as found", found.suspects)
        for suspects in self._batches(files):
            for suspect in suspects:
                self.findings.sample(suspect.kind, suspect.id)
                self._on_difference(suspect, None)
        for kind, count in ((Kind.MISSING, found.missing), (Kind.ORPHANED, found.orphaned), (Kind.STALE, found.stale)):
            self.findings.not_looked_at(kind, count)

    def _end(self, settled: Settled) -> None:
        self.findings.end(settled)
        if not settled.is_in_motion:
            self._on_difference(settled.look.suspect, settled.look)

    def _batches(self, files: Sequence[Path]) -> Iterator[list[Suspect]]:
        """All but the refused items, of which only samples are kept; of several files, since each batch waits."""
        gathered: list[Suspect] = []
        for suspect in (one for file in files for batch in read_suspects(file, AT_ONCE) for one in batch):
            if suspect.kind is Kind.REFUSED:
                self.findings.sample(suspect.kind, suspect.id)
                self._on_difference(suspect, None)
                continue
            gathered.append(suspect)
            if len(gathered) >= AT_ONCE:
                yield gathered
                gathered = []
        if gathered:
            yield gathered

    def _mend(self, differing: Sequence[Settled]) -> Iterator[Settled]:
        """What is left of the differences afterwards; what came right is counted as mended."""
        offered: list[Settled] = []
        may_delete = self._may_delete()
        for settled in differing:
            if (may_delete or not _is_orphan(settled)) and self._may_mend(settled, len(offered)):
                offered.append(settled)
            else:
                yield settled
        if not offered:
            return
        self._mends_left -= len(offered)
        left = self._offer_and_settle(offered)
        yield from self._offer_again(left)

    def _may_delete(self) -> bool:
        """Whether orphans stay within what may be mended, if all those that were not looked at yet stand still, too."""
        most = self._orphans + self._orphans_ahead
        if self._deletes and self._offer is not None and self._orphans and most > self._max_mends:
            log.warning(
                "%d documents without an item, perhaps %d; at most %d may be mended, so none of them is deleted",
                self._orphans,
                most,
                self._max_mends,
            )
            self._deletes = False
        return self._deletes

    def _may_mend(self, settled: Settled, chosen: int) -> bool:
        is_offerable = settled.look.key is not None and settled.look.kind is not Kind.REFUSED
        return self._offer is not None and is_offerable and chosen < self._mends_left

    def _offer_and_settle(self, offered: Sequence[Settled]) -> list[Settled]:
        """Those that are still not equal after all waits."""
        self._offer_keys(offered)
        before = {_place(settled): settled.look.kind for settled in offered}
        suspects = [settled.look.suspect for settled in offered]
        left = []
        for settled in settle(suspects, self._look_at, self._waits_s, self._clock):
            if settled.look.kind is Kind.EQUAL:
                self.findings.mended[before[_place(settled)]] += 1
            else:
                left.append(settled)
        return left

    def _offer_again(self, left: Sequence[Settled]) -> Iterator[Settled]:
        """The second look: a document with a version of a moment ago refused the first offer."""
        if not left:
            return
        self.findings.rejected += self._offer_keys(left).rejected
        for settled, look in zip(left, self._look_at([one.look.suspect for one in left]), strict=True):
            if look.kind is Kind.EQUAL:
                self.findings.mended[settled.look.kind] += 1
            else:
                yield Settled(look, settled.is_in_motion)

    def _offer_keys(self, settled: Sequence[Settled]) -> OfferReport:
        keys = [one.look.key for one in settled if one.look.key is not None]
        report = self._offer(keys) if self._offer else OfferReport()
        self.findings.offers += report
        log.info("offered %d documents that differed", report.offered)
        return report


def _is_orphan(settled: Settled) -> bool:
    return settled.look.kind is Kind.ORPHANED


def _place(settled: Settled) -> tuple[str, str | None]:
    return settled.look.suspect.id, settled.look.suspect.routing
