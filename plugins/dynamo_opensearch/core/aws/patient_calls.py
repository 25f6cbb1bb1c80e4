"""One layer that retries calls of a boto3 client whose own retries are off."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.aws.errors import CALL_ERRORS, describe, is_passing, is_throttling
from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import ServiceUnavailableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AwsAnswer:
    """One answer. ``began_us`` and ``began_s``: when its request began, by the wall and the steady clock."""

    content: dict[str, Any]
    began_us: int
    began_s: float

    @property
    def headers(self) -> dict[str, str]:
        """The answer's HTTP headers, names in lower case."""
        headers: dict[str, str] = self.content.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return headers


class PatientCalls:
    """Calls of one service about one resource, passing errors waited out. Thread-safe.

    ``service`` and ``resource`` are named in errors; ``permanent`` makes the error to raise for a failure of an action
    that waiting does not mend.
    """

    def __init__(
        self,
        service: str,
        resource: str,
        permanent: Callable[[Exception, str], Exception],
        clock: Clock,
        retry: RetryPolicy,
    ) -> None:
        self._service, self._resource, self._permanent = service, resource, permanent
        self._clock, self._retry = clock, retry
        self._throttled = 0
        self._lock = threading.Lock()

    @property
    def throttled(self) -> int:
        """Answers so far that asked for fewer requests."""
        return self._throttled

    def call(self, action: str, method: Callable[..., dict[str, Any]], **arguments: Any) -> AwsAnswer:
        """Call until it succeeds, while its failures may pass.

        Raises:
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
            Exception: what ``permanent`` made.
        """
        backoff = Backoff(self._retry, self._clock)
        while True:
            began_us, began_s = self._clock.time_us(), self._clock.monotonic_s()
            try:
                return AwsAnswer(method(**arguments), began_us, began_s)
            except CALL_ERRORS as error:
                self._wait_out(error, action, backoff)

    def _wait_out(self, error: Exception, action: str, backoff: Backoff) -> None:
        if not is_passing(error):
            raise self._permanent(error, action) from error
        if is_throttling(error):
            with self._lock:
                self._throttled += 1
        if not backoff.wait():
            raise ServiceUnavailableError(
                self._service, f"{action} on {self._resource}", backoff.attempts, backoff.waited_s, describe(error)
            ) from error
        log.info("%s %s: %s, attempt %d follows", self._service, action, describe(error), backoff.attempts + 1)
