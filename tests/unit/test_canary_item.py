"""A canary belongs to its target, has a key that nobody has, and two states that give two documents."""

import base64
import datetime
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from pydantic import ValidationError

from dynamo_opensearch.core.cutover.canary.item import (
    Canary,
    CanaryUnfitError,
    CanaryWish,
    documents_of,
    mark_of,
    plan_canary,
)
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.targets.environment import IndexerSettings
from dynamo_opensearch.core.targets.model import Target

INCLUDE = Path(__file__).parents[2] / "include"
MARK = mark_of("local", "members_cutover", "manual__1")
OWN = f"dynamo-opensearch-canary-{MARK}"
TEXTS: dict[str, Any] = {"properties": {"id": {"type": "keyword"}, "note": {"type": "text"}}}


def sample(name: str) -> Target:
    return Target.model_validate(yaml.safe_load((INCLUDE / "targets" / f"{name}.yaml").read_text()))


def made(
    target: Target | None = None,
    mappings: dict[str, Any] = TEXTS,
    key_types: str = "S",
    given: Any = None,
    mark: str = MARK,
    attempt: int = 3,
    **changes: Any,
) -> Canary:
    if target is None:
        target = Target.model_validate(
            {
                "name": "things",
                "table": "things",
                "key": ["id"],
                "alias": "things-live",
                "mapping": "things.json",
                "indexer_writes": "versioned",
                "environments": {"local": {}},
                **changes,
            }
        )
    wish = CanaryWish(
        target=target, key_types=key_types, mappings=mappings, given=given or {}, mark=mark, attempt=attempt
    )
    builder = DocumentBuilder(target.key, target.documents)
    canary = plan_canary(wish, builder)
    first, second = documents_of(canary, builder)
    assert first.id == second.id
    assert first.source != second.source
    assert Canary.from_json(json.loads(json.dumps(canary.to_json()))) == canary
    return canary


def mapping(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((INCLUDE / "mappings" / f"{name}.json").read_text())["mappings"]
    return found


def content(target: Target, canary: Canary) -> tuple[dict[str, Any], dict[str, Any]]:
    first, second = documents_of(canary, DocumentBuilder(target.key, target.documents))
    return orjson.loads(first.source or b""), orjson.loads(second.source or b"")


def test_the_sample_members_get_what_their_file_requires() -> None:
    target = sample("members")
    canary = made(target, mapping("members"))
    assert canary.first == {"memberId": {"S": OWN}, "email": {"S": "canary"}, "status": {"S": "canary"}}
    assert canary.second == {**canary.first, "email": {"S": "canary-changed-3"}}


def test_a_composite_key_a_filter_renames_and_a_transform_are_kept_to() -> None:
    target = sample("orders")
    canary = made(target, mapping("orders"), "SS")
    assert canary.first == {
        "PK": {"S": OWN},
        "SK": {"S": f"ORDER#{OWN}"},
        "entity": {"S": "order"},
        "status": {"S": "canary"},
    }
    first, second = content(target, canary)
    assert first == {"customerKey": OWN, "orderId": f"ORDER#{OWN}", "entity": "order", "status": "canary", "total": 0}
    assert second == first | {"status": "canary-changed-3"}


def test_what_the_file_gives_goes_first_and_is_what_changes() -> None:
    target = sample("members")
    given = {"tier": "gold", "points": 7, "address": {"city": "x", "tags": ["a", 1.5, None, True]}, "status": "open"}
    canary = made(target, mapping("members"), given=given)
    assert canary.first == {
        "memberId": {"S": OWN},
        "email": {"S": "canary"},
        "status": {"S": "open"},
        "tier": {"S": "gold"},
        "points": {"N": "7"},
        "address": {
            "M": {"city": {"S": "x"}, "tags": {"L": [{"S": "a"}, {"N": "1.5"}, {"NULL": True}, {"BOOL": True}]}}
        },
    }
    assert canary.second == {**canary.first, "tier": {"S": "gold-changed-3"}}


def test_text_given_for_a_key_is_what_it_begins_with() -> None:
    target = sample("orders")
    canary = made(target, mapping("orders"), "SS", {"SK": "ORDER#2026#", "PK": "CUSTOMER#"})
    assert canary.key_of_item == {"PK": {"S": f"CUSTOMER#{OWN}"}, "SK": {"S": f"ORDER#2026#{OWN}"}}


def test_every_run_has_a_key_of_its_own_and_every_try_of_it_the_same() -> None:
    marks = {mark_of("local", "members_cutover", run) for run in ("r1", "r2")} | {
        mark_of("other", "members_cutover", "r1")
    }
    assert len({str(made(mark=mark).key_of_item) for mark in marks}) == 3
    assert made() == made()


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, range(-(10**38), -(10**37))),
        ("keyword", range(-(10**38), -(10**37))),
        ("long", range(-(2**63), -(2**63) + 2**32)),
        ("integer", range(-(2**31), -(2**31) + 2**16)),
        ("short", range(-(2**15), -(2**15) + 2**8)),
        ("unsigned_long", range(2**64 - 2**33, 2**64)),
        ("double", range(-(2**52), -(2**52) + 2**27)),
    ],
)
def test_a_number_as_key_lies_at_the_far_end_of_what_its_field_takes(field: str | None, expected: range) -> None:
    typed = {"id": {"type": field}} if field else {}
    canary = made(mappings={"properties": {**typed, "note": {"type": "text"}}}, key_types="N")
    number = canary.first["id"]["N"]
    assert int(number) in expected
    assert len(number.lstrip("-")) <= 38


