"""Roles: where each action is needed, how the simulator is asked, and what of its answers needs the documents."""

from typing import Any

import pytest

from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.preflight.checklist import CHECKS, run_check
from dynamo_opensearch.core.preflight.findings import CheckResult
from dynamo_opensearch.core.preflight.policies.writing import policy_name
from dynamo_opensearch.core.preflight.scopes import scopes_of
from dynamo_opensearch.core.targets.arns import Place
from dynamo_opensearch.core.targets.environment import RoleSettings
from tests.support.scripted_control_plane import ScriptedControlPlane, scripted_side

ROLE = "arn:aws:iam::123456789012:role/team/indexer"
DOMAIN = "arn:aws:es:eu-central-1:123456789012:domain/search"
HERE = "eu-central-1:123456789012"
NAMED = {
    "reports": "s3://aws_default@reports-bucket/members/",
    "opensearch": {"domain": DOMAIN},
    "dead_letters": {
        "queue": "https://sqs.eu-central-1.amazonaws.com/210987654321/members-dlq",
        "parking": "s3://parking-bucket",
    },
    "indexer": {"function": "members-indexer"},
}


def scopes(action: str, settings: dict[str, Any] = NAMED, **resources: Any) -> list[str]:
    role = RoleSettings(arn=ROLE, actions=(action,), resources=resources.get("resources", {}))
    side = scripted_side(settings=settings)
    found = scopes_of(action, role, side, Place.of(ROLE, "eu-central-1"), None)
    return [one.pattern for one in found]


@pytest.mark.parametrize(
    ("action", "patterns"),
    [
        ("dynamodb:Scan", [f"arn:aws:dynamodb:{HERE}:table/members"]),
        ("dynamodb:GetRecords", [f"arn:aws:dynamodb:{HERE}:table/members/stream/*"]),
        ("dynamodb:ListTables", ["*"]),
        ("sqs:SendMessage", ["arn:aws:sqs:eu-central-1:210987654321:members-dlq"]),
        ("es:ESHttpPost", [f"{DOMAIN}/*"]),
        ("es:DescribeDomain", [DOMAIN]),
        ("lambda:InvokeFunction", [f"arn:aws:lambda:{HERE}:function:members-indexer"]),
        ("logs:PutLogEvents", [f"arn:aws:logs:{HERE}:log-group:/aws/lambda/members-indexer:*"]),
        ("s3:PutObject", ["arn:aws:s3:::reports-bucket/members/*", "arn:aws:s3:::parking-bucket/*"]),
        ("s3:ListBucket", ["arn:aws:s3:::reports-bucket", "arn:aws:s3:::parking-bucket"]),
        ("cloudwatch:GetMetricStatistics", ["*"]),
        ("ec2:DescribeNetworkInterfaces", ["*"]),
        ("kms:Decrypt", []),
    ],
)
def test_the_rest_of_the_file_tells_where_an_action_is_needed(action: str, patterns: list[str]) -> None:
    assert scopes(action) == patterns


def test_what_the_file_names_for_an_action_or_its_service_goes_first() -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/a"
    assert scopes("kms:Decrypt", resources={"kms": [key]}) == [key]
    assert scopes("kms:Decrypt", resources={"kms": ["*"], "kms:Decrypt": [key]}) == [key]
    assert scopes("dynamodb:Scan", resources={"dynamodb": ["*"]}) == ["*"]


@pytest.mark.parametrize("action", ["sqs:SendMessage", "es:ESHttpGet", "lambda:InvokeFunction", "logs:PutLogEvents"])
def test_without_a_name_in_the_file_nothing_is_told(action: str) -> None:
    assert scopes(action, settings={}) == []


@pytest.mark.parametrize(
    "action", ["dynamodb:Scan", "dynamodb:GetRecords", "sqs:SendMessage", "es:ESHttpGet", "s3:PutObject"]
)
def test_a_sample_fits_its_pattern_and_the_stranger_does_not(action: str) -> None:
    from dynamo_opensearch.core.preflight.policies.tri import Tri
    from dynamo_opensearch.core.preflight.policies.wildcards import matches_arn

    role = RoleSettings(arn=ROLE)
    for one in scopes_of(action, role, scripted_side(settings=NAMED), Place.of(ROLE, "eu-central-1"), None):
        assert matches_arn(one.pattern, one.sample) is Tri.YES
        assert one.stranger is not None
        assert matches_arn(one.pattern, one.stranger) is Tri.NO


@pytest.mark.parametrize(
    ("action", "request_"),
    [("es:ESHttpPost", "_bulk"), ("es:ESHttpPut", "_bulk"), ("es:ESHttpGet", "_search"), ("es:ESHttpHead", "_search")],
)
def test_a_request_to_the_domain_is_one_through_the_alias(action: str, request_: str) -> None:
    (scope,) = scopes_of(
        action, RoleSettings(arn=ROLE), scripted_side(settings=NAMED), Place.of(ROLE, "eu-central-1"), None
    )
    assert scope.sample == f"{DOMAIN}/members-live/{request_}"


