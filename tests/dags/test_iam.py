"""docs/iam.md and the policies beside it: fresh, for every DAG, covering each recorded call, and allowing nothing else.

Judged by tests/support/policy_oracle.py, which shares no code with the package or with tools/iam.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.dag_processing.dagbag import DagBag

from dynamo_opensearch.core.aws.policies_with import POLICIES_WITH
from dynamo_opensearch.core.preflight.policies.documents import Request, statements_of
from dynamo_opensearch.core.preflight.policies.evaluation import Verdict, evaluate
from dynamo_opensearch.core.preflight.scopes import scopes_of
from dynamo_opensearch.core.targets.arns import Place
from dynamo_opensearch.core.targets.environment import RoleSettings
from tests.support.covered import context_of
from tests.support.policy_oracle import is_allowed
from tests.support.scripted_control_plane import scripted_side
from tools.iam.calls import Calls
from tools.iam.committed import FOLDER, PAGE, stale
from tools.iam.names import names_of
from tools.iam.needs import ENCRYPTED, REASONS, USES_OF_A_KEY, WITHOUT_A_KEY
from tools.iam.operations import SERVICES, Right, action_of
from tools.iam.page import LEGEND, SERVER, dag_id
from tools.iam.policies import PASSED_TO, needs_of, policy_of
from tools.iam.sample import DIGITS, OTHERS, PRODUCTION, sample_names, sample_target
from tools.local import paths

CALLS = Calls.committed()
POLICIES: dict[str, dict[str, Any]] = {
    kind: json.loads((FOLDER / f"{dag_id(kind, 'members')}.json").read_text()) for kind in CALLS.kinds
}
LONGEST_MANAGED, LONGEST_OF_A_ROLE = 6_144, 10_240
"""Characters of a managed policy, and of all inline policies of a role; white space does not count."""

OF_ANY_MAPPING = ("lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping")
"""A cutover finds the mapping, or makes it: its id is in no file before."""

TASK_ROLE = f"arn:aws:iam::{DIGITS}:role/members-api"
CONTEXT = {"iam:PassedToService": PASSED_TO}


@cache
def wanted(kind: str) -> frozenset[tuple[Right, str]]:
    """All that the DAG needs, with the sample's names, and the forms that it comes from."""
    return frozenset({*needed(kind), *others(kind)})


def needed(kind: str) -> Iterator[tuple[Right, str]]:
    """Each right that a recorded call needs."""
    for task, operation, forms in CALLS.each(kind):
        assert task or kind == SERVER
        for form in forms:
            for names in sample_names():
                for resource in names.concrete(form):
                    yield Right(action_of(operation), resource), form


def others(kind: str) -> Iterator[tuple[Right, str]]:
    """Rights on keys, and those with a reason."""
    for need in needs_of(kind, CALLS):
        if need.why or need.right.action.startswith("kms:"):
            for names in sample_names():
                for resource in names.concrete(need.right.resource):
                    yield Right(need.right.action, resource), need.right.resource


def missing(kind: str, policy: dict[str, Any], action: str | None = None) -> list[Right]:
    """What the DAG needs and the policy does not allow; ``action``: only of this one."""
    return [
        right
        for right, form in wanted(kind)
        if action in (None, right.action)
        if is_allowed([policy], right.action, right.resource, CONTEXT | context_of(form)) is not True
    ]


def test_nothing_is_stale() -> None:
    assert stale() == [], "python -m tools.iam"


def test_every_dag_has_its_section_and_its_policy(bag: DagBag) -> None:
    dags = {one for one in bag.dags if one.startswith(("members_", "sync_"))}
    ids = {dag_id(kind, "members") for kind in CALLS.kinds} - {SERVER}
    assert ids == dags
    assert set(re.findall(r"^## (\w+)$", PAGE.read_text(), re.MULTILINE)) - {"Names", SERVER} == dags


@pytest.mark.parametrize("kind", CALLS.kinds)
def test_a_policy_covers_every_call_that_was_recorded(kind: str) -> None:
    assert missing(kind, POLICIES[kind]) == []


def parts(policy: dict[str, Any]) -> Iterator[tuple[int, str, str]]:
    """Every action on every resource of a policy, with the number of its statement."""
    for number, statement in enumerate(policy["Statement"]):
        for action in statement["Action"]:
            for resource in statement["Resource"]:
                yield number, action, resource


@pytest.mark.parametrize("kind", CALLS.kinds)
def test_whatever_is_taken_out_of_a_policy_is_missed(kind: str) -> None:
    """So nothing is allowed that no call and no reason needs."""
    policy = POLICIES[kind]
    for number, action, resource in parts(policy):
        statements = [one for position, one in enumerate(policy["Statement"]) if position != number]
        taken_from = policy["Statement"][number]
        left = [(one, there) for one in taken_from["Action"] for there in taken_from["Resource"]]
        left.remove((action, resource))
        smaller = [*statements, *({**taken_from, "Action": [one], "Resource": [there]} for one, there in left)]
        lacking = missing(kind, {**policy, "Statement": smaller}, action)
        assert lacking, f"{action} on {resource} of {kind} is needed by nothing"