@pytest.mark.parametrize("given", [{}, {"count": 7}])
def test_every_try_changes_it_to_something_of_its_own(given: dict[str, Any]) -> None:
    mappings = {"properties": {"count": {"type": "byte"}} if given else TEXTS["properties"]}
    tries = [made(mappings=mappings, given=given, attempt=number) for number in range(1, 8)]
    assert len({str(one.second) for one in tries}) == 7
    assert len({str(one.first) for one in tries}) == 1


def test_binary_as_key_says_what_it_is() -> None:
    canary = made(key_types="B")
    assert base64.b64decode(canary.first["id"]["B"]).decode() == OWN


def test_one_fixed_part_of_a_key_is_kept_to_and_the_other_is_its_own() -> None:
    rules = {"filter": {"all": [{"attribute": "kind", "one_of": ["a", "b"]}, {"attribute": "open", "exists": True}]}}
    canary = made(key=["kind", "id"], key_types="SS", documents=rules)
    assert canary.key_of_item == {"kind": {"S": "a"}, "id": {"S": OWN}}
    assert canary.first["open"] == {"S": "canary"}
    assert canary.second["open"] == {"S": "canary"}, "what the filter asks for does not change"


def test_of_a_target_that_requires_nothing_a_text_of_its_mapping_changes() -> None:
    mappings = {"properties": {"at": {"type": "date"}, "note": {"type": "text"}, "other": {"type": "keyword"}}}
    canary = made(mappings=mappings)
    assert (canary.first["note"], canary.second["note"]) == ({"S": "canary"}, {"S": "canary-changed-3"})
    assert set(canary.first) == {"id", "note"}


def test_a_mapping_that_takes_any_field_gets_one() -> None:
    canary = made(mappings={})
    assert (canary.first["canary"], canary.second["canary"]) == ({"S": "canary"}, {"S": "canary-changed-3"})


@pytest.mark.parametrize(
    ("rules", "attribute"),
    [
        ({"include_fields": ["id", "note"]}, "note"),
        ({"exclude_fields": ["name"]}, "note"),
        ({"renames": {"remark": "note"}, "exclude_fields": ["name"]}, "remark"),
        ({"flatten": {"more": "note_"}, "include_fields": ["id", "more"]}, "more"),
    ],
)
def test_only_what_gets_into_the_document_is_taken_to_change(rules: dict[str, Any], attribute: str) -> None:
    mappings = {"dynamic": "strict", "properties": {"name": {"type": "keyword"}, "note": {"type": "keyword"}}}
    if "flatten" in rules:
        mappings["properties"] = {"note_text": {"type": "text"}}
    canary = made(mappings=mappings, documents=rules)
    assert set(canary.first) == {"id", attribute}


