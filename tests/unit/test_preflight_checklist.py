"""What a check comes to when it cannot look: refused, not asked for, blocked by another, or to be tried again."""

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError, OpenSearchRequestError
from dynamo_opensearch.core.preflight.checklist import CHECKS, run_check
from dynamo_opensearch.core.preflight.identity import acting_as
from dynamo_opensearch.core.preflight.refusals import refused_finding
from tests.support import remedies
from tests.support.fake_cluster import FakeCluster
from tests.support.scripted_control_plane import ROLE, ScriptedControlPlane, scripted_side

QUEUE = {"dead_letters": {"queue": "members-dlq"}}
TABLE = {
    "Table": {
        "TableStatus": "ACTIVE",
        "KeySchema": [{"AttributeName": "memberId", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }
}


def denied(action: str, resource: str) -> AccessDeniedError:
    return AccessDeniedError(action.partition(":")[0], action, resource, "AccessDeniedException")


def busy(service: str = "dynamodb") -> ServiceUnavailableError:
    return ServiceUnavailableError(service, "DescribeTable on members", 3, 30.0, "ThrottlingException")


def silent_cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.steps = 1_000 * [raising(ConnectionLostError("NewConnectionError"))]
    return cluster


def raising(error: Exception) -> Any:
    def step(*_: Any) -> Any:
        raise error

    return step


@pytest.mark.parametrize(
    "check", ["roles", "vpc_endpoint", "cognito", "dead_letters", "dead_letter_alarm", "event_source_mapping"]
)
def test_what_the_target_file_does_not_name_is_not_asked_for(check: str) -> None:
    side = scripted_side()
    result = run_check(check, side)
    assert result.state == "not asked for"
    assert "environments.production." in result.seen
    assert side.aws.asked == []  # type: ignore[attr-defined]


def test_a_mapping_that_is_not_named_is_not_asked_for() -> None:
    result = run_check("event_source_mapping", scripted_side(settings={"indexer": {"function": "indexer"}}))
    assert (result.state, "event_source_mapping is not in the target file" in result.seen) == ("not asked for", True)


def test_a_check_of_a_stream_without_a_table_is_blocked_by_the_tables() -> None:
    result = run_check("stream", scripted_side())
    assert (result.state, "see table" in result.seen) == ("blocked", True)


@pytest.mark.parametrize("check", ["cluster", "free_disk", "auto_create_index", "index_mapping"])
def test_a_silent_cluster_blocks_what_asks_it_and_fails_reachability_alone(check: str) -> None:
    side = scripted_side(cluster=silent_cluster())
    assert run_check("reachability", side).state == "failed"
    result = run_check(check, side)
    assert (result.state, "see reachability" in result.seen) == ("blocked", True)


def test_a_service_of_aws_that_is_busy_is_asked_again_later() -> None:
    with pytest.raises(ServiceUnavailableError):
        run_check("table", scripted_side({"dynamodb.describe_table": busy()}))


@pytest.mark.parametrize(
    ("action", "resource", "arn"),
    [
        ("dynamodb:DescribeTable", "members", "arn:aws:dynamodb:eu-central-1:000000000000:table/members"),
        ("sqs:GetQueueUrl", "members-dlq", "arn:aws:sqs:eu-central-1:000000000000:members-dlq"),
        (
            "sqs:GetQueueAttributes",
            "https://sqs.eu-central-1.amazonaws.com/000000000000/members-dlq",
            "arn:aws:sqs:eu-central-1:000000000000:members-dlq",
        ),
        (
            "lambda:GetFunctionConfiguration",
            "indexer:live",
            "arn:aws:lambda:eu-central-1:000000000000:function:indexer:live",
        ),
        (
            "lambda:GetEventSourceMapping",
            "9e471faa",
            "arn:aws:lambda:eu-central-1:000000000000:event-source-mapping:9e471faa",
        ),
        (
            "cognito-idp:DescribeUserPool",
            "eu-central-1_x",
            "arn:aws:cognito-idp:eu-central-1:000000000000:userpool/eu-central-1_x",
        ),
        ("iam:GetRole", "arn:aws:iam::000000000000:role/indexer", "arn:aws:iam::000000000000:role/indexer"),
        ("kms:DescribeKey", "alias/dlq", "arn:aws:kms:eu-central-1:000000000000:key/*"),
        ("es:DescribeDomain", "search", "arn:aws:es:eu-central-1:000000000000:domain/search"),
        ("ec2:DescribeVpcEndpoints", "vpce-1", "*"),
        ("cloudwatch:DescribeAlarmsForMetric", "members-dlq", "*"),
    ],
)
def test_a_refusal_names_the_action_and_has_the_line_that_allows_it_on_the_right_resource(
    action: str, resource: str, arn: str
) -> None:
    finding = refused_finding(scripted_side(), denied(action, resource))
    assert action in finding.what
    assert ROLE in finding.found
    remedies.check_line(finding.remedy)
    words = shlex.split(finding.remedy)
    assert words[:3] == ["aws", "iam", "put-role-policy"]
    assert words[words.index("--role-name") + 1] == "airflow-worker"
    (statement,) = json.loads(words[words.index("--policy-document") + 1])["Statement"]
    assert statement == {"Effect": "Allow", "Action": action, "Resource": arn}


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        ("arn:aws:iam::000000000000:user/ops/ada", "put-user-policy --user-name ada"),
        ("arn:aws:iam::000000000000:root", "put-role-policy --role-name '<role of the caller>'"),
    ],
)
def test_a_caller_that_is_no_role_is_named_as_what_it_is(caller: str, expected: str) -> None:
    side = scripted_side({"sts.get_caller_identity": {"Arn": caller, "Account": "000000000000"}})
    assert expected in refused_finding(side, denied("iam:GetRole", "role")).remedy


