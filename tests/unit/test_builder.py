"""Items to documents by field rules."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from dynamo_opensearch.core.documents.builder import BuiltPage, DocumentBuilder
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.documents.transform import TransformError, load_transform
from dynamo_opensearch.core.targets.loading import load_targets
from tests.support import transforms

INCLUDE = Path(__file__).parents[2] / "include"
MEMBER = {"id": {"S": "m1"}, "name": {"S": "Ada"}, "points": {"N": "7"}, "secret": {"S": "x"}}
ORDER: dict[str, Any] = {
    "PK": {"S": "CUSTOMER#7"},
    "SK": {"S": "ORDER#2026|1"},
    "entity": {"S": "order"},
    "internalNote": {"S": "never shown"},
    "customer": {"M": {"name": {"S": "Ada"}, "country": {"S": "DE"}}},
    "lines": {
        "L": [
            {"M": {"quantity": {"N": "2"}, "price": {"N": "1.25"}}},
            {"M": {"quantity": {"N": "1"}, "price": {"N": "9"}}},
        ]
    },
}


def build(rules: dict[str, Any], *items: Any, key: tuple[str, ...] = ("id",)) -> BuiltPage:
    return DocumentBuilder(key, FieldRules.model_validate(rules)).build(items)


def document(rules: dict[str, Any], item: Any = MEMBER) -> Any:
    (one,) = build(rules, item).documents
    assert one.source is not None
    return orjson.loads(one.source)


def refusal(rules: dict[str, Any], item: Any = MEMBER) -> str:
    (one,) = build(rules, item).refused
    return str(one.error)


def transform(name: str) -> dict[str, Any]:
    return {"transform": f"tests.support.transforms:{name}"}


def test_without_rules_every_attribute_gets_in() -> None:
    assert document({}) == {"id": "m1", "name": "Ada", "points": 7, "secret": "x"}


def test_an_allow_list_lets_nothing_else_through() -> None:
    assert document({"include_fields": ["id", "points", "not there"]}) == {"id": "m1", "points": 7}


def test_a_deny_list_keeps_the_rest() -> None:
    assert document({"exclude_fields": ["secret", "not there"]}) == {"id": "m1", "name": "Ada", "points": 7}


def test_the_sample_target_uses_every_rule_in_order() -> None:
    target = load_targets(INCLUDE).targets["orders"]
    page = DocumentBuilder(target.key, target.documents).build([ORDER])
    (one,) = page.documents
    assert (one.id, one.routing) == ("CUSTOMER#7|ORDER#2026%7C1", "CUSTOMER#7")
    assert orjson.loads(one.source or b"") == {
        "customerKey": "CUSTOMER#7",
        "orderId": "ORDER#2026|1",
        "entity": "order",
        "customer_name": "Ada",
        "customer_country": "DE",
        "lines": [{"quantity": 2, "price": 1.25}, {"quantity": 1, "price": 9}],
        "total": 11.5,
    }


@pytest.mark.parametrize(
    "change", [{"SK": {"S": "PROFILE"}}, {"entity": {"S": "customer"}}, {"deletedAt": {"S": "2026-01-01"}}]
)
def test_items_that_do_not_belong_are_skipped_and_counted(change: dict[str, Any]) -> None:
    target = load_targets(INCLUDE).targets["orders"]
    page = DocumentBuilder(target.key, target.documents).build([ORDER | change, ORDER])
    assert (len(page.documents), page.skipped, page.refused) == (1, 1, [])


def test_what_is_gone_has_the_same_id_and_routing_and_no_source() -> None:
    target = load_targets(INCLUDE).targets["orders"]
    builder = DocumentBuilder(target.key, target.documents)
    (there,) = builder.build([ORDER]).documents
    gone = builder.gone(there.key)
    assert (gone.id, gone.routing, gone.source, gone.key) == (there.id, there.routing, None, there.key)


def test_one_items_refusal_does_not_touch_the_others() -> None:
    bad = MEMBER | {"points": {"N": "not a number"}}
    page = build({}, MEMBER, bad, MEMBER)
    assert len(page.documents) == 2
    assert [(one.id, str(one.error)) for one in page.refused] == [
        ("m1", "attribute value of type 'N': not a decimal number")
    ]


def test_two_attributes_may_not_become_one_field() -> None:
    assert refusal({"renames": {"name": "points"}}).startswith("field 'points': two attributes")
    item = MEMBER | {"address": {"M": {"street": {"S": "x"}}}, "a_street": {"S": "y"}}
    assert refusal({"flatten": {"address": "a_"}}, item).startswith("field 'a_street': two attributes")


def test_two_fields_may_swap_their_names() -> None:
    assert document({"renames": {"name": "secret", "secret": "name"}})["name"] == "x"


def test_what_is_to_be_flattened_must_be_a_map() -> None:
    assert refusal({"flatten": {"name": "n_"}}) == "field 'name': is to be flattened and is not a map"
    assert document({"flatten": {"not there": "n_"}}) == document({})


def test_a_transform_sees_exact_decimals_and_gives_them_back() -> None:
    digits = "12345678901234567890.123456789012345678"
    (one,) = build(transform("doubled"), MEMBER | {"points": {"N": digits}}).documents
    assert one.source is not None
    assert digits.encode() in one.source
    assert transforms.seen_types == {Decimal}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("raising", "field 'transform': raised ValueError"),
        ("nothing", "field 'transform': returned no document; `filter` says which items belong"),
        ("not_a_number", "field 'transform': returned a number that JSON does not have"),
        ("unwritable", "field 'transform': returned a value that JSON does not have"),
    ],
)
def test_a_transform_that_fails_costs_its_own_item_only_and_quotes_nothing(name: str, problem: str) -> None:
    page = build(transform(name), MEMBER, MEMBER | {"name": {"S": "good"}})
    assert [str(one.error) for one in page.refused] == [problem]
    assert len(page.documents) == 1


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("no.such.module:f", "cannot be imported"),
        ("tests.support.transforms:absent", "cannot be imported"),
        ("tests.support.broken_transform:f", "cannot be imported (RuntimeError"),
        ("tests.support.transforms:unversioned", "has no version"),
    ],
)
def test_a_transform_that_cannot_be_used_is_named(reference: str, problem: str) -> None:
    with pytest.raises(TransformError) as error:
        load_transform(reference)
    assert reference in str(error.value)
    assert problem in str(error.value)


def test_the_fingerprint_changes_with_the_rules_and_with_the_transforms_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fingerprint(rules: dict[str, Any]) -> str:
        return DocumentBuilder(("id",), FieldRules.model_validate(rules)).fingerprint()

    plain, with_transform = fingerprint({}), fingerprint(transform("doubled"))
    assert len({plain, with_transform, fingerprint({"exclude_fields": ["a"]})}) == 3
    assert fingerprint({"exclude_fields": []}) == plain
    monkeypatch.setattr(transforms.doubled, "version", "2")
    assert fingerprint(transform("doubled")) != with_transform


@pytest.mark.parametrize(
    "rules",
    [
        {"include_fields": ["a"], "exclude_fields": ["b"]},
        {"include_fields": []},
        {"renames": {"a": "x", "b": "x"}},
        {"transform": "not a reference"},
        {"unknown": 1},
    ],
)
def test_rules_that_contradict_themselves_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FieldRules.model_validate(rules)
