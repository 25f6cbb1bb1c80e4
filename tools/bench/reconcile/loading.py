"""An index that holds what the table does: every member of a recording, as often as the recording is replayed."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from tools.bench.pages import cycle_prefix
from tools.bench.target_index import CountError, count, fresh_index
from tools.local import http
from tools.local.members import HASH_KEY

_THREADS = 4
_MOST_TRIES = 60
_STORED_ONLY: dict[str, Any] = {"settings": {"index": {}}, "mappings": {"dynamic": "false"}}
"""No field is indexed: a reading looks at ids and sources only, and the index is there sooner."""
_ANSWER_FIELDS = "errors,items.*.status"


def body_of_cycle(body: bytes, cycle: int) -> bytes:
    """A bulk body for the recording's documents in one cycle of its replay."""
    prefix = cycle_prefix(cycle)
    for before in (b'{"index":{"_id":"', f'"{HASH_KEY}":"'.encode()):
        body = body.replace(before, before + prefix)
    return body


@contextmanager
def loaded_index(url: str, index: str, bodies: Path, cycles: int, expected: int) -> Iterator[None]:
    """An index of that many documents behind the alias, merged, so that nothing goes on in it; gone afterwards.

    Raises:
        CountError: it holds another number of documents.
    """
    with fresh_index(url, index, _STORED_ONLY):
        _load(url, index, bodies, cycles)
        if (found := count(url, index)) != expected:
            raise CountError("loading", expected, found)
        http.call(f"{url}/{index}/_forcemerge?max_num_segments=1", method="POST", timeout_s=600)
        yield


def _load(url: str, index: str, bodies: Path, cycles: int) -> None:
    recorded = [path.read_bytes() for path in sorted(bodies.glob("*.ndjson"))]
    tasks = [(body, cycle) for cycle in range(cycles) for body in recorded]

    def send(number: int) -> None:
        address = urlsplit(url)
        connection = HTTPConnection(address.hostname or "", address.port)
        for body, cycle in tasks[number::_THREADS]:
            if orjson.loads(_accepted(connection, index, body_of_cycle(body, cycle)))["errors"]:
                raise RuntimeError("a document was refused")
        connection.close()

    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(send, range(_THREADS)))


def _accepted(connection: HTTPConnection, index: str, body: bytes) -> bytes:
    """The answer to a bulk request, sent again as long as OpenSearch has no memory for it."""
    for _ in range(_MOST_TRIES):
        path, headers = f"/{index}/_bulk?filter_path={_ANSWER_FIELDS}", {"Content-Type": "application/x-ndjson"}
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != HTTPStatus.TOO_MANY_REQUESTS:
            return answer
        time.sleep(1)
    raise RuntimeError(f"OpenSearch refused a bulk request {_MOST_TRIES} times: 429")
