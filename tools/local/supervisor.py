"""Runs one server and leaves nothing of it behind. Linux only, standard library only.

Started by `processes.py` as a script: `python supervisor.py LOG GRACE_S COMMAND...`.
Its standard input is a pipe whose other end the owner holds. The supervisor ends the
server when that pipe closes, so when the owner stops it, or dies in whatever way.

A server may start processes of its own, and those may outlive it (Airflow's do). The
supervisor is their *subreaper*: whoever loses its parent becomes the supervisor's child
instead of init's. So "nothing is left" has an exact meaning here: no child to wait for.

Protocol, on standard input: `K` kills the server with SIGKILL; end of file stops it with
SIGTERM, and with SIGKILL what is still there after GRACE_S seconds. On standard output:
the server's process id, one line. The exit status is the server's own, 128 + N for signal N.
"""

import ctypes
import os
import select
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.05
OWNER_CHECK_S = 1.0
"""How often the owner is looked for by process id: a fork of it may hold the pipe open."""


def main(log: str, grace_s: float, command: list[str]) -> int:
    """Run `command` until it ends or the owner wants it to, and return its exit status."""
    owner = os.getppid()
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    woken_by, wakes = os.pipe()
    for end in (woken_by, wakes):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    server = _start(log, command)
    print(server, flush=True)
    status = _watch(server, owner, woken_by)
    return _end(server, status, grace_s)


def _watch(server: int, owner: int, woken_by: int) -> int | None:
    """Wait until the server ended (its exit status) or is to be ended (None)."""
    while True:
        readable, _, _ = select.select([0, woken_by], [], [], OWNER_CHECK_S)
        if woken_by in readable and signal.SIGTERM in os.read(woken_by, 4096):
            return None
        if 0 in readable:
            order = os.read(0, 1)
            if not order:
                return None
            _signal_all(signal.SIGKILL)
        status = _reap().get(server)
        if status is not None:
            return status
        if os.getppid() != owner:
            return None


def _end(server: int, status: int | None, grace_s: float) -> int:
    """Stop every process that is left, wait for the last one, and return the server's status."""
    deadline = time.monotonic() + grace_s
    number = signal.SIGTERM
    while _descendants():
        _signal_all(number)
        pause = time.monotonic() + POLL_S
        status = _reap().get(server, status)
        while _descendants() and time.monotonic() < (deadline if number == signal.SIGTERM else pause):
            time.sleep(POLL_S)
            status = _reap().get(server, status)
        number = signal.SIGKILL
    return _reap().get(server, status) or 0


def _start(log: str, command: list[str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # for the case that the supervisor itself is killed
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (out, 1), (out, 2)):
            os.dup2(source, target)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]} cannot be started: {error}\n".encode())
    finally:
        os._exit(127)


def _reap() -> dict[int, int]:
    """Collect the children that ended: process id to exit status."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        code = os.waitstatus_to_exitcode(status)
        ended[pid] = code if code >= 0 else 128 - code


def _signal_all(number: int) -> None:
    for pid in _descendants():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _descendants() -> list[int]:
    """The process ids of the children and all below them, those that ended and wait included."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
