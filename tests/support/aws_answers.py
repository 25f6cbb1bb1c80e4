"""Answers of AWS changed on their way to the caller, and held to the shapes of botocore's own service models."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.validate import ParamValidator

Answer = dict[str, Any]


@contextmanager
def changed(client: Any, operation: str, change: Callable[[Answer], None]) -> Iterator[None]:
    """While this lasts, the client's answers of an operation are as ``change`` leaves them."""

    def handle(parsed: Answer, model: Any, **_: Any) -> None:
        if "Error" in parsed:
            return
        before = _misshapen(parsed, model)
        change(parsed)
        assert _misshapen(parsed, model) <= before, "the change is none that AWS could answer"

    with _registered(client, "after-call", operation, handle):
        yield


@contextmanager
def answered(client: Any, operation: str, answer: Answer) -> Iterator[None]:
    """While this lasts, an operation that no local server has answers so; nothing is sent."""

    def handle(model: Any, **_: Any) -> tuple[Any, Answer]:
        assert not _misshapen(answer, model), _misshapen(answer, model)
        return _Http(200), {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}

    with _registered(client, "before-call", operation, handle):
        yield


@contextmanager
def refused(client: Any, operation: str, code: str = "AccessDeniedException", status: int = 403) -> Iterator[None]:
    """While this lasts, an operation is refused; nothing is sent."""

    def handle(**_: Any) -> tuple[Any, Answer]:
        error = {"Code": code, "Message": "User is not authorized to perform this action"}
        return _Http(status), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}

    with _registered(client, "before-call", operation, handle):
        yield


@contextmanager
def watched(client: Any, seen: Callable[[str, dict[str, Any]], None]) -> Iterator[None]:
    """While this lasts, ``seen`` is told the operation and the parameters of each call."""

    def handle(params: dict[str, Any], model: Any, **_: Any) -> None:
        seen(model.name, params)

    with _registered(client, "provide-client-params", "*", handle):
        yield


def _misshapen(answer: Answer, model: Any) -> set[str]:
    """What of an answer does not fit the service's model; local servers have some of it."""
    content = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    return set(ParamValidator().validate(content, model.output_shape).generate_report().splitlines())


class _Http:
    """As much of an HTTP answer as botocore looks at."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


@contextmanager
def _registered(client: Any, event: str, operation: str, handler: Callable[..., Any]) -> Iterator[None]:
    service = client.meta.service_model.service_id.hyphenize()
    name = f"{event}.{service}.{operation}"
    client.meta.events.register(name, handler)
    try:
        yield
    finally:
        client.meta.events.unregister(name, handler)
