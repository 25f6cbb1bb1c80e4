"""Sending to an index whose indexer writes no versions: every write is conditional, and followed by a read.

Such an indexer overwrites whatever stands there, so the stamp of a read protects nothing. What does: a document is
only created where none is, or replaced as it was seen *before* its item was read. Then whatever the indexer writes
meanwhile makes our write fail, and whatever it has yet to write comes after ours. A page of a scan is offered as
``create`` first, though nothing was seen of its documents before: the read afterwards finds what was deleted or
changed since the page, and what differs goes round again.
"""

import json
from collections import Counter
from dataclasses import dataclass, field

import orjson

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.offer.bulk_answer import Verdict
from dynamo_opensearch.core.offer.bulk_request import Seen, encode_conditional
from dynamo_opensearch.core.offer.delivery import Delivery
from dynamo_opensearch.core.offer.destination import Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.reading import Batch, Reading, ToRead
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.tally import Tally, TicketResult
from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.errors import summarise
from dynamo_opensearch.core.opensearch.patient import PatientCluster

MOST_ROUNDS = 5
"""A document that changes under every round is one that the indexer is writing: it has the last word."""


@dataclass(slots=True)
class _Offer:
    """One call of ``send``."""

    tally: Tally
    backoff: Backoff
    rounds: Counter[tuple[int, str]] = field(default_factory=Counter)

    def goes_round(self, reading: Reading, document: Document, verdict: Verdict) -> bool:
        """Whether there is another round for it; else ``verdict`` is its end."""
        self.rounds[reading.ticket, document.id] += 1
        if self.rounds[reading.ticket, document.id] < MOST_ROUNDS:
            return True
        self.tally.end(reading.ticket, verdict)
        return False


class ConditionalSender:
    """Offers without versions, for ``indexer_writes: unversioned``. Safe between threads, and to send twice.

    ``indexed`` and ``deleted`` are what OpenSearch acknowledged (for an item that is gone, also that there is no such
    document); ``stale`` are those that the indexer wrote in between, round after round.
    """

    def __init__(
        self,
        cluster: Cluster,
        destination: Destination,
        refresher: Refresher,
        limit: InFlightLimit,
        clock: Clock,
        retry: RetryPolicy,
        answer_timeout_s: float = 60.0,
    ) -> None:
        self._delivery = Delivery(cluster, destination, limit, clock, answer_timeout_s)
        self._patient = PatientCluster(cluster, clock, retry)
        self._destination, self._refresher, self._clock, self._retry = destination, refresher, clock, retry

    def send(self, batch: Batch) -> list[TicketResult]:
        """Write until each document is as a read after its write found the item, or is the indexer's.

        Raises:
            ServiceUnavailableError: OpenSearch took none of what is left for longer than the retry policy waits.
            AccessDeniedError: it refuses the caller.
            AliasLostError: the alias is gone.
            BulkAnswerError: an answer does not fit its request.
        """
        offer = _Offer(Tally(batch), Backoff(self._retry, self._clock))
        present, gone = _split(batch)
        to_read = self._write(present, {}, offer) + gone
        while to_read:
            to_read = self._write_as_seen(to_read, offer)
        return offer.tally.results()

    def _write_as_seen(self, groups: list[ToRead], offer: _Offer) -> list[ToRead]:
        """A round, in the order that makes it safe: the documents, then their items, then the writes."""
        seen = self._look_at([document for group in groups for document in group.documents], offer)
        batch = self._refresher.fresh_batch(groups, offer.tally)
        return self._write(_without_absent(batch, seen, offer.tally), seen, offer)

    def _write(self, batch: Batch, seen: dict[str, Seen], offer: _Offer) -> list[ToRead]:
        """Write on these conditions, and read; what conflicted or has changed since must be read again."""
        ended: list[tuple[Reading, Document, Verdict]] = []
        to_read = self._delivery.deliver(
            batch,
            lambda part, _may_be_applied: encode_conditional(part, seen),
            offer.tally,
            offer.backoff,
            lambda reading, documents, verdict: ended.extend((reading, one, verdict) for one in documents),
        )
        conflicts = [end for end in ended if end[2] is Verdict.STALE and offer.goes_round(*end)]
        written = [end for end in ended if end[2] is not Verdict.STALE]
        return to_read + _groups(conflicts) + _groups(self._changed(written, offer))

    def _changed(
        self, written: list[tuple[Reading, Document, Verdict]], offer: _Offer
    ) -> list[tuple[Reading, Document, Verdict]]:
        """Of what was written, what the table has otherwise by now; all else has come to its end."""
        fresh = self._refresher.fresh_batch(_groups(written), offer.tally)
        now = {(reading.ticket, one.id): one.source for reading in fresh for one in reading.documents}
        changed = []
        for reading, document, verdict in written:
            place = reading.ticket, document.id
            if place not in now:
                continue  # it cannot be made into a document any more, and was counted as rejected
            if _is_same(now[place], document.source):
                offer.tally.end(reading.ticket, verdict)
            elif offer.goes_round(reading, document, verdict):
                changed.append((reading, document, verdict))
        return changed

    def _look_at(self, documents: list[Document], offer: _Offer) -> dict[str, Seen]:
        """The documents that are there, as they are now (_mget is real-time)."""
        wanted = [{"_id": one.id} | ({"routing": one.routing} if one.routing else {}) for one in documents]
        while True:
            answer = self._patient.request(
                "POST",
                f"/{self._destination.alias}/_mget",
                params={"_source": "false", "filter_path": "docs._id,docs._seq_no,docs._primary_term,docs.error"},
                body=orjson.dumps({"docs": wanted}),
            )
            errors = [one["error"] for one in answer["docs"] if "error" in one]
            if not errors:
                return {
                    one["_id"]: Seen(one["_seq_no"], one["_primary_term"]) for one in answer["docs"] if "_seq_no" in one
                }
            if any(one.get("type") == "index_not_found_exception" for one in errors):
                self._destination.check_is_there()
            problem = summarise(str(errors[0].get("type", "unknown")), str(errors[0].get("reason", "")))
            self._delivery.wait(offer.backoff, str(problem), None)


