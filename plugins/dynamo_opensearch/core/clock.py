"""Time as the package uses it: a wall clock in microseconds that is held against DynamoDB's own, and a steady one."""

import time
from email.utils import parsedate_to_datetime
from typing import Protocol

from dynamo_opensearch.core.errors import PassingError

MAX_CLOCK_SKEW_S = 2.0
_DATE_HEADER_RESOLUTION_S = 1.0
"""An HTTP ``Date`` is cut to whole seconds (RFC 9110, 5.6.7)."""


class Clock(Protocol):
    """What the core asks of time; tests pass one of their own."""

    def time_us(self) -> int:
        """Microseconds since 1970 by this worker's wall clock."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def time_us(self) -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1_000

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait in this thread."""
        time.sleep(seconds)


class WorkerClockError(PassingError):
    """This worker's clock disagrees with DynamoDB's, so its stamps would be wrong. The read was discarded."""

    def __init__(self, ahead_s: float) -> None:
        super().__init__(ahead_s)
        self.ahead_s = ahead_s

    def __str__(self) -> str:
        direction = "ahead of" if self.ahead_s > 0 else "behind"
        return (
            f"this worker's clock is {abs(self.ahead_s):.1f} s {direction} DynamoDB's, "
            f"at most {MAX_CLOCK_SKEW_S:.0f} s are allowed: versions made from it could hide newer changes. "
            "Nothing of this read was written. "
            "Set the worker's clock (chrony or the Amazon Time Sync Service), then clear this task."
        )


class MissingDateError(PassingError):
    """An answer of DynamoDB carried no ``Date``, so the worker's clock could not be checked."""

    def __str__(self) -> str:
        return (
            "an answer of DynamoDB carried no Date header, so this worker's clock could not be checked. "
            "Nothing of this read was written. Look for a proxy that drops the header."
        )


def check_worker_clock(date_header: str | None, sent_us: int, received_us: int) -> None:
    """Hold the worker's clock against the ``Date`` of one DynamoDB answer.

    The server wrote the date at some moment between ``sent_us`` and ``received_us`` (microseconds since 1970 by the
    worker's clock), cut to the second.

    Raises:
        WorkerClockError: the two differ by more than ``MAX_CLOCK_SKEW_S``.
        MissingDateError: there is no readable date.
    """
    if not date_header:
        raise MissingDateError()
    try:
        server_s = parsedate_to_datetime(date_header).timestamp()
    except ValueError as error:
        raise MissingDateError() from error
    ahead_s = sent_us / 1e6 - (server_s + _DATE_HEADER_RESOLUTION_S)
    behind_s = server_s - received_us / 1e6
    if ahead_s > MAX_CLOCK_SKEW_S:
        raise WorkerClockError(ahead_s)
    if behind_s > MAX_CLOCK_SKEW_S:
        raise WorkerClockError(-behind_s)
