"""Calls to one table: passing errors waited out, the worker's clock held against every answer."""

from collections.abc import Callable
from typing import Any

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dynamodb.errors import permanent_error
from dynamo_opensearch.core.dynamodb.patient_calls import DynamoDbAnswer, PatientCalls

TableAnswer = DynamoDbAnswer


class TableClient:
    """One table through a boto3 client whose own retries are off: this is the layer that retries. Thread-safe.

    The client must have been given ``install_fast_parsing``.
    """

    def __init__(self, client: Any, table: str, clock: Clock, retry: RetryPolicy) -> None:
        self.table = table
        self.region = str(client.meta.region_name)
        self._client = client
        self._calls = PatientCalls(f"table {table!r}", self._permanent, clock, retry)

    @property
    def throttled(self) -> int:
        """Answers so far that asked for fewer requests."""
        return self._calls.throttled

    def describe(self) -> dict[str, Any]:
        """DescribeTable's ``Table``.

        Raises:
            TableMissingError, AccessDeniedError, ServiceUnavailableError: as ``call``.
        """
        return dict(self.call("DescribeTable", self._client.describe_table, TableName=self.table).content["Table"])

    def scan(self, **arguments: Any) -> TableAnswer:
        """One page of Scan, in typed JSON."""
        return self.call("Scan", self._client.scan, TableName=self.table, **arguments)

    def batch_get(self, request_items: dict[str, Any]) -> TableAnswer:
        """One BatchGetItem, in typed JSON."""
        return self.call(
            "BatchGetItem",
            self._client.batch_get_item,
            RequestItems=request_items,
            ReturnConsumedCapacity="TOTAL",
        )

    def call(self, action: str, method: Callable[..., dict[str, Any]], **arguments: Any) -> TableAnswer:
        """Call until it succeeds, while its failures may pass.

        Raises:
            AccessDeniedError, TableMissingError, DynamoDbRequestError: waiting would not help.
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
            WorkerClockError: this worker's clock is off; the answer was discarded.
        """
        return self._calls.call(action, method, **arguments)

    def _permanent(self, error: Exception, action: str) -> Exception:
        return permanent_error(error, action, self.table, self.region)
