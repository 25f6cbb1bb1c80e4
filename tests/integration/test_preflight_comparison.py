"""Two environments side by side: equal ones pass, and each field that can be compared is told when it differs."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_opensearch.core.preflight.checklist import CHECKS, run_check
from dynamo_opensearch.core.preflight.findings import CheckResult
from tests.support import remedies
from tests.support.aws_answers import changed
from tests.support.fault_proxy import fault_proxy
from tests.support.preflight_faults import rewritten
from tests.support.ready_environment import MakeReady, ReadyEnvironment, trusting

Change = Callable[[Any], Any]


def setting(*path: str | int, value: Any) -> Change:
    """Put a value into an answer, at the end of a path."""

    def change(answer: Any) -> None:
        for step in path[:-1]:
            answer = answer.setdefault(step, {}) if isinstance(answer, dict) else answer[step]
        answer[path[-1]] = value

    return change


def table(*path: str | int, value: Any) -> tuple[str, str, Change]:
    return "dynamodb", "DescribeTable", setting("Table", *path, value=value)


def mapping(name: str, value: Any) -> tuple[str, str, Change]:
    return "lambda", "GetEventSourceMapping", setting(name, value=value)


def function(*path: str, value: Any) -> tuple[str, str, Change]:
    return "lambda", "GetFunctionConfiguration", setting(*path, value=value)


def queue(name: str, value: str) -> tuple[str, str, Change]:
    return "sqs", "GetQueueAttributes", setting("Attributes", name, value=value)


def alarm(name: str, value: Any) -> tuple[str, str, Change]:
    return (
        "cloudwatch",
        "DescribeAlarmsForMetric",
        lambda answer: [one.update({name: value}) for one in answer["MetricAlarms"]],
    )


def client(name: str, value: Any) -> tuple[str, str, Change]:
    return "cognito-idp", "DescribeUserPoolClient", setting("UserPoolClient", name, value=value)


def pool(*path: str, value: Any) -> tuple[str, str, Change]:
    return "cognito-idp", "DescribeUserPool", setting("UserPool", *path, value=value)


def endpoint(name: str, value: Any) -> tuple[str, str, Change]:
    return "ec2", "DescribeVpcEndpoints", lambda answer: [one.update({name: value}) for one in answer["VpcEndpoints"]]


def role(name: str, value: Any) -> tuple[str, str, Change]:
    def change(answer: Any) -> None:
        if answer["Role"]["RoleName"].endswith("-indexer"):
            answer["Role"][name] = value

    return "iam", "GetRole", change


INDEX = {"IndexName": "by-email", "KeySchema": [{"AttributeName": "email", "KeyType": "HASH"}]}
TRUST = {"Version": "2012-10-17", "Statement": [trusting("lambda.amazonaws.com"), trusting("ec2.amazonaws.com")]}
SAID: dict[tuple[str, str], tuple[str, str, Change]] = {
    ("table", "key"): table("KeySchema", 0, "AttributeName", value="otherId"),
    ("table", "attributes"): table("AttributeDefinitions", 1, "AttributeType", value="N"),
    ("table", "billing_mode"): table("BillingModeSummary", "BillingMode", value="PROVISIONED"),
    ("table", "ttl.attribute"): (
        "dynamodb",
        "DescribeTimeToLive",
        setting("TimeToLiveDescription", "AttributeName", value="until"),
    ),
    ("table", "point_in_time_recovery"): (
        "dynamodb",
        "DescribeContinuousBackups",
        setting(
            "ContinuousBackupsDescription",
            "PointInTimeRecoveryDescription",
            "PointInTimeRecoveryStatus",
            value="DISABLED",
        ),
    ),
    ("table", "table_class"): table("TableClassSummary", "TableClass", value="STANDARD_INFREQUENT_ACCESS"),
    ("table", "deletion_protection_enabled"): table("DeletionProtectionEnabled", value=True),
    ("table", "server_side_encryption"): table("SSEDescription", "SSEType", value="KMS"),
    ("table", "indexes"): table("LocalSecondaryIndexes", value=[{**INDEX, "IndexName": "by-mail-again"}]),
    ("table", "projections"): table(
        "GlobalSecondaryIndexes", value=[{**INDEX, "Projection": {"ProjectionType": "KEYS_ONLY"}}]
    ),
    ("stream", "stream_enabled"): table("StreamSpecification", value={"StreamEnabled": False}),
    ("stream", "stream_view_type"): table("StreamSpecification", "StreamViewType", value="KEYS_ONLY"),
    ("roles", "indexer: assumed by"): role("AssumeRolePolicyDocument", json.dumps(TRUST)),
    ("roles", "indexer: has a permissions boundary"): role(
        "PermissionsBoundary", {"PermissionsBoundaryArn": "arn:aws:iam::aws:policy/x"}
    ),
    ("vpc_endpoint", "kind"): endpoint("VpcEndpointType", "Gateway"),
    ("vpc_endpoint", "number of subnets"): endpoint("SubnetIds", ["subnet-1", "subnet-2", "subnet-3"]),
    ("cognito", "explicit_auth_flows"): client("ExplicitAuthFlows", ["ALLOW_USER_PASSWORD_AUTH"]),
    ("cognito", "supported_identity_providers"): client("SupportedIdentityProviders", ["Google"]),
    ("cognito", "allowed_oauth_flows"): client("AllowedOAuthFlows", ["implicit"]),
    ("cognito", "allowed_oauth_scopes"): client("AllowedOAuthScopes", ["openid"]),
    ("cognito", "allowed_oauth_flows_user_pool_client"): client("AllowedOAuthFlowsUserPoolClient", True),
    ("cognito", "refresh_token_validity"): client("RefreshTokenValidity", 3),
    ("cognito", "access_token_validity"): client("AccessTokenValidity", 3),
    ("cognito", "id_token_validity"): client("IdTokenValidity", 3),
    ("cognito", "prevent_user_existence_errors"): client("PreventUserExistenceErrors", "ENABLED"),
    ("cognito", "enable_token_revocation"): client("EnableTokenRevocation", False),
    ("cognito", "generate_secret"): (
        "cognito-idp",
        "DescribeUserPoolClient",
        lambda answer: answer["UserPoolClient"].pop("ClientSecret"),
    ),
    ("cognito", "pool.mfa_configuration"): pool("MfaConfiguration", value="ON"),
    ("cognito", "pool.password_policy"): pool("Policies", "PasswordPolicy", "MinimumLength", value=20),
    ("dead_letters", "encryption"): queue("KmsMasterKeyId", "alias/aws/sqs"),
    ("dead_letters", "message_retention_seconds"): queue("MessageRetentionPeriod", "400000"),
    ("dead_letters", "visibility_timeout_seconds"): queue("VisibilityTimeout", "60"),
    ("dead_letters", "max_message_size"): queue("MaximumMessageSize", "1024"),
    ("dead_letters", "receive_wait_time_seconds"): queue("ReceiveMessageWaitTimeSeconds", "20"),
    ("dead_letter_alarm", "statistic"): alarm("Statistic", "Sum"),
    ("dead_letter_alarm", "threshold"): alarm("Threshold", 5.0),
    ("dead_letter_alarm", "comparison_operator"): alarm("ComparisonOperator", "GreaterThanOrEqualToThreshold"),
    ("dead_letter_alarm", "period"): alarm("Period", 300),
    ("dead_letter_alarm", "evaluation_periods"): alarm("EvaluationPeriods", 3),
    ("dead_letter_alarm", "treat_missing_data"): alarm("TreatMissingData", "breaching"),
    ("dead_letter_alarm", "actions_enabled"): alarm("ActionsEnabled", False),
    ("event_source_mapping", "batch_size"): mapping("BatchSize", 1_000),
    ("event_source_mapping", "maximum_batching_window_in_seconds"): mapping("MaximumBatchingWindowInSeconds", 5),
    ("event_source_mapping", "bisect_batch_on_function_error"): mapping("BisectBatchOnFunctionError", False),
    ("event_source_mapping", "maximum_retry_attempts"): mapping("MaximumRetryAttempts", 3),
    ("event_source_mapping", "maximum_record_age_in_seconds"): mapping("MaximumRecordAgeInSeconds", 60),
    ("event_source_mapping", "parallelization_factor"): mapping("ParallelizationFactor", 4),
    ("event_source_mapping", "function_response_types"): mapping("FunctionResponseTypes", []),
    ("event_source_mapping", "filter_criteria"): mapping("FilterCriteria", {"Filters": [{"Pattern": "{}"}]}),
    ("indexer_function", "runtime"): function("Runtime", value="python3.12"),
    ("indexer_function", "handler"): function("Handler", value="other.handler"),
    ("indexer_function", "architectures"): function("Architectures", value=["arm64"]),
    ("indexer_function", "memory_size"): function("MemorySize", value=1_024),
    ("indexer_function", "timeout"): function("Timeout", value=90),
    ("indexer_function", "environment"): function("Environment", "Variables", value={"SECRET": "hunter2"}),
    ("indexer_function", "is_in_vpc"): function("VpcConfig", "VpcId", value="vpc-1"),
}
"""How an answer of the other environment is changed so that this field differs."""

OF_OPENSEARCH: dict[tuple[str, str], Change] = {
    ("index_mapping", "mapping properties.points.type"): lambda env: env.mappings["properties"]["points"].update(
        type="long"
    ),
    ("index_mapping", "mapping dynamic"): lambda env: env.mappings.update(dynamic="false"),
    ("index_mapping", "mapping properties.tier.type"): lambda env: env.mappings["properties"].update(
        tier={"type": "keyword"}
    ),
    ("index_mapping", "setting index.number_of_shards"): lambda env: env.mapping_settings.update(
        {"index.number_of_shards": 2}
    ),
    ("index_mapping", "setting index.refresh_interval"): lambda env: env.mapping_settings.update(
        {"index.refresh_interval": "5s"}
    ),
    ("index_mapping", "setting index.analysis.analyzer.folded.filter"): lambda env: env.mapping_settings.update(
        {"index.analysis.analyzer.folded.filter": ["lowercase"]}
    ),
}
"""How the other environment is made so that this field differs; its own mapping file says the same."""

OF_THE_FILE = {("roles", f"{name}: needed actions") for name in ("indexer", "airflow")}
LIKE_THE_INDEXERS = {("roles", "airflow: assumed by"), ("roles", "airflow: has a permissions boundary")}


@pytest.fixture(scope="module")
def shared(ministack_server: Any, quiet_opensearch: Any) -> Iterator[tuple[ReadyEnvironment, ReadyEnvironment]]:
    """Two environments that stay as they are; only answers are changed."""
    made = [
        ReadyEnvironment(ministack_server.url, quiet_opensearch.url, name=name).build()
        for name in ("production", "staging")
    ]
    yield made[0], made[1]
    for one in made:
        one.close()


def compared(check: str, here: ReadyEnvironment, there: ReadyEnvironment) -> CheckResult:
    with here.side() as side, there.side() as other:
        return run_check(check, side, other)


def test_two_environments_that_are_alike_pass_every_check(shared: tuple[ReadyEnvironment, ReadyEnvironment]) -> None:
    for check in CHECKS:
        found = compared(check, *shared)
        assert found.state == "passed", str(found)


def test_every_field_that_is_compared_differs_in_a_test_here(shared: tuple[ReadyEnvironment, ReadyEnvironment]) -> None:
    with shared[0].side() as side:
        fields = {(name, field) for name, check in CHECKS.items() for field in check.look(side).fields}
    mapped = {one for one in fields if one[0] == "index_mapping"}
    told = {
        *SAID,
        *OF_OPENSEARCH,
        *OF_THE_FILE,
        *LIKE_THE_INDEXERS,
        ("cluster", "version"),
        ("auto_create_index", "action.auto_create_index"),
    }
    assert fields - mapped <= told
    assert {one for one in told if one[0] != "index_mapping"} <= fields


@pytest.mark.parametrize(("check", "field"), SAID, ids=lambda value: value)
def test_a_field_that_differs_is_told_with_both_values(
    shared: tuple[ReadyEnvironment, ReadyEnvironment], check: str, field: str
) -> None:
    here, there = shared
    service, operation, change = SAID[check, field]
    with changed(there.asked(service), operation, change):
        found = compared(check, here, there)
    told = {one.what.removesuffix(", beside staging"): one for one in found.findings}
    allowed = {"stream_view_type"} if field == "stream_enabled" else {"projections"} if field == "indexes" else set()
    assert set(told) - allowed == {field}, str(found)
    finding = told[field]
    assert finding.expected.endswith(", as in staging")
    assert finding.found != finding.expected.removesuffix(", as in staging")
    assert field.split(".")[-1] in finding.remedy
    assert "hunter2" not in str(found), "only the names of a function's variables are looked at"


@pytest.mark.parametrize(("check", "field"), OF_OPENSEARCH, ids=lambda value: value)
def test_a_mapping_or_setting_that_differs_is_told_though_both_are_as_their_files_say(
    make_ready: MakeReady, check: str, field: str
) -> None:
    here, there = make_ready(), make_ready(name="staging")
    OF_OPENSEARCH[check, field](there)
    there.make_index()
    found = compared(check, here, there)
    assert [one.what for one in found.findings] == [f"{field}, beside staging"], str(found)
    assert "include/mappings/members.json" in found.findings[0].remedy


def test_a_cluster_of_another_version_is_told(shared: tuple[ReadyEnvironment, ReadyEnvironment]) -> None:
    here, there = shared

    def older(nodes: Any) -> None:
        for node in nodes["nodes"].values():
            node["version"] = "2.19.1"

    with fault_proxy(there.search_url) as proxy:
        proxy.on(lambda exchange: exchange.path.split("?")[0] == "/_nodes", rewritten(older), times=10)
        there.opensearch_url = proxy.url
        try:
            (finding,) = compared("cluster", here, there).findings
        finally:
            there.opensearch_url = there.search_url
    assert finding.expected == "2.19.1, as in staging"
    assert "--target-version OpenSearch_2.19" in finding.remedy


def test_a_cluster_that_creates_other_indices_is_told(shared: tuple[ReadyEnvironment, ReadyEnvironment]) -> None:
    here, there = shared
    with fault_proxy(there.search_url) as proxy:
        change = setting("persistent", "action", "auto_create_index", value="false")
        proxy.on(lambda exchange: exchange.path.startswith("/_cluster/settings"), rewritten(change), times=10)
        there.opensearch_url = proxy.url
        try:
            (finding,) = compared("auto_create_index", here, there).findings
        finally:
            there.opensearch_url = there.search_url
    assert finding.what == "action.auto_create_index, beside staging"
    remedies.check_line(finding.remedy)


def test_a_role_that_needs_other_actions_is_told(make_ready: MakeReady) -> None:
    here, there = make_ready(), make_ready(name="staging")
    there.settings["roles"]["airflow"]["actions"].remove("dynamodb:Scan")
    (finding,) = compared("roles", here, there).findings
    assert finding.what == "airflow: needed actions, beside staging"


def test_what_the_other_environment_lacks_is_said_once(make_ready: MakeReady) -> None:
    here, there = make_ready(), make_ready(name="staging")
    there.make("sqs").delete_queue(QueueUrl=there.queue_url)
    (finding,) = compared("dead_letters", here, there).findings
    assert finding.what == f"comparison with staging: queue {there.queue}"


def test_an_environment_that_names_nothing_is_asked_for_nothing_more(make_ready: MakeReady) -> None:
    environment = make_ready()
    environment.settings = {}
    states = {name: one.state for name, one in environment.results().items()}
    asked_always = {
        "reachability",
        "cluster",
        "free_disk",
        "auto_create_index",
        "index_mapping",
        "table",
        "stream",
    }
    assert {name for name, state in states.items() if state == "passed"} == asked_always
    assert {state for name, state in states.items() if name not in asked_always} == {"not asked for"}
