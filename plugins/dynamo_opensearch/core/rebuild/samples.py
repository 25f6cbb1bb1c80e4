"""Items to try a mapping on, before anything is built by it."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.dynamodb.pacing import ReadUnitPacer
from dynamo_opensearch.core.dynamodb.table_client import TableClient

MOST_SAMPLES = 500
_PAGES = 10
_ITEMS_PER_SEGMENT = 100
_MOST_SEGMENTS = 100_000


class SampleSource(Protocol):
    """Items as the table's stream or scan gives them, in typed JSON."""

    @property
    def name(self) -> str:
        """What messages call it, such as ``table members``."""
        ...

    def items(self) -> Iterator[Item]:
        """A bounded number of items; may be asked again, and then gives what is there then."""
        ...


@dataclass(frozen=True, kw_only=True)
class TableSamples:
    """About ``most`` items at most, from single pages of random segments: no part of the table is left out by rule.

    ``items_estimated`` is DynamoDB's own figure; where it is far too low, the items come from fewer places.
    ``scan_arguments``: the target's filter as Scan takes it. Read units are paced to ``read_units_per_s``.
    """

    table: TableClient
    pacer: ReadUnitPacer
    items_estimated: int
    most: int = MOST_SAMPLES
    scan_arguments: dict[str, Any] = field(default_factory=dict)
    chance: random.Random = field(default_factory=random.Random)

    @property
    def name(self) -> str:
        """See ``SampleSource``."""
        return f"table {self.table.table}"

    def items(self) -> Iterator[Item]:
        """See ``SampleSource``.

        Raises:
            ServiceUnavailableError, AccessDeniedError, WorkerClockError: as ``TableClient.call``.
        """
        total = max(1, min(_MOST_SEGMENTS, self.items_estimated // _ITEMS_PER_SEGMENT))
        segments = self.chance.sample(range(total), min(_PAGES, total))
        limit = math.ceil(self.most / len(segments))
        for segment in segments:
            yield from self._page(segment, total, limit)

    def _page(self, segment: int, total: int, limit: int) -> list[Item]:
        self.pacer.wait()
        answer = self.table.scan(
            Segment=segment, TotalSegments=total, Limit=limit, ReturnConsumedCapacity="TOTAL", **self.scan_arguments
        )
        self.pacer.spend(answer.read_units)
        return list(answer.content.get("Items", []))
