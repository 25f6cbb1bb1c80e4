"""The indexer and its dead letters where a target file says less, and the lines that have to do without."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.preflight.checklist import run_check
from dynamo_opensearch.core.preflight.findings import CheckResult, Finding
from dynamo_opensearch.core.preflight.side import Side
from tests.support import remedies
from tests.support.scripted_control_plane import scripted_side

UUID = "9e471faa-d716-4725-925a-03fb5b2057ef"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:indexer"
MAPPING: dict[str, Any] = {
    "State": "Enabled",
    "FunctionArn": FUNCTION,
    "BatchSize": 100,
    "BisectBatchOnFunctionError": True,
    "MaximumRetryAttempts": 10,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:eu-central-1:123456789012:dlq"}},
}
ALARM: dict[str, Any] = {
    "AlarmName": "depth",
    "Dimensions": [{"Name": "QueueName", "Value": "dlq"}],
    "ActionsEnabled": True,
    "AlarmActions": ["arn:aws:sns:eu-central-1:123456789012:on-call"],
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 0.0,
    "EvaluationPeriods": 1,
}
TOPIC = "<ARN of the topic that wakes somebody>"


def check_mapping(
    settings: dict[str, Any] | None = None, answers: dict[str, Any] | None = None, **changes: Any
) -> CheckResult:
    indexer = {"indexer": {"function": "indexer", "event_source_mapping": UUID, **(settings or {})}}
    given = {"lambda.get_event_source_mapping": {**MAPPING, **changes}, **(answers or {})}
    return run_check("event_source_mapping", scripted_side(given, {**indexer, "dead_letters": {"queue": "dlq"}}))


@pytest.mark.parametrize(
    ("called", "alias", "passes"),
    [
        (FUNCTION, None, True),
        (f"{FUNCTION}:live", "live", True),
        (FUNCTION, "live", False),
        (f"{FUNCTION}:live", None, False),
        (f"{FUNCTION}:old", "live", False),
        (f"{FUNCTION}-of-staging", None, False),
    ],
)
def test_the_function_that_is_called_is_the_one_of_the_file_with_its_alias(
    called: str, alias: str | None, passes: bool
) -> None:
    found = check_mapping({"alias": alias}, FunctionArn=called)
    assert (found.state == "passed") is passes, str(found)
    for one in found.findings:
        assert f"--function-name indexer{f':{alias}' if alias else ''} " in one.remedy


def test_a_mapping_on_the_streams_successor_keeps_where_failures_go() -> None:
    stream = "arn:aws:dynamodb:eu-central-1:123456789012:table/members/stream/2026-01-01T00:00:00.000"
    table = {"Table": {"StreamSpecification": {"StreamEnabled": True}, "LatestStreamArn": stream}}
    found = check_mapping(answers={"dynamodb.describe_table": table}, EventSourceArn=f"{stream}-former")
    (finding,) = found.findings
    assert f"--event-source-arn {stream} " in finding.remedy
    assert "arn:aws:sqs:eu-central-1:123456789012:dlq" in finding.remedy
    for line in remedies.commands(finding.remedy):
        remedies.check_line(line)
    off = {"Table": {"StreamSpecification": {"StreamEnabled": False}, "LatestStreamArn": stream}}
    assert check_mapping(answers={"dynamodb.describe_table": off}, EventSourceArn=f"{stream}-former").state == "passed"


def test_a_function_may_be_named_by_its_arn() -> None:
    assert check_mapping({"function": FUNCTION}).state == "passed"


@pytest.mark.parametrize(
    ("letters", "destination"),
    [
        ({"queue": "dlq"}, "arn:aws:sqs:eu-central-1:123456789012:dlq"),
        (
            {"queue": "https://sqs.eu-central-1.amazonaws.com/123456789012/dlq"},
            "arn:aws:sqs:eu-central-1:123456789012:dlq",
        ),
        ({"queue": "dlq", "destination": "arn:aws:s3:::failures"}, "arn:aws:s3:::failures"),
        (None, "<ARN of a queue>"),
    ],
)
def test_a_destination_that_is_missing_is_made_of_what_the_file_says(
    letters: dict[str, Any] | None, destination: str
) -> None:
    settings: dict[str, Any] = {"indexer": {"function": "indexer", "event_source_mapping": UUID}}
    if letters is not None:
        settings["dead_letters"] = letters
    mapping = {**MAPPING, "DestinationConfig": {}}
    result = run_check("event_source_mapping", scripted_side({"lambda.get_event_source_mapping": mapping}, settings))
    (finding,) = result.findings
    assert f'"Destination":"{destination}"' in finding.remedy
    remedies.check_line(finding.remedy)


def test_failures_may_go_to_a_bucket_where_the_file_says_so() -> None:
    answers = {
        "sqs.get_queue_url": {"QueueUrl": "https://q/dlq"},
        "sqs.get_queue_attributes": {
            "Attributes": {
                "QueueArn": "arn:aws:sqs:eu-central-1:123456789012:dlq",
                "MessageRetentionPeriod": "345600",
                "KmsMasterKeyId": "alias/aws/sqs",
            }
        },
        "lambda.get_event_source_mapping": {
            **MAPPING,
            "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failures"}},
        },
    }
    indexer = {"indexer": {"function": "indexer", "event_source_mapping": UUID}}
    for letters, state in (({}, "failed"), ({"destination": "arn:aws:s3:::failures"}, "passed")):
        side = scripted_side(answers, {**indexer, "dead_letters": {"queue": "dlq", **letters}})
        assert run_check("dead_letters", side).state == state


@pytest.mark.parametrize("queue", ["dlq", "https://sqs.eu-central-1.amazonaws.com/123456789012/dlq"])
def test_a_queue_is_looked_up_by_its_name_only(queue: str) -> None:
    side = scripted_side(settings={"dead_letters": {"queue": queue}})
    assert run_check("dead_letters", side).findings[0].what == "queue dlq"
    assert ("sqs.get_queue_url" in side.aws.asked) is (queue == "dlq")  # type: ignore[attr-defined]


def test_a_key_that_is_gone_is_taken_off_the_queue() -> None:
    attributes = {"QueueArn": "arn:aws:sqs:eu-central-1:1:dlq", "MessageRetentionPeriod": "345600"}
    answers = {
        "sqs.get_queue_url": {"QueueUrl": "https://q/dlq"},
        "sqs.get_queue_attributes": {"Attributes": {**attributes, "KmsMasterKeyId": "arn:aws:kms:r:1:key/a"}},
    }
    for described, found, line in (
        ({}, "not there", "set-queue-attributes"),
        (
            {"kms.describe_key": {"KeyMetadata": {"KeyState": "PendingDeletion"}}},
            "PendingDeletion",
            "set-queue-attributes",
        ),
        ({"kms.describe_key": {"KeyMetadata": {"KeyState": "Disabled"}}}, "Disabled", "enable-key"),
    ):
        side = scripted_side({**answers, **described}, {"dead_letters": {"queue": "dlq"}})
        (finding,) = run_check("dead_letters", side).findings
        assert finding.found == found
        assert line in finding.remedy
        remedies.check_line(finding.remedy)


def check_alarm(*alarms: dict[str, Any]) -> CheckResult:
    answers = {"cloudwatch.describe_alarms_for_metric": {"MetricAlarms": list(alarms)}}
    return run_check("dead_letter_alarm", scripted_side(answers, {"dead_letters": {"queue": "dlq"}}))


def test_any_action_will_do_where_the_file_names_none() -> None:
    assert check_alarm(ALARM).state == "passed"
    for alarms in ([], [{**ALARM, "AlarmActions": []}]):
        (finding,) = check_alarm(*alarms).findings
        assert TOPIC in finding.remedy
        remedies.check_line(finding.remedy)


def test_an_alarm_that_is_put_anew_keeps_what_it_has() -> None:
    (finding,) = check_alarm({**ALARM, "ComparisonOperator": "LessThanThreshold", "Period": 300}).findings
    for part in (*ALARM["AlarmActions"], '"Period":300', '"ComparisonOperator":"GreaterThanThreshold"'):
        assert part in finding.remedy
    assert TOPIC not in finding.remedy


def test_an_alarm_of_another_queue_is_none() -> None:
    other = {**ALARM, "Dimensions": [{"Name": "QueueName", "Value": "other"}]}
    assert check_alarm(other).findings[0].found == "nothing"


def check_function(settings: dict[str, Any] | None = None, **answers: Any) -> CheckResult:
    given = {
        "lambda.get_function_configuration": {"State": "Active", "LastUpdateStatus": "Successful"},
        "cloudwatch.get_metric_statistics": {"Datapoints": []},
        **{name.replace("__", "."): answer for name, answer in answers.items()},
    }
    return run_check("indexer_function", scripted_side(given, {"indexer": {"function": "indexer", **(settings or {})}}))


def test_a_function_that_nobody_calls_is_behind_nothing() -> None:
    found = check_function()
    assert (found.state, "no batch in the last 15 minutes" in found.seen) == ("passed", True)


def test_the_age_is_asked_for_the_function_or_for_its_alias() -> None:
    asked: list[Any] = []

    def noting(**arguments: Any) -> dict[str, Any]:
        asked.append({one["Name"]: one["Value"] for one in arguments["Dimensions"]})
        return {"Datapoints": []}

    check_function(cloudwatch__get_metric_statistics=noting)
    check_function({"alias": "live"}, cloudwatch__get_metric_statistics=noting)
    assert asked == [{"FunctionName": "indexer"}, {"FunctionName": "indexer", "Resource": "indexer:live"}]


def test_a_function_that_is_missing_is_made_with_the_role_of_the_file() -> None:
    role = "arn:aws:iam::123456789012:role/indexer"
    for roles, expected in (
        ({"indexer": {"arn": role, "assumed_by": ["lambda.amazonaws.com"]}}, role),
        ({"api": {"arn": role, "assumed_by": ["ecs-tasks.amazonaws.com"]}}, "'<ARN of its role>'"),
    ):
        side = scripted_side(settings={"indexer": {"function": "indexer"}, "roles": roles})
        (finding,) = run_check("indexer_function", side).findings
        assert f"--role {expected} " in finding.remedy
        for line in remedies.commands(finding.remedy):
            remedies.check_line(line)


Described = dict[str, Any]


def function_of(function: Described, alias: Described | None = None) -> Any:
    """Lambda's answer for the function, and for its alias; None where there is no alias."""

    def answer(**asked: Any) -> Described:
        if "Qualifier" not in asked:
            return function
        if alias is None:
            raise ResourceMissingError("lambda", "GetFunctionConfiguration", f"indexer:{asked['Qualifier']}")
        return alias

    return answer


