"""A loopback server that answers Scan and DescribeTable from recorded pages: a source faster than any emulator.

`python -m tools.bench.replay FOLDER CYCLES` prints its port, and ends when its standard input does. It is not a
DynamoDB: it takes what the copies of this benchmark send, and ignores signatures, table names and `Limit`.
"""

import asyncio
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

from tools.bench.pages import PageBook, compact, http_head, projected_attributes, read_pages
from tools.local import paths
from tools.local.members import HASH_KEY, TABLE

_HEAD_END = b"\r\n\r\n"


class CheckedBook:
    """A book whose bodies and checksums of the first cycle are made beforehand."""

    def __init__(self, book: PageBook) -> None:
        self._book = book
        self._crc32 = {id(body): zlib.crc32(body) for _, _, body in book.answers()}

    def answer(self, request: dict[str, Any]) -> tuple[bytes, int]:
        """The answer to a Scan request, and its checksum."""
        answer = self._book.answer(request)
        crc32 = self._crc32.get(id(answer))
        return answer, zlib.crc32(answer) if crc32 is None else crc32


class Answers:
    """Bytes for each request; what a projection leaves of the pages is made when it is first asked for."""

    def __init__(self, book: PageBook) -> None:
        self._book = book
        self._books: dict[frozenset[str] | None, CheckedBook] = {None: CheckedBook(book)}
        self._table = compact({"Table": _description(book)})

    def parts(self, target: bytes, body: bytes) -> tuple[bytes, bytes]:
        """Head and body for one request."""
        answer, crc32 = self._scan(json.loads(body)) if target.endswith(b".Scan") else self._description()
        return http_head(len(answer), crc32, formatdate(usegmt=True)), answer

    def _scan(self, request: dict[str, Any]) -> tuple[bytes, int]:
        attributes = projected_attributes(request)
        if attributes is not None and attributes not in self._books:
            self._books[attributes] = CheckedBook(self._book.projected(attributes))
        return self._books[attributes].answer(request)

    def _description(self) -> tuple[bytes, int]:
        return self._table, zlib.crc32(self._table)


def _description(book: PageBook) -> dict[str, Any]:
    return {
        "TableName": TABLE,
        "TableStatus": "ACTIVE",
        "TableId": "00000000-0000-0000-0000-000000000001",
        "KeySchema": [{"AttributeName": HASH_KEY, "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": HASH_KEY, "AttributeType": "S"}],
        "ItemCount": book.item_count,
        "TableSizeBytes": book.item_count * 400,
        "CreationDateTime": round(time.time()),
    }


class Connection(asyncio.Protocol):
    """One kept-alive connection; a request is answered as soon as its last byte is there."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._received += data
        while (request := _take_request(self._received)) is not None:
            target, body, self._received = request
            assert self._transport is not None
            self._transport.writelines(self._answers.parts(target, body))


def _take_request(received: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Target, body and what follows of the first request; None while it is not whole."""
    head, end, rest = received.partition(_HEAD_END)
    if not end:
        return None
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    length = int(headers.get(b"content-length", b"0"))
    if len(rest) < length:
        return None
    return headers.get(b"x-amz-target", b""), rest[:length], rest[length:]


async def serve(answers: Answers) -> None:
    """Listen on a free loopback port, say which, and go on until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


class Replay:
    """A replay in a process of its own."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid


@contextmanager
def replaying(folder: Path, cycles: int = 1) -> Iterator[Replay]:
    """Serve a recording while the context lasts."""
    command = [sys.executable, "-m", "tools.bench.replay", str(folder), str(cycles)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=paths.ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Replay(f"http://127.0.0.1:{int(process.stdout.readline())}", process.pid)
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(serve(Answers(PageBook(read_pages(Path(sys.argv[1])), int(sys.argv[2])))))
