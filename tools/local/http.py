"""Plain HTTP with JSON, from the standard library: nothing here knows the package."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

# Straight to the loopback address, whatever proxy the shell names.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(
    url: str,
    *,
    method: str = "GET",
    body: object = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
) -> Any:
    """Send one request and return the answer's JSON; None for an empty answer.

    Raises:
        urllib.error.HTTPError: the status was 400 or above.
        OSError: no answer.
    """
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=data, method=method, headers=sent)
    with _opener.open(request, timeout=timeout_s) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def status(url: str, *, timeout_s: float = 10.0) -> int:
    """The status of a GET, whatever it is.

    Raises:
        OSError: no answer.
    """
    try:
        with _opener.open(url, timeout=timeout_s) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