def test_a_caller_that_sts_does_not_tell_is_left_open() -> None:
    side = scripted_side({"sts.get_caller_identity": denied("sts:GetCallerIdentity", "the caller")})
    finding = refused_finding(side, denied("sqs:GetQueueUrl", "members-dlq"))
    assert "the caller" in finding.found
    assert '"Resource":"*"' in finding.remedy


def test_a_refusal_is_the_finding_of_its_check_and_nothing_is_tried_again() -> None:
    side = scripted_side({"sqs.get_queue_url": denied("sqs:GetQueueUrl", "members-dlq")}, QUEUE)
    result = run_check("dead_letters", side)
    assert result.state == "failed"
    assert "sqs:GetQueueUrl on members-dlq" in result.findings[0].what


def test_what_is_refused_beside_other_findings_hides_none_of_them() -> None:
    attributes = {"QueueArn": "arn:aws:sqs:eu-central-1:0:members-dlq", "MessageRetentionPeriod": "60"}
    answers = {
        "sqs.get_queue_url": {"QueueUrl": "https://q"},
        "sqs.get_queue_attributes": {"Attributes": {**attributes, "KmsMasterKeyId": "key"}},
        "kms.describe_key": denied("kms:DescribeKey", "key"),
        "lambda.get_event_source_mapping": denied("lambda:GetEventSourceMapping", "uuid"),
    }
    settings = {**QUEUE, "indexer": {"function": "f", "event_source_mapping": "uuid"}}
    found = [one.what for one in run_check("dead_letters", scripted_side(answers, settings)).findings]
    assert found == ["kms:DescribeKey on key", "retention", "lambda:GetEventSourceMapping on uuid"]


def test_opensearch_refusing_a_request_names_it_and_the_right() -> None:
    cluster = FakeCluster()
    cluster.routes["/_cluster/health"] = AccessDeniedError("OpenSearch", "GET", "/_cluster/health", "403")
    side = scripted_side(cluster=cluster, is_signed=True)
    (finding,) = run_check("cluster", side).findings
    assert finding.what == "GET /_cluster/health"
    assert "es:ESHttpGet" in finding.remedy
    (finding,) = run_check("cluster", replace(side, is_signed=False)).findings
    assert "security plugin" in finding.remedy