WELL: Described = {"State": "Active", "LastUpdateStatus": "Successful"}


def finding_of(result: CheckResult) -> Finding:
    (finding,) = result.findings
    for line in remedies.commands(finding.remedy):
        remedies.check_line(line)
    return finding


def test_an_alias_that_is_missing_is_made_on_a_version_of_its_own() -> None:
    finding = finding_of(check_function({"alias": "live"}, lambda__get_function_configuration=function_of(WELL)))
    assert (finding.what, finding.found) == ("alias live of indexer", "nothing")
    assert "aws lambda create-alias --function-name indexer --name live" in finding.remedy
    assert "publish-version" in finding.remedy


@pytest.mark.parametrize(
    ("answer", "found", "remedy"),
    [
        ({"LastUpdateStatus": "InProgress"}, "InProgress", "aws lambda wait function-updated-v2"),
        (
            {"LastUpdateStatus": "Failed", "LastUpdateStatusReasonCode": "ImageDeleted"},
            "Failed (ImageDeleted)",
            "make indexer-zip && aws lambda update-function-code",
        ),
        ({"LastUpdateStatus": "Failed"}, "Failed", "aws lambda update-function-code"),
    ],
)
def test_an_update_that_has_not_succeeded_is_told_of_the_function_and_not_of_its_alias(
    answer: Described, found: str, remedy: str
) -> None:
    bad = {"State": "Active", **answer}
    finding = finding_of(check_function({"alias": "live"}, lambda__get_function_configuration=function_of(bad, WELL)))
    assert (finding.what, finding.found) == ("last update", found)
    assert remedy in finding.remedy
    assert (
        check_function({"alias": "live"}, lambda__get_function_configuration=function_of(WELL, bad)).state == "passed"
    )


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"State": "Pending", "StateReasonCode": "Creating"}, "Pending (Creating)"),
        ({"State": "Inactive"}, "Inactive"),
        ({"State": "Failed", "StateReasonCode": "VPCNotFound"}, "Failed (VPCNotFound)"),
    ],
)
def test_the_state_is_that_of_what_is_invoked(answer: Described, found: str) -> None:
    bad = {"LastUpdateStatus": "Successful", **answer}
    of_alias = check_function({"alias": "live"}, lambda__get_function_configuration=function_of(WELL, bad))
    finding = finding_of(of_alias)
    assert (finding.what, finding.found) == ("state", found)
    assert " --qualifier live" in finding.remedy
    assert (
        check_function({"alias": "live"}, lambda__get_function_configuration=function_of(bad, WELL)).state == "passed"
    )
    alone = finding_of(check_function(lambda__get_function_configuration=function_of(bad)))
    assert (alone.found, "--qualifier" in alone.remedy) == (found, False)


