"""Calls to one table: passing errors waited out, the worker's clock held against every answer."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock, check_worker_clock
from dynamo_opensearch.core.dynamodb.errors import (
    CALL_ERRORS,
    SERVICE,
    describe,
    is_passing,
    is_throttling,
    permanent_error,
)
from dynamo_opensearch.core.errors import ServiceUnavailableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableAnswer:
    """One answer. ``began_us`` and ``began_s``: when its request began, by the wall and the steady clock."""

    content: dict[str, Any]
    began_us: int
    began_s: float

    @property
    def read_units(self) -> float:
        """ConsumedCapacity of the answer; BatchGetItem lists one for each table."""
        consumed = self.content.get("ConsumedCapacity") or []
        parts = consumed if isinstance(consumed, list) else [consumed]
        return float(sum(part.get("CapacityUnits", 0.0) for part in parts))


class TableClient:
    """One table through a boto3 client whose own retries are off: this is the layer that retries. Thread-safe.

    The client must have been given ``install_fast_parsing``.
    """

    def __init__(self, client: Any, table: str, clock: Clock, retry: RetryPolicy) -> None:
        self.table = table
        self.region = str(client.meta.region_name)
        self._client, self._clock, self._retry = client, clock, retry
        self._throttled = 0
        self._lock = threading.Lock()

    @property
    def throttled(self) -> int:
        """Answers so far that asked for fewer requests."""
        return self._throttled

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
        backoff = Backoff(self._retry, self._clock)
        while True:
            began_us, began_s = self._clock.time_us(), self._clock.monotonic_s()
            try:
                content = method(**arguments)
            except CALL_ERRORS as error:
                self._wait_out(error, action, backoff)
                continue
            headers = content.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            check_worker_clock(headers.get("date"), began_us, self._clock.time_us())
            return TableAnswer(content, began_us, began_s)

    def _wait_out(self, error: Exception, action: str, backoff: Backoff) -> None:
        if not is_passing(error):
            raise permanent_error(error, action, self.table, self.region) from error
        if is_throttling(error):
            with self._lock:
                self._throttled += 1
        if not backoff.wait():
            raise ServiceUnavailableError(
                SERVICE,
                f"{action} on table {self.table!r}",
                backoff.attempts,
                backoff.waited_s,
                describe(error),
            ) from error
        log.info("DynamoDB %s: %s, attempt %d follows", action, describe(error), backoff.attempts + 1)
