"""Every refusal says which action on which resource is missing, and in which policy of docs/iam.md it stands.

Each client of the package, and with it each service, is refused as AWS or OpenSearch does it.
"""

import asyncio
import json
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Context, ObjectStoragePath
from botocore.exceptions import ClientError, NoCredentialsError

from dynamo_opensearch.core.aws.errors import denied
from dynamo_opensearch.core.aws.event_source_mapping import mapping_state
from dynamo_opensearch.core.aws.metrics import Metric, highest_values
from dynamo_opensearch.core.aws.policies_with import POLICIES_WITH
from dynamo_opensearch.core.aws.sqs_errors import QueueKeyError
from dynamo_opensearch.core.aws.sqs_queue import SqsQueue
from dynamo_opensearch.core.dead_letters.messages import StoredObject
from dynamo_opensearch.core.dead_letters.stored_objects import StoredObjects
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.errors import AccessDeniedError, SyncError
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster
from dynamo_opensearch.core.opensearch.errors import RequestDeniedError
from dynamo_opensearch.hooks.dynamodb import DynamoDbTableHook
from dynamo_opensearch.operators import follow
from dynamo_opensearch.operators.failures import failures_for_airflow, refusals_of_dag
from dynamo_opensearch.operators.follow import FollowStreamOperator
from dynamo_opensearch.operators.object_storage import ObjectStorageRejectSink, refusals_named
from dynamo_opensearch.triggers.dead_letters_watch import DeadLettersFillingTrigger
from dynamo_opensearch.triggers.polling import PollingTrigger
from tests.support.adapters import connect
from tests.support.fakes import FakeClock, quick_retry
from tests.support.scripted_aws import RefusalError, ScriptedAws
from tools.iam.calls import Calls

CLOCK, RETRY = FakeClock(), quick_retry()
STREAM = "arn:aws:dynamodb:eu-central-1:123456789012:table/members/stream/2026-01-01T00:00:00.000"
UUID = "14e0db71-5d35-4eb5-b481-8945cf9d10c2"
USER = "User: arn:aws:sts::123456789012:assumed-role/worker/x"
METRIC = Metric(namespace="AWS/Lambda", name="IteratorAge", dimensions=(), resource="members-indexer")


def refusing(operation: str, code: str = "AccessDeniedException", message: str = "refused") -> ScriptedAws:
    """AWS without a socket, which refuses an operation."""
    aws = ScriptedAws(CLOCK)

    def refuse(_arguments: dict[str, Any]) -> dict[str, Any]:
        raise RefusalError(code, 403, message)

    aws.scripts[operation] = refuse
    return aws


Act = Callable[[ScriptedAws], object]
BY_CLIENT: dict[str, tuple[str, str, str, Act]] = {
    "table": (
        "dynamodb.Scan",
        "dynamodb:Scan",
        "members in eu-central-1",
        lambda aws: TableClient(aws.client("dynamodb"), "members", CLOCK, RETRY).scan(),
    ),
    "stream": (
        "dynamodbstreams.DescribeStream",
        "dynamodb:DescribeStream",
        STREAM,
        lambda aws: StreamClient(aws.client("dynamodbstreams"), STREAM, CLOCK, RETRY).list_shards(),
    ),
    "queue": (
        "sqs.DeleteMessageBatch",
        "sqs:DeleteMessage",
        "letters in eu-central-1",
        lambda aws: SqsQueue(aws.client("sqs"), "https://sqs/1/letters", CLOCK, RETRY).delete(["a"]),
    ),
    "stored objects": (
        "s3.GetObject",
        "s3:GetObject",
        "bucket letters",
        lambda aws: StoredObjects(aws.client("s3"), CLOCK, RETRY).fetch(
            StoredObject(bucket="letters", key="key", version=None)
        ),
    ),
    "metrics": (
        "cloudwatch.GetMetricStatistics",
        "cloudwatch:GetMetricStatistics",
        "members-indexer",
        lambda aws: highest_values(aws.client("cloudwatch"), METRIC, 60, CLOCK, RETRY),
    ),
    "event source mapping": (
        "lambda.GetEventSourceMapping",
        "lambda:GetEventSourceMapping",
        UUID,
        lambda aws: mapping_state(aws.client("lambda"), UUID, CLOCK, RETRY),
    ),
}
"""The operation that is refused, the action and the resource that are told, and what is done."""

