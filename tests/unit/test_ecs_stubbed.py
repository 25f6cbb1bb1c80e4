"""A change that ECS took back, through botocore's own Stubber: which calls are made, in which order, with what."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane
from dynamo_opensearch.core.services.component import Progress
from dynamo_opensearch.core.services.ecs import EcsComponent
from dynamo_opensearch.core.services.in_service import InService
from tests.support.fakes import FakeClock, quick_retry
from tests.support.service_rig import client_at

NAMES = {"cluster": "main", "service": "api"}
PREFIX = "arn:aws:ecs:eu-central-1:111122223333"
OLD, NEW = f"{PREFIX}:task-definition/api:6", f"{PREFIX}:task-definition/api:7"
DEPLOYMENT, REVISION = f"{PREFIX}:service-deployment/main/api/ejGvqq2i", f"{PREFIX}:service-revision/main/api/148580"
BEGAN = datetime(2026, 3, 1, 8, 3, 32, tzinfo=UTC)


@pytest.fixture
def stubbed() -> Iterator[tuple[EcsComponent, Stubber]]:
    client = client_at("http://127.0.0.1:1", "ecs")
    with Stubber(client) as stubber:
        plane = BotoControlPlane(lambda _: client, FakeClock(), quick_retry())
        yield EcsComponent(plane, "main", "api"), stubber
        stubber.assert_no_pending_responses()
    client.close()


def service(*deployments: dict[str, Any]) -> dict[str, Any]:
    return {
        "serviceName": "api",
        "status": "ACTIVE",
        "desiredCount": 2,
        "runningCount": 2,
        "taskDefinition": deployments[0]["taskDefinition"],
        "deployments": list(deployments),
    }


def deployment(number: int, definition: str, **fields: Any) -> dict[str, Any]:
    made = {"id": f"ecs-svc/{number}", "status": "PRIMARY", "taskDefinition": definition, "createdAt": BEGAN}
    return made | fields


def test_it_is_told_with_the_circuit_breakers_own_figures(stubbed: tuple[EcsComponent, Stubber]) -> None:
    component, stubber = stubbed
    stubber.add_response("update_service", {"service": service(deployment(2, OLD))}, {**NAMES, "taskDefinition": OLD})
    back = {"services": [service(deployment(3, NEW, rolloutState="IN_PROGRESS"))]}
    stubber.add_response("describe_services", back, {"cluster": "main", "services": ["api"]})
    made = {
        "serviceDeploymentArn": DEPLOYMENT,
        "targetServiceRevisionArn": REVISION,
        "createdAt": BEGAN,
        "status": "ROLLBACK_IN_PROGRESS",
    }
    stubber.add_response("list_service_deployments", {"serviceDeployments": [made]}, {**NAMES, "maxResults": 100})
    revision = {"serviceRevisionArn": REVISION, "taskDefinition": OLD}
    stubber.add_response(
        "describe_service_revisions", {"serviceRevisions": [revision]}, {"serviceRevisionArns": [REVISION]}
    )
    details = {
        "serviceDeploymentArn": DEPLOYMENT,
        "status": "ROLLBACK_IN_PROGRESS",
        "rollback": {"reason": "the circuit breaker threshold was exceeded", "serviceRevisionArn": f"{REVISION}9"},
        "deploymentCircuitBreaker": {"status": "TRIGGERED", "failureCount": 4, "threshold": 3},
    }
    stubber.add_response(
        "describe_service_deployments",
        {"serviceDeployments": [details]},
        {"serviceDeploymentArns": [DEPLOYMENT]},
    )

    done = component.change(InService(version=NEW, token="ecs-svc/1"), InService(version=OLD))
    seen = component.snapshot().progress(done)

    assert done.token == "ecs-svc/2"
    assert seen.state == "rolled back"
    assert seen.text.startswith(
        "the deployment circuit breaker acted (4 failures, threshold 3; the circuit breaker threshold was exceeded): "
        "ECS went back from api:6 to api:7."
    )


def test_a_failed_deployment_costs_no_call_more(stubbed: tuple[EcsComponent, Stubber]) -> None:
    component, stubber = stubbed
    failed = deployment(
        2, OLD, rolloutState="FAILED", rolloutStateReason="ECS deployment circuit breaker: tasks failed"
    )
    stubber.add_response("describe_services", {"services": [service(failed)]})
    seen: Progress = component.snapshot().progress(InService(version=OLD, token="ecs-svc/2"))
    assert seen.state == "failed"
    assert "(ECS deployment circuit breaker: tasks failed)" in seen.text
