"""Nothing is left running: after the end, after Ctrl-C halfway, after a kill of the owner or of the supervisor.

Each owner is a real process of its own. It marks all that it starts by a variable in the
environment, so that nothing which left its process tree can hide.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tools.local import paths

MARK = "STACK_LIFECYCLE_TEST"
OWNER = """
import sys, time
from pathlib import Path
from tools.local import airflow, ministack, opensearch, ports
from tools.local.connections import connections
from tools.local.processes import running_together

folder, with_airflow, mark = Path(sys.argv[1]), sys.argv[2] == "airflow", sys.argv[3]
aws = ministack.plan_launch(folder / "ministack", ports.free_port())
search = opensearch.plan_launch(
    folder / "opensearch", ports.free_port(opensearch.HTTP_PORTS), ports.free_port(), "512m"
)
launches = [aws, search]
if with_airflow:
    (folder / "dags").mkdir()
    settings = connections(aws, search) | {"AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags")}
    launches.append(airflow.plan_launch(folder / "airflow", ports.free_port(), settings))
print("starting", flush=True)
with running_together(launches) as servers:
    print("ready", *(server.port for server in servers), flush=True)
    time.sleep(600)
"""


class Owner:
    """A process that started servers, and all processes that have its mark."""

    def __init__(self, folder: Path, what: str) -> None:
        self.mark = f"{folder}"
        environment = os.environ | {MARK: self.mark, "PYTHONPATH": str(paths.ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(folder), what, self.mark],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def family(self) -> list[psutil.Process]:
        """Everything whose working folder or command line lies in the test's folder."""
        return [process for process in psutil.process_iter() if self._is_marked(process)]

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            if process.pid == self.process.pid or process.status() == psutil.STATUS_ZOMBIE:
                return False
            return self.mark in " ".join(process.cmdline()) or process.cwd().startswith(self.mark)
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # ended meanwhile; not one of ours
            return False

    def wait_until_alone(self, timeout_s: float = 45.0) -> list[psutil.Process]:
        """What is left of the family at the latest after that time."""
        deadline = time.monotonic() + timeout_s
        while (left := self.family()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left


@pytest.fixture(params=["servers", "airflow"])
def owner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path, request.param)
    try:
        assert owner.line() == "starting"
        yield owner
    finally:
        owner.process.kill()
        owner.process.wait()
        for process in owner.wait_until_alone():
            process.kill()
        assert owner.process.stdout is not None
        owner.process.stdout.close()


def test_nothing_is_left_after_a_kill_of_the_owner(owner: Owner) -> None:
    assert owner.line().startswith("ready")
    assert len(owner.family()) >= 4, "two servers and their supervisors"
    owner.process.kill()
    assert owner.wait_until_alone() == []


def test_nothing_is_left_after_ctrl_c_while_the_servers_start(owner: Owner) -> None:
    deadline = time.monotonic() + 30
    while len(owner.family()) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    owner.process.send_signal(signal.SIGINT)
    assert owner.process.wait(45) == -signal.SIGINT
    assert owner.family() == []


def test_nothing_is_left_after_ctrl_c_later(owner: Owner) -> None:
    assert owner.line().startswith("ready")
    owner.process.send_signal(signal.SIGINT)
    assert owner.process.wait(45) == -signal.SIGINT
    assert owner.family() == []
