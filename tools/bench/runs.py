"""One run of one contender: its processes started and made ready, let go at once, measured, its documents counted."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tools.local import paths

BENCH_VENV = paths.ROOT / ".venv-bench"


class ContenderError(RuntimeError):
    """A contender's process did not end with a result."""

    def __init__(self, module: str, status: int) -> None:
        super().__init__(module, status)
        self.module, self.status = module, status

    def __str__(self) -> str:
        return f"{self.module} ended with status {self.status} and no result; its own message is above"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """``processes``: how many share the segments. ``environment``: whose Python runs it."""

    name: str
    title: str
    module: str
    environment: Path = paths.VENV
    processes: int = 1

    @property
    def python(self) -> str:
        """The interpreter.

        Raises:
            NotInstalledError: ``make bench`` makes the environment.
        """
        found = self.environment / "bin" / "python"
        if not found.exists():
            raise paths.NotInstalledError(found)
        return str(found)


@dataclass(frozen=True, kw_only=True)
class Run:
    """``seconds`` from the first start to the last end, without what it waited by design.

    ``cpu_s``, ``peak_mb``: of the contender's own processes.

    ``servers_cpu_s``: CPU seconds of the servers meanwhile, by name.

    ``each``: what each process said, in the order of the tasks.
    """

    contender: str
    seconds: float
    cpu_s: float
    peak_mb: float
    documents: int
    servers_cpu_s: dict[str, float] = field(default_factory=dict)
    each: tuple[dict[str, float], ...] = ()

    @property
    def documents_per_s(self) -> float:
        """The rate."""
        return self.documents / self.seconds

    @property
    def cpu_s_per_100k(self) -> float:
        """CPU seconds of the client per 100,000 documents."""
        return self.cpu_s / self.documents * 100_000


def run_contender(contender: Contender, tasks: Sequence[Mapping[str, Any]], servers: Mapping[str, int]) -> Run:
    """Run a contender once, one process for each task, which is JSON. ``servers``: name to process id.

    Raises:
        ContenderError: a process failed.
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(_started(contender, task)) for task in tasks]
        for process in processes:
            _line(process, contender.module)
        before = _cpu_s(servers)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        results = [json.loads(_line(process, contender.module)) for process in processes]
        after = _cpu_s(servers)
    return Run(
        contender=contender.name,
        seconds=_seconds(results),
        cpu_s=sum(one["cpu_s"] for one in results),
        peak_mb=sum(one["peak_mb"] for one in results),
        documents=sum(one["documents"] for one in results),
        servers_cpu_s={name: after[name] - before[name] for name in servers},
        each=tuple(results),
    )


def _seconds(results: Sequence[Mapping[str, float]]) -> float:
    """Without waits of each process, which is what it does last where several work at once."""
    return max(one["ended_s"] - one["waited_s"] for one in results) - min(one["began_s"] for one in results)


def _started(contender: Contender, task: Mapping[str, Any]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [contender.python, "-m", contender.module, json.dumps(task)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=paths.ROOT,
        env={**os.environ, "AIRFLOW_HOME": str(paths.BUILD / "bench" / "airflow"), "AWS_EC2_METADATA_DISABLED": "true"},
    )


def _line(process: "subprocess.Popen[str]", module: str) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ContenderError(module, process.wait())
    return line


def _cpu_s(servers: Mapping[str, int]) -> dict[str, float]:
    """User and system seconds so far."""
    return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in servers.items()}
