"""A target's filter, asked of Python and of DynamoDB itself: both must choose the same items."""

from typing import Any

import pytest

from dynamo_opensearch.core.documents.item_filter import ItemFilter
from tests.integration.conftest import MakeRig
from tests.support import oracle
from tests.support.rig import Item, Rig
from tests.support.typed_items import as_wire
from tools.local.processes import Server

DIGITS = "12345678901234567890123456789012345678"
VALUES: list[Any] = [
    {"S": "order"}, {"S": "orders"}, {"S": "ORDER"}, {"S": ""}, {"S": "1"}, {"S": "true"}, {"S": "\u00e9"},
    {"N": "1"}, {"N": "1.0"}, {"N": "1E0"}, {"N": "-1"}, {"N": "0"}, {"N": "0.1"}, {"N": DIGITS},
    {"BOOL": True}, {"BOOL": False}, {"NULL": True}, {"B": b"order"}, {"B": b"1"},
    {"M": {}}, {"L": []}, {"L": [{"S": "order"}]}, {"SS": ["order"]}, {"NS": ["1"]},
]  # fmt: skip
CONDITIONS: list[list[dict[str, Any]]] = [
    [{"attribute": "a", "equals": "order"}],
    [{"attribute": "a", "equals": "\u00e9"}],
    [{"attribute": "a", "equals": ""}],
    [{"attribute": "a", "equals": 1}],
    [{"attribute": "a", "equals": 1.0}],
    [{"attribute": "a", "equals": 0.1}],
    [{"attribute": "a", "equals": int(DIGITS)}],
    [{"attribute": "a", "equals": True}],
    [{"attribute": "a", "equals": False}],
    [{"attribute": "a", "one_of": ["order", 1, True]}],
    [{"attribute": "a", "one_of": ["x"]}],
    [{"attribute": "a", "exists": True}],
    [{"attribute": "a", "exists": False}],
    [{"attribute": "id", "begins_with": "1"}, {"attribute": "a", "exists": True}],
    [{"attribute": "size", "equals": "large"}, {"attribute": "a", "equals": "order"}],
]
# Against numbers, maps and the rest: MiniStack refuses the whole scan where DynamoDB says false.
ON_ANY_TYPE = [[{"attribute": "a", "begins_with": "ord"}], [{"attribute": "a", "begins_with": "1"}]]


@pytest.fixture
def rig(make_rig: MakeRig, either_dynamodb: Server) -> Rig:
    made: Rig = make_rig(direct_dynamodb=either_dynamodb.url)
    made.create_table()
    return made


def test_python_and_dynamodb_choose_the_same_items(rig: Rig, either_dynamodb: Server) -> None:
    items: list[Item] = [{"id": {"S": str(number)}, "a": value} for number, value in enumerate(VALUES)]
    items += [{"id": {"S": "absent"}}, {"id": {"S": "named"}, "size": {"S": "large"}, "a": {"S": "order"}}]
    rig.put(items)
    is_dynamodb_local = either_dynamodb.launch.title == "dynamodb-local"
    for conditions in CONDITIONS + (ON_ANY_TYPE if is_dynamodb_local else []):
        rules = ItemFilter.model_validate({"all": conditions})
        test = rules.item_test()
        by_python = sorted(item["id"]["S"] for item in items if test(as_wire(item)))
        pages = rig.boto.get_paginator("scan").paginate(TableName=rig.table, **rules.scan_arguments())
        by_dynamodb = sorted(item["id"]["S"] for page in pages for item in page["Items"])
        assert by_python == by_dynamodb, conditions


def test_the_oracle_reads_what_was_put(rig: Rig) -> None:
    rig.put([{"id": {"S": "1"}, "a": {"SS": ["x"]}}])
    assert oracle.items(rig.boto, rig.table) == [{"id": "1", "a": ["x"]}]