BY_CONTROL_PLANE: dict[str, tuple[str, dict[str, Any]]] = {
    "cloudwatch": ("describe_alarms_for_metric", {"MetricName": "m", "Namespace": "n"}),
    "cognito-idp": ("describe_user_pool", {"UserPoolId": "eu-central-1_x"}),
    "dynamodb": ("describe_table", {"TableName": "members"}),
    "ec2": ("describe_security_groups", {"GroupIds": ["sg-1"]}),
    "ecs": ("describe_services", {"cluster": "c", "services": ["s"]}),
    "iam": ("get_role", {"RoleName": "r"}),
    "kms": ("describe_key", {"KeyId": "k"}),
    "lambda": ("get_alias", {"FunctionName": "f", "Name": "live"}),
    "opensearch": ("describe_domain", {"DomainName": "members"}),
    "sqs": ("get_queue_url", {"QueueName": "q"}),
    "sts": ("get_caller_identity", {}),
}
"""A call of each service that preflight and rollbacks ask through the one client for all of them."""

BY_THE_FILESYSTEM = {"s3"}
BY_CLIENTS_OF_THEIR_OWN = {operation.partition(".")[0] for operation, *_ in BY_CLIENT.values()}


def test_each_service_that_is_called_is_refused_here() -> None:
    calls = Calls.committed()
    operations = {operation for kind in calls.kinds for _, operation, _ in calls.each(kind)}
    services = {operation.partition(":")[0] for operation in operations} - {"es"}
    assert services <= BY_CLIENTS_OF_THEIR_OWN | BY_CONTROL_PLANE.keys() | BY_THE_FILESYSTEM


def refusal(act: Callable[[], object]) -> SyncError:
    with pytest.raises(SyncError) as raised:
        act()
    return raised.value


def assert_names(error: SyncError, action: str, resource: str) -> None:
    """Action, resource, and each policy that has the action."""
    text = str(error)
    assert action in text
    assert resource in text
    assert POLICIES_WITH[action]
    for policy in POLICIES_WITH[action]:
        assert policy in text
    assert "docs/iam.md" in text


@pytest.mark.parametrize("client", BY_CLIENT)
def test_a_refused_client_names_action_resource_and_policies(client: str) -> None:
    operation, action, resource, act = BY_CLIENT[client]
    aws = refusing(operation)
    assert_names(refusal(lambda: act(aws)), action, resource)


@pytest.mark.parametrize("client", BY_CLIENT)
def test_the_arn_that_aws_tells_is_told(client: str) -> None:
    operation, action, _, act = BY_CLIENT[client]
    arn = "arn:aws:x:eu-central-1:123456789012:of-the/message"
    aws = refusing(operation, message=f"{USER} is not authorized to perform: {action} on resource: {arn} because no")
    error = refusal(lambda: act(aws))
    assert_names(error, action, arn)
    assert "assumed-role" not in str(error)


@pytest.mark.parametrize("service", sorted(BY_CONTROL_PLANE.keys() - {"sts"}))
def test_a_refused_call_of_the_control_plane_names_action_resource_and_policies(service: str) -> None:
    call, arguments = BY_CONTROL_PLANE[service]
    name = "".join(part.capitalize() for part in call.split("_"))
    aws = refusing(f"{service}.{name}")
    error = refusal(lambda: aws.plane.ask(service, call, "the resource", **arguments))
    prefix = "es" if service == "opensearch" else service
    assert_names(error, f"{prefix}:{name}", "the resource")


def test_who_one_is_needs_no_right_and_so_no_policy_has_it() -> None:
    error = refusal(lambda: refusing("sts.GetCallerIdentity").plane.ask("sts", "get_caller_identity", "the caller"))
    assert "no policy of docs/iam.md has it" in str(error)


class Refusing:
    """A client of opensearch-py's whose requests are refused."""

    @property
    def transport(self) -> "Refusing":
        return self

    def perform_request(self, *_: Any, **__: Any) -> None:
        from opensearchpy.exceptions import AuthorizationException

        raise AuthorizationException(403, "not allowed", {"message": "not allowed"})


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_a_refused_request_names_itself_the_action_and_policies(method: str) -> None:
    cluster = OpenSearchCluster(Refusing())  # type: ignore[arg-type]
    error = refusal(lambda: cluster.request(method, "/members-live/_count"))
    assert_names(error, f"es:ESHttp{method.capitalize()}", "/members-live/_count")
    assert f"{method} on" in str(error)


