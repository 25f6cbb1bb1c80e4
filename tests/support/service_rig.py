"""An ECS service and a Lambda function on MiniStack, and runs of a rollback over them that a test may kill."""

import io
import time
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.services.changing import make_change
from dynamo_opensearch.core.services.component import Component, Run
from dynamo_opensearch.core.services.ecs import EcsComponent
from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.core.services.lambda_alias import LAMBDA_INDEXER, LambdaAliasComponent
from dynamo_opensearch.core.services.plan import ServiceRollbackPlan
from dynamo_opensearch.core.services.planning import plan_service_rollback
from dynamo_opensearch.core.services.recorded import RecordedChange, RecordedChanges
from dynamo_opensearch.core.services.settling import Outcome, Settling
from dynamo_opensearch.core.state.index_store import IndexStateStore
from tests.support import oracle
from tests.support.dying import Died, Fate
from tests.support.fakes import quick_retry
from tests.support.rig import Rig
from tools.local.ministack import REGION

ALIAS = "live"
T = TypeVar("T")


def client_at(url: str, service: str) -> Any:
    """A client as the package's hook makes it: its own retries off."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
    )


def create_function(url: str, name: str, versions: int) -> None:
    """A function with so many published versions, each of other code, all of them active."""
    client, iam = oracle.client(url, "lambda"), oracle.client(url, "iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    for number in range(1, versions + 1):
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("handler.py", f"def handler(event, context): return {number}")
        if number > 1:
            client.update_function_code(FunctionName=name, ZipFile=code.getvalue(), Publish=True)
            continue
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role,
            Handler="handler.handler",
            Code={"ZipFile": code.getvalue()},
            Publish=True,
        )
    for number in range(1, versions + 1):
        deadline = time.monotonic() + 60
        while client.get_function_configuration(FunctionName=name, Qualifier=str(number))["State"] != "Active":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    client.close()
    iam.close()


class ServiceRig:
    """Names are unique. ``aws_url`` may be a proxy's; ``ecs`` and ``functions`` are a judge's own clients."""

    def __init__(self, rig: Rig, aws_url: str = "") -> None:
        self.rig, self.name = rig, rig.base
        self.direct = rig.direct_dynamodb
        self.ecs, self.functions = oracle.client(self.direct, "ecs"), oracle.client(self.direct, "lambda")
        self.client = cache(lambda service: client_at(aws_url or self.direct, service))
        self.runs = 0

    def create_service(self, definitions: int, at: int = 1) -> None:
        """A service of two tasks, and so many task definitions."""
        self.ecs.create_cluster(clusterName=self.name)
        for number in range(1, definitions + 1):
            container = {"name": "web", "image": f"registry/api:{number}", "memory": 64}
            self.ecs.register_task_definition(family=self.name, containerDefinitions=[container])
        self.ecs.create_service(
            cluster=self.name,
            serviceName="api",
            taskDefinition=f"{self.name}:{at}",
            desiredCount=2,
            deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
        )

    def deploy(self, number: int) -> None:
        """As a pipeline does it."""
        self.ecs.update_service(cluster=self.name, service="api", taskDefinition=f"{self.name}:{number}")

    @property
    def served(self) -> tuple[int, str]:
        """Number of the task definition, and id of the deployment, that the service serves."""
        service = self.ecs.describe_services(cluster=self.name, services=["api"])["services"][0]
        primary = next(one for one in service["deployments"] if one["status"] == "PRIMARY")
        assert primary["taskDefinition"] == service["taskDefinition"]
        return int(service["taskDefinition"].rpartition(":")[2]), primary["id"]

    def create_function(self, versions: int, at: int, **weights: float) -> None:
        """A function with so many published versions, and an alias."""
        create_function(self.direct, self.name, versions)
        routing = {"AdditionalVersionWeights": {name.strip("v"): share for name, share in weights.items()}}
        self.functions.create_alias(FunctionName=self.name, Name=ALIAS, FunctionVersion=str(at), RoutingConfig=routing)

    def move(self, version: int) -> None:
        """As a pipeline does it."""
        self.functions.update_alias(FunctionName=self.name, Name=ALIAS, FunctionVersion=str(version))

    @property
    def invoked(self) -> tuple[str, dict[str, float]]:
        """What the alias leads to, and the weights of other versions."""
        alias = self.functions.get_alias(FunctionName=self.name, Name=ALIAS)
        return alias["FunctionVersion"], alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

    def run(self) -> Run:
        """A run that is triggered now."""
        self.runs += 1
        return Run(
            deployment="local",
            dag_id="members_rollback_service",
            run_id=f"r{self.runs}",
            triggered_us=time.time_ns() // 1000,
        )

    def close(self) -> None:
        """All clients."""
        for client in (self.ecs, self.functions):
            client.close()


class Parts:
    """A component and its records, as one process has them."""

    def __init__(self, rig: ServiceRig, fate: Fate) -> None:
        plane = fate.watch(BotoControlPlane(rig.client, SystemClock(), quick_retry()), "ask")
        store = IndexStateStore(rig.rig.patient, f"{rig.rig.base}-state", "services|members-live")
        self.changes = RecordedChanges(fate.watch(store, "load", "save"), SystemClock())
        self.ecs = EcsComponent(plane, rig.name, "api")
        self.indexer = LambdaAliasComponent(plane, LAMBDA_INDEXER, rig.name, ALIAS)

    def of(self, name: str) -> Component:
        """One of the two."""
        return self.ecs if name == "ecs" else self.indexer

    def record(self, name: str, was: str, shall: str) -> None:
        """As a cutover does it."""
        component = self.of(name)
        change = RecordedChange(
            component=component.name,
            resource=component.resource,
            purpose="cutover",
            deployment="local",
            dag_id="members_cutover",
            run_id="c1",
            was=InService(version=was),
            shall=InService(version=shall),
            began_us=0,
        )
        self.changes.begin(change, None)


class Tasks:
    """The tasks of one run, each tried again until it succeeds; what it returned is kept, as Airflow does."""

    def __init__(self, rig: ServiceRig, name: str, run: Run) -> None:
        self.rig, self.name, self.run = rig, name, run

    def go_through(self, survived: int | None = None) -> tuple[ServiceRollbackPlan, Outcome]:
        """A whole run, killed once after ``survived`` calls."""
        self.fate, self.was_killed = Fate(survived), False
        plan = self._tried(self.plan)
        now = self._tried(lambda parts: self.change(parts, plan))
        return plan, self._tried(lambda parts: self.settle(parts, now))

    def plan(self, parts: Parts) -> ServiceRollbackPlan:
        return plan_service_rollback("members", parts.of(self.name), parts.changes, self.run)

    def change(self, parts: Parts, plan: ServiceRollbackPlan) -> InService:
        planned = plan.change(self.run.deployment, self.run.dag_id, self.run.run_id)
        return make_change(planned, plan.after, parts.of(self.name), parts.changes)

    def settle(self, parts: Parts, now: InService) -> Outcome:
        clock = SystemClock()
        settling = Settling(parts.of(self.name), now, None, clock, clock.time_us() + 30_000_000)
        while (outcome := settling.look()) is None:
            time.sleep(0.1)
        parts.changes.end(self.name, self.run, outcome.state)
        return outcome

    def _tried(self, task: Callable[[Parts], T]) -> T:
        try:
            return task(Parts(self.rig, self.fate))
        except Died:
            self.fate, self.was_killed = Fate(), True
            return task(Parts(self.rig, self.fate))
