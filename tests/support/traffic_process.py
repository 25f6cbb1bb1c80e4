"""Writers in a process of their own, so that what is judged beside them does not slow them down by Python's lock."""

import multiprocessing
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Self

from tests.support.live_traffic import TableTraffic

_JOIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What the process says when it is asked."""

    rate: float
    kinds: Counter[str]
    failures: list[str]


class TrafficProcess:
    """A ``TableTraffic`` with these arguments, while the context lasts."""

    def __init__(self, url: str, table: str, stable: int, churned: int, *, per_s: float) -> None:
        spawned = multiprocessing.get_context("spawn")
        self._ours, theirs = spawned.Pipe()
        settings = {"url": url, "table": table, "stable": stable, "churned": churned, "per_s": per_s}
        self._process = spawned.Process(target=_write, args=(theirs, settings), daemon=True)
        self.kinds: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._process.start()
        self.rate(0, 0)  # it writes from now on
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.send(None)
        told: _Told = self._ours.recv()
        self._process.join(_JOIN_S)
        self.kinds = told.kinds
        assert (told.failures, self._process.exitcode) == ([], 0)

    def rate(self, begin_s: float, end_s: float) -> float:
        """Writes a second between two moments (seconds since 1970)."""
        self._ours.send((begin_s, end_s))
        told: _Told = self._ours.recv()
        assert told.failures == []
        return told.rate


def _write(pipe: Connection, settings: dict[str, Any]) -> None:
    with TableTraffic(**settings) as traffic:
        while (asked := pipe.recv()) is not None:
            failures = list(map(repr, traffic.failures))
            pipe.send(_Told(rate=traffic.rate(*asked), kinds=traffic.kinds, failures=failures))
    pipe.send(_Told(rate=0.0, kinds=traffic.kinds, failures=list(map(repr, traffic.failures))))