def test_refused_writes_of_a_bulk_name_the_index() -> None:
    error = RequestDeniedError("POST", "bulk writes", "members-v1", "security_exception")
    assert_names(error, "es:ESHttpPost", "members-v1")
    assert "inside OpenSearch" in str(error)


def refused_by_s3(operation: str, message: str = "Access Denied", code: str = "AccessDenied") -> PermissionError:
    error = PermissionError(message)
    error.__cause__ = ClientError({"Error": {"Code": code, "Message": message}}, operation)
    return error


@pytest.mark.parametrize(
    ("operation", "action", "resource"),
    [
        ("PutObject", "s3:PutObject", "arn:aws:s3:::reports/*"),
        ("UploadPart", "s3:PutObject", "arn:aws:s3:::reports/*"),
        ("HeadObject", "s3:GetObject", "arn:aws:s3:::reports/*"),
        ("ListObjectsV2", "s3:ListBucket", "arn:aws:s3:::reports'"),
        ("DeleteObjects", "s3:DeleteObject", "arn:aws:s3:::reports/*"),
    ],
)
def test_what_s3_refuses_the_filesystem_names_action_bucket_and_policies(
    operation: str, action: str, resource: str
) -> None:
    def act() -> None:
        with refusals_named(ObjectStoragePath("s3://aws_default@reports/members/rejects")):
            raise refused_by_s3(operation)

    assert_names(refusal(act), action, resource)


def test_a_name_of_an_object_is_not_told() -> None:
    message = f'{USER} is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::reports/a/key" because no'

    def act() -> None:
        with refusals_named(ObjectStoragePath("s3://aws_default@reports/members")):
            raise refused_by_s3("PutObject", message)

    text = str(refusal(act))
    assert "arn:aws:s3:::reports/*" in text
    assert "key" not in text


def test_a_refusal_of_the_machines_own_files_stays_what_it_is(tmp_path: Any) -> None:
    with pytest.raises(PermissionError), refusals_named(ObjectStoragePath(f"file://{tmp_path}")):
        raise PermissionError("not yours")


def test_the_reject_files_say_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = ObjectStorageRejectSink(ObjectStoragePath("s3://aws_default@reports/members/rejects"))

    def refuse(*_: Any, **__: Any) -> None:
        raise refused_by_s3("PutObject")

    monkeypatch.setattr(ObjectStoragePath, "mkdir", refuse)
    with pytest.raises(AccessDeniedError, match="s3:PutObject on 'arn:aws:s3:::reports"):
        sink.write(0, b"{}")


# What AWS says goes first


def test_a_key_that_may_not_be_used_is_named_in_place_of_the_call() -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/k"
    aws = refusing("dynamodb.Scan", message=f"{USER} is not authorized to perform: kms:Decrypt on resource: {key}")
    error = refusal(lambda: TableClient(aws.client("dynamodb"), "members", CLOCK, RETRY).scan())
    assert_names(error, "kms:Decrypt", key)
    assert "dynamodb:Scan" not in str(error)


def test_a_key_without_a_name_is_that_of_the_resource() -> None:
    told = "is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext"
    aws = refusing("dynamodb.Scan", message=f"{USER} {told}")
    error = refusal(lambda: TableClient(aws.client("dynamodb"), "members", CLOCK, RETRY).scan())
    assert_names(error, "kms:Decrypt", "what members in eu-central-1 is encrypted with")


def test_a_queues_key_names_the_action_on_it_and_policies() -> None:
    error = QueueKeyError("letters", "ReceiveMessage", "KmsAccessDenied")
    assert_names(error, "kms:Decrypt", "letters")


def test_a_deny_is_told_and_where_it_stands() -> None:
    message = (
        f"{USER} is not authorized to perform: ecs:UpdateService with an explicit deny in a service control policy"
    )
    aws = refusing("ecs.UpdateService", message=message)
    error = refusal(lambda: aws.plane.ask("ecs", "update_service", "c/s", cluster="c", service="s"))
    assert "by a Deny in a service control policy" in str(error)