def test_what_lambda_does_not_say_is_well() -> None:
    assert check_function(lambda__get_function_configuration=function_of({})).state == "passed"


def measured(*ages_ms: float) -> Described:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return {"Datapoints": [{"Timestamp": moment, "Maximum": age} for age in ages_ms]}


@pytest.mark.parametrize(
    ("ages_ms", "limit_s", "found"),
    [
        ((10_000, 400_000, 20_000), None, "400 s, the highest of the last 15 minutes"),
        ((10_000, 300_000), None, None),
        ((10_000, 300_001), None, "300 s, the highest of the last 15 minutes"),
        ((61_000,), 60, "61 s, the highest of the last 15 minutes"),
        ((400_000,), 600, None),
    ],
)
def test_the_highest_age_is_held_against_what_the_target_file_puts_up_with(
    ages_ms: tuple[float, ...], limit_s: float | None, found: str | None
) -> None:
    settings = {} if limit_s is None else {"iterator_age_s": limit_s}
    result = check_function(settings, cloudwatch__get_metric_statistics=measured(*ages_ms))
    if found is None:
        assert result.state == "passed"
        assert f"{max(ages_ms) / 1e3:.0f} s behind the stream" in result.seen
        return
    finding = finding_of(result)
    assert (finding.what, finding.found) == ("iterator age", found)
    assert finding.expected == f"at most {limit_s or 300:.0f} s"
    assert "aws logs tail /aws/lambda/indexer --since 30m" in finding.remedy


