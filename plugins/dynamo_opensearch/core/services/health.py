"""Asking a service whether it is well."""

import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from urllib.parse import urlsplit

_TIMEOUT_S = 5.0

HealthProbe = Callable[[], str | None]
"""None when the service is well; what was answered instead, without the address, which may hold a token."""


def health_probe(url: str) -> HealthProbe:
    """One GET, at most 5 s: well is 200, at the end of all redirects."""

    def ask() -> str | None:
        if urlsplit(url).scheme not in ("http", "https"):
            return "has no http or https address"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the scheme was looked at
                return None if answer.status == 200 else f"answered {answer.status}"
        except urllib.error.HTTPError as error:
            with error:
                return f"answered {error.code}"
        except (OSError, HTTPException, ValueError) as error:
            return f"did not answer ({type(getattr(error, 'reason', error)).__name__})"

    return ask
