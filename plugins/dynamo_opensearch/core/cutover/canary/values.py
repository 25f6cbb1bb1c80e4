"""Values that a canary's attributes may have: typed JSON that a field of a mapping takes."""

import base64
from typing import Any

from pydantic import JsonValue

from dynamo_opensearch.core.documents.attribute_values import AttributeValue

CANARY = "canary"
_PREFIX = "dynamo-opensearch-canary-"
_ATTEMPTS = 100
_EPOCH = ("epoch_millis", "epoch_second")

_BITS = {"byte": 7, "short": 15, "integer": 31, "long": 63, "unsigned_long": 64}
_EXACT_BITS = 52
"""Of whole numbers that a floating-point field holds without loss."""
_FLOATING = frozenset({"float", "half_float", "double", "scaled_float"})
_NUMBERS = frozenset({*_BITS, *_FLOATING})
_TEXTS = frozenset({"keyword", "text", "wildcard", "match_only_text", "search_as_you_type"})
_LARGEST_KEY = 10**38 - 1
"""A DynamoDB number has 38 digits."""


def typed_value(value: JsonValue) -> AttributeValue:
    """A value of a target file as DynamoDB has it; numbers as they are written."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, dict):
        return {"M": {name: typed_value(member) for name, member in value.items()}}
    return {"L": [typed_value(one) for one in value]}


def value_for(field: dict[str, Any]) -> AttributeValue:
    """Something that a field of this mapping takes, as far as its type tells."""
    kind = str(field.get("type", "object"))
    if kind in _NUMBERS:
        return {"N": "0"}
    if kind in ("date", "date_nanos"):
        formats = str(field.get("format", "")).split("||")
        return {"N": "0"} if all(one in _EPOCH for one in formats) else {"S": "2000-01-01"}
    others: dict[str, AttributeValue] = {
        "boolean": {"BOOL": False},
        "ip": {"S": "127.0.0.1"},
        "binary": {"B": base64.b64encode(CANARY.encode()).decode()},
        "geo_point": {"M": {"lat": {"N": "0"}, "lon": {"N": "0"}}},
    }
    if kind in ("object", "nested", "flat_object"):
        return {"M": {}}
    return others.get(kind, {"S": CANARY})


def changed_value(value: AttributeValue, field: dict[str, Any], attempt: int) -> AttributeValue | None:
    """Another value of the same type that the field takes as well; None where that is not sure.

    Of a text, or a number, each ``attempt`` has one of its own.
    """
    kind = field.get("type")
    if "S" in value and kind in _TEXTS | {None}:
        return {"S": f"{value['S']}-changed-{attempt}"}
    if "N" in value and kind in _NUMBERS | {None}:
        other = str(attempt % _ATTEMPTS + 1)
        return {"N": other if value["N"] != other else "0"}
    return {"BOOL": not value["BOOL"]} if "BOOL" in value else None


def key_value(kind: str, field: dict[str, Any], prefix: str, mark: str) -> AttributeValue:
    """A key that no item has by chance. ``kind``: S, N or B; ``mark``: hexadecimal digits of the run.

    ``prefix``: what a key of type S must begin with. Numbers are at the far end of what the field takes.
    """
    if kind == "S":
        return {"S": f"{prefix}{_PREFIX}{mark}"}
    if kind == "B":
        return {"B": base64.b64encode(f"{_PREFIX}{mark}".encode()).decode()}
    mapped = str(field.get("type"))
    if mapped not in _NUMBERS:
        return {"N": str(-(_LARGEST_KEY - int(mark, 16) % 10**36))}
    bits = _BITS.get(mapped, _EXACT_BITS)
    far = 2**bits - 1 - int(mark, 16) % 2 ** (bits // 2)
    return {"N": str(far if mapped == "unsigned_long" else -far)}


def is_text(field: dict[str, Any]) -> bool:
    """Whether the field takes any text."""
    return field.get("type") in _TEXTS
