"""What one read of the table found, on its way to an index."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dynamo_opensearch.core.documents.builder import Document

ACTION_BYTES = 120
"""About what the action line of a bulk request adds to a document, without its id."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Documents as one read found them.

    ``stamp_us``: their version. ``begun_s``: when the read began, by the steady clock. ``index``: the index whose
    rules they were made by. ``ticket``: whose page they are.
    """

    documents: list[Document]
    stamp_us: int
    begun_s: float
    index: str
    ticket: int

    def with_documents(self, documents: list[Document]) -> "Reading":
        """The same read, other (or fewer) documents."""
        return replace(self, documents=documents)


Batch = list[Reading]


@dataclass(frozen=True, slots=True)
class ToRead:
    """Documents of one page that must be read again before they are sent, by the rules of ``index``."""

    documents: list[Document]
    index: str
    ticket: int


def document_bytes(document: Document) -> int:
    """What a document adds to a bulk request, nearly."""
    return len(document.id) + ACTION_BYTES + (len(document.source) if document.source else 0)


def count_documents(readings: Iterable[Reading]) -> int:
    """Documents in all of them."""
    return sum(len(reading.documents) for reading in readings)


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """The batch cut in the middle of its documents, order kept."""
    left_count = count_documents(batch) // 2
    left: Batch = []
    right: Batch = []
    for reading in batch:
        cut = max(0, min(len(reading.documents), left_count))
        left_count -= cut
        if cut:
            left.append(reading.with_documents(reading.documents[:cut]))
        if cut < len(reading.documents):
            right.append(reading.with_documents(reading.documents[cut:]))
    return left, right
