"""Nothing is left running: after the end, after Ctrl-C halfway, after a kill of the owner or of the supervisor.

Each owner is a real process of its own. What it started is found by the test's folder, in which
all of it works, so that nothing which left the process tree can hide.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tools.local import paths

OWNER = """
import sys, time
from pathlib import Path
from tools.local import airflow, ministack, opensearch, ports
from tools.local.connections import connections
from tools.local.lifetime import ended_in_order
from tools.local.processes import running_together

folder, with_airflow = Path(sys.argv[1]), sys.argv[2] == "airflow"
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
with ended_in_order(), running_together(launches) as servers:
    print("ready", *(server.port for server in servers), flush=True)
    time.sleep(600)
"""


class Owner:
    """A process that starts servers in a folder, and whatever works in that folder."""

    def __init__(self, folder: Path, what: str, *, through: tuple[str, ...] = ()) -> None:
        self.mark = str(folder)
        self.process = subprocess.Popen(
            [*through, sys.executable, "-c", OWNER, self.mark, what],
            env=os.environ | {"PYTHONPATH": str(paths.ROOT)},
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

    def wait_until_working(self, processes: int, timeout_s: float = 45.0) -> None:
        """Until it has started that many processes, their supervisors included."""
        deadline = time.monotonic() + timeout_s
        while len(self.family()) < processes:
            assert time.monotonic() < deadline, f"fewer than {processes} processes"
            time.sleep(0.05)

    def wait_until_alone(self, timeout_s: float = 45.0) -> list[psutil.Process]:
        """What is left of the family at the latest after that time."""
        deadline = time.monotonic() + timeout_s
        while (left := self.family()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left


@contextmanager
def owning(owner: Owner) -> Iterator[Owner]:
    """Wait for its first word; leave nothing behind even if the test fails."""
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


@pytest.fixture(params=["servers", "airflow"])
def owner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Owner]:
    with owning(Owner(tmp_path, request.param)) as owner:
        yield owner


def test_nothing_is_left_after_a_kill_of_the_owner(owner: Owner) -> None:
    assert owner.line().startswith("ready")
    assert len(owner.family()) >= 4, "two servers and their supervisors"
    owner.process.kill()
    assert owner.wait_until_alone() == []


@pytest.mark.parametrize(("what", "processes"), [("servers", 4), ("airflow", 10)])
def test_nothing_is_left_after_ctrl_c_while_the_servers_start(what: str, processes: int, tmp_path: Path) -> None:
    with owning(Owner(tmp_path, what)) as owner:
        owner.wait_until_working(processes)
        owner.process.send_signal(signal.SIGINT)
        assert owner.process.wait(45) == -signal.SIGINT
        assert owner.family() == []


def test_nothing_is_left_after_ctrl_c_later(owner: Owner) -> None:
    assert owner.line().startswith("ready")
    owner.process.send_signal(signal.SIGINT)
    assert owner.process.wait(45) == -signal.SIGINT
    assert owner.family() == []


def test_nothing_is_left_after_a_kill_of_the_owners_parent_as_make_is(tmp_path: Path) -> None:
    parent = ("sh", "-c", '"$@"; exit', "sh")
    with owning(Owner(tmp_path, "servers", through=parent)) as owner:
        assert owner.line().startswith("ready")
        owner.process.kill()
        assert owner.wait_until_alone() == []


def test_nothing_of_a_server_is_left_after_a_kill_of_its_supervisor(tmp_path: Path) -> None:
    with owning(Owner(tmp_path, "servers")) as owner:
        assert owner.line().startswith("ready")
        supervisors = [process for process in owner.family() if "supervisor.py" in " ".join(process.cmdline())]
        assert len(supervisors) == 2
        for supervisor in supervisors:
            supervisor.kill()
        assert owner.wait_until_alone() == []
