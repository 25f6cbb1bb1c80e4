"""Whether a document has a value in a required field."""

from typing import Any

import pytest

from dynamo_opensearch.core.rebuild.mapping_check import has_value, hashed_id


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ({"a": 1}, "a", True),
        ({"a": ""}, "a", True),
        ({"a": False}, "a", True),
        ({"a": None}, "a", False),
        ({"a": []}, "a", False),
        ({"a": [None]}, "a", False),
        ({"a": [None, 1]}, "a", True),
        ({"ab": 1}, "a", False),
        ({"a": {"b": 1}}, "a", True),
        ({"a": {"b": 1}}, "a.b", True),
        ({"a.b": 1}, "a.b", True),
        ({"a.b": {"c": 1}}, "a.b.c", True),
        ({"a": {"b": None}}, "a.b", False),
        ({"a": [{"c": 1}, {"b": 2}]}, "a.b", True),
        ({"a": 1}, "a.b", False),
        ({}, "a", False),
    ],
)
def test_null_and_an_empty_list_are_no_value(content: Any, name: str, expected: bool) -> None:
    assert has_value(content, name) is expected


def test_a_hashed_id_tells_nothing_and_is_always_the_same() -> None:
    assert hashed_id("member-1") == hashed_id("member-1") != hashed_id("member-2")
    assert "member" not in hashed_id("member-1")
