"""Content digests and ids turned back into keys."""

import json
import random
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.compare.digest import canonical_json, content_digest, decode_exact, value_digest
from dynamo_opensearch.core.compare.key_of_id import is_shortened, key_from_id
from dynamo_opensearch.core.documents.ids import document_id, key_text
from tests.support.typed_items import numbers
from tests.unit.test_ids import KINDS, KeyPart

NINES = "9" * 38


@pytest.mark.parametrize(
    "spellings",
    [
        ("1", "1.0", "1e0", "10E-1", "0.1e1", "1.000"),
        ("0", "-0", "0.0", "-0.0", "0e5", "-0E-3"),
        ("100", "1E+2", "1e2", "100.00"),
        ("12.5", "12.50", "1.25e1", "1250e-2"),
        (NINES, NINES + ".0", "0." + NINES + "e38"),
        ("1e125", "10e124"),
        ("1" + "0" * 60, "1e60"),
        ("-0.10", "-1e-1"),
    ],
)
def test_every_spelling_of_a_number_has_one_digest(spellings: tuple[str, ...]) -> None:
    assert len({content_digest(b'{"n":[%s]}' % text.encode()) for text in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NINES, NINES[:-1] + "8"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345679"),
        ("1", '"1"'),
        ("1", "true"),
        ("0", "null"),
        ("null", '"null"'),
        ("[1,2]", "[2,1]"),
        ('{"a":1}', '{"a":{"b":1}}'),
        ("[]", "{}"),
        ('""', "null"),
        ("1e10", "1e11"),
        ("1", "-1"),
    ],
)
def test_what_is_not_the_same_has_another_digest(one: str, other: str) -> None:
    assert content_digest(b'{"it":%s}' % one.encode()) != content_digest(b'{"it":%s}' % other.encode())


@given(numbers(), numbers())
@example(Decimal("1E+2"), Decimal("100"))
def test_two_numbers_share_a_digest_exactly_when_they_are_equal(one: Decimal, other: Decimal) -> None:
    digests = [content_digest(str(number).encode()) for number in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


@given(numbers())
def test_the_quick_way_for_plain_numbers_spells_them_as_the_careful_one(number: Decimal) -> None:
    for text in (str(number), f"{number:f}"):
        assert canonical_json(decode_exact(text)).decode() == key_text({"N": text})


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**40), 10**40), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=10,
)


def shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: shuffled(value[name], order) for name in names}
    return [shuffled(member, order) for member in value] if isinstance(value, list) else value


@given(JSON, st.randoms(use_true_random=False))
def test_the_order_of_members_and_the_way_of_writing_text_do_not_count(value: Any, order: random.Random) -> None:
    other = json.dumps(shuffled(value, order), indent=1, ensure_ascii=order.random() < 0.5)
    assert content_digest(json.dumps(value, ensure_ascii=False).encode()) == content_digest(other.encode())


def test_what_orjson_cannot_write_has_a_digest_all_the_same() -> None:
    half, deep = '{"a":"\\ud800","n":1}', "[" * 300 + "1" + "]" * 300
    assert value_digest(decode_exact(half)) == value_digest(decode_exact('{"n":1,"a":"\\ud800"}'))
    assert value_digest(decode_exact(half)) != value_digest(decode_exact(half.replace("1", '"1"')))
    assert value_digest(decode_exact(deep)) != value_digest(decode_exact(deep.replace("1", "2")))


def test_a_digest_is_made_of_64_bits() -> None:
    assert 0 <= content_digest(orjson.dumps({"a": 1})) < 2**64


def normal(part: KeyPart) -> KeyPart:
    """A key value as DynamoDB gives it: one spelling for a number."""
    return {"N": key_text(part)} if "N" in part else part


@settings(max_examples=400)
@given(st.lists(KINDS, min_size=1, max_size=2))
@example([{"S": "%7C"}, {"S": "|"}])
@example([{"S": "%~"}, {"S": "~%"}])
@example([{"N": "-0"}, {"B": "AA=="}])
@example([{"N": "1E+125"}])
@example([{"N": "9.9999999999999999999999999999999999999E+125"}])
@example([{"N": "1E-130"}])
def test_an_id_gives_its_key_back_or_says_that_it_is_shortened(key: list[KeyPart]) -> None:
    text = document_id(key)
    found = key_from_id(text, [next(iter(part)) for part in key])
    assert found == (None if is_shortened(text) else tuple(map(normal, key)))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("abc", "N"),
        ("1.0", "N"),
        ("+1", "N"),
        ("1e126", "N"),
        ("1e-131", "N"),
        ("1e999999999999999999999", "N"),
        ("1" * 39, "N"),
        ("NaN", "N"),
        ("", "S"),
        ("50%", "S"),
        ("%2", "S"),
        ("%7c", "S"),
        ("a|b", "S"),
        ("a", "SS"),
        ("a|b|c", "SS"),
        ("|b", "SS"),
        ("not base64!", "B"),
        ("QQ", "B"),
        ("QR==", "B"),
        ("\ud800", "S"),
    ],
)
def test_an_id_that_no_key_has_gives_none(text: str, kinds: str) -> None:
    assert key_from_id(text, kinds) is None
