"""How long an invocation may go on, and the waits that fit in."""

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock

RESERVE_S = 1.5
"""Left for the answer to Lambda: an invocation that is cut off reports nothing, and is counted as failed whole."""

LONGEST_REQUEST_S = 10.0
SHORTEST_REQUEST_S = 0.3


class Deadline:
    """The end of one invocation, ``remaining_s`` from now. For one thread."""

    def __init__(self, clock: Clock, remaining_s: float) -> None:
        self._clock = clock
        self._ends_s = clock.monotonic_s() + remaining_s - RESERVE_S
        self._backoff: Backoff | None = None

    @property
    def request_s(self) -> float:
        """How long the next request may take."""
        return max(SHORTEST_REQUEST_S, min(LONGEST_REQUEST_S, self._left_s))

    def retry_policy(self) -> RetryPolicy:
        """Retries that come to an end in time."""
        return RetryPolicy(first_wait_s=0.05, longest_wait_s=1.0, give_up_after_s=max(0.0, self._left_s - 1.0))

    def wait(self) -> bool:
        """Wait before the next try, longer each time; False, without a wait, when there is no time for one."""
        self._backoff = self._backoff or Backoff(self.retry_policy(), self._clock)
        return self._backoff.wait()

    def went_on(self) -> None:
        """Something succeeded: the next wait is a short one again."""
        self._backoff = None

    @property
    def _left_s(self) -> float:
        return self._ends_s - self._clock.monotonic_s()