@pytest.mark.parametrize("code", ["NotAuthorizedException", "403", "UnauthorizedOperation"])
def test_refusals_go_by_many_names(code: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": ""}}, "X")
    assert isinstance(denied(error, "s", "s:X", "r"), AccessDeniedError)


def test_missing_credentials_are_a_refusal_too() -> None:
    assert "no credentials were found" in str(denied(NoCredentialsError(), "DynamoDB", "dynamodb:Scan", "members"))


# Whose task it was


def scan_denied() -> AccessDeniedError:
    return AccessDeniedError("DynamoDB", "dynamodb:Scan", "members", "AccessDeniedException")


@pytest.mark.parametrize("dag_id", ["members_backfill", "my_other_members_reconcile"])
def test_a_dag_whose_policy_has_the_action_is_the_only_one_named(dag_id: str) -> None:
    def act() -> None:
        with refusals_of_dag(dag_id):
            raise scan_denied()

    text = str(refusal(act))
    assert f"it stands in policy {dag_id} of docs/iam.md" in text
    assert "<target>" not in text


@pytest.mark.parametrize("dag_id", ["a_dag_of_ones_own", "sync_index_cleanup", None])
def test_for_any_other_dag_all_policies_are_named_that_have_it(dag_id: str | None) -> None:
    def act() -> None:
        with refusals_of_dag(dag_id):
            raise scan_denied()

    assert_names(refusal(act), "dynamodb:Scan", "members")


def test_a_dag_of_the_deployment_is_named_by_its_id() -> None:
    def act() -> None:
        with refusals_of_dag("sync_follow"):
            raise AccessDeniedError("DynamoDB", "dynamodb:GetRecords", STREAM, "AccessDeniedException")

    assert "it stands in policy sync_follow of docs/iam.md" in str(refusal(act))


def test_a_task_fails_with_its_own_policy_and_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo_opensearch.operators.failures.current_dag_id", lambda: "members_backfill")
    with pytest.raises(AirflowFailException, match=r"policy members_backfill of docs/iam\.md"), failures_for_airflow():
        raise scan_denied()


def test_it_is_still_known_in_another_process() -> None:
    error = scan_denied()
    error.dag_id = "members_backfill"
    assert "policy members_backfill" in str(pickle.loads(pickle.dumps(error)))


class AskingTrigger(PollingTrigger):
    """Its look is refused."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "x", {}

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        def look() -> dict[str, Any] | None:
            raise scan_denied()

        return look


def test_a_trigger_fails_with_the_policy_of_the_dag_that_waits() -> None:
    trigger = AskingTrigger(poll_s=0.01)
    trigger._task_instance = SimpleNamespace(dag_id="members_backfill")

    async def first() -> Any:
        return await anext(aiter(trigger.run()))

    with pytest.raises(AccessDeniedError, match=r"policy members_backfill of docs/iam\.md"):
        asyncio.run(first())


def test_the_watch_over_a_queue_tells_of_the_replays_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: DeadLettersFillingTrigger) -> None:
        raise AccessDeniedError("SQS", "sqs:GetQueueAttributes", "letters", "AccessDenied")

    monkeypatch.setattr(DeadLettersFillingTrigger, "_asking", refuse)
    told: list[str] = []
    trigger = DeadLettersFillingTrigger("members", "letters", 10)
    monkeypatch.setattr(trigger.log, "warning", lambda text, *values: told.append(text % values))
    assert trigger.make_look()() is None
    assert "policy members_dlq_replay of docs/iam.md" in told[0]


@pytest.mark.parametrize("begin", ["execute", "resume"])
def test_the_follower_which_is_always_tried_again_fails_with_its_policy(
    monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AccessDeniedError("DynamoDB", "dynamodb:GetRecords", STREAM, "AccessDeniedException")

    connect(monkeypatch)
    monkeypatch.setattr(follow, "current_dag_id", lambda: "sync_follow")
    monkeypatch.setattr(follow, "make_follower", refuse)
    operator = FollowStreamOperator(task_id="follow", target="members", planned=["members"])
    event = {} if begin == "execute" else {"event": {"until_us": 0}}
    with pytest.raises(AccessDeniedError, match=r"policy sync_follow of docs/iam\.md"):
        getattr(operator, begin)(context=cast("Context", {}), **event)


def test_a_role_of_a_connection_that_cannot_be_assumed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    role = "arn:aws:iam::123456789012:role/of-the-connection"
    extra = {"region_name": "eu-central-1", "role_arn": role}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_ROLE", json.dumps({"conn_type": "aws", "extra": extra}))

    def refuse(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "refused"}}, "AssumeRole")

    monkeypatch.setattr(DynamoDbTableHook, "get_session", refuse)
    text = str(refusal(lambda: DynamoDbTableHook("aws_role").client("dynamodb")))
    assert f"STS refused sts:AssumeRole on \"the role of connection 'aws_role', {role}\" (AccessDenied)" in text
