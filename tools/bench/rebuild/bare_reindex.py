"""Contender: ``_reindex`` with nothing said but source, destination and slices, waited for without polling.

The wait is a request of its own: ``_reindex`` itself answers with a Warning header for each batch, and Python's client
takes no answer with more than 100 headers.
"""

from typing import Any

from tools.bench.contender import Work, contend_with
from tools.bench.rebuild.server_copy import ServerCopyTask
from tools.local import http

_MOST_S = 600


def prepare(said: dict[str, Any]) -> Work:
    """Make the request's body."""
    task = ServerCopyTask(**said)
    body = {"source": {"index": task.from_index}, "dest": {"index": task.to_index}}
    start = f"{task.opensearch}/_reindex?slices={task.slices}&wait_for_completion=false"

    def work() -> int:
        task_id = http.call(start, method="POST", body=body)["task"]
        wait = f"{task.opensearch}/_tasks/{task_id}?wait_for_completion=true&timeout={_MOST_S}s"
        return int(http.call(wait, timeout_s=_MOST_S)["response"]["created"])

    return work


if __name__ == "__main__":
    contend_with(prepare)
