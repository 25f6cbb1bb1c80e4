"""AWS's control plane without a socket: real boto3 clients, answered by a test in the shapes of botocore's own models.

As botocore's Stubber does it, but by operation and not in one fixed order: requests are validated by the client, and
answers against the operation's output shape.
"""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.validate import validate_parameters

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane
from tests.support.fakes import FakeClock, quick_retry

Answer = dict[str, Any]
Script = Callable[[Answer], Answer]


class RefusalError(Exception):
    """Raised by a script: the service answers with this code. ``status``: of HTTP."""

    def __init__(self, code: str, status: int = 400, message: str = "refused") -> None:
        super().__init__(code)
        self.code, self.status, self.message = code, status, message


class Http:
    """As much of an answer as botocore looks at."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class ScriptedAws:
    """``scripts``: what answers an operation, by ``service.Operation``; ``calls``: all that was asked, in order."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.scripts: dict[str, Script] = {}
        self.calls: list[tuple[str, Answer]] = []
        self.clock = clock or FakeClock()
        self._clients: dict[str, Any] = {}

    @property
    def plane(self) -> BotoControlPlane:
        """The port, as the package has it."""
        return BotoControlPlane(self.client, self.clock, quick_retry())

    def client(self, service: str) -> Any:
        """A client that never opens a socket."""
        if service not in self._clients:
            client = boto3.client(
                service,
                region_name="eu-central-1",
                endpoint_url="http://127.0.0.1:1",
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(retries={"total_max_attempts": 1}),
            )
            client.meta.events.register("before-parameter-build", self._note)
            client.meta.events.register("before-call", self._answer)
            self._clients[service] = client
        return self._clients[service]

    def made(self, operation: str) -> list[Answer]:
        """The arguments of this operation's calls."""
        return [arguments for name, arguments in self.calls if name == operation]

    def _note(self, params: Answer, context: dict[str, Any], **_: Any) -> None:
        context["asked"] = dict(params)

    def _answer(self, model: Any, context: dict[str, Any], **_: Any) -> tuple[Http, Answer]:
        name = f"{model.service_model.service_name}.{model.name}"
        self.calls.append((name, context["asked"]))
        try:
            answer = self.scripts[name](context["asked"])
        except RefusalError as refusal:
            error = {"Code": refusal.code, "Message": refusal.message}
            return Http(refusal.status), {
                "Error": error,
                "ResponseMetadata": {"HTTPStatusCode": refusal.status, "HTTPHeaders": {}},
            }
        validate_parameters(answer, model.output_shape)
        return Http(200), answer | {"ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}}}
