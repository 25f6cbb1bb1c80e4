"""What DescribeServices tells of a service."""

import re
from collections.abc import Mapping
from typing import Any

from dynamo_opensearch.core.services.in_service import InService, time_us

_COMPLETED = re.compile(r"\(deployment ([\w/-]+)\) deployment completed")
_FAILED = re.compile(r"\(deployment ([\w/-]+)\) deployment failed")


class EcsServiceState:
    """One answer. ``path``: cluster and service, as people name them."""

    def __init__(self, service: Mapping[str, Any], cluster: str, name: str) -> None:
        self._service, self.cluster, self.name = service, cluster, name
        self.path = f"{cluster}/{name}"

    @property
    def deployments(self) -> list[dict[str, Any]]:
        """Those that are listed still, the newest first; the primary one among them."""
        listed = self._service.get("deployments", ())
        return sorted(listed, key=lambda one: time_us(one.get("createdAt")), reverse=True)

    @property
    def primary(self) -> dict[str, Any]:
        """The deployment that ECS works towards; empty where another controller deploys."""
        return next((one for one in self.deployments if one.get("status") == "PRIMARY"), {})

    @property
    def in_service(self) -> InService:
        """The task definition, and the deployment that it was brought by."""
        primary = self.primary
        return InService(
            version=primary.get("taskDefinition") or self._service.get("taskDefinition", ""),
            token=primary.get("id", ""),
            since_us=time_us(primary.get("createdAt")),
        )

    @property
    def status(self) -> str:
        """ACTIVE, DRAINING or INACTIVE."""
        return str(self._service.get("status", ""))

    @property
    def controller(self) -> str:
        """Who deploys: ECS, CODE_DEPLOY or EXTERNAL."""
        return str(self._service.get("deploymentController", {}).get("type", "ECS"))

    @property
    def strategy(self) -> str:
        """ROLLING, BLUE_GREEN, LINEAR or CANARY."""
        return str(self._configuration.get("strategy", "ROLLING"))

    @property
    def has_breaker(self) -> bool:
        """Whether a deployment that does not start is given up."""
        return bool(self._breaker.get("enable"))

    @property
    def rolls_back(self) -> bool:
        """Whether ECS then goes back to the last one that was completed."""
        return self.has_breaker and bool(self._breaker.get("rollback"))

    @property
    def desired(self) -> int:
        """Tasks that shall run."""
        return int(self._service.get("desiredCount", 0))

    @property
    def running(self) -> int:
        """Tasks that run, of whichever deployment."""
        return int(self._service.get("runningCount", 0))

    @property
    def counts(self) -> str:
        """Tasks of the primary deployment, for people."""
        primary = self.primary
        failed = f", {primary['failedTasks']} failed" if primary.get("failedTasks") else ""
        return f"{primary.get('runningCount', 0)} of {self.desired} tasks run{failed}"

    def events(self, most: int = 3) -> list[str]:
        """The newest messages, the newest first."""
        listed = sorted(self._service.get("events", ()), key=lambda one: time_us(one.get("createdAt")), reverse=True)
        return [str(one.get("message", "")) for one in listed[:most]]

    def ended(self, deployment: Mapping[str, Any]) -> str | None:
        """COMPLETED or FAILED, by the deployment itself or by the service's events; None: neither is known."""
        state = deployment.get("rolloutState")
        if state in ("COMPLETED", "FAILED"):
            return str(state)
        for message in self.events(most=100):
            for pattern, ended in ((_COMPLETED, "COMPLETED"), (_FAILED, "FAILED")):
                found = pattern.search(message)
                if found is not None and found[1] == deployment.get("id"):
                    return ended
        return None

    def failed(self, deployment_id: str) -> bool:
        """Whether an event tells that a deployment failed, be it listed or not."""
        found = (_FAILED.search(message) for message in self.events(most=100))
        return any(one is not None and one[1] == deployment_id for one in found)

    @property
    def _configuration(self) -> Mapping[str, Any]:
        return dict(self._service.get("deploymentConfiguration") or {})

    @property
    def _breaker(self) -> Mapping[str, Any]:
        return dict(self._configuration.get("deploymentCircuitBreaker") or {})
