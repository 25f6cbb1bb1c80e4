"""One layer that retries calls of a boto3 client, and holds the worker's clock against every answer."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock, check_worker_clock
from dynamo_opensearch.core.dynamodb.errors import CALL_ERRORS, SERVICE, describe, is_passing, is_throttling
from dynamo_opensearch.core.errors import ServiceUnavailableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DynamoDbAnswer:
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

    @property
    def body_bytes(self) -> int:
        """The answer's size, as its header says; 0 where there is none."""
        return int(_headers(self.content).get("content-length", 0))


class PatientCalls:
    """Calls about one resource, passing errors waited out. Thread-safe.

    ``resource`` is named in errors; ``permanent`` makes the error to raise for a failure that waiting does not mend.
    """

    def __init__(
        self, resource: str, permanent: Callable[[Exception, str], Exception], clock: Clock, retry: RetryPolicy
    ) -> None:
        self._resource, self._permanent, self._clock, self._retry = resource, permanent, clock, retry
        self._throttled = 0
        self._lock = threading.Lock()

    @property
    def throttled(self) -> int:
        """Answers so far that asked for fewer requests."""
        return self._throttled

    def call(self, action: str, method: Callable[..., dict[str, Any]], **arguments: Any) -> DynamoDbAnswer:
        """Call until it succeeds, while its failures may pass.

        Raises:
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
            WorkerClockError: this worker's clock is off; the answer was discarded.
            Exception: what ``permanent`` made.
        """
        backoff = Backoff(self._retry, self._clock)
        while True:
            began_us, began_s = self._clock.time_us(), self._clock.monotonic_s()
            try:
                content = method(**arguments)
            except CALL_ERRORS as error:
                self._wait_out(error, action, backoff)
                continue
            check_worker_clock(_headers(content).get("date"), began_us, self._clock.time_us())
            return DynamoDbAnswer(content, began_us, began_s)

    def _wait_out(self, error: Exception, action: str, backoff: Backoff) -> None:
        if not is_passing(error):
            raise self._permanent(error, action) from error
        if is_throttling(error):
            with self._lock:
                self._throttled += 1
        if not backoff.wait():
            raise ServiceUnavailableError(
                SERVICE, f"{action} on {self._resource}", backoff.attempts, backoff.waited_s, describe(error)
            ) from error
        log.info("DynamoDB %s: %s, attempt %d follows", action, describe(error), backoff.attempts + 1)


def _headers(content: dict[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = content.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers
