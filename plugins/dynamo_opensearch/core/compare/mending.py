"""Mending: what differs is offered to the index as the table has it now, like everything that this package writes."""

from collections.abc import Callable, Sequence

from dynamo_opensearch.core.documents.builder import DocumentBuilder, KeyValues
from dynamo_opensearch.core.offer.reading import Batch
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.offer.sender import Sender
from dynamo_opensearch.core.reports import OfferReport

OnRejects = Callable[[Sequence[Reject]], None]
"""Told of documents that were refused for good, before the report comes back: they are to be stored."""

_KEYS_AT_ONCE = 500
"""Documents in memory, and nearly in one bulk request."""


class Mender:
    """Offers keys to one index: each item is read consistently, and a delete is offered for one that is gone.

    A second run is safe: what is newer in the index stays. ``index`` is the one that the sender's alias leads to.
    """

    def __init__(
        self, refresher: Refresher, sender: Sender, builder: DocumentBuilder, index: str, on_rejects: OnRejects
    ) -> None:
        self._refresher, self._sender, self._builder = refresher, sender, builder
        self._index, self._on_rejects = index, on_rejects

    def offer(self, keys: Sequence[KeyValues]) -> OfferReport:
        """Offer the items of these keys as they are now.

        Raises:
            ServiceUnavailableError, AccessDeniedError, AliasLostError, WorkerClockError: as the reads and writes.
        """
        report = OfferReport()
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            report += self._offer_some(keys[start : start + _KEYS_AT_ONCE])
        return report

    def _offer_some(self, keys: Sequence[KeyValues]) -> OfferReport:
        documents = [self._builder.gone(key) for key in keys]
        batch: Batch = []
        rejects: list[Reject] = []
        for outcome in self._refresher.read_again(documents, self._index, 0):
            if isinstance(outcome, Reject):
                rejects.append(outcome)
            elif outcome.documents:
                batch.append(outcome)
        report = OfferReport(offered=len(rejects), rejected=len(rejects))
        for result in self._sender.send(batch) if batch else []:
            report += result.report
            rejects += result.rejects
        if rejects:
            self._on_rejects(rejects)
        return report
