"""What OpenSearch refuses, reduced to what may be logged: its texts quote values of documents."""

import re
from dataclasses import dataclass

from dynamo_opensearch.core.errors import AccessDeniedError, PassingError, PermanentError

SERVICE = "OpenSearch"

_FIELD = re.compile(
    r"field \[([^\]]{1,255})\]|introduction of \[([^\]]{1,255})\]|object mapping for \[([^\]]{1,255})\]"
)
_EXPECTED = re.compile(r"of type \[([a-z_]{1,64})\]")
_BLOCK = re.compile(r"(?:FORBIDDEN|TOO_MANY_REQUESTS|SERVICE_UNAVAILABLE)/\d+/[^\];]{1,120}")


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """An error of OpenSearch without its values: type, and field and expected type where the text names them."""

    type: str
    field: str | None = None
    expected: str | None = None

    def __str__(self) -> str:
        parts = [self.type]
        if self.field:
            parts.append(f"field {self.field!r}")
        if self.expected:
            parts.append(f"expected {self.expected}")
        return ", ".join(parts)


def summarise(error_type: str, reason: str) -> ErrorSummary:
    """The part of an error that holds no values."""
    if block := _BLOCK.search(reason):
        return ErrorSummary(f"{error_type} ({block[0]})")
    named = _FIELD.search(reason)
    field = next((group for group in named.groups() if group), None) if named else None
    expected = _EXPECTED.search(reason)
    return ErrorSummary(error_type, field, expected[1] if expected else None)


class ConnectionLostError(PassingError):
    """No complete answer came: it is not known whether the request was carried out."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"OpenSearch gave no complete answer ({self.problem})"


class OpenSearchRequestError(PermanentError):
    """OpenSearch answered a request with an error. ``reason`` may quote values: it is never logged or shown."""

    def __init__(self, status: int, request: str, error_type: str, reason: str) -> None:
        super().__init__(status, request, error_type, reason)
        self.status, self.request, self.error_type, self.reason = status, request, error_type, reason

    @property
    def summary(self) -> ErrorSummary:
        """What of it may be shown."""
        return summarise(self.error_type, self.reason)

    def __str__(self) -> str:
        return f"OpenSearch answered {self.request} with {self.status}: {self.summary}"


class RequestDeniedError(AccessDeniedError):
    """OpenSearch, or what guards it, refused a request, or single writes of a bulk.

    ``method``: of HTTP; ``action``: that, or what was refused of it; ``resource``: the path, or the index.
    """

    def __init__(self, method: str, action: str, resource: str, code: str) -> None:
        super().__init__(SERVICE, action, resource, code)
        self.args = (method, action, resource, code)
        self.method = method

    @property
    def missing(self) -> str:
        """The action where IAM guards a domain: it goes by the method."""
        return f"es:ESHttp{self.method.capitalize()}"

    def __str__(self) -> str:
        return (
            f"{SERVICE} refused {self.action} on {self.resource!r} ({self.code}). "
            "Check the region and credentials of the connection. Where IAM guards the domain, allow "
            f"{self.missing} to its role: {self.standing}. With fine-grained access control its role or user needs the "
            "right inside OpenSearch as well. Then start again."
        )
