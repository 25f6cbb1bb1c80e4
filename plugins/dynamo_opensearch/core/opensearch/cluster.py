"""One request to OpenSearch: the port that the core writes against, and its adapter on opensearch-py."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson
from opensearchpy import OpenSearch, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as ClientConnectionError
from opensearchpy.exceptions import SerializationError, TransportError
from opensearchpy.serializer import JSONSerializer

from dynamo_opensearch.core.opensearch.errors import (
    ConnectionLostError,
    OpenSearchRequestError,
    RequestDeniedError,
)

PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
"""A node that is being stopped answers 500 as well."""
Json = dict[str, Any]
Decode = Callable[[str], Any]
"""JSON text to values; ValueError where it is none."""


class Cluster(Protocol):
    """Sends one request, once. Thread-safe."""

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Json | None = None,
        timeout_s: float = 60.0,
        decode: Decode | None = None,
    ) -> Any:
        """The decoded answer of a 2xx; ``decode`` takes orjson's place, where numbers need all digits.

        Raises:
            OpenSearchRequestError: any other status.
            AccessDeniedError: 401, or 403 that is no cluster block.
            ConnectionLostError: no complete answer within ``timeout_s``.
        """
        ...


class QuietConnection(Urllib3HttpConnection):
    """opensearch-py's connection without its logging, which writes bodies, and so items, at DEBUG."""

    def log_request_success(self, *_: Any, **__: Any) -> None:
        """Say nothing; whoever sends a request tells what came of it."""

    def log_request_fail(self, *_: Any, **__: Any) -> None:
        """Say nothing; the failure is raised."""


class FastSerializer(JSONSerializer):
    """orjson in place of the standard library for answers; a cut-off answer stays an error."""

    def loads(self, s: str) -> Any:
        """Decode an answer.

        Raises:
            SerializationError: not JSON.
        """
        try:
            return orjson.loads(s)
        except orjson.JSONDecodeError as error:
            raise SerializationError("not JSON", error) from error


def make_client(url: str, **settings: Any) -> OpenSearch:
    """An opensearch-py client as this package needs it: no retries of its own, no bodies in logs."""
    return OpenSearch(
        hosts=[url],
        connection_class=QuietConnection,
        serializer=FastSerializer(),
        max_retries=0,
        retry_on_timeout=False,
        **settings,
    )


class OpenSearchCluster:
    """``Cluster`` on an opensearch-py client made by ``make_client``. Thread-safe as that is."""

    def __init__(self, client: OpenSearch) -> None:
        self._transport = client.transport

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Json | None = None,
        timeout_s: float = 60.0,
        decode: Decode | None = None,
    ) -> Any:
        """See ``Cluster.request``."""
        try:
            if decode is not None:
                return _decoded(self._text(method, path, params, body, timeout_s), decode)
            return self._transport.perform_request(
                method, path, params={**(params or {}), "request_timeout": timeout_s}, body=body
            )
        except ClientConnectionError as error:
            raise ConnectionLostError(type(error.info).__name__) from error
        except SerializationError as error:
            raise ConnectionLostError("the answer was cut off") from error
        except TransportError as error:
            # Without its cause: that one's text is the answer, which quotes values of documents.
            raise _request_error(error, f"{method} {path}") from None

    def _text(
        self, method: str, path: str, params: Mapping[str, str] | None, body: bytes | Json | None, timeout_s: float
    ) -> str:
        """Past the client's transport, which decodes every answer; signing and errors are its connection's."""
        data = orjson.dumps(body) if isinstance(body, dict) else body
        connection = self._transport.get_connection()
        return str(connection.perform_request(method, path, dict(params or {}), data, timeout=timeout_s)[2])


def _decoded(text: str, decode: Decode) -> Any:
    try:
        return decode(text)
    except ValueError as error:
        raise ConnectionLostError("the answer was cut off") from error


def _request_error(error: TransportError, request: str) -> Exception:
    status = int(error.status_code)
    error_type, reason = _type_and_reason(error.info, str(error.error))
    if status == 401 or (status == 403 and "block" not in error_type):
        method, _, path = request.partition(" ")
        return RequestDeniedError(method, method, path, str(status))
    return OpenSearchRequestError(status, request, error_type, reason)


def _type_and_reason(info: Any, fallback: str) -> tuple[str, str]:
    error = info.get("error") if isinstance(info, dict) else None
    if isinstance(error, dict):
        return str(error.get("type", "unknown")), str(error.get("reason", ""))
    return (fallback if fallback.isidentifier() else "unreadable_error"), ""
