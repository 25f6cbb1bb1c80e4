"""Every call of a preflight, refused by an AWS that enforces IAM: the finding names the action, its line allows it."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from dynamo_opensearch.core.preflight.checklist import CHECKS, run_check
from tests.support import remedies
from tests.support.aws_answers import refused, watched
from tests.support.ready_environment import SERVICES, Keys, ReadyEnvironment, aws_client
from tools.local import ministack, paths, ports
from tools.local.processes import Server, running

ROOT_KEYS: Keys = ("test", "test")
"""MiniStack's administrator."""

USER = "airflow"
PREFIXES = {"opensearch": "es"}
ACTIONS = (
    "cloudwatch:DescribeAlarmsForMetric",
    "cloudwatch:GetMetricStatistics",
    "cognito-idp:DescribeUserPool",
    "cognito-idp:DescribeUserPoolClient",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeVpcEndpoints",
    "iam:GetRole",
    "iam:SimulatePrincipalPolicy",
    "lambda:GetEventSourceMapping",
    "lambda:GetFunctionConfiguration",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
)
ANSWERED_OTHERWISE = frozenset({"iam:SimulatePrincipalPolicy"})
"""Where it is refused, the policies' documents tell."""

NOT_ENFORCED = frozenset({"lambda:GetEventSourceMapping"})
"""By MiniStack: refused in the client."""

DOCUMENTS = ("ListRolePolicies", "GetRolePolicy", "ListAttachedRolePolicies", "GetPolicy", "GetPolicyVersion")
Asked = dict[str, set[str]]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A MiniStack that enforces IAM."""
    launch = ministack.plan_launch(tmp_path_factory.mktemp("ministack-guarded"), ports.free_port())
    with running(replace(launch, environment={**launch.environment, "AUTH": "true"})) as server:
        yield server


@pytest.fixture(scope="module")
def environment(guarded: Server, quiet_opensearch: Server) -> Iterator[ReadyEnvironment]:
    """Made by the administrator, asked by a user; nothing in it changes but the user's rights."""
    iam = aws_client(guarded.url, "iam", "maker", ROOT_KEYS)
    iam.create_user(UserName=USER)
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    ready = ReadyEnvironment(
        guarded.url,
        quiet_opensearch.url,
        makers_keys=ROOT_KEYS,
        askers_keys=(key["AccessKeyId"], key["SecretAccessKey"]),
    )
    yield ready.build()
    ready.close()


@pytest.fixture(autouse=True)
def rights(environment: ReadyEnvironment) -> None:
    """The user may do everything, and has no policy from an earlier test."""
    iam = environment.make("iam")
    for name in iam.list_user_policies(UserName=USER)["PolicyNames"]:
        iam.delete_user_policy(UserName=USER, PolicyName=name)
    allow_all_but(environment)


def allow_all_but(environment: ReadyEnvironment, *actions: str) -> None:
    named = {"NotAction": list(actions)} if actions else {"Action": "*"}
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **named}]}
    environment.make("iam").put_user_policy(
        UserName=USER, PolicyName="everything-else", PolicyDocument=json.dumps(document)
    )


@pytest.fixture(scope="module")
def asked(environment: ReadyEnvironment) -> Asked:
    """The checks that ask for each action, in an environment where all is well."""
    allow_all_but(environment)
    found: defaultdict[str, set[str]] = defaultdict(set)
    with environment.side() as side, ExitStack() as stack:
        current: list[str] = []
        for service in SERVICES:

            def note(operation: str, _params: dict[str, Any], service: str = service) -> None:
                found[f"{PREFIXES.get(service, service)}:{operation}"].add(current[-1])

            stack.enter_context(watched(environment.asked(service), note))
        for name in CHECKS:
            current.append(name)
            assert run_check(name, side).state == "passed"
    return dict(found)


def test_the_actions_here_are_all_that_are_asked_for(asked: Asked) -> None:
    assert set(asked) == set(ACTIONS)


def test_the_page_of_the_rights_names_each_action_beside_the_checks_that_need_it(asked: Asked) -> None:
    page = (paths.ROOT / "docs" / "iam.md").read_text()
    section = page.partition("\n## members_preflight\n")[2].partition("\n## ")[0]
    for action, checks in asked.items():
        rows = re.findall(rf"^\| `{action}` \| .* \| (.*) \|$", section, re.MULTILINE)
        assert checks <= {name for row in rows for name in re.findall(r"`(\w+)`", row)}, action


@pytest.mark.parametrize("action", ACTIONS)
def test_a_refused_call_fails_the_checks_that_need_it_and_its_line_allows_it(
    environment: ReadyEnvironment, asked: Asked, action: str
) -> None:
    expected = set() if action in ANSWERED_OTHERWISE else asked[action] - ({"roles"} if "dynamodb" in action else set())
    with ExitStack() as stack:
        if action in NOT_ENFORCED:
            stack.enter_context(refused(environment.asked("lambda"), "GetEventSourceMapping"))
        else:
            allow_all_but(environment, action)
        found = environment.results()
    assert {name for name, one in found.items() if one.state != "passed"} == expected
    for name in expected:
        for finding in found[name].findings:
            assert finding.what.startswith(f"{action} on ")
            assert f"user/{USER}" in finding.found
            remedies.run(finding.remedy, environment.make)
    assert environment.not_passed() == {}


def test_without_the_simulator_the_documents_tell_the_same(environment: ReadyEnvironment) -> None:
    allow_all_but(environment, "iam:SimulatePrincipalPolicy")
    roles = environment.results()["roles"]
    assert (roles.state, "the policies' documents" in roles.seen) == ("passed", True)


@pytest.mark.parametrize("call", DOCUMENTS)
def test_without_simulator_and_documents_the_simulator_is_what_must_be_allowed(
    environment: ReadyEnvironment, call: str
) -> None:
    allow_all_but(environment, "iam:SimulatePrincipalPolicy", f"iam:{call}")
    findings = environment.results()["roles"].findings
    assert findings
    for finding in findings:
        assert finding.what.startswith("iam:SimulatePrincipalPolicy on ")
        (line,) = remedies.commands(finding.remedy)
        remedies.check_line(line)
        assert f'"Resource":"{environment.role_arn("")}' in line  # MiniStack allows it on everything or not at all
