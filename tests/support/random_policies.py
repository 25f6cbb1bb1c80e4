"""Hypothesis strategies: policies of a few parts that meet often."""

from typing import Any

from hypothesis import strategies as st

ACTIONS = ("dynamodb:Scan", "dynamodb:GetItem", "sqs:SendMessage")
RESOURCES = (
    "arn:aws:dynamodb:eu-central-1:000000000000:table/members",
    "arn:aws:dynamodb:eu-central-1:000000000000:table/orders",
    "arn:aws:sqs:eu-central-1:000000000000:members",
)
KEY, VALUES = "app:stage", ("one", "two")
_ACTION_PATTERNS = (*ACTIONS, "*", "dynamodb:*", "DynamoDB:get*", "sqs:Send?essage", "dynamodb:Sc")
_RESOURCE_PATTERNS = (
    *RESOURCES,
    "*",
    "arn:aws:dynamodb:*:*:table/members",
    "arn:aws:dynamodb:eu-central-1:000000000000:table/*",
    "arn:aws:dynamodb:eu-central-1:000000000000:table/member?",
    "arn:aws:sqs:eu-central-1:000000000000:Members",
)


def _some(values: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.one_of(st.sampled_from(values), st.lists(st.sampled_from(values), min_size=1, max_size=3))


conditions = st.one_of(
    st.just({}),
    st.builds(
        lambda operator, wanted: {operator: {KEY: wanted}},
        st.sampled_from(["StringEquals", "StringNotEquals", "StringLike", "StringEqualsIfExists"]),
        _some(VALUES),
    ),
    st.builds(lambda wanted: {"Null": {KEY: wanted}}, st.sampled_from(["true", "false"])),
)


@st.composite
def statements(draw: st.DrawFn, *, with_conditions: bool = True) -> dict[str, Any]:
    """A statement; Action or NotAction, Resource or NotResource."""
    made: dict[str, Any] = {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(_some(_ACTION_PATTERNS)),
        draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(_some(_RESOURCE_PATTERNS)),
    }
    condition = draw(conditions) if with_conditions else {}
    return {**made, "Condition": condition} if condition else made


def documents(*, with_conditions: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """A policy of one to four statements."""
    listed = st.lists(statements(with_conditions=with_conditions), min_size=1, max_size=4)
    return listed.map(lambda made: {"Version": "2012-10-17", "Statement": made})