VALUES = {
    "keyword": {"S": "canary"},
    "date": {"S": "2000-01-01"},
    "date_nanos": {"S": "2000-01-01"},
    "boolean": {"BOOL": False},
    "integer": {"N": "0"},
    "scaled_float": {"N": "0"},
    "ip": {"S": "127.0.0.1"},
    "nested": {"M": {}},
    "flat_object": {"M": {}},
    "geo_point": {"M": {"lat": {"N": "0"}, "lon": {"N": "0"}}},
    "binary": {"B": "Y2FuYXJ5"},
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_required_field_gets_a_value_of_its_type(kind: str) -> None:
    mappings = {"properties": {"needed": {"type": kind}, "note": {"type": "text"}}}
    assert made(mappings=mappings, required_fields=["needed"]).first["needed"] == VALUES[kind]


def test_a_date_of_numbers_gets_one() -> None:
    needed = {"type": "date", "format": "epoch_millis"}
    mappings = {"properties": {"needed": needed, "note": {"type": "text"}}}
    assert made(mappings=mappings, required_fields=["needed"]).first["needed"] == {"N": "0"}


def test_a_required_member_of_an_object_is_put_where_it_comes_from() -> None:
    mappings = {
        "properties": {
            "address": {"properties": {"city": {"type": "keyword"}, "zip": {"type": "keyword"}}},
            "customer_name": {"type": "text"},
        }
    }
    canary = made(
        mappings=mappings,
        required_fields=["address.city", "address.zip", "customer_name"],
        documents={"flatten": {"customer": "customer_"}},
    )
    assert canary.first["address"] == {"M": {"city": {"S": "canary"}, "zip": {"S": "canary"}}}
    assert canary.first["customer"] == {"M": {"name": {"S": "canary"}}}
    assert canary.second["address"]["M"]["city"] == {"S": "canary-changed-3"}


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"count": 0}, {"count": {"N": "4"}}),
        ({"count": 4}, {"count": {"N": "0"}}),
        ({"is_open": True}, {"is_open": {"BOOL": False}}),
    ],
)
def test_numbers_and_truths_change_where_there_is_no_text(given: dict[str, Any], changed: dict[str, Any]) -> None:
    typed = {"count": {"type": "integer"}, "is_open": {"type": "boolean"}, "at": {"type": "date"}}
    canary = made(mappings={"dynamic": "strict", "properties": typed}, given={"at": "2026-01-01", **given})
    assert canary.second == {**canary.first, **changed}


def refused(**wish: Any) -> str:
    with pytest.raises(CanaryUnfitError) as error:
        made(**wish)
    text = str(error.value)
    for part in ("nothing was written", "indexer.canary", "or `false`, for none", "clear this task"):
        assert part in text
    return text


def test_an_item_that_the_filter_leaves_out_is_refused() -> None:
    rules: dict[str, Any] = {"filter": {"all": [{"attribute": "id", "begins_with": "A#"}]}}
    assert "the target's filter leaves it out" in refused(documents=rules, given={"id": "B#"})
    rules = {"filter": {"all": [{"attribute": "gone", "exists": False}]}}
    assert "the target's filter leaves it out" in refused(documents=rules, given={"gone": "x"})


def test_a_key_that_the_filter_fixes_is_refused() -> None:
    rules = {"filter": {"all": [{"attribute": "id", "equals": "the only one"}]}}
    assert "the filter fixes the key ['id']" in refused(documents=rules)


@pytest.mark.parametrize(("key_types", "given"), [("N", 7), ("S", 7), ("B", "text")])
def test_a_key_that_is_given_whole_is_refused_since_it_could_be_an_items(key_types: str, given: Any) -> None:
    assert "'id' is a key attribute: only a text that the key begins with" in refused(
        key_types=key_types, given={"id": given}
    )


def test_an_item_of_which_nothing_can_change_is_refused() -> None:
    mappings = {"dynamic": "strict", "properties": {"at": {"type": "date"}}}
    assert "known to be one that may change" in refused(mappings=mappings, given={"at": "2026-01-01"})


def test_a_change_that_the_document_does_not_show_is_refused() -> None:
    mappings = {"dynamic": "strict", "properties": {"id": {"type": "long"}}}
    assert "does not get into its document" in refused(
        mappings=mappings, given={"note": "x"}, documents={"include_fields": ["id"]}
    )


def test_a_required_field_that_no_attribute_gives_is_named() -> None:
    rules = {"include_fields": ["id", "note"]}
    assert "lacks the required fields total" in refused(required_fields=["total"], documents=rules)


def test_an_item_that_the_rules_refuse_is_told_with_the_field() -> None:
    rules = {"flatten": {"customer": "customer_"}}
    assert "field 'customer': is to be flattened and is not a map" in refused(documents=rules, given={"customer": "x"})


def test_a_target_file_gives_attributes_that_json_has_or_none_at_all() -> None:
    def given(value: Any) -> Any:
        return IndexerSettings.model_validate({"function": "f", "canary": value}).canary

    assert IndexerSettings(function="f").canary == {}
    assert given({"status": "x", "address": {"tags": [1, None]}}) == {"status": "x", "address": {"tags": [1, None]}}
    assert given(False) is False
    for wrong in (True, None, "x", {"since": datetime.date(2026, 1, 1)}, {"": "x"}):
        with pytest.raises(ValidationError):
            given(wrong)
