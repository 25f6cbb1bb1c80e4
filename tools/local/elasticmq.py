"""ElasticMQ: a second implementation of SQS, in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.local import http, jars, paths, ports
from tools.local.processes import Launch, Server, running

MAIN_CLASS = "org.elasticmq.server.Main"
SETTINGS = """\
include classpath("application.conf")
node-address {{ protocol = http, host = "{host}", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-hostname = "{host}", bind-port = {port}, sqs-limits = strict }}
rest-stats {{ enabled = false }}
"""


@contextmanager
def started(folder: Path, *, port: int | None = None) -> Iterator[Server]:
    """Run a fresh ElasticMQ; its queues are gone when it stops.

    Raises:
        ServerError: it did not start, or something of it is left.
    """
    with running(plan_launch(folder.absolute(), port or ports.free_port())) as server:
        yield server


def plan_launch(folder: Path, port: int) -> Launch:
    """How to start ElasticMQ on a port; writes its settings below the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "elasticmq.conf"
    settings.write_text(SETTINGS.format(host=ports.HOST, port=port))
    return Launch(
        title="elasticmq",
        folder=folder,
        command=(
            str(paths.java()),
            "-Xmx256m",
            f"-Djava.io.tmpdir={folder}",
            f"-Dconfig.file={settings}",
            "-cp",
            jars.class_path("elasticmq"),
            MAIN_CLASS,
        ),
        ports=(port,),
        is_ready=lambda _pid: http.status(f"http://{ports.HOST}:{port}/?Action=ListQueues") == 200,
    )
