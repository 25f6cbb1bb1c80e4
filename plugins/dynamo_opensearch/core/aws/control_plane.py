"""AWS's control plane, asked with patience: one method for every service, errors of three kinds."""

from collections.abc import Callable
from typing import Any, Protocol

from dynamo_opensearch.core.aws.errors import denied, describe, error_code
from dynamo_opensearch.core.aws.patient_calls import PatientCalls
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import PermanentError

_MISSING = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist", "not found", "Id.Malformed", "ID.Malformed")
"""Parts of codes. EC2 calls an id malformed that it would never give."""

_PREFIXES = {"dynamodbstreams": "dynamodb", "opensearch": "es"}
"""What IAM calls a service, where boto3 calls it something else."""


class ResourceMissingError(PermanentError):
    """What was asked about is not there. ``code``: the service's own, which may mean something beside it."""

    def __init__(self, service: str, action: str, resource: str, code: str = "") -> None:
        super().__init__(service, action, resource, code)
        self.service, self.action, self.resource, self.code = service, action, resource, code

    def __str__(self) -> str:
        return f"{self.service} has no {self.resource!r} ({self.action}): correct its name in the target file"


class RequestRefusedError(PermanentError):
    """A service took a request for wrong."""

    def __init__(self, service: str, action: str, resource: str, code: str) -> None:
        super().__init__(service, action, resource, code)
        self.service, self.action, self.resource, self.code = service, action, resource, code

    def __str__(self) -> str:
        return (
            f"{self.service} refused {self.action} on {self.resource!r}: {self.code}. Check the names in the target "
            "file, and the region of the connection."
        )


class ControlPlane(Protocol):
    """Calls of AWS services other than those of data."""

    def ask(self, service: str, call: str, resource: str, /, **arguments: Any) -> dict[str, Any]:
        """One call: ``service`` and ``call`` as boto3 names them; ``resource`` is named in errors.

        Raises:
            ResourceMissingError: it is not there.
            AccessDeniedError: the caller may not.
            RequestRefusedError: any other refusal.
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
        """
        ...


class BotoControlPlane:
    """By boto3 clients, their own retries off. ``client_for``: a client of a service. Thread-safe."""

    def __init__(self, client_for: Callable[[str], Any], clock: Clock, retry: RetryPolicy) -> None:
        self._client_for, self._clock, self._retry = client_for, clock, retry

    def ask(self, service: str, call: str, resource: str, /, **arguments: Any) -> dict[str, Any]:
        """As ``ControlPlane.ask``."""
        client = self._client_for(service)
        action = client.meta.method_to_api_mapping[call]

        def refused(error: Exception, action: str) -> Exception:
            return _refusal(error, service, action, resource)

        calls = PatientCalls(service, resource, refused, self._clock, self._retry)
        return calls.call(action, getattr(client, call), **arguments).content


def _refusal(error: Exception, service: str, action: str, resource: str) -> Exception:
    if refused := denied(error, service, f"{_PREFIXES.get(service, service)}:{action}", resource):
        return refused
    code = error_code(error) or ""
    if any(word in code for word in _MISSING):
        return ResourceMissingError(service, action, resource, code)
    return RequestRefusedError(service, action, resource, describe(error))
