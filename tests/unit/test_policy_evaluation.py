"""Policies as IAM documents their evaluation, held against an evaluator of whole requests."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_opensearch.core.preflight.policies.conditions import holds
from dynamo_opensearch.core.preflight.policies.documents import PolicyDocumentError, Request, statements_of
from dynamo_opensearch.core.preflight.policies.evaluation import (
    Policies,
    Verdict,
    decide,
    decide_assumption,
    evaluate,
    is_open_to_all,
)
from dynamo_opensearch.core.preflight.policies.tri import Tri
from dynamo_opensearch.core.preflight.policies.wildcards import matches_action, matches_arn
from tests.support import policy_oracle
from tests.support.random_policies import ACTIONS, KEY, RESOURCES, VALUES, documents

TABLE = RESOURCES[0]
ORDER = (Verdict.DENIED, Verdict.NOT_ALLOWED, Verdict.CONDITIONAL, Verdict.ALLOWED)


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def verdict(*documents: Any, action: str = "dynamodb:Scan", resource: str = TABLE, **context: str) -> Verdict:
    read = tuple(one for document in documents for one in statements_of(document, "test"))
    return evaluate(read, Request(action=action, resource=resource, context=context)).verdict


def allow(action: Any = "dynamodb:Scan", resource: Any = TABLE, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "dynamodb:Scan", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def test_nothing_is_allowed_that_no_statement_allows() -> None:
    assert verdict() is Verdict.NOT_ALLOWED
    assert verdict(policy(allow("dynamodb:GetItem"))) is Verdict.NOT_ALLOWED


def test_a_deny_goes_before_every_allow_wherever_it_stands() -> None:
    for documents_ in ([policy(allow(), deny())], [policy(deny(), allow())], [policy(allow("*", "*")), policy(deny())]):
        assert verdict(*documents_) is Verdict.DENIED


@pytest.mark.parametrize(
    ("pattern", "action", "matches"),
    [
        ("*", "dynamodb:Scan", True),
        ("dynamodb:*", "dynamodb:Scan", True),
        ("DynamoDB:scan", "dynamodb:Scan", True),
        ("dynamodb:Batch?etItem", "dynamodb:BatchGetItem", True),
        ("dynamodb:Get*", "dynamodb:BatchGetItem", False),
        ("dynamodb:Scan", "dynamodb:Scans", False),
        ("dynamodb.Scan", "dynamodb:Scan", False),
    ],
)
def test_actions_match_whatever_their_capitals(pattern: str, action: str, matches: bool) -> None:
    assert matches_action(pattern, action) is matches


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        ("*", TABLE, Tri.YES),
        (TABLE, TABLE, Tri.YES),
        (TABLE.upper(), TABLE, Tri.NO),
        ("arn:aws:dynamodb:*:*:table/members", TABLE, Tri.YES),
        ("arn:aws:dynamodb:eu-*-1:*:table/members", TABLE, Tri.YES),
        ("arn:aws:dynamodb:e*l-1:000000000000:table/mem*", TABLE, Tri.YES),
        # A star inside a segment stays inside it; at the segment's end it goes on beyond the colon.
        ("arn:aws:dyn*1:000000000000:table/members", TABLE, Tri.NO),
        ("arn:aws:*:table/members", TABLE, Tri.NO),
        ("arn:aws:dynamodb:*", TABLE, Tri.YES),
        ("arn:aws:dynamodb", TABLE, Tri.YES),
        ("arn:aws:dynamodb:eu-central-?:000000000000:table/members", TABLE, Tri.YES),
        ("arn:aws:dynamodb:eu-central-1?000000000000:table/members:", TABLE, Tri.NO),
        ("arn:aws?dynamodb:eu-central-1:000000000000:table/members", TABLE, Tri.NO),
        ("arn:aws:sqs", TABLE, Tri.NO),
        # In the resource, slash and colon are characters like others.
        ("arn:aws:s3:::bucket/*/x/*", "arn:aws:s3:::bucket/1/2/x/3/y", Tri.YES),
        (
            "arn:aws:logs:*:*:log-group:/aws/lambda/f:*",
            "arn:aws:logs:r:1:log-group:/aws/lambda/f:log-stream:s",
            Tri.YES,
        ),
        ("arn:aws:dynamodb:*:*:table/member?", TABLE, Tri.YES),
        ("arn:aws:dynamodb:*:*:table/member?", TABLE.removesuffix("s"), Tri.NO),
        # What a variable stands for is known with the request only.
        ("arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}", TABLE, Tri.MAYBE),
        ("arn:aws:sqs:*:*:${aws:PrincipalTag/team}", TABLE, Tri.NO),
        ("arn:aws:s3:::bucket/${*}", "arn:aws:s3:::bucket/*", Tri.YES),
        ("arn:aws:s3:::bucket/${*}", "arn:aws:s3:::bucket/x", Tri.NO),
        # An action that knows no resources is allowed on everything or not at all.
        (TABLE, "*", Tri.NO),
        ("*", "*", Tri.YES),
    ],
)
def test_arns_match_by_their_segments(pattern: str, arn: str, matches: Tri) -> None:
    assert matches_arn(pattern, arn) is matches


def test_not_action_and_not_resource_are_all_others() -> None:
    others = policy({"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"})
    assert verdict(others) is Verdict.ALLOWED
    assert verdict(others, action="iam:PassRole") is Verdict.NOT_ALLOWED
    elsewhere = policy(allow("*", "*"), {"Effect": "Deny", "Action": "*", "NotResource": [TABLE, f"{TABLE}/*"]})
    assert verdict(elsewhere) is Verdict.ALLOWED
    assert verdict(elsewhere, resource=RESOURCES[1]) is Verdict.DENIED


def test_an_allow_on_a_condition_that_cannot_be_judged_is_conditional() -> None:
    assert verdict(policy(allow(Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}}))) is Verdict.CONDITIONAL
    assert verdict(policy(allow(), allow(Condition={"Bool": {"x:y": "true"}}))) is Verdict.ALLOWED


def test_a_deny_on_a_condition_that_cannot_be_judged_makes_what_is_allowed_conditional() -> None:
    maybe = deny(Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    assert verdict(policy(allow(), maybe)) is Verdict.CONDITIONAL
    assert verdict(policy(maybe)) is Verdict.NOT_ALLOWED


@pytest.mark.parametrize(
    ("condition", "holding"),
    [
        ({"Bool": {"aws:SecureTransport": "false"}}, Tri.NO),
        ({"Bool": {"aws:SecureTransport": False}}, Tri.NO),
        ({"Bool": {"AWS:securetransport": "True"}}, Tri.YES),
        ({"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-central-1"]}}, Tri.YES),
        ({"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "eu-central-1"]}}, Tri.NO),
        ({"StringLike": {"aws:RequestedRegion": "eu-*"}}, Tri.YES),
        ({"StringEquals": {"aws:RequestedRegion": "eu-*"}}, Tri.NO),
        ({"StringEquals": {"aws:SecureTransport": True}}, Tri.YES),
        ({"StringNotLike": {"aws:RequestedRegion": "eu-*"}}, Tri.NO),
        ({"StringEqualsIgnoreCase": {"aws:RequestedRegion": "EU-central-1"}}, Tri.YES),
        ({"StringNotEqualsIgnoreCase": {"aws:RequestedRegion": "EU-central-1"}}, Tri.NO),
        ({"StringEqualsIfExists": {"aws:RequestedRegion": "us-east-1"}}, Tri.NO),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/ind*"}}, Tri.YES),
        ({"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::*:role/ind*"}}, Tri.NO),
        ({"ForAnyValue:StringEquals": {"aws:RequestedRegion": "eu-central-1"}}, Tri.YES),
        ({"ForAllValues:StringEquals": {"aws:RequestedRegion": "us-east-1"}}, Tri.NO),
        ({"Null": {"aws:PrincipalArn": "true"}}, Tri.NO),
        ({"Null": {"aws:PrincipalArn": "false"}}, Tri.YES),
        ({"Null": {"aws:TokenIssueTime": "false"}}, Tri.MAYBE),
        ({"NumericLessThan": {"aws:RequestedRegion": "3"}}, Tri.MAYBE),
        ({"StringEquals": {"aws:RequestedRegion": "${aws:PrincipalTag/region}"}}, Tri.MAYBE),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1", "x:y": "1"}}, Tri.NO),
        ({"StringEquals": {"aws:RequestedRegion": "eu-central-1"}, "Bool": {"x:y": "true"}}, Tri.MAYBE),
        ({}, Tri.YES),
    ],
)
def test_what_is_the_same_for_every_request_is_judged(condition: dict[str, Any], holding: Tri) -> None:
    context = {
        "aws:securetransport": "true",
        "aws:requestedregion": "eu-central-1",
        "aws:principalarn": "arn:aws:iam::000000000000:role/indexer",
    }
    assert holds(condition, context) is holding


def test_a_boundary_limits_and_never_gives() -> None:
    identity = statements_of(policy(allow()), "identity")
    boundary = statements_of(policy(allow("dynamodb:*", "*")), "boundary")
    request = Request(action="dynamodb:Scan", resource=TABLE)
    assert decide(Policies(identity=identity, boundary=boundary), request).verdict is Verdict.ALLOWED
    assert decide(Policies(identity=(), boundary=boundary), request).verdict is Verdict.NOT_ALLOWED
    assert decide(Policies(identity=identity, boundary=()), request).verdict is Verdict.NOT_ALLOWED
    denying = statements_of(policy(deny()), "boundary")
    assert decide(Policies(identity=identity, boundary=denying), request).verdict is Verdict.DENIED


def test_a_decision_names_the_statements_that_it_comes_from() -> None:
    read = statements_of(policy(allow(), deny(Sid="NoScans")), "inline policy needs")
    decision = evaluate(read, Request(action="dynamodb:Scan", resource=TABLE))
    assert [one.name for one in decision.by] == ["NoScans of inline policy needs"]


def trust(*statements: dict[str, Any]) -> Any:
    return statements_of(policy(*statements), "trust")


def trusting(principal: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}


ASSUME = Request(action="sts:AssumeRole", resource="*", context={"aws:sourceaccount": "000000000000"})


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([trusting({"Service": "lambda.amazonaws.com"})], Verdict.ALLOWED),
        ([trusting({"Service": ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"]})], Verdict.ALLOWED),
        ([trusting({"Service": "ecs-tasks.amazonaws.com"})], Verdict.NOT_ALLOWED),
        ([trusting({"AWS": "arn:aws:iam::000000000000:root"})], Verdict.NOT_ALLOWED),
        ([trusting("*")], Verdict.ALLOWED),
        ([{**trusting({"Service": "lambda.amazonaws.com"}), "Action": "sts:TagSession"}], Verdict.NOT_ALLOWED),
        ([{**trusting({"Service": "lambda.amazonaws.com"}), "Action": "sts:*"}], Verdict.ALLOWED),
        (
            [
                trusting({"Service": "lambda.amazonaws.com"}),
                {**trusting({"Service": "lambda.amazonaws.com"}), "Effect": "Deny"},
            ],
            Verdict.DENIED,
        ),
        (
            [
                trusting({"Service": "lambda.amazonaws.com"}),
                {"Effect": "Deny", "NotPrincipal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
            ],
            Verdict.ALLOWED,
        ),
        (
            [
                trusting(
                    {"Service": "lambda.amazonaws.com"},
                    Condition={"StringEquals": {"aws:SourceAccount": "000000000000"}},
                )
            ],
            Verdict.ALLOWED,
        ),
        (
            [
                trusting(
                    {"Service": "lambda.amazonaws.com"},
                    Condition={"ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:*"}},
                )
            ],
            Verdict.CONDITIONAL,
        ),
    ],
)
def test_a_trust_policy_is_read_by_its_principals(statements: list[dict[str, Any]], expected: Verdict) -> None:
    assert decide_assumption(trust(*statements), "lambda.amazonaws.com", ASSUME).verdict is expected


def test_a_trust_policy_that_names_everybody_is_open_unless_it_has_a_condition() -> None:
    on_condition = trusting({"AWS": "*"}, Condition={"StringEquals": {"aws:PrincipalOrgID": "o"}})
    denied = {**trusting("*"), "Effect": "Deny"}
    all_kinds = (trusting("*"), trusting({"AWS": "*"}), on_condition, denied, trusting({"Service": "x.amazonaws.com"}))
    assert [is_open_to_all(one) for one in trust(*all_kinds)] == [True, True, False, False, False]


def test_a_document_is_read_in_each_form_that_iam_sends() -> None:
    document = {"Version": "2012-10-17", "Statement": allow()}
    for form in (document, json.dumps(document), quote(json.dumps(document))):
        assert verdict(form) is Verdict.ALLOWED


@pytest.mark.parametrize("document", ["", "[]", "no JSON", {"Statement": [{"Action": "*"}]}, {"Statement": ["x"]}])
def test_what_is_no_policy_is_said_with_its_source(document: Any) -> None:
    with pytest.raises(PolicyDocumentError, match="inline policy needs"):
        statements_of(document, "inline policy needs")


requests = st.tuples(st.sampled_from(ACTIONS), st.sampled_from(RESOURCES))
contexts = st.sampled_from([{}, *({KEY: value} for value in VALUES), {KEY: "three"}])


@given(st.lists(documents(), max_size=3), requests, contexts)
def test_a_verdict_without_conditions_is_that_of_every_request(
    policies: list[dict[str, Any]], request_: tuple[str, str], context: dict[str, str]
) -> None:
    action, resource = request_
    found = verdict(*policies, action=action, resource=resource)
    told = policy_oracle.is_allowed(policies, action, resource, context)
    expected = {True: Verdict.ALLOWED, False: Verdict.DENIED, None: Verdict.NOT_ALLOWED}[told]
    assert found in (expected, Verdict.CONDITIONAL) or (
        # A Deny that may apply to what nothing allows changes nothing.
        found is Verdict.NOT_ALLOWED and expected is Verdict.DENIED
    )


@given(st.lists(documents(), max_size=3), requests, st.sampled_from(VALUES))
def test_with_its_context_known_no_verdict_is_conditional(
    policies: list[dict[str, Any]], request_: tuple[str, str], value: str
) -> None:
    action, resource = request_
    read = tuple(one for document in policies for one in statements_of(document, "test"))
    found = evaluate(read, Request(action=action, resource=resource, context={KEY: value})).verdict
    told = policy_oracle.is_allowed(policies, action, resource, {KEY: value})
    assert found is {True: Verdict.ALLOWED, False: Verdict.DENIED, None: Verdict.NOT_ALLOWED}[told]


@given(documents(), documents(), requests)
def test_a_further_document_with_denies_only_never_allows_more(
    first: dict[str, Any], second: dict[str, Any], request_: tuple[str, str]
) -> None:
    action, resource = request_
    denies = {"Statement": [{**one, "Effect": "Deny"} for one in second["Statement"]]}
    before = verdict(first, action=action, resource=resource)
    after = verdict(first, denies, action=action, resource=resource)
    assert ORDER.index(after) <= ORDER.index(before)


@given(documents(), st.randoms(use_true_random=False), requests)
def test_the_order_of_statements_does_not_matter(
    document: dict[str, Any], chance: Any, request_: tuple[str, str]
) -> None:
    action, resource = request_
    shuffled = list(document["Statement"])
    chance.shuffle(shuffled)
    assert verdict(document, action=action, resource=resource) is verdict(
        {"Statement": shuffled}, action=action, resource=resource
    )


@given(documents(), documents(), requests)
def test_a_boundary_never_allows_more_than_the_identity_does(
    identity: dict[str, Any], boundary: dict[str, Any], request_: tuple[str, str]
) -> None:
    request = Request(action=request_[0], resource=request_[1])
    own = statements_of(identity, "identity")
    alone = decide(Policies(identity=own), request).verdict
    limited = decide(Policies(identity=own, boundary=statements_of(boundary, "boundary")), request).verdict
    assert ORDER.index(limited) <= ORDER.index(alone)
