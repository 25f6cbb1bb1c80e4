"""Document ids: no two keys share one, each fits, each spelling of a number is one."""

import base64
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import DYNAMODB_CONTEXT
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.documents.attribute_values import AttributeValueError, Item
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.documents.ids import MAX_ID_BYTES, document_id, routing_text
from tests.support.typed_items import numbers

KeyPart = dict[str, Any]
TRICKY = st.text(alphabet="|%~25C7a\u00e9\U0001f600", min_size=1, max_size=6)
STRINGS = st.one_of(TRICKY, st.text(min_size=1, max_size=600), TRICKY.map(lambda text: text * 120))
NUMBERS = numbers().map(lambda number: {"N": str(number)})
KINDS = st.one_of(
    STRINGS.map(lambda text: {"S": text}),
    NUMBERS,
    st.binary(min_size=1, max_size=500).map(lambda content: {"B": base64.b64encode(content).decode()}),
)


def identity(part: KeyPart) -> object:
    ((kind, content),) = part.items()
    return (kind, Decimal(content)) if kind == "N" else (kind, content)


@settings(max_examples=500)
@given(st.lists(STRINGS, min_size=2, max_size=2), st.lists(STRINGS, min_size=2, max_size=2))
@example(["a|b", "c"], ["a", "b|c"])
@example(["a%7Cb", "c"], ["a|b", "c"])
@example(["a%", "7Cb"], ["a%7C", "b"])
@example(["a|", "b"], ["a", "|b"])
def test_two_composite_keys_never_share_an_id(one: list[str], other: list[str]) -> None:
    ids = [document_id([{"S": text} for text in key]) for key in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)


@settings(max_examples=300)
@given(NUMBERS, NUMBERS)
@example({"N": "1"}, {"N": "10"})
@example({"N": "0.1"}, {"N": "1"})
@example({"N": "1E+38"}, {"N": "1E+37"})
@example({"N": "1E-39"}, {"N": "1E-38"})
@example({"N": "100"}, {"N": "1e2"})
def test_numbers_share_an_id_exactly_when_they_are_equal(one: KeyPart, other: KeyPart) -> None:
    assert (document_id([one]) == document_id([other])) == (identity(one) == identity(other))


@given(numbers())
def test_every_spelling_of_a_number_gives_one_id(number: Decimal) -> None:
    spellings = {str(number), f"{number:f}", f"{number:e}", f"{number:E}", str(DYNAMODB_CONTEXT.normalize(number))}
    assert len({document_id([{"N": text}]) for text in spellings}) == 1


@settings(max_examples=200)
@given(st.lists(KINDS, min_size=1, max_size=2))
def test_no_id_is_longer_than_opensearch_allows(key: list[KeyPart]) -> None:
    assert 0 < len(document_id(key).encode()) <= MAX_ID_BYTES


@given(st.text(alphabet="ab\u00e9\U0001f600", min_size=500, max_size=600))
def test_long_keys_that_differ_at_the_end_only_have_different_ids(text: str) -> None:
    one, other = document_id([{"S": text + "x"}]), document_id([{"S": text + "y"}])
    assert one != other
    assert one[:100] == text[:100]


def test_no_short_key_can_imitate_the_id_of_a_long_one() -> None:
    long_id = document_id([{"S": "x" * 600}])
    assert document_id([{"S": long_id}]) != long_id


def test_a_plain_key_is_its_own_id() -> None:
    assert document_id([{"S": "0001b184-e0d0-5940-b4b9-6eec6de2339d"}]) == "0001b184-e0d0-5940-b4b9-6eec6de2339d"


@pytest.mark.parametrize("kind", ["BOOL", "M", "SS", "NULL"])
def test_a_key_of_another_type_is_refused(kind: str) -> None:
    with pytest.raises(AttributeValueError, match="cannot be a key"):
        document_id([{kind: "x"}])


@pytest.mark.parametrize(
    ("value", "routing"),
    [({"S": "CUSTOMER#7|%"}, "CUSTOMER#7|%"), ({"N": "1.50"}, "1.5"), ({"B": "AAE="}, "AAE=")],
)
def test_routing_is_the_key_as_readers_see_it(value: KeyPart, routing: str) -> None:
    assert routing_text(value) == routing


PLAIN = st.text(alphabet="ab-7\u00e9", min_size=1, max_size=140).map(lambda text: {"S": text})


@given(
    st.one_of(
        *(st.lists(st.lists(kinds, min_size=parts, max_size=parts)) for kinds in (KINDS, PLAIN) for parts in (1, 2))
    )
)
@example([[{"S": "a"}], [{"S": "%"}]])
@example([[{"S": "a"}], [{"S": "a|b"}]])
@example([[{"S": "a"}], [{"S": "a" * 513}]])
@example([[{"S": "a"}], [{"N": "1.0"}]])
def test_the_ids_of_many_items_are_those_of_their_keys(keys: list[list[KeyPart]]) -> None:
    builder, items = builder_and_items(keys)
    ids = [document_id(key) for key in keys]
    assert builder.ids_of(items) == ids
    plain = builder.plain_ids(items)
    are_short_strings = all(len(key) == 1 and len(key[0].get("S", "x" * 200)) < 100 for key in keys)
    has_escapes = any(mark in part.get("S", "") for key in keys for part in key for mark in "%|")
    assert plain == (ids if plain is not None or (keys and are_short_strings and not has_escapes) else None)


def test_among_many_items_a_key_of_another_type_is_an_error() -> None:
    builder, items = builder_and_items([[{"S": "a"}], [{"BOOL": True}]])
    assert builder.plain_ids(items) is None
    with pytest.raises(AttributeValueError):
        builder.ids_of(items)


def test_among_many_items_one_without_its_key_is_an_error() -> None:
    builder, items = DocumentBuilder(["a0"], FieldRules()), [{"a0": {"S": "1"}}, {"a1": {"S": "2"}}]
    assert builder.plain_ids(items) is None
    with pytest.raises(KeyError, match="a0"):
        builder.ids_of(items)


def builder_and_items(keys: list[list[KeyPart]]) -> tuple[DocumentBuilder, list[Item]]:
    names = [f"a{number}" for number in range(len(keys[0]) if keys else 1)]
    return DocumentBuilder(names, FieldRules()), [dict(zip(names, key, strict=True)) for key in keys]
