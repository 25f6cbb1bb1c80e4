"""Patient calls whose every answer the worker's clock is held against, for stamps are made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.aws.patient_calls import AwsAnswer
from dynamo_opensearch.core.aws.patient_calls import PatientCalls as AwsCalls
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock, check_worker_clock
from dynamo_opensearch.core.dynamodb.errors import SERVICE


@dataclass(frozen=True, slots=True)
class DynamoDbAnswer(AwsAnswer):
    """One answer of a table or stream."""

    @property
    def read_units(self) -> float:
        """ConsumedCapacity of the answer; BatchGetItem lists one for each table."""
        consumed = self.content.get("ConsumedCapacity") or []
        parts = consumed if isinstance(consumed, list) else [consumed]
        return float(sum(part.get("CapacityUnits", 0.0) for part in parts))

    @property
    def body_bytes(self) -> int:
        """The answer's size, as its header says; 0 where there is none."""
        return int(self.headers.get("content-length", 0))


class PatientCalls:
    """Calls about one table or stream, passing errors waited out. Thread-safe.

    ``resource`` is named in errors; ``permanent`` makes the error to raise for a failure that waiting does not mend.
    """

    def __init__(
        self, resource: str, permanent: Callable[[Exception, str], Exception], clock: Clock, retry: RetryPolicy
    ) -> None:
        self._calls = AwsCalls(SERVICE, resource, permanent, clock, retry)
        self._clock = clock

    @property
    def throttled(self) -> int:
        """Answers so far that asked for fewer requests."""
        return self._calls.throttled

    def call(self, action: str, method: Callable[..., dict[str, Any]], **arguments: Any) -> DynamoDbAnswer:
        """Call until it succeeds, while its failures may pass.

        Raises:
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
            WorkerClockError: this worker's clock is off; the answer was discarded.
            Exception: what ``permanent`` made.
        """
        answer = self._calls.call(action, method, **arguments)
        check_worker_clock(answer.headers.get("date"), answer.began_us, self._clock.time_us())
        return DynamoDbAnswer(answer.content, answer.began_us, answer.began_s)
