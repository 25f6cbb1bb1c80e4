"""What MiniStack lacks: the service deployments of a service, told to a client in AWS's own shapes.

They are put into MiniStack's empty answers by botocore's ``after-call`` events; the service itself is MiniStack's.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

PREFIX = "arn:aws:ecs:eu-central-1:000000000000"


class RememberedDeployments:
    """Of one service. ``client``: the one that is told of them; what it deploys itself is remembered, too."""

    def __init__(self, client: Any, family: str) -> None:
        self._family = family
        self._deployments: list[dict[str, Any]] = []
        self._definitions: dict[str, str] = {}
        events = client.meta.events
        events.register("after-call.ecs.ListServiceDeployments", self._listed)
        events.register("after-call.ecs.DescribeServiceRevisions", self._described)
        events.register("after-call.ecs.UpdateService", self._updated)

    def add(self, number: int, status: str = "SUCCESSFUL", hours_ago: float = 0.0) -> None:
        """One that was made so long ago, and what became of it."""
        definition = f"{PREFIX}:task-definition/{self._family}:{number}"
        self._add(definition, status, datetime.now(UTC) - timedelta(hours=hours_ago))

    def _add(self, definition: str, status: str, when: datetime) -> None:
        revision = f"{PREFIX}:service-revision/{self._family}/api/{len(self._deployments)}"
        self._definitions[revision] = definition
        self._deployments.append(
            {
                "serviceDeploymentArn": f"{PREFIX}:service-deployment/{self._family}/api/{len(self._deployments)}",
                "targetServiceRevisionArn": revision,
                "createdAt": when,
                "status": status,
            }
        )

    def _listed(self, parsed: dict[str, Any], **_: Any) -> None:
        parsed["serviceDeployments"] = list(self._deployments)

    def _described(self, parsed: dict[str, Any], **_: Any) -> None:
        parsed["serviceRevisions"] = [
            {"serviceRevisionArn": revision, "taskDefinition": definition}
            for revision, definition in self._definitions.items()
        ]

    def _updated(self, parsed: dict[str, Any], **_: Any) -> None:
        if "service" in parsed:
            self._add(parsed["service"]["taskDefinition"], "SUCCESSFUL", datetime.now(UTC))
