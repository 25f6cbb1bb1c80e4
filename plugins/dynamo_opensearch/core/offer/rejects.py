"""Documents that OpenSearch refuses for good: kept whole in one place, and shown elsewhere without their values."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from dynamo_opensearch.core.documents.builder import Document, KeyValues
from dynamo_opensearch.core.opensearch.errors import ErrorSummary


@dataclass(frozen=True, slots=True)
class Reject:
    """A refused document: its key and content, why, and by which index it was refused."""

    key: KeyValues
    document: Document
    index: str
    stamp_us: int
    summary: ErrorSummary
    reason: str

    def line(self, key_attributes: Sequence[str]) -> bytes:
        """One line of NDJSON: ``key`` (typed JSON), ``id``, ``index``, ``stamp_us``, ``error``, ``document``."""
        source = self.document.source
        return orjson.dumps(
            {
                "key": dict(zip(key_attributes, self.key, strict=True)),
                "id": self.document.id,
                "index": self.index,
                "stamp_us": self.stamp_us,
                "error": {
                    "type": self.summary.type,
                    "field": self.summary.field,
                    "expected": self.summary.expected,
                    "reason": self.reason,
                },
                "document": None if source is None else orjson.Fragment(source),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )


class RejectSink(Protocol):
    """Where refused documents go. A part is written whole; writing it again replaces it."""

    def write(self, part: int, lines: bytes) -> None:
        """Store a part, durably, before this returns."""
        ...

    def forget_from(self, part: int) -> None:
        """Remove this part and all later ones: the work behind them will be done again."""
        ...


def reasons_by_count(rejects: Iterable[Reject]) -> dict[str, int]:
    """How many documents were refused for which reason, without values."""
    return dict(Counter(str(reject.summary) for reject in rejects))
