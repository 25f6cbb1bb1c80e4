"""The service deployments that ECS remembers (90 days), and what became of each task definition in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, RequestRefusedError
from dynamo_opensearch.core.services.in_service import time_us

ROLLED_BACK = frozenset({"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})
GOING_BACK = frozenset({"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "STOP_REQUESTED"})
UNDER_WAY = GOING_BACK | {"PENDING", "IN_PROGRESS"}
SUCCESSFUL = "SUCCESSFUL"
_MOST_LISTED, _MOST_DESCRIBED = 100, 20


@dataclass(frozen=True, kw_only=True)
class ServiceDeployment:
    """One of them, in short. Times in microseconds since 1970, by AWS's clock."""

    arn: str
    revision: str
    status: str
    reason: str
    created_us: int


class EcsHistory:
    """Of one service. Read once, when it is first asked for."""

    def __init__(self, plane: ControlPlane, cluster: str, service: str) -> None:
        self._plane, self._cluster, self._service = plane, cluster, service
        self._definitions: dict[str, str] = {}
        """Task definitions, by service revision."""

    @cached_property
    def deployments(self) -> tuple[ServiceDeployment, ...]:
        """All of them, the newest first; none where this kind of service has none."""
        return tuple(sorted(self._listed(), key=lambda one: one.created_us, reverse=True))

    def with_definitions(self) -> Iterator[tuple[ServiceDeployment, str]]:
        """Each deployment with its task definition, the newest first; without those whose revision is forgotten."""
        for start in range(0, len(self.deployments), _MOST_DESCRIBED):
            part = self.deployments[start : start + _MOST_DESCRIBED]
            self._describe({one.revision for one in part} - set(self._definitions))
            for one in part:
                if one.revision in self._definitions:
                    yield one, self._definitions[one.revision]

    def verdict(self, definition: str) -> ServiceDeployment | None:
        """The last deployment of a task definition that ended in a success or was rolled back."""
        return next((one for one, found in self.with_definitions() if found == definition and _is_verdict(one)), None)

    def details(self, deployment: ServiceDeployment) -> dict[str, Any]:
        """All that ECS tells of one of them."""
        answer = self._ask("describe_service_deployments", serviceDeploymentArns=[deployment.arn])
        return dict(next(iter(answer.get("serviceDeployments", ())), {}))

    def _listed(self) -> Iterator[ServiceDeployment]:
        arguments: dict[str, Any] = {"cluster": self._cluster, "service": self._service, "maxResults": _MOST_LISTED}
        while True:
            try:
                answer = self._ask("list_service_deployments", **arguments)
            except RequestRefusedError as error:
                if error.code == "UnsupportedFeatureException":
                    return
                raise
            for one in answer.get("serviceDeployments", ()):
                yield ServiceDeployment(
                    arn=one["serviceDeploymentArn"],
                    revision=one.get("targetServiceRevisionArn", ""),
                    status=one["status"],
                    reason=one.get("statusReason", ""),
                    created_us=time_us(one.get("createdAt")),
                )
            if not answer.get("nextToken"):
                return
            arguments["nextToken"] = answer["nextToken"]

    def _describe(self, revisions: set[str]) -> None:
        if wanted := sorted(revisions - {""}):
            answer = self._ask("describe_service_revisions", serviceRevisionArns=wanted)
            for one in answer.get("serviceRevisions", ()):
                self._definitions[one["serviceRevisionArn"]] = one["taskDefinition"]

    def _ask(self, call: str, **arguments: Any) -> dict[str, Any]:
        return self._plane.ask("ecs", call, f"{self._cluster}/{self._service}", **arguments)


def _is_verdict(deployment: ServiceDeployment) -> bool:
    """One that was stopped, or goes on, says nothing of its task definition: another one took its place."""
    return deployment.status == SUCCESSFUL or deployment.status in ROLLED_BACK
