"""Faults that a local event source mapping can have: which records fail, and how."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tools.local.esm_records import LambdaRecord

Fails = Callable[[LambdaRecord], bool]
"""Whether the function is to fail on this record, this time."""

FaultKind = Literal["raise", "report"]
"""The function raises without having done anything; or it leaves out the record, and reports it."""


class DialledInError(RuntimeError):
    """The function failed because it was told to."""


@dataclass
class FailingShare:
    """A share of the records fails, the same ones each time; ``times``: so often each, always by default."""

    rate: float
    seed: int = 0
    times: int | None = None
    _met: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, record: LambdaRecord) -> bool:
        """Whether this record fails now."""
        number = record["dynamodb"]["SequenceNumber"]
        if random.Random(f"{self.seed}:{number}").random() >= self.rate:
            return False
        with self._lock:
            self._met[number] += 1
            return self.times is None or self._met[number] <= self.times

    @property
    def chosen(self) -> frozenset[str]:
        """The sequence numbers that have failed so far."""
        with self._lock:
            return frozenset(self._met)
