"""Items by key, strongly consistent: what the table holds *now*."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.dynamodb.errors import SERVICE
from dynamo_opensearch.core.dynamodb.keys import named_key, request_key
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.errors import ServiceUnavailableError

BATCH_KEYS = 100
"""BatchGetItem takes 100 keys at most."""


@dataclass(frozen=True, slots=True)
class KeyedRead:
    """What a group of up to 100 keys had: the items that are there, when the reading began, and its cost."""

    keys: tuple[KeyValues, ...]
    items: list[Item]
    began_us: int
    began_s: float
    read_units: float = 0.0


class KeyedReader:
    """Reads keys of one table by BatchGetItem with ConsistentRead. Thread-safe."""

    def __init__(self, table: TableClient, key_attributes: Sequence[str], clock: Clock, retry: RetryPolicy) -> None:
        self._table, self._key_attributes = table, tuple(key_attributes)
        self._clock, self._retry = clock, retry

    def read(self, keys: Sequence[KeyValues]) -> Iterator[KeyedRead]:
        """Groups of at most 100 keys with their items; a key without an item is in ``keys`` only.

        Raises:
            ServiceUnavailableError: keys stayed unprocessed for longer than the retry policy waits.
            AccessDeniedError, TableMissingError, WorkerClockError: as ``TableClient.call``.
        """
        for group in _batched(keys, BATCH_KEYS):
            yield self._read_group(group)

    def _read_group(self, group: tuple[KeyValues, ...]) -> KeyedRead:
        unique = {document_id(key): key for key in group}  # DynamoDB refuses a key twice, 1 and 1.0 are one
        wanted = [request_key(named_key(self._key_attributes, key)) for key in unique.values()]
        began: list[tuple[int, float]] = []
        items: list[Item] = []
        read_units = 0.0
        backoff = Backoff(self._retry, self._clock)
        while wanted:
            answer = self._table.batch_get({self._table.table: {"Keys": wanted, "ConsistentRead": True}})
            began.append((answer.began_us, answer.began_s))
            read_units += answer.read_units
            items += answer.content.get("Responses", {}).get(self._table.table, [])
            left: dict[str, Any] = answer.content.get("UnprocessedKeys", {}).get(self._table.table, {})
            wanted = [request_key(key) for key in left.get("Keys", [])]
            if wanted and not backoff.wait():
                raise ServiceUnavailableError(
                    SERVICE,
                    "BatchGetItem",
                    backoff.attempts,
                    backoff.waited_s,
                    f"{len(wanted)} unprocessed keys",
                )
        return KeyedRead(group, items, *began[0], read_units)


def _batched(keys: Sequence[KeyValues], size: int) -> Iterator[tuple[KeyValues, ...]]:
    for start in range(0, len(keys), size):
        yield tuple(keys[start : start + size])
