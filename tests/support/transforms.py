"""Transforms that targets of tests name."""

from decimal import Decimal
from typing import Any

seen_types: set[type] = set()


def doubled(document: dict[str, Any]) -> dict[str, Any]:
    seen_types.add(type(document["points"]))
    return document


def raising(document: dict[str, Any]) -> dict[str, Any]:
    if document["name"] != "good":
        raise ValueError("secret " + document["name"])
    return document


def nothing(document: dict[str, Any]) -> dict[str, Any] | None:
    return document if document["name"] == "good" else None


def not_a_number(document: dict[str, Any]) -> dict[str, Any]:
    return document if document["name"] == "good" else {"points": [Decimal("NaN")]}


def unwritable(document: dict[str, Any]) -> dict[str, Any]:
    return document if document["name"] == "good" else {"points": {1, 2}}


def unversioned(document: dict[str, Any]) -> dict[str, Any]:
    return document


for _transform in (doubled, raising, nothing, not_a_number, unwritable):
    _transform.version = "1"  # type: ignore[attr-defined]
