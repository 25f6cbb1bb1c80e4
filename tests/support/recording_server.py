"""A loopback HTTP or HTTPS server that keeps every request and answers as a test tells it to."""

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Recorded:
    """One request; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, Any]
ROOT_ANSWER: Answer = (200, {"version": {"distribution": "opensearch", "number": "3.8.0"}})


@dataclass
class RecordingServer:
    """``answer`` may be replaced at any time."""

    url: str
    port: int
    requests: list[Recorded] = field(default_factory=list)
    answer: Callable[[Recorded], Answer] = field(default=lambda _request: ROOT_ANSWER)


@contextmanager
def recording(certificate: Path | None = None) -> Iterator[RecordingServer]:
    """Run it; over TLS where a file with key and certificate is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Recorded(self.command, self.path, headers, self.rfile.read(length))
            server.requests.append(request)
            status, content = server.answer(request)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its signature
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not trust the certificate hangs up; that is the test."""

    httpd = Quiet(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    port = httpd.server_address[1]
    server = RecordingServer(f"{'http' if certificate is None else 'https'}://127.0.0.1:{port}", port)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def self_signed(file: Path, host: str = "127.0.0.1") -> Path:
    """A key and a certificate for a loopback address in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@dataclass(frozen=True)
class Signature:
    """What an Authorization header of AWS Signature Version 4 says."""

    access_key: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    value: str

    @classmethod
    def of(cls, request: Recorded) -> "Signature":
        """Taken apart."""
        scheme, _, rest = request.headers["authorization"].partition(" ")
        assert scheme == "AWS4-HMAC-SHA256"
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        access_key, _date, region, service, end = parts["Credential"].split("/")
        assert end == "aws4_request"
        return cls(access_key, region, service, tuple(parts["SignedHeaders"].split(";")), parts["Signature"])

    def expected(self, request: Recorded, secret_key: str) -> str:
        """The signature that botocore makes of what arrived."""
        signer = SigV4Auth(Credentials(self.access_key, secret_key), self.service, self.region)
        headers = {name: request.headers[name] for name in self.signed_headers}
        again = AWSRequest(
            method=request.method,
            url=f"http://{request.headers['host']}{request.target}",
            data=request.body,
            headers=headers,
        )
        again.context["timestamp"] = request.headers["x-amz-date"]
        to_sign = signer.string_to_sign(again, signer.canonical_request(again))
        return str(signer.signature(to_sign, again))