def test_policies_that_are_put_have_names_of_their_own() -> None:
    names = [
        policy_name("members", action, arn)
        for action in ("s3:PutObject", "s3:GetObject")
        for arn in ("arn:aws:s3:::one/x/*", "arn:aws:s3:::two/x/*", "*")
    ]
    assert len(set(names)) == len(names)
    assert policy_name("members", "dynamodb:Scan", "arn:aws:dynamodb:r:1:table/t/stream/*") == (
        "members-dynamodb-Scan-table-t-stream"
    )
    assert len(policy_name("m", "a:B", f"arn:aws:s3:::{'x' * 300}")) == 128


# The simulator


def described(**changes: Any) -> dict[str, Any]:
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "x.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    return {"Role": {"RoleName": "indexer", "Arn": ROLE, "AssumeRolePolicyDocument": trust, **changes}}


def simulated(decision: str = "allowed", missing: tuple[str, ...] = ()) -> Any:
    """What the simulator says of everything but strangers, which are not allowed."""

    def answer(**asked: Any) -> dict[str, Any]:
        (resource,) = asked["ResourceArns"]
        found = "implicitDeny" if "xq-of-nobody" in resource else decision
        return {
            "EvaluationResults": [
                {"EvalActionName": one, "EvalDecision": found, "MissingContextValues": list(missing)}
                for one in asked["ActionNames"]
            ],
            "IsTruncated": False,
        }

    return answer


def documents(*statements: dict[str, Any]) -> dict[str, Any]:
    """A role with one inline policy."""
    return {
        "iam.list_role_policies": {"PolicyNames": ["needs"], "IsTruncated": False},
        "iam.list_attached_role_policies": {"AttachedPolicies": [], "IsTruncated": False},
        "iam.get_role_policy": {"PolicyDocument": {"Statement": list(statements)}},
    }


def check(
    answers: dict[str, Any], actions: tuple[str, ...] = ("dynamodb:Scan",), **role: Any
) -> tuple[CheckResult, ScriptedControlPlane]:
    settings = {"roles": {"indexer": {"arn": ROLE, "actions": actions, **role}}}
    side = scripted_side({"iam.get_role": described(), **answers}, settings)
    found = run_check("roles", side)
    assert isinstance(side.aws, ScriptedControlPlane)
    return found, side.aws


ALLOW = {"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": f"arn:aws:dynamodb:{HERE}:table/members"}
VPCE = {"StringEquals": {"aws:SourceVpce": "vpce-1"}}


def test_the_simulator_is_asked_once_for_each_resource_and_with_what_is_known() -> None:
    asked: list[dict[str, Any]] = []
    answer = simulated()

    def noting(**arguments: Any) -> dict[str, Any]:
        asked.append(arguments)
        return dict(answer(**arguments))

    actions = ("dynamodb:Scan", "dynamodb:GetItem", "dynamodb:GetRecords")
    found, _ = check({"iam.simulate_principal_policy": noting}, actions)
    assert found.state == "passed", str(found)
    assert [one["ActionNames"] for one in asked] == 2 * [["dynamodb:Scan", "dynamodb:GetItem"], ["dynamodb:GetRecords"]]
    assert all(one["PolicySourceArn"] == ROLE for one in asked)
    context = {one["ContextKeyName"]: one["ContextKeyValues"] for one in asked[0]["ContextEntries"]}
    assert context == {"aws:securetransport": ["true"], "aws:requestedregion": ["eu-central-1"]}


def test_more_actions_than_the_simulator_takes_are_asked_in_turns_and_its_pages_followed() -> None:
    calls: list[Any] = []

    def paged(**arguments: Any) -> dict[str, Any]:
        whole = simulated()(**arguments)["EvaluationResults"]
        calls.append((len(arguments["ActionNames"]), arguments.get("Marker")))
        if "Marker" in arguments:
            return {"EvaluationResults": whole[1:], "IsTruncated": False}
        return {"EvaluationResults": whole[:1], "IsTruncated": True, "Marker": "more"}

    actions = tuple(f"dynamodb:Action{number}" for number in range(60))
    found, _ = check({"iam.simulate_principal_policy": paged}, actions)
    assert found.state == "passed", str(found)
    assert calls[:4] == [(50, None), (50, "more"), (10, None), (10, "more")]


