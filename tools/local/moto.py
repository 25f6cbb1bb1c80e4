"""moto's server: a second opinion on what AWS answers, where MiniStack has a call as well."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.local import http, paths, ports
from tools.local.processes import Launch, Server, running

ACCOUNT = "000000000000"
"""As MiniStack's."""


@contextmanager
def started(folder: Path, *, port: int | None = None) -> Iterator[Server]:
    """Run a fresh moto; its data are gone when it stops.

    Raises:
        ServerError: it did not start, or something of it is left.
    """
    with running(plan_launch(folder.absolute(), port or ports.free_port())) as server:
        yield server


def plan_launch(folder: Path, port: int) -> Launch:
    """How to start moto on a port."""
    return Launch(
        title="moto",
        folder=folder,
        command=(str(paths.servers_python()), "-m", "moto.server", "-H", ports.HOST, "-p", str(port)),
        environment={"MOTO_ACCOUNT_ID": ACCOUNT, "TMPDIR": str(folder)},
        ports=(port,),
        is_ready=lambda _pid: (
            http.call(f"http://{ports.HOST}:{port}/moto-api/reset", method="POST") == {"status": "ok"}
        ),
    )
