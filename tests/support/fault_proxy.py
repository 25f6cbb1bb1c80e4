"""A loopback HTTP proxy in front of one server, which does to chosen requests what a test tells it to."""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "server"})


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Request:
    """A request that the proxy saw."""

    method: str
    path: str
    operation: str
    """The last part of X-Amz-Target, such as ``Scan``; empty for OpenSearch."""
    body: bytes


class Exchange:
    """One request, and the ways to answer it."""

    def __init__(self, handler: "_Handler", body: bytes) -> None:
        self._handler = handler
        self.body = body
        self.method, self.path = handler.command, handler.path
        self.operation = handler.headers.get("X-Amz-Target", "").partition(".")[2]

    def forward(self, body: bytes | None = None) -> Answer:
        """Have the server carry it out, with another body where one is given."""
        return self._handler.proxy.forward(self._handler, self.body if body is None else body)

    def reply(self, answer: Answer) -> None:
        """Answer the client; a client that has gone is none of the proxy's business."""
        try:
            self._handler.send_answer(answer, len(answer.body))
        except OSError:
            self._handler.close_connection = True

    def reply_part(self, answer: Answer) -> None:
        """Promise a whole answer, and send the first half of it."""
        half = Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
        self._handler.send_answer(half, len(answer.body))

    def reset(self) -> None:
        """Break the connection with a RST."""
        connection = self._handler.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.close_connection = True
        connection.close()


Fault = Callable[[Exchange], None]
Match = Callable[[Exchange], bool]


@dataclass
class _Rule:
    match: Match
    fault: Fault
    times: int
    skip: int
    met: int = 0

    def takes(self, exchange: Exchange) -> bool:
        """Whether this is one of the requests it is for; counts them."""
        if not self.match(exchange):
            return False
        self.met += 1
        return self.skip < self.met <= self.skip + self.times


@dataclass
class FaultProxy:
    """Forwards everything, but what a rule takes. ``requests``: all that came, in order."""

    upstream: str
    requests: list[Request] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    """What went wrong in a fault itself; the fixture asserts that there is none."""
    _rules: list[_Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def url(self) -> str:
        """The address to talk to instead of the server's."""
        return f"http://127.0.0.1:{self.port}"

    def on(self, what: str | Match, fault: Fault, *, times: int = 1, skip: int = 0) -> None:
        """Do this to requests whose path or DynamoDB operation contains ``what``: after ``skip`` of them, ``times``."""
        match = what if callable(what) else _contains(what)
        with self._lock:
            self._rules.append(_Rule(match, fault, times, skip))

    def clear(self) -> None:
        """Forward everything from now on."""
        with self._lock:
            self._rules.clear()

    def count(self, what: str) -> int:
        """Requests so far whose path or operation contains this."""
        return len(self.seen(what))

    def seen(self, what: str) -> list[Request]:
        """Those requests."""
        with self._lock:
            return [one for one in self.requests if what in one.path or what == one.operation]

    def fault_for(self, exchange: Exchange) -> Fault | None:
        """Record a request, and say what is to be done to it."""
        with self._lock:
            self.requests.append(Request(exchange.method, exchange.path, exchange.operation, exchange.body))
            taken = [rule for rule in self._rules if rule.takes(exchange)]
            return taken[0].fault if taken else None

    def forward(self, handler: "_Handler", body: bytes) -> Answer:
        """Send a request to the server, on a connection of its own."""
        address = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            headers = {name: value for name, value in handler.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(handler.command, handler.path, body=body, headers=headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
            return Answer(answer.status, kept, answer.read())
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: FaultProxy

    def handle_any(self) -> None:
        """Any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        exchange = Exchange(self, body)
        fault = self.proxy.fault_for(exchange)
        try:
            if fault is None:
                exchange.reply(exchange.forward())
            else:
                fault(exchange)
        except OSError:  # the server is down, or the client is gone: the client sees a broken connection
            self.close_connection = True
        except http.client.HTTPException:
            self.close_connection = True
        except BaseException as error:  # noqa: BLE001 - shown by the fixture, in the test's own thread
            self.proxy.failures.append(error)
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def send_answer(self, answer: Answer, length: int) -> None:
        """Status, headers as the server sent them, body."""
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    def finish(self) -> None:
        """A connection that was reset has nothing to flush."""
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that broke its connection off."""


def _contains(what: str) -> Match:
    return lambda exchange: what in exchange.path or what == exchange.operation


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """A proxy in front of a server, on a free loopback port."""
    proxy = FaultProxy(upstream)
    handler = type("_BoundHandler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as server:
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
