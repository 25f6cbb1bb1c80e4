"""An ECS service and its task definitions."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, RequestRefusedError, ResourceMissingError
from dynamo_opensearch.core.services.component import Earlier, Progress, Snapshot, Unfit
from dynamo_opensearch.core.services.ecs_history import GOING_BACK, ROLLED_BACK, SUCCESSFUL, UNDER_WAY, EcsHistory
from dynamo_opensearch.core.services.ecs_progress import displaced, rolling
from dynamo_opensearch.core.services.ecs_service import EcsServiceState
from dynamo_opensearch.core.services.in_service import InService, shown, time_us, utc

ECS = "ecs"


class EcsComponent:
    """The API as an ECS service, by its names."""

    name = ECS
    knows_its_past = True

    def __init__(self, plane: ControlPlane, cluster: str, service: str) -> None:
        self._plane, self._cluster, self._service = plane, cluster, service
        self.resource = f"ECS service {cluster}/{service}"
        self.by_hand = (
            f"aws ecs update-service --cluster {cluster} --service {service} --task-definition <family:number>"
        )

    def snapshot(self) -> Snapshot:
        """As ``Component.snapshot``."""
        answer = self._ask("describe_services", services=[self._service])
        if not answer.get("services"):
            raise ResourceMissingError("ecs", "DescribeServices", f"{self._cluster}/{self._service}")
        state = EcsServiceState(answer["services"][0], self._cluster, self._service)
        return EcsSnapshot(self._plane, state, EcsHistory(self._plane, self._cluster, self._service))

    def change(self, was: InService, shall: InService) -> InService:  # noqa: ARG002 - ECS compares nothing
        """As ``Component.change``. ECS has no compare-and-swap: the caller has looked at ``was`` just before."""
        answer = self._ask("update_service", service=self._service, taskDefinition=shall.version)
        return EcsServiceState(answer["service"], self._cluster, self._service).in_service

    def _ask(self, call: str, **arguments: Any) -> dict[str, Any]:
        return self._plane.ask("ecs", call, f"{self._cluster}/{self._service}", cluster=self._cluster, **arguments)


class EcsSnapshot:
    """As ``Snapshot``."""

    def __init__(self, plane: ControlPlane, state: EcsServiceState, history: EcsHistory) -> None:
        self._plane, self._state, self._history = plane, state, history

    @property
    def in_service(self) -> InService:
        """The task definition of the primary deployment."""
        return self._state.in_service

    def problems(self) -> Iterator[str]:
        """As ``Snapshot.problems``."""
        state = self._state
        if state.status != "ACTIVE":
            yield f"the service is {state.status}: it is being deleted, or was"
        if state.controller != "ECS":
            yield (
                f"its deployments are made by {state.controller}, not by ECS: roll back there (CodeDeploy: aws deploy "
                "stop-deployment --auto-rollback-enabled, or deploy the earlier revision), as you deploy there"
            )
        newest = next(iter(self._history.deployments), None)
        if newest is None or newest.status not in UNDER_WAY:
            return
        if newest.status in GOING_BACK:
            yield f"ECS is going back by itself ({newest.status}): wait until it has, and look again"
        elif state.strategy != "ROLLING":
            yield (
                f"a {state.strategy} deployment is under way: stop it, which takes the service back: aws ecs "
                f"stop-service-deployment --stop-type ROLLBACK --service-deployment-arn {newest.arn}"
            )

    def warnings(self) -> Iterator[str]:
        """As ``Snapshot.warnings``."""
        state = self._state
        if state.primary.get("rolloutState") == "IN_PROGRESS":
            yield f"the deployment of {self.in_service} is still under way ({state.counts}); it is replaced"
        if state.desired == 0:
            yield "the service's desired count is 0: that it becomes stable will prove nothing"
        if not state.has_breaker:
            yield "its deployment circuit breaker is off: a task definition that does not start is tried for ever"
        if not self._history.deployments:
            yield "ECS remembers no service deployments here (90 days at most), so its past is known from less"

    def earlier(self) -> Iterator[Earlier]:
        """Service deployments first; then deployments that the service still lists."""
        decided = {self.in_service.version}
        for one, definition in self._history.with_definitions():
            if definition in decided or not (one.status == SUCCESSFUL or one.status in ROLLED_BACK):
                continue
            decided.add(definition)
            yield Earlier(
                serving=InService(version=definition),
                basis=f"its service deployment of {utc(one.created_us)} was {one.status}",
                why_not=_rolled_back(one.created_us, one.reason) if one.status in ROLLED_BACK else None,
            )
        for deployment in self._state.deployments:
            definition = deployment["taskDefinition"]
            ended = self._state.ended(deployment)
            if definition in decided or ended is None:
                continue
            decided.add(definition)
            when_us = time_us(deployment.get("createdAt"))
            yield Earlier(
                serving=InService(version=definition),
                basis=f"its deployment {deployment['id']} of {utc(when_us)} was completed and is still listed",
                why_not=_rolled_back(when_us, deployment.get("rolloutStateReason", "")) if ended == "FAILED" else None,
            )

    def unfit(self, version: str) -> Unfit | None:
        """Of another family, INACTIVE, or what ECS rolled back the last time it was tried."""
        family = family_of(self.in_service.version)
        if family_of(version) != family:
            return Unfit(reason=f"is not of family {family!r}, which is in service")
        verdict = self._history.verdict(version)
        if verdict is not None and verdict.status in ROLLED_BACK:
            return Unfit(reason=_rolled_back(verdict.created_us, verdict.reason))
        status = self._definition(version).get("status", "deleted")
        if status == "ACTIVE":
            return None
        return Unfit(
            reason=f"is {status}: nothing can be started from it. Terraform deregisters a task definition when it "
            "replaces it, unless skip_destroy = true; register it once more to deploy it"
        )

    def describe(self, version: str) -> str:
        """Its containers' images."""
        containers = self._definition(version).get("containerDefinitions", ())
        return ", ".join(f"{one.get('name', '')} {one.get('image', '')}" for one in containers) or "no longer known"

    def attempt(self, was: InService, shall: InService) -> InService | None:
        """A deployment of ``shall`` that is newer than the one that was primary."""
        for one in self._state.deployments:
            if one["taskDefinition"] == shall.version and time_us(one.get("createdAt")) > was.since_us:
                return InService(version=shall.version, token=one["id"], since_us=time_us(one.get("createdAt")))
        for made, definition in self._history.with_definitions():
            if made.created_us <= was.since_us:
                break
            if definition == shall.version:
                return InService(version=definition, since_us=made.created_us)
        return None

    def progress(self, shall: InService) -> Progress:
        """As ``Snapshot.progress``."""
        if self.in_service.version == shall.version:
            return rolling(self._state, self._history)
        return displaced(self._state, self._history, shall)

    def _definition(self, version: str) -> dict[str, Any]:
        """A task definition; empty where it is no longer known."""
        try:
            answer = self._plane.ask("ecs", "describe_task_definition", version, taskDefinition=version)
        except RequestRefusedError as error:
            if error.code != "ClientException":
                raise
            return {}
        return dict(answer["taskDefinition"])


def _rolled_back(when_us: int, reason: str) -> str:
    told = f": {reason.rstrip('.')}" if reason else ""
    return f"was rolled back by ECS, in its deployment of {utc(when_us)}{told}"


def family_of(version: str) -> str:
    """The family of a task definition, by its ARN."""
    return shown(version).rpartition(":")[0]
