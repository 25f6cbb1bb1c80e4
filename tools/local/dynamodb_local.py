"""DynamoDB Local: Amazon's own implementation of DynamoDB and its streams, in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.local import http, jars, paths, ports
from tools.local.processes import Launch, Server, running

# Jetty's own main class, which builds the server that the file describes.
MAIN_CLASS = "org.eclipse.jetty.xml.XmlConfiguration"
SERVER_FILE = Path(__file__).with_suffix(".xml")


@contextmanager
def started(folder: Path, *, port: int | None = None) -> Iterator[Server]:
    """Run a fresh DynamoDB Local; its data are gone when it stops.

    It slows down with use (26 streamed puts/s after 50,000 records), so a test
    that writes much starts one of its own.

    Raises:
        ServerError: it did not start, or something of it is left.
    """
    with running(plan_launch(folder.absolute(), port or ports.free_port())) as server:
        yield server


def plan_launch(folder: Path, port: int) -> Launch:
    """How to start DynamoDB Local on a port."""
    return Launch(
        title="dynamodb-local",
        folder=folder,
        command=(
            str(paths.java()),
            "-Xmx1g",
            f"-Djava.io.tmpdir={folder}",
            f"-Dlisten.host={ports.HOST}",
            f"-Dlisten.port={port}",
            f"-Djava.library.path={jars.folder_of('dynamodb-local')}",
            "-cp",
            jars.class_path("dynamodb-local"),
            MAIN_CLASS,
            str(SERVER_FILE),
        ),
        ports=(port,),
        # An unsigned request is refused by name: the server is there.
        is_ready=lambda _pid: http.status(f"http://{ports.HOST}:{port}") == 400,
    )
