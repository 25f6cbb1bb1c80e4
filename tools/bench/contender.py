"""How a contender's process talks to the benchmark: `ready`, then it waits for `go`, then one line of JSON.

Standard library only: contenders run in two environments.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TextIO


@dataclass(frozen=True, kw_only=True)
class Done:
    """``waited_s``: seconds of the work in which there was nothing to do, by design; they do not count."""

    documents: int
    waited_s: float = 0.0


Work = Callable[[], int | Done]
"""Returns how many documents were copied, or more than that."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to copy, from where to where. ``bodies``: a folder of bulk bodies made beforehand (the ceiling only)."""

    source: str
    target: str
    index: str
    alias: str
    first_segment: int
    end_segment: int
    total_segments: int
    scan_limit: int | None = None
    bodies: str = ""
    region: str = "eu-central-1"
    table: str = "members"
    key: str = "memberId"

    @property
    def segments(self) -> range:
        """The segments to copy."""
        return range(self.first_segment, self.end_segment)


def _peak_mb() -> float:
    """Peak resident memory; getrusage would start from that of the process which started this one."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def contend(prepare: Callable[[Task], Work]) -> None:
    """Run the task in the process's first argument, see ``contend_with``."""
    contend_with(lambda said: prepare(Task(**said)))


def contend_with(prepare: Callable[[dict[str, Any]], Work]) -> None:
    """Import and connect first, which is not measured; then work, and say how long it took and how much CPU."""
    with os.fdopen(os.dup(1), "w") as channel, open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # Airflow logs to standard output
        _contend(prepare, channel)


def _contend(prepare: Callable[[dict[str, Any]], Work], channel: TextIO) -> None:
    work = prepare(json.loads(sys.argv[1]))
    print("ready", file=channel, flush=True)
    if not sys.stdin.readline():
        return
    began_s, cpu_before_s = time.monotonic(), time.process_time()
    outcome = work()
    ended_s, cpu_s = time.monotonic(), time.process_time() - cpu_before_s
    done = Done(documents=outcome) if isinstance(outcome, int) else outcome
    result = {"began_s": began_s, "ended_s": ended_s, "cpu_s": cpu_s, "peak_mb": _peak_mb(), **asdict(done)}
    print(json.dumps(result), file=channel, flush=True)
