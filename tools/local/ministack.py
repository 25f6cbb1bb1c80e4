"""MiniStack: DynamoDB, DynamoDB Streams, SQS and the rest of AWS in one process, in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.local import http, paths, ports
from tools.local.processes import Launch, Server, running

REGION = "eu-central-1"


@contextmanager
def started(folder: Path, *, port: int | None = None) -> Iterator[Server]:
    """Run a fresh MiniStack; its data are gone when it stops.

    Raises:
        ServerError: it did not start, or something of it is left.
    """
    with running(plan_launch(folder.absolute(), port or ports.free_port())) as server:
        yield server


def plan_launch(folder: Path, port: int) -> Launch:
    """How to start MiniStack on a port."""
    return Launch(
        title="ministack",
        folder=folder,
        command=(str(paths.servers_python()), "-m", "ministack"),
        environment={
            "GATEWAY_PORT": str(port),
            "BIND_HOST": ports.HOST,
            "MINISTACK_REGION": REGION,
            "LAMBDA_EXECUTOR": "local",
            "IOT_MTLS_ENABLED": "0",  # it would listen on all interfaces
            "TMPDIR": str(folder),
        },
        ports=(port,),
        is_ready=lambda _pid: "services" in http.call(f"http://{ports.HOST}:{port}/_ministack/health"),
    )
