"""A filter's Python half; that DynamoDB reads it alike is shown in tests/integration/test_filter_agrees.py."""

from typing import Any

import pytest
from pydantic import ValidationError

from dynamo_opensearch.core.documents.item_filter import ItemFilter

ORDER: dict[str, dict[str, Any]] = {
    "SK": {"S": "ORDER#1"},
    "entity": {"S": "order"},
    "count": {"N": "1.0"},
    "flag": {"BOOL": True},
    "none": {"NULL": True},
    "text1": {"S": "1"},
    "map": {"M": {}},
}


def belongs(condition: dict[str, Any]) -> bool:
    return ItemFilter.model_validate({"all": [condition]}).item_test()(ORDER)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"attribute": "SK", "begins_with": "ORDER#"}, True),
        ({"attribute": "SK", "begins_with": "order#"}, False),
        ({"attribute": "count", "begins_with": "1"}, False),
        ({"attribute": "absent", "begins_with": "x"}, False),
        ({"attribute": "entity", "equals": "order"}, True),
        ({"attribute": "absent", "equals": "order"}, False),
        ({"attribute": "count", "equals": 1}, True),
        ({"attribute": "count", "equals": 1.0}, True),
        ({"attribute": "count", "equals": True}, False),
        ({"attribute": "text1", "equals": 1}, False),
        ({"attribute": "flag", "equals": True}, True),
        ({"attribute": "flag", "equals": 1}, False),
        ({"attribute": "map", "equals": "x"}, False),
        ({"attribute": "entity", "one_of": ["member", "order"]}, True),
        ({"attribute": "count", "one_of": ["1", 2]}, False),
        ({"attribute": "none", "exists": True}, True),
        ({"attribute": "none", "exists": False}, False),
        ({"attribute": "absent", "exists": False}, True),
    ],
)
def test_a_condition_means_what_dynamodb_means_by_it(condition: dict[str, Any], expected: bool) -> None:
    assert belongs(condition) is expected


def test_all_conditions_must_hold() -> None:
    conditions = [{"attribute": "entity", "equals": "order"}, {"attribute": "absent", "exists": True}]
    assert not ItemFilter.model_validate({"all": conditions}).item_test()(ORDER)
    assert ItemFilter.model_validate({"all": conditions[:1]}).item_test()(ORDER)


def test_scan_arguments_name_every_attribute_and_value_by_a_placeholder() -> None:
    rules = ItemFilter.model_validate(
        {
            "all": [
                {"attribute": "SK", "begins_with": "O"},
                {"attribute": "size", "one_of": [1, "1", True]},
                {"attribute": "deleted at", "exists": False},
            ]
        }
    )
    assert rules.scan_arguments() == {
        "FilterExpression": "begins_with(#a0, :v0_0) AND #a1 IN (:v1_0, :v1_1, :v1_2) AND attribute_not_exists(#a2)",
        "ExpressionAttributeNames": {"#a0": "SK", "#a1": "size", "#a2": "deleted at"},
        "ExpressionAttributeValues": {
            ":v0_0": {"S": "O"},
            ":v1_0": {"N": "1"},
            ":v1_1": {"S": "1"},
            ":v1_2": {"BOOL": True},
        },
    }


def test_no_values_are_sent_where_there_are_none() -> None:
    rules = ItemFilter.model_validate({"all": [{"attribute": "a", "exists": True}]})
    assert "ExpressionAttributeValues" not in rules.scan_arguments()


@pytest.mark.parametrize("rules", [{}, {"equals": "a", "exists": True}, {"unknown": 1}, {"one_of": []}])
def test_a_condition_needs_exactly_one_rule(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ItemFilter.model_validate({"all": [{"attribute": "a", **rules}]})
