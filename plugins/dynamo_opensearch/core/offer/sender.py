"""Sending one batch until each of its documents has come to an end: the one function that every DAG ends in."""

from typing import Protocol

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.offer.bulk_answer import Verdict
from dynamo_opensearch.core.offer.bulk_request import encode_bulk
from dynamo_opensearch.core.offer.delivery import Delivery
from dynamo_opensearch.core.offer.destination import Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.reading import Batch, Reading
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.tally import Tally, TicketResult
from dynamo_opensearch.core.opensearch.cluster import Cluster


class Sender(Protocol):
    """Sends a batch. Thread-safe."""

    def send(self, batch: Batch) -> list[TicketResult]:
        """What became of each document, by page."""
        ...


class BulkSender:
    """Offers with external versions. ``send`` may be called from several threads, and twice for the same documents."""

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
        self._refresher, self._clock, self._retry = refresher, clock, retry

    def send(self, batch: Batch) -> list[TicketResult]:
        """Send until every document is indexed, deleted, stale or rejected.

        Raises:
            ServiceUnavailableError: OpenSearch took none of what is left for longer than the retry policy waits.
            AccessDeniedError: it refuses the caller.
            AliasLostError: the alias is gone.
            BulkAnswerError: an answer does not fit its request.
        """
        tally = Tally(batch)
        backoff = Backoff(self._retry, self._clock)
        left = batch

        def on_end(reading: Reading, documents: list[Document], verdict: Verdict) -> None:
            tally.end(reading.ticket, verdict, len(documents))

        while left:
            to_read = self._delivery.deliver(left, _encode, tally, backoff, on_end)
            left = self._refresher.fresh_batch(to_read, tally)
        return tally.results()


def _encode(batch: Batch, may_be_applied: bool) -> bytes:
    return encode_bulk(batch, "external_gte" if may_be_applied else "external")