@pytest.mark.parametrize(
    ("decision", "statements", "state"),
    [
        # The simulator takes a key that it was not given for absent; the documents say what hangs on it.
        ("implicitDeny", [{**ALLOW, "Condition": VPCE}], "conditional"),
        ("allowed", [ALLOW, {**ALLOW, "Effect": "Deny", "Condition": VPCE}], "conditional"),
        ("allowed", [ALLOW, {**ALLOW, "Action": "sqs:*", "Condition": VPCE}], "passed"),
        ("implicitDeny", [{**ALLOW, "Action": "sqs:*", "Condition": VPCE}], "not allowed"),
        # Nothing in the documents says no: it is the organisation's policies, which the simulator knows.
        ("implicitDeny", [ALLOW], "not allowed"),
        ("explicitDeny", [ALLOW], "denied"),
    ],
)
def test_an_answer_that_misses_a_key_is_held_against_the_documents(
    decision: str, statements: list[dict[str, Any]], state: str
) -> None:
    answers = {"iam.simulate_principal_policy": simulated(decision, ("aws:SourceVpce",)), **documents(*statements)}
    found, _ = check(answers)
    if state == "passed":
        assert found.state == "passed", str(found)
    else:
        assert found.findings[0].found.startswith(state), str(found)


def test_a_condition_that_is_meant_is_accepted_and_what_is_denied_is_not() -> None:
    refused = AccessDeniedError("iam", "iam:SimulatePrincipalPolicy", ROLE, "AccessDenied")
    conditional = {"iam.simulate_principal_policy": refused, **documents({**ALLOW, "Condition": VPCE})}
    assert check(conditional)[0].state == "failed"
    assert check(conditional, conditional=["dynamodb:Scan"])[0].state == "passed"
    nothing = {"iam.simulate_principal_policy": refused, **documents()}
    assert check(nothing, conditional=["dynamodb:Scan"])[0].state == "failed"


def test_a_trust_policy_on_a_condition_is_accepted_where_it_is_meant() -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:members-*"}},
    }
    answers = {"iam.get_role": described(AssumeRolePolicyDocument={"Statement": statement})}
    role: dict[str, Any] = {"assumed_by": ["lambda.amazonaws.com"], "actions": ()}
    found, _ = check(answers, **role)
    assert "conditional by trust policy of indexer" in found.findings[0].found
    assert check(answers, conditional=["sts:AssumeRole"], **role)[0].state == "passed"


def test_a_condition_on_the_account_holds_for_a_service_and_not_for_the_roles_own_requests() -> None:
    account = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    refused = AccessDeniedError("iam", "iam:SimulatePrincipalPolicy", ROLE, "AccessDenied")
    found, _ = check({"iam.simulate_principal_policy": refused, **documents({**ALLOW, "Condition": account})})
    assert found.findings[0].found.startswith("conditional")


def test_an_action_of_which_nothing_tells_the_resource_is_a_finding_that_says_where_to_write_it() -> None:
    found, _ = check({"iam.simulate_principal_policy": simulated()}, ("kms:Decrypt",))
    (finding,) = found.findings
    assert 'environments.production.roles.indexer.resources.kms: ["<ARN>"]' in finding.remedy


def test_a_role_is_asked_for_by_its_name_without_its_path() -> None:
    names: list[str] = []

    def noting(**arguments: Any) -> dict[str, Any]:
        names.append(arguments["RoleName"])
        return described()

    check({"iam.get_role": noting, "iam.simulate_principal_policy": simulated()})
    assert names == ["indexer"]


def test_a_policy_for_one_stream_is_good_as_long_as_the_table_has_it() -> None:
    table = f"arn:aws:dynamodb:{HERE}:table/members"
    stream = f"{table}/stream/2026-01-01T00:00:00.000"
    statement = {"Effect": "Allow", "Action": "dynamodb:GetRecords", "Resource": stream}
    refused = AccessDeniedError("iam", "iam:SimulatePrincipalPolicy", ROLE, "AccessDenied")
    answers = {"iam.simulate_principal_policy": refused, **documents(statement)}
    for is_on, arn, state in ((True, stream, "passed"), (True, f"{stream}-2", "failed"), (False, stream, "failed")):
        described = {"Table": {"StreamSpecification": {"StreamEnabled": is_on}, "LatestStreamArn": arn}}
        found, _ = check({**answers, "dynamodb.describe_table": described}, ("dynamodb:GetRecords",))
        assert found.state == state


def test_only_who_may_assume_a_role_is_compared() -> None:
    allow, deny = (
        {"Effect": effect, "Principal": {"Service": f"{effect.lower()}ed.amazonaws.com"}, "Action": "sts:AssumeRole"}
        for effect in ("Allow", "Deny")
    )
    role = described(AssumeRolePolicyDocument={"Statement": [allow, deny]})
    side = scripted_side({"iam.get_role": role}, {"roles": {"indexer": {"arn": ROLE}}})
    assert CHECKS["roles"].look(side).fields["indexer: assumed by"] == ["allowed.amazonaws.com"]


def test_a_table_that_is_not_there_does_not_keep_roles_from_being_looked_at() -> None:
    found, aws = check({"iam.simulate_principal_policy": simulated()}, ("dynamodb:GetRecords",))
    assert found.state == "passed", str(found)
    assert "dynamodb.describe_table" in aws.asked
