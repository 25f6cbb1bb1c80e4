"""One ECS service in memory, with its deployments, its service deployments and its task definitions."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dynamo_opensearch.core.services.ecs import EcsComponent
from tests.support.scripted_aws import Answer, RefusalError, ScriptedAws

CLUSTER, SERVICE = "main", "api"
BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PREFIX = "arn:aws:ecs:eu-central-1:000000000000"
BREAKER = "Service deployment rolled back because the circuit breaker threshold was exceeded."


def arn(definition: str) -> str:
    """Of a task definition, by ``family:number``."""
    return f"{PREFIX}:task-definition/{definition}"


class ScriptedEcs:
    """``page``: service deployments in one answer, oldest first. ``remembers``: whether there are any.

    ``next_update``: what becomes of the next UpdateService: ``succeeds``, ``hangs``, ``rolled back``, ``failed``.
    """

    def __init__(self, aws: ScriptedAws, *, page: int = 100, remembers: bool = True) -> None:
        self.aws, self.page, self.remembers = aws, page, remembers
        self.now = BEGAN
        self.next_update = "succeeds"
        self.desired = 2
        self.status = "ACTIVE"
        self.controller: Answer | None = {"type": "ECS"}
        self.configuration: Answer = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
        self.definitions: dict[str, str] = {}
        self.listed: list[Answer] = []
        self.events: list[Answer] = []
        self.made: list[Answer] = []
        self.revisions: dict[str, str] = {}
        self.details: dict[str, Answer] = {}
        aws.scripts |= {
            "ecs.DescribeServices": self._describe,
            "ecs.UpdateService": self._update,
            "ecs.DescribeTaskDefinition": self._definition,
            "ecs.ListServiceDeployments": self._list,
            "ecs.DescribeServiceDeployments": self._deployments,
            "ecs.DescribeServiceRevisions": self._revisions,
        }

    @property
    def component(self) -> EcsComponent:
        return EcsComponent(self.aws.plane, CLUSTER, SERVICE)

    @property
    def primary(self) -> str:
        """What the service serves, by ``family:number``."""
        found = next(one for one in self.listed if one["status"] == "PRIMARY")
        return str(found["taskDefinition"]).rpartition("/")[2]

    def deploy(self, definition: str, became: str = "succeeds") -> Answer:
        """A deployment, and what became of it at once; returns it as DescribeServices lists it."""
        self.definitions.setdefault(definition, "ACTIVE")
        self.now += timedelta(hours=1)
        before = list(self.listed)
        for one in before:
            one["status"] = "ACTIVE"
        if self.made and self.made[-1]["status"] == "IN_PROGRESS":
            self.made[-1]["status"] = "STOPPED"
        deployment = self._deployment(definition)
        self._remember(deployment)
        if became == "hangs":
            self.listed = [deployment, *before]
            return deployment
        if became == "succeeds":
            self._end(deployment, "COMPLETED", "SUCCESSFUL")
            self.listed = [deployment]
            return deployment
        self._end(deployment, "FAILED", "ROLLBACK_SUCCESSFUL" if became == "rolled back" else "STOPPED")
        self._event(f"(service {SERVICE}) (deployment {deployment['id']}) deployment failed: tasks failed to start.")
        if became == "failed":
            self.listed = [deployment, *before]
            return deployment
        self.made[-1]["statusReason"] = BREAKER
        self.details[self.made[-1]["serviceDeploymentArn"]] = {
            "rollback": {"reason": BREAKER},
            "deploymentCircuitBreaker": {"status": "TRIGGERED", "failureCount": 3, "threshold": 3},
        }
        back = self._deployment(str(before[0]["taskDefinition"]).rpartition("/")[2])
        back |= {"rolloutState": "COMPLETED", "runningCount": self.desired}
        self.listed = [back]
        return deployment

    def _deployment(self, definition: str) -> Answer:
        self.now += timedelta(seconds=5)
        return {
            "id": f"ecs-svc/{int(self.now.timestamp())}",
            "status": "PRIMARY",
            "taskDefinition": arn(definition),
            "desiredCount": self.desired,
            "runningCount": 0,
            "pendingCount": 1,
            "createdAt": self.now,
            "rolloutState": "IN_PROGRESS",
        }

    def _remember(self, deployment: Answer) -> None:
        number = deployment["id"].rpartition("/")[2]
        revision = f"{PREFIX}:service-revision/{CLUSTER}/{SERVICE}/{number}"
        self.revisions[revision] = deployment["taskDefinition"]
        made = {
            "serviceDeploymentArn": f"{PREFIX}:service-deployment/{CLUSTER}/{SERVICE}/{number}",
            "targetServiceRevisionArn": revision,
            "createdAt": deployment["createdAt"] - timedelta(seconds=2),
            "status": "IN_PROGRESS",
        }
        self.made.append(made)

    def _end(self, deployment: Answer, rollout: str, status: str) -> None:
        running = self.desired if rollout == "COMPLETED" else 0
        deployment |= {"rolloutState": rollout, "runningCount": running, "pendingCount": 0}
        deployment["rolloutStateReason"] = (
            "ECS deployment completed." if rollout == "COMPLETED" else "ECS deployment circuit breaker: tasks failed."
        )
        self.made[-1]["status"] = status

    def _event(self, message: str) -> None:
        self.events.insert(0, {"id": str(len(self.events)), "createdAt": self.now, "message": message})

    def _describe(self, asked: Answer) -> Answer:
        assert asked == {"cluster": CLUSTER, "services": [SERVICE]}
        return {"services": [self._service()]}

    def _service(self) -> Answer:
        controller = {} if self.controller is None else {"deploymentController": self.controller}
        return {
            "serviceName": SERVICE,
            "status": self.status,
            "desiredCount": self.desired,
            "runningCount": sum(one["runningCount"] for one in self.listed),
            "taskDefinition": next(one["taskDefinition"] for one in self.listed if one["status"] == "PRIMARY"),
            "deploymentConfiguration": self.configuration,
            "deployments": [dict(one) for one in self.listed],
            "events": self.events,
            **controller,
        }

    def _update(self, asked: Answer) -> Answer:
        assert set(asked) == {"cluster", "service", "taskDefinition"}
        deployment = self.deploy(asked["taskDefinition"].rpartition("/")[2], self.next_update)
        return {"service": self._service() | {"deployments": [deployment]}}

    def _definition(self, asked: Answer) -> Answer:
        name = asked["taskDefinition"].rpartition("/")[2]
        if name not in self.definitions:
            raise RefusalError("ClientException")
        images = [{"name": "web", "image": f"registry/{name.replace(':', '.')}"}]
        return {"taskDefinition": {"status": self.definitions[name], "containerDefinitions": images}}

    def _list(self, asked: Answer) -> Answer:
        if not self.remembers:
            return {"serviceDeployments": []}
        start = int(asked.get("nextToken", 0))
        more = {"nextToken": str(start + self.page)} if start + self.page < len(self.made) else {}
        return {"serviceDeployments": [dict(one) for one in self.made[start : start + self.page]], **more}

    def _deployments(self, asked: Answer) -> Answer:
        found: list[Any] = [
            {**one, **self.details.get(one["serviceDeploymentArn"], {})}
            for one in self.made
            if one["serviceDeploymentArn"] in asked["serviceDeploymentArns"]
        ]
        for one in found:
            one["targetServiceRevision"] = {"arn": one.pop("targetServiceRevisionArn")}
        return {"serviceDeployments": found}

    def _revisions(self, asked: Answer) -> Answer:
        wanted = asked["serviceRevisionArns"]
        assert len(wanted) <= 20, "AWS takes no more at once"
        found = [
            {"serviceRevisionArn": one, "taskDefinition": self.revisions[one]}
            for one in wanted
            if one in self.revisions
        ]
        return {"serviceRevisions": found}