def compared(here: Described, there: Described) -> dict[str, tuple[str, str]]:
    """What differs between two functions: found and expected, by field."""

    def of(answer: Described) -> Side:
        answers = {
            "lambda.get_function_configuration": {**WELL, **answer},
            "cloudwatch.get_metric_statistics": {"Datapoints": []},
        }
        return scripted_side(answers, {"indexer": {"function": "indexer"}})

    findings = run_check("indexer_function", of(here), of(there)).findings
    return {one.what.removesuffix(", beside production"): (one.found, one.expected) for one in findings}


def test_of_two_functions_the_names_of_variables_are_compared_and_no_value_is_told() -> None:
    here = {"Environment": {"Variables": {"B": "hunter2", "A": "x"}}}
    assert compared(here, {"Environment": {"Variables": {"A": "hunter3", "B": "y"}}}) == {}
    told = compared(here, {"Environment": None})
    assert told == {"environment": ('["A","B"]', "[], as in production")}
    assert compared({"Environment": {"Variables": None}}, {}) == {}


def test_what_lambda_leaves_out_is_what_it_means_by_that() -> None:
    assert compared({"Architectures": ["x86_64"], "VpcConfig": None}, {}) == {}
    assert compared({"VpcConfig": {"VpcId": "", "SubnetIds": []}}, {}) == {}
    assert compared({"Architectures": ["arm64", "x86_64"]}, {"Architectures": ["x86_64", "arm64"]}) == {}
    assert compared({"VpcConfig": {"VpcId": "vpc-1"}, "Architectures": ["arm64"]}, {}) == {
        "is_in_vpc": ("true", "false, as in production"),
        "architectures": ('["arm64"]', '["x86_64"], as in production'),
    }
