"""How a contender's process talks to the benchmark: `ready`, then it waits for `go`, then one line of JSON.

Standard library only: contenders run in two environments.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Work = Callable[[], int]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to copy, from where to where. ``bodies``: a folder of bulk bodies made beforehand (the ceiling only)."""

    source: str
    target: str
    index: str
    alias: str
    segments: tuple[int, ...]
    total_segments: int
    scan_limit: int | None = None
    bodies: str = ""
    region: str = "eu-central-1"
    table: str = "members"
    key: str = "memberId"


def read_task() -> Task:
    """The task in the process's first argument."""
    values: dict[str, Any] = json.loads(sys.argv[1])
    return Task(**{**values, "segments": tuple(values["segments"])})


def contend(prepare: Callable[[Task], Work]) -> None:
    """Import and connect first, which is not measured; then work, and say how long it took and how much CPU."""
    work = prepare(read_task())
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    began_s, cpu_before_s = time.monotonic(), time.process_time()
    documents = work()
    result = {
        "began_s": began_s,
        "ended_s": time.monotonic(),
        "cpu_s": time.process_time() - cpu_before_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "documents": documents,
    }
    print(json.dumps(result), flush=True)