@pytest.mark.parametrize("kind", CALLS.kinds)
def test_a_policy_denies_what_is_somebody_elses(kind: str) -> None:
    for right, form in needed(kind):
        stranger = right.resource.replace("members", "strangers")
        if stranger != right.resource and "policy/" not in form:
            assert is_allowed([POLICIES[kind]], right.action, stranger, CONTEXT) is None, right


@pytest.mark.parametrize("kind", CALLS.kinds)
def test_no_action_is_a_pattern_and_a_bare_star_is_for_what_knows_no_resources(kind: str) -> None:
    knows_none = {right.action for right, _ in needed(kind) if right.resource == "*"}
    for _, action, resource in parts(POLICIES[kind]):
        assert "*" not in action
        assert resource != "*" or action in knows_none


def test_a_key_is_used_through_its_service_alone() -> None:
    for kind in CALLS.kinds:
        for right, _form in others(kind):
            if right.action in ("kms:Decrypt", "kms:GenerateDataKey"):
                assert is_allowed([POLICIES[kind]], right.action, right.resource, {}) is None


def characters(policy: dict[str, Any]) -> int:
    return len(json.dumps(policy, separators=(",", ":")))


@pytest.mark.parametrize("kind", CALLS.kinds)
def test_a_policy_is_short_enough_to_be_a_managed_one(kind: str) -> None:
    assert characters(POLICIES[kind]) <= LONGEST_MANAGED


def test_of_each_call_of_a_service_that_encrypts_it_is_known_whether_it_needs_the_key() -> None:
    operations = {operation for kind in CALLS.kinds for _, operation, _ in CALLS.each(kind)}
    asked = {one for one in operations if one.partition(":")[0] in ENCRYPTED}
    assert asked <= USES_OF_A_KEY.keys() | WITHOUT_A_KEY
    assert not USES_OF_A_KEY.keys() & WITHOUT_A_KEY


def test_every_reason_is_for_a_dag_that_is_there() -> None:
    assert {one.kind for one in REASONS} <= set(CALLS.kinds)


def test_every_name_in_the_page_is_explained() -> None:
    explained = {name for names, _, _ in LEGEND for name in names.split(", ")} | OTHERS.keys()
    table = "\n".join(line for line in PAGE.read_text().splitlines() if line.startswith(("| `", "| [")))
    assert set(re.findall(r"<[a-z-]+>", table)) <= explained | {"<region>", "<account>", "<partition>"}


# The package


def called_in(folder: Path) -> set[str]:
    """Words of the source that may be operations of AWS's services, as boto3 names them: attributes, and texts."""
    names: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)
    return names


def test_every_call_that_the_source_names_was_recorded_for_some_dag() -> None:
    recorded = {operation for kind in CALLS.kinds for _, operation, _ in CALLS.each(kind)}
    named = called_in(paths.ROOT / "plugins" / "dynamo_opensearch")
    unrecorded = {
        operation
        for service in SERVICES
        for operation in operations_of(service, named)
        if operation.partition(":")[2] not in {one.partition(":")[2] for one in recorded}
    }
    assert unrecorded == set(), "record it, in a system test or in test_calls_beside_the_system_tests.py"


def operations_of(service: str, words: set[str]) -> Iterator[str]:
    """A single word, such as ``scan`` or ``query``, may be anything."""
    client = boto3.client(service, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    for method, operation in client.meta.method_to_api_mapping.items():
        if "_" in method and method in words:
            yield f"{service}:{operation}"
    client.close()


def test_what_ships_names_each_action_of_each_policy() -> None:
    for kind, policy in POLICIES.items():
        for _, action, _ in parts(policy):
            if kind != SERVER:
                assert dag_id(kind, "<target>") in POLICIES_WITH[action]


@pytest.mark.parametrize("api", [0, 1], ids=["ecs", "lambda"])
def test_a_role_with_all_policies_passes_preflight_when_the_target_file_lists_their_actions(api: int) -> None:
    """The check of the roles and tools/iam agree on which resources an action is needed."""
    target, place = sample_target(api), Place(partition="aws", region="eu-central-1", account=DIGITS)
    side = scripted_side(settings=target.environments[PRODUCTION].model_dump(mode="json", exclude_unset=True))
    names = names_of(target, PRODUCTION, place, {"<task-role>": [TASK_ROLE]})
    document = policy_of([([kind for kind in CALLS.kinds if kind != SERVER], [names])], CALLS)
    allowed = statements_of(document, "all")
    asked = {action for _, action, _ in parts(document)}
    role = RoleSettings(arn=f"arn:aws:iam::{DIGITS}:role/airflow", resources={"iam:PassRole": (TASK_ROLE,)})
    context = {"iam:passedtoservice": PASSED_TO}
    for action in asked:
        scopes = scopes_of(action, role, side, place, None)
        assert scopes, action
        for scope in scopes:
            request = Request(action=action, resource=scope.sample, context=context)
            assert evaluate(allowed, request).verdict is Verdict.ALLOWED, (action, scope.sample)
            if scope.stranger is not None and action not in OF_ANY_MAPPING:
                request = Request(action=action, resource=scope.stranger, context=context)
                assert evaluate(allowed, request).verdict is Verdict.NOT_ALLOWED, (action, scope.stranger)
