"""What a new mapping changes, field by field."""

from typing import Any

import pytest

from dynamo_opensearch.core.opensearch.mapping_diff import (
    MappingChanges,
    compare_mappings,
    flat_fields,
    is_mapped,
)

OLD: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "id": {"type": "keyword"},
        "name": {"type": "text", "analyzer": "a", "fields": {"raw": {"type": "keyword"}}},
        "address": {"type": "nested", "properties": {"city": {"type": "keyword"}, "zip": {"type": "keyword"}}},
        "meta": {"properties": {"a": {"type": "long"}}},
    },
}


def test_equal_mappings_have_no_changes() -> None:
    assert compare_mappings(OLD, {**OLD, "_meta": {"x": 1}}) == MappingChanges()
    assert str(MappingChanges()) == "no field changes"


def test_fields_of_objects_and_multi_fields_are_told_by_their_dotted_names() -> None:
    new = {
        "dynamic": "true",
        "properties": {
            "id": {"type": "keyword", "ignore_above": 9},
            "name": {"type": "text", "analyzer": "b", "fields": {"low": {"type": "keyword"}}},
            "address": {"properties": {"city": {"type": "text"}, "street": {"type": "text"}}},
            "meta": {"properties": {"a": {"type": "long"}}},
        },
    }
    assert compare_mappings(OLD, new) == MappingChanges(
        added=("address.street (text)", "name.low (keyword)"),
        removed=("address.zip (keyword)", "name.raw (keyword)"),
        retyped=("address (nested to object)", "address.city (keyword to text)"),
        changed=(
            "(mapping) (dynamic: 'strict' to 'true')",
            "id (ignore_above: default to 9)",
            "name (analyzer: 'a' to 'b')",
        ),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("id", True),
        ("a", True),
        ("a.b", True),
        ("flat", True),
        ("flat.any.thing", True),
        ("a.c", False),
        ("off", False),
        ("off.x", False),
        ("nothing", False),
        ("nothing.x", False),
        ("id.x", False),
    ],
)
def test_a_required_field_must_be_one_that_documents_may_carry(name: str, expected: bool) -> None:
    fields = flat_fields(
        {
            "properties": {
                "id": {"type": "keyword"},
                "a": {"properties": {"b": {"type": "long"}}},
                "flat": {"type": "flat_object"},
                "off": {"type": "object", "enabled": False},
            }
        }
    )
    assert is_mapped(fields, name) is expected
