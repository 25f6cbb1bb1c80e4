"""Readings of simple items, for tests of what sends them."""

from collections.abc import Iterable, Iterator, Sequence

from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import DocumentBuilder, KeyValues
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedRead
from dynamo_opensearch.core.offer.reading import Reading
from dynamo_opensearch.core.stamps import StampRule
from tests.support.fakes import FakeClock

INDEX = "members-v1"
STAMPS = StampRule()


def item(key: str, value: str = "1") -> Item:
    return {"id": {"S": key}, "value": {"S": value}}


def builder(**rules: object) -> DocumentBuilder:
    return DocumentBuilder(("id",), FieldRules.model_validate(rules))


def reading(items: Iterable[Item], clock: FakeClock, ticket: int = 0, index: str = INDEX) -> Reading:
    """What a scan that begins now finds."""
    documents = builder().build(items).documents
    return Reading(documents, STAMPS.read_stamp_us(clock.time_us()), clock.monotonic_s(), index, ticket)


class MemoryTable:
    """A KeyedReader on a dict; ``reads`` holds the keys of each call."""

    def __init__(self, clock: FakeClock, items: Sequence[Item] = ()) -> None:
        self.clock = clock
        self.items = {one["id"]["S"]: one for one in items}
        self.reads: list[list[str]] = []

    def read(self, keys: Sequence[KeyValues]) -> Iterator[KeyedRead]:
        wanted = [key[0]["S"] for key in keys]
        self.reads.append(wanted)
        found = [self.items[key] for key in wanted if key in self.items]
        yield KeyedRead(tuple(keys), found, self.clock.time_us(), self.clock.monotonic_s())
