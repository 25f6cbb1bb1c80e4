"""A Lambda alias and the published versions of its function."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, RequestRefusedError, ResourceMissingError
from dynamo_opensearch.core.services.component import Earlier, Progress, Snapshot, Unfit
from dynamo_opensearch.core.services.errors import ServiceBusyError, ServiceMovedError
from dynamo_opensearch.core.services.in_service import InService, shown
from dynamo_opensearch.core.services.lambda_versions import LATEST, published_versions

LAMBDA_API, LAMBDA_INDEXER = "lambda_api", "lambda_indexer"
_AWAKENING = frozenset({"Pending", "Inactive"})


class LambdaAliasComponent:
    """An alias by its names. ``mapping``: UUID of the event source mapping that should invoke it, if one should.

    Lambda tells nothing of where an alias led before; the numbers of the versions only say in which order they were
    published.
    """

    knows_its_past = False

    def __init__(self, plane: ControlPlane, name: str, function: str, alias: str, mapping: str | None = None) -> None:
        self._plane, self.name, self._function, self._alias, self._mapping = plane, name, function, alias, mapping
        self.resource = f"Lambda alias {function}:{alias}"
        self.by_hand = (
            f"aws lambda update-alias --function-name {function} --name {alias} --function-version <number> "
            "--routing-config AdditionalVersionWeights={}"
        )

    def snapshot(self) -> Snapshot:
        """As ``Component.snapshot``."""
        return LambdaAliasSnapshot(self._plane, self._function, self._alias, self._mapping, self._read())

    def change(self, was: InService, shall: InService) -> InService:
        """As ``Component.change``: Lambda compares the RevisionId, so that the one who comes second changes nothing."""
        try:
            answer = self._ask(
                "update_alias",
                FunctionVersion=shall.version,
                RoutingConfig={"AdditionalVersionWeights": dict(shall.weights)},
                RevisionId=was.token,
            )
        except RequestRefusedError as error:
            if error.code == "ResourceConflictException":
                raise ServiceBusyError(self.resource) from error
            if error.code != "PreconditionFailedException":
                raise
            now = self._read()
            if not now.is_same(shall):  # else it was this call, sent again after its answer was lost
                raise ServiceMovedError(self.resource, str(was), str(now)) from error
            return now
        return alias_in_service(answer)

    def _read(self) -> InService:
        return alias_in_service(self._ask("get_alias"))

    def _ask(self, call: str, **arguments: Any) -> dict[str, Any]:
        names = {"FunctionName": self._function, "Name": self._alias}
        return self._plane.ask("lambda", call, f"{self._function}:{self._alias}", **names, **arguments)


class LambdaAliasSnapshot:
    """As ``Snapshot``."""

    def __init__(self, plane: ControlPlane, function: str, alias: str, mapping: str | None, now: InService) -> None:
        self._plane, self._function, self._alias, self._mapping = plane, function, alias, mapping
        self._now = now

    @property
    def in_service(self) -> InService:
        """The version that the alias leads to, and those that get a share of its calls."""
        return self._now

    def problems(self) -> Iterator[str]:
        """As ``Snapshot.problems``."""
        function, alias = self._function, self._alias
        if self._now.version == LATEST:
            yield (
                f"the alias leads to {LATEST}, which is overwritten by each deployment: there is no previous one. "
                f"Publish versions, and let the alias lead to them: aws lambda publish-version --function-name "
                f"{function}; aws lambda update-alias --function-name {function} --name {alias} --function-version 1"
            )
        if self._mapping is not None and not self._invoked.endswith(f":{alias}"):
            yield (
                f"event source mapping {self._mapping} invokes {self._invoked}, not the alias: to move the alias would "
                f"change nothing. Let it invoke the alias: aws lambda update-event-source-mapping --uuid "
                f"{self._mapping} --function-name {function}:{alias}"
            )

    def warnings(self) -> Iterator[str]:
        """As ``Snapshot.warnings``."""
        if self._now.weights:
            yield f"the alias spreads its calls ({self._now}); afterwards all of them go to one version"
        if self._mapping is not None and self._mapped["State"] != "Enabled":
            yield f"event source mapping {self._mapping} is {self._mapped['State']}: the indexer is not called now"

    def earlier(self) -> Iterator[Earlier]:
        """Of what the alias spreads its calls to, the older; then all lower numbers, the highest first."""
        if self._now.version == LATEST:
            return
        served = sorted({int(self._now.version), *map(int, self._now.weights)}, reverse=True)
        for number in served[1:]:
            yield Earlier(
                serving=InService(version=str(number)),
                basis=f"the alias leads some of its calls to it already, and others to version {served[0]}",
            )
        published = published_versions(self._plane, self._function)
        for number in sorted((one for one in published if one < served[0]), reverse=True):
            yield Earlier(
                serving=InService(version=str(number)),
                basis="the next lower number that was published; nobody has recorded whether the alias ever led to it",
            )

    def unfit(self, version: str) -> Unfit | None:
        """Deleted, failed, or asleep; or $LATEST, of which nobody knows what it was when it was in service."""
        if version == LATEST:
            return Unfit(reason="is overwritten by each deployment: nobody knows what it was then")
        try:
            found = self._configuration(version)
        except ResourceMissingError:
            return Unfit(reason="was deleted")
        state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
        if state in _AWAKENING:
            told = f" ({found['StateReason'].rstrip('.')})" if found.get("StateReason") else ""
            return Unfit(
                reason=f"is {state}{told}, and would refuse its first calls. Wake it, wait until it is Active, then "
                f"start this DAG again: aws lambda invoke --function-name {self._function} --qualifier {version} "
                f"--cli-binary-format raw-in-base64-out --payload '{{\"Records\": []}}' /dev/null",
                is_passing=True,
            )
        if state != "Active" or update != "Successful":
            return Unfit(reason=f"is {state}, its last update {update}")
        return None

    def describe(self, version: str) -> str:
        """When its code was last changed, and the code's digest."""
        try:
            found = self._configuration(version)
        except ResourceMissingError:
            return "was deleted"
        told = f", {found['Description']}" if found.get("Description") else ""
        return f"of {found.get('LastModified', 'an unknown time')}, code {found.get('CodeSha256', 'unknown')}{told}"

    def attempt(self, was: InService, shall: InService) -> InService | None:  # noqa: ARG002 - as the port
        """None: an alias leads where it was moved to, until somebody moves it."""
        return None

    def progress(self, shall: InService) -> Progress:
        """As ``Snapshot.progress``."""
        path = f"{self._function}:{self._alias}"
        if not self._now.is_same(shall):
            return Progress(
                state="replaced",
                text=f"{path} leads to {self._now}, not to {shall}: somebody else has moved it meanwhile. Find out "
                "who; then start this DAG again, it will plan anew.",
            )
        unfit = self.unfit(shall.version)
        if unfit is not None:
            return Progress(
                state="under way" if unfit.is_passing else "failed",
                text=f"{path} leads to {shown(shall.version)}, which {unfit.reason}",
            )
        return Progress(state="stable", text=f"{path} leads to {shall}, which is Active")

    @cached_property
    def _mapped(self) -> dict[str, Any]:
        uuid = str(self._mapping)
        return self._plane.ask("lambda", "get_event_source_mapping", uuid, UUID=uuid)

    @property
    def _invoked(self) -> str:
        return str(self._mapped.get("FunctionArn", ""))

    def _configuration(self, version: str) -> dict[str, Any]:
        names = {"FunctionName": self._function, "Qualifier": version}
        return self._plane.ask("lambda", "get_function_configuration", f"{self._function}:{version}", **names)


def alias_in_service(answer: dict[str, Any]) -> InService:
    """What an alias leads to, from Lambda's answer about it."""
    weights = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return InService(version=answer["FunctionVersion"], weights=dict(weights), token=answer.get("RevisionId", ""))
