"""One server process: started, waited for, killed, restarted, stopped, and nothing of it left."""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tools.local import ports

SUPERVISOR = Path(__file__).with_name("supervisor.py")
POLL_S = 0.1
LOG_TAIL_LINES = 30


class ServerError(RuntimeError):
    """A server did not do what it should; carries the end of its log."""

    def __init__(self, server: str, problem: str, log: Path) -> None:
        super().__init__(server, problem, log)
        self.server, self.problem, self.log = server, problem, log

    def __str__(self) -> str:
        return f"{self.server} {self.problem}. The end of {self.log}:\n{log_tail(self.log)}"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How to start a server and to know that it is ready.

    `is_ready` gets the server's process id and may raise OSError for "not yet".
    The server sees `environment` only, plus PATH and a HOME below `folder`.
    """

    title: str
    folder: Path
    command: tuple[str, ...]
    ports: tuple[int, ...]
    is_ready: Callable[[int], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    start_timeout_s: float = 120.0
    stop_timeout_s: float = 15.0

    @property
    def host(self) -> str:
        """The loopback address."""
        return ports.HOST

    @property
    def port(self) -> int:
        """The port to talk to: the first one."""
        return self.ports[0]

    @property
    def url(self) -> str:
        """The address to talk to, without a slash at the end."""
        return f"http://{self.host}:{self.port}"


class Server:
    """A server that can be started, killed, restarted and stopped."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.log = launch.folder / f"{launch.title}.log"
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._stopping = threading.Lock()

    @property
    def host(self) -> str:
        """The loopback address."""
        return self.launch.host

    @property
    def port(self) -> int:
        """The port to talk to."""
        return self.launch.port

    @property
    def url(self) -> str:
        """The address to talk to, without a slash at the end."""
        return self.launch.url

    @property
    def folder(self) -> Path:
        """Where the server keeps its files and its log."""
        return self.launch.folder

    @property
    def pid(self) -> int:
        """The server's process id (not its supervisor's); 0 before the first start."""
        return self._pid

    @property
    def is_running(self) -> bool:
        """Whether the server has been started and has not ended."""
        supervisor = self._supervisor
        return supervisor is not None and supervisor.poll() is None

    def start(self) -> None:
        """Start the server and wait until it is ready; does nothing while it runs.

        Raises:
            ServerError: it ended, or was not ready in time. It is stopped then.
        """
        if self.is_running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._supervisor = supervisor = subprocess.Popen(
            self._supervised(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(),
            cwd=self.folder,
            start_new_session=True,  # Ctrl-C is for the owner; the supervisor hears of it from the pipe
        )
        try:
            self._pid = int(_pipe(supervisor.stdout).readline() or 0)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and all that it started, by SIGTERM and then SIGKILL.

        Safe to call again, and from another thread than the one that is starting it.

        Raises:
            ServerError: it could not be ended, or a port of it still answers.
        """
        with self._stopping:
            supervisor = self._supervisor
            if supervisor is None:
                return
            _pipe(supervisor.stdin).close()
            self._wait_for(supervisor)
            _pipe(supervisor.stdout).close()
            self._supervisor = None
        taken = [port for port in self.launch.ports if not ports.is_free(port)]
        if taken:
            raise ServerError(self.launch.title, f"has ended, but somebody listens on {taken}", self.log)

    def kill(self) -> None:
        """End the server and all that it started by SIGKILL; `restart` brings it back."""
        supervisor = self._supervisor
        if supervisor is not None and supervisor.poll() is None:
            _pipe(supervisor.stdin).write(b"K")
            _pipe(supervisor.stdin).flush()
            self._wait_for(supervisor)
        self.stop()

    def restart(self) -> None:
        """Stop the server when it runs, and start it again on the same folder and ports."""
        self.stop()
        self.start()

    def _supervised(self) -> list[str]:
        grace = str(self.launch.stop_timeout_s)
        return [sys.executable, "-I", "-S", str(SUPERVISOR), str(self.log), grace, *self.launch.command]

    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        base = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LANG": "C.UTF-8"}
        return base | dict(self.launch.environment)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.launch.start_timeout_s
        while not self._is_ready():
            if not self.is_running:
                raise ServerError(self.launch.title, "ended while it was starting", self.log)
            if time.monotonic() > deadline:
                waited = f"was not ready after {self.launch.start_timeout_s:.0f} s"
                raise ServerError(self.launch.title, waited, self.log)
            time.sleep(POLL_S)

    def _is_ready(self) -> bool:
        try:
            return self.launch.is_ready(self._pid)
        except OSError:  # nobody listens yet, or it listens and cannot answer yet
            return False

    def _wait_for(self, supervisor: "subprocess.Popen[bytes]") -> None:
        try:
            supervisor.wait(self.launch.stop_timeout_s + 15)
        except subprocess.TimeoutExpired:
            raise ServerError(self.launch.title, "could not be ended", self.log) from None


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None, "the supervisor is started with pipes"
    return end


@contextmanager
def running(launch: Launch) -> Iterator[Server]:
    """Start a server, and stop it when the context ends.

    Raises:
        ServerError: it did not start, or something of it is left.
    """
    with running_together([launch]) as (server,):
        yield server


@contextmanager
def running_together(launches: Sequence[Launch]) -> Iterator[list[Server]]:
    """Start servers side by side, and stop them all when the context ends.

    Raises:
        ServerError: one did not start (the others are stopped), or something is left.
    """
    servers = [Server(launch) for launch in launches]
    with ExitStack() as stops:
        starters = stops.enter_context(ThreadPoolExecutor(len(servers)))
        for server in servers:
            stops.callback(server.stop)  # runs before the pool waits for a start that is under way
        for start in [starters.submit(server.start) for server in servers]:
            start.result()
        yield servers


def log_tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, or a note that there is none."""
    try:
        with log.open(errors="replace") as text:
            return "".join(deque(text, lines)) or "(empty)"
    except FileNotFoundError:
        return "(there is no log)"
