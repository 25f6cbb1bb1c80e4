"""Contender: one ``_reindex`` request that is waited for, with nothing said but source, destination and slices."""

from typing import Any

from tools.bench.contender import Work, contend_with
from tools.bench.rebuild.server_copy import ServerCopyTask
from tools.local import http


def prepare(said: dict[str, Any]) -> Work:
    """Make the request's body."""
    task = ServerCopyTask(**said)
    body = {"source": {"index": task.from_index}, "dest": {"index": task.to_index}}
    url = f"{task.opensearch}/_reindex?slices={task.slices}"
    return lambda: int(http.call(url, method="POST", body=body, timeout_s=600)["created"])


if __name__ == "__main__":
    contend_with(prepare)
