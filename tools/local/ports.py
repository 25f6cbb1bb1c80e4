"""Free loopback ports."""

import os
import random
import socket
from collections.abc import Sequence

HOST = "127.0.0.1"
# Below the range from which the kernel takes ports for outgoing connections, so that
# no client can take one between the choice and the server's start.
PORTS = range(20_000, 32_000)

_given_out: set[int] = set()


class NoFreePortError(RuntimeError):
    """Every port of the range is taken."""


def free_port(among: Sequence[int] = PORTS) -> int:
    """A port that nobody listens on and that this process has not asked for before.

    Of two workers of one test run, each chooses among ports of its own: a server takes seconds to listen.

    Raises:
        NoFreePortError: all of them are taken.
    """
    own = among[_worker() :: _workers()]
    for port in random.sample(own, len(own)):
        if port not in _given_out and is_free(port):
            _given_out.add(port)
            return port
    raise NoFreePortError(f"no free port among {among[0]} to {among[-1]} on {HOST}")


def _workers() -> int:
    """How many workers of pytest-xdist there are."""
    return int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def _worker() -> int:
    """Which of them this process belongs to; their names are gw0, gw1 and so on."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            return False
    return True
