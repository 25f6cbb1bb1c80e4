"""Reading documents of a batch again: by key, as the table has them now, by the rules of the index they go to."""

from collections.abc import Callable, Iterable, Iterator

from dynamo_opensearch.core.documents.builder import Document, DocumentBuilder
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedRead, KeyedReader
from dynamo_opensearch.core.offer.reading import Batch, Reading, ToRead
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.offer.tally import Tally
from dynamo_opensearch.core.opensearch.errors import ErrorSummary
from dynamo_opensearch.core.stamps import StampRule

BuilderForIndex = Callable[[str], DocumentBuilder]
"""The rules that an index's documents are made by; cheap to call again."""


class Refresher:
    """Turns documents into readings of now. Thread-safe."""

    def __init__(self, reader: KeyedReader, builder_for: BuilderForIndex, stamps: StampRule) -> None:
        self._reader, self._builder_for, self._stamps = reader, builder_for, stamps

    def read_again(self, documents: Iterable[Document], index: str, ticket: int) -> Iterator[Reading | Reject]:
        """The documents' items as they are now, for ``index``.

        An item that is gone, or that no longer belongs, comes as a document without source. One that cannot be made
        into a document any more comes as a Reject.

        Raises:
            ServiceUnavailableError, AccessDeniedError, TableMissingError, WorkerClockError: as ``KeyedReader.read``.
        """
        builder = self._builder_for(index)
        for read in self._reader.read([document.key for document in documents]):
            stamp_us = self._stamps.read_stamp_us(read.began_us)
            current, rejects = documents_now(read, builder, index, stamp_us)
            yield from rejects
            yield Reading(current, stamp_us, read.began_s, index, ticket)

    def fresh_batch(self, groups: Iterable[ToRead], tally: Tally) -> Batch:
        """The groups as they are now, ready to be sent; what cannot be made into a document is counted as rejected.

        Raises:
            ServiceUnavailableError, AccessDeniedError, TableMissingError, WorkerClockError: as ``read_again``.
        """
        batch: Batch = []
        for group in groups:
            for outcome in self.read_again(group.documents, group.index, group.ticket):
                if isinstance(outcome, Reject):
                    tally.reject(group.ticket, outcome)
                elif outcome.documents:
                    batch.append(outcome)
        return batch


def documents_now(
    read: KeyedRead, builder: DocumentBuilder, index: str, stamp_us: int
) -> tuple[list[Document], list[Reject]]:
    """What the keys of one read are to an index: documents, deletes, and what its rules cannot make a document of."""
    built = builder.build(read.items)
    by_id = {document.id: document for document in built.documents}
    refused = {one.id: one for one in built.refused}
    current, rejects = [], []
    for key in read.keys:
        gone = builder.gone(key)
        if gone.id in refused:
            error = refused[gone.id].error
            rejects.append(Reject(key, gone, index, stamp_us, ErrorSummary(type(error).__name__), str(error)))
        else:
            current.append(by_id.get(gone.id, gone))
    return current, rejects
