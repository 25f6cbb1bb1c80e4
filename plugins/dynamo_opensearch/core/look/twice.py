"""Keys without a time, looked at twice: offered to every living index now, and once more two margins later."""

import logging
from collections.abc import Sequence

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.look.agenda import LookAgenda
from dynamo_opensearch.core.look.living import LivingIndices
from dynamo_opensearch.core.look.looker import Looker
from dynamo_opensearch.core.look.reject_log import RejectLog
from dynamo_opensearch.core.reports import OfferReport
from dynamo_opensearch.core.stamps import StampRule

log = logging.getLogger(__name__)

_KEYS_PER_PASS = 2_000
_AFTER_A_MOVE_S = 0.25


class TwiceLooker:
    """Offers keys to every living index, by both looks. Uses threads while it looks; not thread-safe itself.

    ``read_units``: what its reads have cost so far.

    A first look's stamp is a margin old, so a document with a younger version refuses it, even when that document is
    the one that is wrong. The second look is younger than anything that could have been written before the first.
    """

    def __init__(
        self,
        reader: KeyedReader,
        living: LivingIndices,
        rejects: RejectLog,
        stamps: StampRule,
        clock: Clock,
        *,
        key_attributes: Sequence[str],
        bulk_bytes: int,
        requests_in_flight: int,
    ) -> None:
        self._reader, self._living, self._rejects = reader, living, rejects
        self._stamps, self._clock, self._key_attributes = stamps, clock, tuple(key_attributes)
        self._bulk_bytes, self._threads = bulk_bytes, requests_in_flight
        self.read_units = 0.0

    def offer(self, keys: Sequence[KeyValues]) -> OfferReport:
        """Offer these keys' items as the table has them, twice; takes two margins at least. Safe to run again.

        What an index refuses for good is stored with its reject files. The report counts each document of each look
        in each index.

        Raises:
            NoLivingIndexError, AliasAmbiguousError: there is nothing to write to.
            ServiceUnavailableError, AccessDeniedError, WorkerClockError: as the reads and writes.
        """
        agenda, report = LookAgenda(), OfferReport()
        due_us = self._clock.time_us() + round(2 * self._stamps.margin_s * 1e6)
        names = {document_id(key): key for key in keys}
        for name, key in names.items():
            agenda.owe(name, key, due_us)
        while names:
            wanted = agenda.to_look_at(self._clock.time_us(), _KEYS_PER_PASS)
            if wanted:
                report += self._look([one.key for one in wanted], agenda)
                self._settle(agenda, names, due_us)
            else:
                self._clock.sleep(max(0.001, (due_us + 1 - self._clock.time_us()) / 1e6))
        self._rejects.flush(self._key_attributes)
        return report

    def _look(self, keys: Sequence[KeyValues], agenda: LookAgenda) -> OfferReport:
        looker = Looker(self._reader, self._living.current(), self._stamps, self._bulk_bytes, self._threads)
        result = looker.look(keys)
        self._rejects.add(result.rejects)
        self.read_units += result.read_units
        for look in result.looks:
            if look.is_acknowledged:
                agenda.acknowledge(look.names, look.began_us)
        if result.has_moved:
            self._living.note_moved()
            self._clock.sleep(_AFTER_A_MOVE_S)
        return result.offer

    def _settle(self, agenda: LookAgenda, names: dict[str, KeyValues], due_us: int) -> None:
        for name in [name for name in names if agenda.is_done(name, due_us)]:
            agenda.settle(name)
            del names[name]
