"""Calls that no system test reaches, since the local servers lack them, made by the package's own code and recorded.

They count as their DAG's in docs/iam.md, and are held against its policy like those of the system tests. Answers are in
the shapes of botocore's own service models.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from dynamo_opensearch.core.cutover.canary.item import Canary
from dynamo_opensearch.core.cutover.canary.table import CanaryTable
from dynamo_opensearch.core.cutover.mapping.enabling import enable_mapping
from dynamo_opensearch.core.preflight.checklist import run_check
from dynamo_opensearch.core.services.changing import make_change
from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.core.services.planning import plan_service_rollback
from dynamo_opensearch.core.services.recorded import RecordedChanges
from tests.support.covered import uncovered
from tests.support.fakes import MemoryStore
from tests.support.recorded_runs import recorded
from tests.support.scripted_aws import Answer, RefusalError, ScriptedAws
from tests.support.scripted_control_plane import scripted_side
from tests.support.scripted_ecs import CLUSTER, SERVICE, ScriptedEcs
from tests.support.scripted_lambda import ALIAS, FUNCTION
from tests.support.scripted_mappings import ScriptedMappings
from tests.unit.test_cutover_api_release import EcsDesk

Settings = dict[str, Any]
ROLE = "arn:aws:iam::000000000000:role/members-indexer"
BY_ADDRESS = [
    {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]},
    {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": "pl-1"}]},
]


def preflight(aws: ScriptedAws, check: str, settings: Settings) -> str:
    """A check by real clients; what became of it."""
    result = run_check(check, replace(scripted_side(settings=settings), name="local", aws=aws.plane))
    return result.state if result.state == "passed" else str(result)


def ask_for_an_endpoint_of_ec2(aws: ScriptedAws, settings: Settings) -> None:
    endpoint = {
        "VpcEndpointId": "vpce-1",
        "VpcEndpointType": "Interface",
        "State": "available",
        "VpcId": "vpc-1",
        "SubnetIds": ["subnet-1"],
        "Groups": [{"GroupId": "sg-1"}],
    }
    group = {"GroupId": "sg-1", "VpcId": "vpc-1", "IpPermissions": BY_ADDRESS, "IpPermissionsEgress": BY_ADDRESS}
    aws.scripts |= {
        "ec2.DescribeVpcEndpoints": lambda _: {"VpcEndpoints": [endpoint]},
        "ec2.DescribeSecurityGroups": lambda asked: {"SecurityGroups": [{**group, "GroupId": asked["GroupIds"][0]}]},
        "ec2.DescribeVpcs": lambda _: {"Vpcs": [{"CidrBlockAssociationSet": [{"CidrBlock": "10.0.0.0/16"}]}]},
        "ec2.DescribeSubnets": lambda _: {"Subnets": [{"SubnetId": "subnet-1", "CidrBlock": "10.0.1.0/24"}]},
        "ec2.GetManagedPrefixListEntries": lambda _: {"Entries": [{"Cidr": "10.20.0.0/16"}]},
    }
    assert preflight(aws, "vpc_endpoint", settings) == "passed"


def ask_for_an_endpoint_of_opensearch_service(aws: ScriptedAws, settings: Settings) -> None:
    options = {"VPCId": "vpc-1", "SubnetIds": ["subnet-1"], "SecurityGroupIds": []}
    endpoint = {"VpcEndpointId": "aos-1", "Status": "ACTIVE", "VpcOptions": options}
    aws.scripts["opensearch.DescribeVpcEndpoints"] = lambda _: {"VpcEndpoints": [endpoint], "VpcEndpointErrors": []}
    assert preflight(aws, "vpc_endpoint", settings) == "passed"


def ask_for_the_documents_of_a_role(aws: ScriptedAws, settings: Settings) -> None:
    allowed = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:eu-central-1:000000000000:dlq"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    role = {
        "Path": "/",
        "RoleName": "members-indexer",
        "RoleId": "AROA000000000000000X",
        "Arn": ROLE,
        "CreateDate": 0,
        "AssumeRolePolicyDocument": json.dumps({"Statement": []}),
    }

    def refuse(_asked: Answer) -> Answer:
        raise RefusalError("AccessDenied", 403)

    named = {"RoleName": "members-indexer", "PolicyName": "needs", "PolicyDocument": document}
    attached = {"PolicyName": "more", "PolicyArn": "arn:aws:iam::000000000000:policy/more"}
    aws.scripts |= {
        "dynamodb.DescribeTable": lambda _: {"Table": {"TableName": "members"}},
        "iam.GetRole": lambda _: {"Role": role},
        "iam.SimulatePrincipalPolicy": refuse,
        "iam.ListRolePolicies": lambda _: {"PolicyNames": ["needs"]},
        "iam.GetRolePolicy": lambda _: named,
        "iam.ListAttachedRolePolicies": lambda _: {"AttachedPolicies": [attached]},
        "iam.GetPolicy": lambda _: {"Policy": {"DefaultVersionId": "v1"}},
        "iam.GetPolicyVersion": lambda _: {"PolicyVersion": {"Document": document}},
    }
    assert preflight(aws, "roles", settings) == "passed"


def ask_for_the_key_of_a_queue(aws: ScriptedAws, settings: Settings) -> None:
    attributes = {"QueueArn": "arn:aws:sqs:eu-central-1:000000000000:dlq", "MessageRetentionPeriod": "1209600"}
    aws.scripts |= {
        "sqs.GetQueueUrl": lambda _: {"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/000000000000/dlq"},
        "sqs.GetQueueAttributes": lambda _: {"Attributes": {**attributes, "KmsMasterKeyId": "alias/letters"}},
        "kms.DescribeKey": lambda _: {"KeyMetadata": {"KeyId": "k", "KeyState": "Enabled"}},
    }
    assert preflight(aws, "dead_letters", settings) == "passed"


def run_of_now(aws: ScriptedAws) -> Run:
    aws.clock.pass_s(60)
    return Run(deployment="local", dag_id="members_rollback_service", run_id="r", triggered_us=aws.clock.time_us())


def plan_an_ecs_rollback(aws: ScriptedAws, _settings: Settings) -> None:
    ecs = rolled_back_ecs(aws)
    plan_service_rollback("members", ecs.component, RecordedChanges(MemoryStore(), aws.clock), run_of_now(aws))


def make_an_ecs_rollback(aws: ScriptedAws, _settings: Settings) -> None:
    ecs, changes, run = rolled_back_ecs(aws), RecordedChanges(MemoryStore(), aws.clock), run_of_now(aws)
    plan = plan_service_rollback("members", ecs.component, changes, run)
    make_change(plan.change(run.deployment, run.dag_id, run.run_id), plan.after, ecs.component, changes)


def settle_an_ecs_rollback(aws: ScriptedAws, _settings: Settings) -> None:
    ecs = rolled_back_ecs(aws)
    ecs.deploy("api:4", "rolled back")
    snapshot = ecs.component.snapshot()
    snapshot.progress(replace(snapshot.in_service, version=snapshot.in_service.version.replace(":2", ":4")))


def rolled_back_ecs(aws: ScriptedAws) -> ScriptedEcs:
    """A service that was deployed twice and a third time, which ECS took back."""
    ecs = ScriptedEcs(aws)
    for definition, became in (("api:1", "succeeds"), ("api:2", "succeeds"), ("api:3", "rolled back")):
        ecs.deploy(definition, became)
    return ecs


def ask_for_the_user_pool(aws: ScriptedAws, settings: Settings) -> None:
    client = {"UserPoolId": "eu-central-1_Pool", "ClientId": "client", "ClientName": "api"}
    aws.scripts |= {
        "cognito-idp.DescribeUserPool": lambda _: {"UserPool": {"Id": "eu-central-1_Pool", "Name": "members"}},
        "cognito-idp.DescribeUserPoolClient": lambda _: {"UserPoolClient": client},
    }
    assert preflight(aws, "cognito", settings) == "passed"


def enable_a_disabled_mapping(aws: ScriptedAws, settings: Settings) -> None:
    ScriptedMappings(aws).add(UUID, "Disabled")
    assert enable_mapping(replace(scripted_side(settings=settings, clock=aws.clock), aws=aws.plane)).was_enabled


def look_what_became_of_the_canary(aws: ScriptedAws, _settings: Settings) -> None:
    aws.scripts["dynamodb.GetItem"] = lambda _: {}
    canary = Canary(key=("memberId",), first={"memberId": {"S": "c"}}, second={"memberId": {"S": "c"}}, path=("note",))
    assert "the table has the item no more" in str(CanaryTable(aws.plane, "members", canary).meddled(canary.first))


def release_to_ecs(_aws: ScriptedAws, _settings: Settings) -> None:
    assert EcsDesk().release().was_changed


Act = Callable[[ScriptedAws, Settings], None]
VPC = {"subnets": ["subnet-1"], "from_security_groups": ["sg-2"], "from_cidrs": ["10.20.1.0/24"]}
WITH_ROLES: Settings = {
    "roles": {"indexer": {"arn": ROLE, "actions": ["sqs:SendMessage"]}},
    "dead_letters": {"queue": "dlq"},
}
WITH_POOL: Settings = {"cognito": {"user_pool": "eu-central-1_Pool", "app_client": "client"}}
UUID = "9e471faa-d716-4725-925a-03fb5b2057ef"
WITH_MAPPING: Settings = {
    "indexer": {"function": FUNCTION, "alias": ALIAS},
    "dead_letters": {"queue": "members-dlq"},
}
WITH_ECS: Settings = {"api": {"kind": "ecs", "cluster": CLUSTER, "service": SERVICE}}
SCENARIOS: list[tuple[str, str, Act, Settings]] = [
    ("preflight", "vpc_endpoint", ask_for_an_endpoint_of_ec2, {"vpc_endpoint": {"id": "vpce-1", **VPC}}),
    ("preflight", "vpc_endpoint", ask_for_an_endpoint_of_opensearch_service, {"vpc_endpoint": {"id": "aos-1"}}),
    ("preflight", "roles", ask_for_the_documents_of_a_role, WITH_ROLES),
    ("preflight", "dead_letters", ask_for_the_key_of_a_queue, {"dead_letters": {"queue": "dlq"}}),
    ("rollback_service", "plan", plan_an_ecs_rollback, WITH_ECS),
    ("rollback_service", "roll_back", make_an_ecs_rollback, WITH_ECS),
    ("rollback_service", "settle", settle_an_ecs_rollback, WITH_ECS),
    ("cutover", "preflight", ask_for_an_endpoint_of_ec2, {"vpc_endpoint": {"id": "vpce-1", **VPC}}),
    ("cutover", "preflight", ask_for_an_endpoint_of_opensearch_service, {"vpc_endpoint": {"id": "aos-1"}}),
    ("cutover", "preflight", ask_for_the_documents_of_a_role, WITH_ROLES),
    ("cutover", "preflight", ask_for_the_key_of_a_queue, {"dead_letters": {"queue": "dlq"}}),
    ("cutover", "preflight", ask_for_the_user_pool, WITH_POOL),
    ("cutover", "enable_mapping", enable_a_disabled_mapping, WITH_MAPPING),
    ("cutover", "canary", look_what_became_of_the_canary, {}),
    ("cutover", "deploy_api", release_to_ecs, WITH_ECS),
    ("cutover", "settle_api", settle_an_ecs_rollback, WITH_ECS),
]


@pytest.mark.parametrize(
    ("kind", "task", "act", "settings"), SCENARIOS, ids=[f"{kind} {act.__name__}" for kind, _, act, _ in SCENARIOS]
)
def test_what_is_asked_then_is_in_the_dags_policy(kind: str, task: str, act: Act, settings: Settings) -> None:
    target = scripted_side(settings=settings).target.model_dump(mode="json", exclude_unset=True)
    target["environments"] = {"local": settings}
    with recorded(f"members_{kind}", task, {"members.yaml": yaml.safe_dump(target)}) as folder:
        act(ScriptedAws(), settings)
    assert uncovered(folder) == []
