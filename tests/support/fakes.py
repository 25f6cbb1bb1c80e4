"""Stand-ins for unit tests: a clock that a test moves, and stores in memory."""

import threading
from typing import Any

from dynamo_opensearch.core.backoff import RetryPolicy

NOW_US = 1_800_000_000_000_000


class FakeClock:
    """Time passes only when somebody sleeps, or the test says so."""

    def __init__(self, now_us: int = NOW_US) -> None:
        self.now_us, self.steady_s = now_us, 1_000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def time_us(self) -> int:
        return self.now_us

    def monotonic_s(self) -> float:
        return self.steady_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_s(seconds)

    def pass_s(self, seconds: float) -> None:
        with self._lock:
            self.steady_s += seconds
            self.now_us += round(seconds * 1e6)


class MemoryStore:
    """A ProgressStore that keeps every value it was given."""

    def __init__(self, value: dict[str, Any] | None = None) -> None:
        self.value = value
        self.saved: list[dict[str, Any]] = []

    def load(self) -> dict[str, Any] | None:
        return self.value

    def save(self, value: dict[str, Any]) -> None:
        self.value = value
        self.saved.append(value)


class MemorySink:
    """A RejectSink."""

    def __init__(self) -> None:
        self.parts: dict[int, bytes] = {}

    def write(self, part: int, lines: bytes) -> None:
        self.parts[part] = lines

    def forget_from(self, part: int) -> None:
        self.parts = {number: lines for number, lines in self.parts.items() if number < part}


def quick_retry(give_up_after_s: float = 5.0) -> RetryPolicy:
    """Waits that a test can afford, without chance in them."""
    return RetryPolicy(first_wait_s=0.01, longest_wait_s=0.2, give_up_after_s=give_up_after_s, jitter=lambda: 1.0)
