"""Free loopback ports."""

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

    Raises:
        NoFreePortError: all of them are taken.
    """
    for port in random.sample(among, len(among)):
        if port not in _given_out and is_free(port):
            _given_out.add(port)
            return port
    raise NoFreePortError(f"no free port among {among[0]} to {among[-1]} on {HOST}")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            return False
    return True