def test_an_unexpected_refusal_is_a_finding_with_the_errors_own_advice() -> None:
    cluster = FakeCluster()
    cluster.routes["/_cluster/health"] = OpenSearchRequestError(
        400, "GET /_cluster/health", "illegal", "quotes a value"
    )
    (finding,) = run_check("cluster", scripted_side(cluster=cluster)).findings
    assert finding.what == "OpenSearchRequestError"
    assert "quotes a value" not in str(finding)


@pytest.mark.parametrize(
    ("error", "found", "remedy"),
    [
        (AccessDeniedError("OpenSearch", "GET", "/", "403"), "refused with 403", "describe-domain-config"),
        (OpenSearchRequestError(404, "GET /", "not_found", ""), "status 404", "host and port"),
    ],
)
def test_whatever_the_domain_answers_is_reachabilitys_to_say(error: Exception, found: str, remedy: str) -> None:
    cluster = FakeCluster()
    cluster.routes["/"] = error
    domain = "arn:aws:es:eu-central-1:000000000000:domain/search"
    side = scripted_side(settings={"opensearch": {"domain": domain}}, cluster=cluster, is_signed=True)
    (finding,) = run_check("reachability", side).findings
    assert found in finding.found
    assert remedy in finding.remedy


# Beside another environment


def other_side(answers: dict[str, Any], **changes: Any) -> Any:
    return replace(scripted_side(answers), name="staging", **changes)


def test_an_environment_that_does_not_name_it_is_nothing_to_compare_with() -> None:
    side = scripted_side({"dynamodb.describe_table": TABLE}, {"indexer": {"function": "f"}})
    result = run_check("indexer_function", side, other_side({}))
    assert "of staging" in result.seen or result.state == "failed"
    answers = {
        "cloudwatch.describe_alarms_for_metric": {"MetricAlarms": [alarm()]},
    }
    result = run_check("dead_letter_alarm", scripted_side(answers, QUEUE), other_side({}))
    assert result.state == "passed"
    assert "of staging: environments.staging.dead_letters is not in the target file" in result.seen


def alarm(**changes: Any) -> dict[str, Any]:
    return {
        "AlarmName": "depth",
        "Dimensions": [{"Name": "QueueName", "Value": "members-dlq"}],
        "ActionsEnabled": True,
        "AlarmActions": ["arn:aws:sns:eu-central-1:000000000000:on-call"],
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 0.0,
        **changes,
    }


def test_an_environment_that_may_not_be_asked_is_said_by_its_name() -> None:
    side = scripted_side({"dynamodb.describe_table": TABLE})
    refusing = other_side({"dynamodb.describe_table": denied("dynamodb:DescribeTable", "members")})
    (finding,) = run_check("stream", side, refusing).findings
    assert finding.what == "dynamodb:DescribeTable on members in staging"


def test_an_environment_without_the_table_blocks_the_comparison_of_its_stream() -> None:
    side = scripted_side({"dynamodb.describe_table": TABLE})
    result = run_check("stream", side, other_side({}))
    assert (result.state, "of staging" in result.seen) == ("blocked", True)


def test_of_several_alarms_one_that_is_right_is_enough() -> None:
    alarms = [alarm(AlarmName="off", ActionsEnabled=False), alarm(AlarmName="right")]
    side = scripted_side({"cloudwatch.describe_alarms_for_metric": {"MetricAlarms": alarms}}, QUEUE)
    result = run_check("dead_letter_alarm", side)
    assert (result.state, "right" in result.seen) == ("passed", True)


def test_whom_a_run_acts_as_is_told_without_a_credential() -> None:
    told = str(acting_as(scripted_side()))
    for part in ("000000000000", ROLE, "eu-central-1", "https://search.example.com", "production"):
        assert part in told


def test_every_check_has_a_name_that_can_be_a_task_and_a_section() -> None:
    assert list(CHECKS) == [check.name for check in CHECKS.values()]
    assert all(name.isidentifier() and check.title for name, check in CHECKS.items())
    assert isinstance(scripted_side().aws, ScriptedControlPlane)
