"""Keys and times of dead letters: one form out of many, and nothing that DynamoDB would refuse."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import example, given
from hypothesis import strategies as st

from dynamo_opensearch.core.dead_letters.messages import KeyType, NotUnderstoodError, TableIdentity
from dynamo_opensearch.core.dead_letters.shapes.json_values import parse
from dynamo_opensearch.core.dead_letters.shapes.key_values import MAX_BYTES, key_values
from dynamo_opensearch.core.dead_letters.shapes.records import time_us
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from tests.support.typed_items import numbers

WIDE = "12345678901234567890123456789012345678"
CREATED_US = 1_800_000_000_000_000


def table(*kinds: KeyType) -> TableIdentity:
    names = ("pk", "sk")
    return TableIdentity(arn="arn", key=tuple(zip(names, kinds, strict=False)))


def read(kind: KeyType, value: Any) -> str:
    """The content of a single key."""
    (content,) = key_values(parse(json.dumps({"pk": value})), table(kind))
    assert list(content) == [kind]
    assert document_id((content,))
    return str(content[kind])


def is_refused(kind: KeyType, value: Any) -> bool:
    with pytest.raises(NotUnderstoodError) as caught:
        read(kind, value)
    return caught.value.reason.endswith((f"has no value of type {kind}", "no value for key attribute 'pk'"))


@pytest.mark.parametrize(
    ("kind", "value", "content"),
    [
        ("S", {"S": "m-1"}, "m-1"),
        ("S", "m-1", "m-1"),
        ("S", "7", "7"),
        ("S", "é|%", "é|%"),
        ("N", {"N": "7"}, "7"),
        ("N", {"N": 7}, "7"),
        ("N", {"S": "7"}, "7"),
        ("N", 7, "7"),
        ("N", "7", "7"),
        ("N", "07.50", "7.5"),
        ("N", 7.5, "7.5"),
        ("N", -0.0, "0"),
        ("N", int(WIDE), WIDE),
        ("N", {"N": WIDE + "e10"}, WIDE + "e10"),
        ("N", "1E-130", "1e-130"),
        ("N", "9.9E+125", "99e124"),
        ("B", {"B": "AAE="}, "AAE="),
        ("B", "AAE=", "AAE="),
        ("B", "AAF=", "AAE="),
    ],
)
def test_a_key_is_read_in_each_of_its_forms(kind: KeyType, value: Any, content: str) -> None:
    assert read(kind, value) == content


def test_a_plain_number_of_38_digits_loses_none() -> None:
    body = f'{{"pk": {WIDE[:1]}.{WIDE[1:]}}}'
    assert key_values(parse(body), table("N")) == ({"N": f"{WIDE[:1]}.{WIDE[1:]}"},)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("S", value) for value in ("", {"S": ""}, 7, {"N": "7"}, {"S": 7}, {"S": None}, {}, True, ["m-1"], None)),
        *(("S", value) for value in ("half \ud83d", {"S": "m-1", "N": "7"}, {"B": "AAE="}, {"NULL": True})),
        *(
            ("N", value)
            for value in ("", "m-1", {"S": "m-1"}, "e0", "1_000", "٣", "NaN", "Infinity", True, {"BOOL": 1})
        ),
        *(("N", value) for value in (WIDE + "9", "1E-131", "1E+126", "1e999999999999999999", "1" + "0" * 5000, [7])),
        *(("N", value) for value in ({"N": "7", "S": "7"}, {"S": "7", "B": "7"}, {"N": None}, None)),
        *(("B", value) for value in ("", "A", "AAE", "a-_=", "é", "AA E=", 7, {"S": "AAE="}, {"B": None}, None)),
    ],
)
def test_what_is_no_value_of_the_key_is_refused(kind: KeyType, value: Any) -> None:
    assert is_refused(kind, value)


@pytest.mark.parametrize("position", [0, 1])
def test_no_value_is_longer_than_dynamodb_takes(position: int) -> None:
    fits = "é" * (MAX_BYTES[position] // 2)
    for kind, good, long in (
        ("S", fits, fits + "x"),
        ("B", *(base64.b64encode(text.encode()).decode() for text in (fits, fits + "x"))),
    ):
        identity = TableIdentity(arn="arn", key=(("pk", kind), ("sk", kind)))  # type: ignore[arg-type]
        key = ["AAE=", "AAE="]
        key[position] = good
        assert key_values({"pk": key[0], "sk": key[1]}, identity)[position] == {kind: good}
        key[position] = long
        with pytest.raises(NotUnderstoodError):
            key_values({"pk": key[0], "sk": key[1]}, identity)


def test_a_key_of_two_needs_both_and_comes_in_the_tables_order() -> None:
    attributes = parse('{"name": {"S": "Ada"}, "sk": 7, "pk": {"S": "m-1"}}')
    assert key_values(attributes, table("S", "N")) == ({"S": "m-1"}, {"N": "7"})
    for missing in ("pk", "sk"):
        with pytest.raises(NotUnderstoodError, match=f"no value for key attribute '{missing}'"):
            key_values({name: value for name, value in attributes.items() if name != missing}, table("S", "N"))


@given(numbers())
@example(Decimal("-0"))
def test_a_number_is_one_key_however_it_is_written(number: Decimal) -> None:
    (typed,) = key_values({"pk": TypeSerializer().serialize(number)}, table("N"))
    spellings = [str(number), f"{number:f}", f"{number:E}", json.dumps({"N": str(number)})]
    plain = [f'{{"pk": {text}}}' for text in (*spellings, *map(json.dumps, spellings[:3]))]
    read_again = [key_values(parse(body), table("N")) for body in plain]
    assert read_again == [(typed,)] * len(plain)
    assert Decimal(typed["N"]) == number
    assert TypeSerializer().serialize(Decimal(typed["N"]))


@given(st.binary(min_size=1, max_size=100), st.text(min_size=1, max_size=100))
def test_binary_and_text_come_out_as_they_went_in(content: bytes, text: str) -> None:
    wire: KeyValues = ({"B": base64.b64encode(content).decode()}, {"S": text})
    for attributes in ({"pk": wire[0], "sk": wire[1]}, {"pk": wire[0]["B"], "sk": text}):
        assert key_values(parse(json.dumps(attributes)), table("B", "S")) == wire


@pytest.mark.parametrize(
    ("value", "expected_us"),
    [
        (1_800_000_000, CREATED_US),
        (1_800_000_000.0, CREATED_US),
        (1_800_000_000.123456, CREATED_US + 123_456),
        ("1800000000", CREATED_US),
        ("1.8E9", CREATED_US),
        ("2027-01-15T08:00:00Z", CREATED_US),
        ("2027-01-15T09:00:00+01:00", CREATED_US),
        ("2027-01-15 08:00:00.123456+00:00", CREATED_US + 123_456),
    ],
)
def test_a_time_is_read_as_seconds_or_as_iso_text(value: Any, expected_us: int) -> None:
    assert time_us(parse(json.dumps(value))) == expected_us


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "soon", True, [], {}, 0, -1, 1, 1_800_000_000_000, "1e400", 10**400, "nan", "-inf"),
        *("2027-01-15T08:00:00", "2027-01-15T08:00Z", "2027-01-15", "2027-13-15T08:00:00Z", "1970-01-01T00:00:00Z"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2027-01-15T08:00:00 soon"),
    ],
)
def test_a_time_that_is_none_or_could_be_wrong_is_none(value: Any) -> None:
    assert time_us(parse(json.dumps(value))) is None