def _split(batch: Batch) -> tuple[Batch, list[ToRead]]:
    """What may be tried as ``create``, and the deletes, which need to be looked at first."""
    present: Batch = []
    gone: list[ToRead] = []
    for reading in batch:
        with_source = [one for one in reading.documents if one.source is not None]
        without = [one for one in reading.documents if one.source is None]
        if with_source:
            present.append(reading.with_documents(with_source))
        if without:
            gone.append(ToRead(without, reading.index, reading.ticket))
    return present, gone


def _without_absent(batch: Batch, seen: dict[str, Seen], tally: Tally) -> Batch:
    """What has to be written: neither item nor document is the end of a delete."""
    left: Batch = []
    for reading in batch:
        to_write = [one for one in reading.documents if one.source is not None or one.id in seen]
        if absent := len(reading.documents) - len(to_write):
            tally.end(reading.ticket, Verdict.DELETED, absent)
        if to_write:
            left.append(reading.with_documents(to_write))
    return left


def _groups(ended: list[tuple[Reading, Document, Verdict]]) -> list[ToRead]:
    """Documents to be read again, together where they are of one page and one index."""
    groups: dict[tuple[int, str], list[Document]] = {}
    for reading, document, _ in ended:
        groups.setdefault((reading.ticket, reading.index), []).append(document)
    return [ToRead(documents, index, ticket) for (ticket, index), documents in groups.items()]


def _is_same(one: bytes | None, other: bytes | None) -> bool:
    """Whether two sources say the same; DynamoDB need not give a map's members in the same order twice."""
    if one == other or one is None or other is None:
        return one == other
    return bool(_exact(one) == _exact(other))


def _exact(source: bytes) -> object:
    """Decoded, with numbers as their text."""
    return json.loads(source, parse_float=str, parse_int=str)
