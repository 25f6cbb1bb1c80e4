"""One Lambda function while it is being deployed to: what it is, and that what was asked of it has ended."""

from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, ResourceMissingError
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.cutover.indexer.errors import FunctionBusyError, IndexerFunctionMissingError

SETTLE_S = 240.0
"""An update takes seconds; minutes where the function has a VPC or SnapStart."""

_POLL_S = 1.0
_LEAST_TIMEOUT_S = 60
"""What docs/indexer-contract.md asks for."""


class LambdaFunction:
    """A function by its name or ARN."""

    def __init__(self, plane: ControlPlane, name: str, clock: Clock) -> None:
        self.name, self._plane, self._clock = name, plane, clock

    def settled(self, version: str | None = None) -> dict[str, Any]:
        """GetFunctionConfiguration, once no update goes on and it is not Pending; None: of what was deployed last.

        Raises:
            IndexerFunctionMissingError: there is no such function.
            FunctionBusyError: it goes on for more than ``SETTLE_S``.
            ResourceMissingError: there is no such version.
        """
        began_s = self._clock.monotonic_s()
        while True:
            found = self._configuration(version)
            seen = _under_way(found)
            if seen is None:
                return found
            waited_s = self._clock.monotonic_s() - began_s
            if waited_s >= SETTLE_S:
                raise FunctionBusyError(self._resource(version), f"{seen} for {waited_s:.0f} s now")
            self._clock.sleep(_POLL_S)

    def ask(self, call: str, **arguments: Any) -> dict[str, Any]:
        """One call about the function; raises as ``ControlPlane``."""
        return self._plane.ask("lambda", call, self.name, FunctionName=self.name, **arguments)

    def _configuration(self, version: str | None) -> dict[str, Any]:
        names = {"FunctionName": self.name} | ({"Qualifier": version} if version else {})
        try:
            return self._plane.ask("lambda", "get_function_configuration", self._resource(version), **names)
        except ResourceMissingError as error:
            if version is not None:
                raise
            raise IndexerFunctionMissingError(self.name) from error

    def _resource(self, version: str | None) -> str:
        return self.name if version is None else f"{self.name}:{version}"


def _under_way(found: dict[str, Any]) -> str | None:
    """What goes on; None: nothing."""
    if found.get("LastUpdateStatus") == "InProgress":
        return "its last update is InProgress"
    return "it is Pending" if found.get("State") == "Pending" else None


def describe_function(found: dict[str, Any]) -> str:
    """A configuration in a few words. Of variables only the names: a value may be a secret."""
    layers = [one["Arn"].rpartition(":layer:")[2] for one in found.get("Layers") or ()]
    variables = sorted((found.get("Environment") or {}).get("Variables") or {})
    return ", ".join(
        (
            f"{found.get('Runtime')} on {'/'.join(found.get('Architectures') or ['x86_64'])}",
            f"handler {found.get('Handler')}",
            f"{found.get('MemorySize')} MB",
            f"timeout {found.get('Timeout')} s",
            f"layers {' '.join(layers)}" if layers else "no layers",
            f"variables {' '.join(variables)}" if variables else "no variables",
        )
    )


def doubts_about(found: dict[str, Any]) -> tuple[str, ...]:
    """What the indexer's contract asks of the function, and this one does not have."""
    timeout_s = int(found.get("Timeout") or 0)
    if timeout_s >= _LEAST_TIMEOUT_S:
        return ()
    asked = f"the indexer needs {_LEAST_TIMEOUT_S} s or more to wait out what passes (docs/indexer-contract.md)"
    return (f"its timeout is {timeout_s} s: {asked}",)
