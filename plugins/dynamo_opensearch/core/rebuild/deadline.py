"""A bound on the time that writers wait for a swap."""

import queue
import threading
from collections.abc import Callable

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.patient import PatientCluster


class SwapTooSlowError(PassingError):
    """The switch did not come about while writers could be kept waiting."""

    def __init__(self, limit_s: float, step: str) -> None:
        super().__init__(limit_s, step)
        self.limit_s, self.step = limit_s, step

    def __str__(self) -> str:
        return (
            f"the swap was given up {self.limit_s:.0f} s after writes were blocked, at: {self.step}. Writes go on. The "
            "task's next try looks where the alias is and tries again; if it goes on like this, look for a follower "
            "that lags or a cluster that is overloaded."
        )


class Deadline:
    """So many seconds from now on."""

    def __init__(self, clock: Clock, limit_s: float) -> None:
        self._clock, self.limit_s = clock, limit_s
        self._ends_s = clock.monotonic_s() + limit_s

    def left_s(self, step: str = "a request") -> float:
        """Seconds left.

        Raises:
            SwapTooSlowError: none.
        """
        left_s = self._ends_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise SwapTooSlowError(self.limit_s, step)
        return left_s

    def patient(self, cluster: Cluster) -> PatientCluster:
        """A cluster whose patience ends with the deadline."""
        retry = RetryPolicy(first_wait_s=0.05, longest_wait_s=1.0, give_up_after_s=self.left_s())
        return PatientCluster(cluster, self._clock, retry)

    def bound(self, work: Callable[[], int], step: str) -> int:
        """What ``work`` returns; its errors are raised here. Where it takes too long it is left to itself.

        Raises:
            SwapTooSlowError: it did not end in time. It may still be running: only for work that does no harm late.
        """
        outcome: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()

        def run() -> None:
            try:
                outcome.put(work())
            except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits
                outcome.put(error)

        left_s = self.left_s(step)
        # A daemon: at its exit the process waits for no drain that hangs.
        threading.Thread(target=run, name=step, daemon=True).start()
        try:
            ended = outcome.get(timeout=left_s)
        except queue.Empty:
            raise SwapTooSlowError(self.limit_s, step) from None
        if isinstance(ended, BaseException):
            raise ended
        return ended
