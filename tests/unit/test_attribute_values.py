"""Typed JSON to plain JSON, held against boto3's own serializer and deserializer."""

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from boto3.dynamodb.types import DYNAMODB_CONTEXT, TypeDeserializer
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.documents.attribute_values import (
    AttributeValueError,
    number_text,
    plain_map,
    plain_value,
)
from tests.support import oracle
from tests.support.typed_items import TYPED_VALUES, as_wire, numbers


def through_package(item: dict[str, Any]) -> Any:
    """The document's bytes, decoded by the standard library without losing a digit."""
    return json.loads(orjson.dumps(plain_map(item)), parse_float=Decimal, parse_int=Decimal)


@settings(max_examples=300)
@given(st.dictionaries(st.text(min_size=1, max_size=12), TYPED_VALUES, max_size=6))
def test_every_item_becomes_what_boto3_makes_of_it(item: dict[str, Any]) -> None:
    expected = oracle.plain_item(item)
    assert oracle.differences({"it": expected}, {"it": through_package(as_wire(item))}) == []


@given(numbers())
def test_a_number_keeps_all_its_digits(number: Decimal) -> None:
    text = str(DYNAMODB_CONTEXT.create_decimal(number))
    assert Decimal(orjson.dumps(plain_value({"N": text})).decode()) == number


@given(numbers(), st.sampled_from(["{:f}", "{:e}", "{:E}", "+{}", "00{}", " {} ", "{}"]))
def test_any_spelling_of_a_number_is_valid_json_and_the_same_number(number: Decimal, form: str) -> None:
    text = form.format(abs(number))
    assert json.loads(number_text(text), parse_float=Decimal, parse_int=Decimal) == abs(number)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"S": ""}, ""),
        ({"S": "\u0000\u001f\u2028\U0001f600"}, "\u0000\u001f\u2028\U0001f600"),
        ({"N": "0"}, 0),
        ({"N": "-0"}, 0),
        ({"N": ".5"}, Decimal("0.5")),
        ({"N": "5."}, 5),
        ({"N": "1234567890.1234567890123456789012345678"}, Decimal("1234567890.1234567890123456789012345678")),
        (
            {"N": "9.9999999999999999999999999999999999999E+125"},
            Decimal("9.9999999999999999999999999999999999999E+125"),
        ),
        ({"B": ""}, ""),
        ({"B": "AAEC/w=="}, "AAEC/w=="),
        ({"BOOL": False}, False),
        ({"NULL": True}, None),
        ({"M": {}}, {}),
        ({"L": []}, []),
        ({"SS": ["b", "a"]}, ["a", "b"]),
        ({"NS": ["1", "2.50"]}, [1, Decimal("2.50")]),
        ({"BS": ["AA=="]}, ["AA=="]),
        (
            {"M": {"S": {"S": "x"}, "N": {"N": "1"}, "M": {"M": {"L": {"L": [{"M": {}}]}}}}},
            {"S": "x", "N": 1, "M": {"L": [{}]}},
        ),
    ],
)
def test_each_type_and_each_empty_value(value: Any, expected: Any) -> None:
    assert through_package({"it": value}) == {"it": expected}


def test_attributes_may_be_named_like_types() -> None:
    item = {name: {"S": name} for name in ("S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS")}
    assert plain_map(item) == {name: name for name in item}


def test_an_item_of_400_kilobytes_and_32_levels_is_taken() -> None:
    nested: dict[str, Any] = {"S": "x" * 400_000}
    for _ in range(31):
        nested = {"M": {"in": nested}}
    assert len(orjson.dumps(plain_map({"it": nested}))) > 400_000


@pytest.mark.parametrize("text", ["", " ", "-", "1,5", "0x10", "NaN", "Infinity", "1e", "e5", ".", "--1", "1 2"])
def test_what_is_no_number_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(AttributeValueError) as error:
        plain_value({"N": text})
    assert str(error.value) == "attribute value of type 'N': not a decimal number"


@pytest.mark.parametrize("value", [{"X": "secret"}, {}, {"S": "secret", "N": "1"}])
def test_what_is_no_attribute_value_is_refused_without_being_quoted(value: Any) -> None:
    with pytest.raises(AttributeValueError) as error:
        plain_value(value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("value", [{"X": "secret"}, {"M": {"in": {"X": "secret"}}}, {"L": [{"X": "secret"}]}])
def test_an_unknown_type_inside_an_item_is_refused(value: Any) -> None:
    with pytest.raises(AttributeValueError, match="no such DynamoDB type"):
        plain_map({"it": value})


def test_the_oracle_shares_no_code_with_the_package() -> None:
    assert "dynamo_opensearch" not in oracle.__dict__
    assert TypeDeserializer.__module__.startswith("boto3")


@pytest.mark.parametrize("kind", ["SS", "NS", "BS"])
def test_the_order_of_a_sets_members_makes_no_other_document(kind: str) -> None:
    members = ["30", "-2", "1000"]
    assert through_package({"it": {kind: members}}) == through_package({"it": {kind: members[::-1]}})
