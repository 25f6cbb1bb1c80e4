"""Contender a: bulk bodies made beforehand, sent as fast as they are taken, four at a time."""

import json
import threading
from collections import deque
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tools.bench.contender import Task, Work, contend

REQUESTS_IN_FLIGHT = 4
ANSWER_FIELDS = "errors,items.*._index,items.*.status,items.*.error.type,items.*.error.reason"
"""What the package asks for as well."""


def prepare(task: Task) -> Work:
    """Read the bodies, open the connections."""
    address = urlsplit(task.target)
    bodies = deque(path.read_bytes() for path in sorted(Path(task.bodies).glob("*.ndjson")))
    connections = [HTTPConnection(address.hostname or "", address.port) for _ in range(REQUESTS_IN_FLIGHT)]
    path = f"/{task.alias}/_bulk?require_alias=true&filter_path={ANSWER_FIELDS}"
    indexed: list[int] = []

    def send(connection: HTTPConnection) -> None:
        while bodies:
            connection.request("POST", path, bodies.popleft(), {"Content-Type": "application/x-ndjson"})
            answer = json.loads(connection.getresponse().read())
            if answer["errors"]:
                raise RuntimeError("a document was refused")
            indexed.append(len(answer["items"]))

    def work() -> int:
        threads = [threading.Thread(target=send, args=(connection,)) for connection in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(indexed)

    return work


if __name__ == "__main__":
    contend(prepare)
