"""Waiting between tries: exponential, with full jitter, bounded in time. Each failure is retried by one layer only."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from dynamo_opensearch.core.clock import Clock


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long passing errors are waited out before a task gives up.

    ``first_wait_s`` doubles up to ``longest_wait_s``; each wait is drawn evenly between half of that and the whole
    of it. No new try begins ``give_up_after_s`` seconds after the first failure.
    """

    first_wait_s: float = 0.1
    longest_wait_s: float = 10.0
    give_up_after_s: float = 180.0
    jitter: Callable[[], float] = field(default=random.random)


class Backoff:
    """The waits of one call that goes on failing. Not shared between threads."""

    def __init__(self, policy: RetryPolicy, clock: Clock) -> None:
        self._policy, self._clock = policy, clock
        self._began_s: float | None = None
        self.attempts = 0

    @property
    def waited_s(self) -> float:
        """Seconds since the first failure."""
        return 0.0 if self._began_s is None else self._clock.monotonic_s() - self._began_s

    def reset(self) -> None:
        """Begin anew: something succeeded."""
        self._began_s, self.attempts = None, 0

    def wait(self) -> bool:
        """Count a failure and wait for the next try; False, without a wait, when the time is up."""
        self.attempts += 1
        if self._began_s is None:
            self._began_s = self._clock.monotonic_s()
        if self.waited_s >= self._policy.give_up_after_s:
            return False
        ceiling_s = min(self._policy.longest_wait_s, self._policy.first_wait_s * 2 ** min(self.attempts - 1, 30))
        self._clock.sleep(ceiling_s * (0.5 + 0.5 * self._policy.jitter()))
        return True
