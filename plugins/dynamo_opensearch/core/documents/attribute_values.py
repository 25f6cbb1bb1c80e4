"""DynamoDB's typed JSON to plain JSON values, without loss.

An attribute value is an object with one member: its type and its content, ``{"S": "text"}``
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html). Numbers go through as they
came, all 38 digits, as raw JSON text; binary values stay base64 text. Sets are sorted: DynamoDB keeps no order of their
members, and the same item must give the same document.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from dynamo_opensearch.core.errors import PermanentError

AttributeValue = Mapping[str, Any]
Item = Mapping[str, AttributeValue]

_is_json_number = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch
_any_number = re.compile(r"\s*([+-]?)0*([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?\s*").fullmatch


class AttributeValueError(PermanentError):
    """Typed JSON that is none: an unknown type, or a number that is not one. Never quotes the content."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(kind, problem)
        self.kind, self.problem = kind, problem

    def __str__(self) -> str:
        return f"attribute value of type {self.kind!r}: {self.problem}"


def number_text(text: str) -> str:
    """The number as JSON allows it, no digit lost; DynamoDB's own answers pass unchanged.

    Raises:
        AttributeValueError: not a decimal number.
    """
    if _is_json_number(text):
        return text
    parts = _any_number(text)
    if parts is None or not (parts[2] or parts[3] or "0" in text):
        raise AttributeValueError("N", "not a decimal number")
    sign, whole, fraction, exponent = parts[1], parts[2] or "0", parts[3], parts[4]
    return (
        ("-" if sign == "-" else "")
        + whole
        + (f".{fraction}" if fraction else "")
        + (f"e{exponent}" if exponent else "")
    )


def _number(text: str) -> orjson.Fragment:
    return orjson.Fragment(text if _is_json_number(text) else number_text(text))


def _number_set(texts: Sequence[str]) -> list[orjson.Fragment]:
    return [_number(text) for text in sorted(texts)]


def _same(content: Any) -> Any:
    return content


def _null(_content: Any) -> None:
    return None


def _list(values: Sequence[AttributeValue]) -> list[Any]:
    return [plain_value(value) for value in values]


def plain_value(value: AttributeValue) -> Any:
    """One attribute value as something that ``orjson.dumps`` writes.

    Raises:
        AttributeValueError: not a typed attribute value.
    """
    if len(value) != 1:
        raise AttributeValueError("?", f"has {len(value)} types, must have one")
    ((kind, content),) = value.items()
    try:
        return _CONVERT[kind](content)
    except KeyError:
        raise AttributeValueError(kind, "no such DynamoDB type") from None


def plain_map(attributes: Item) -> dict[str, Any]:
    """A map or a whole item, attribute by attribute.

    This is where a copy spends most of its time (bench/README.md): the dict is copied whole, which costs less than
    growing one, and strings, the most common kind, are told apart here.

    Raises:
        AttributeValueError: a value is not typed JSON.
    """
    plain: dict[str, Any] = dict(attributes)
    for name, value in attributes.items():
        plain[name] = value["S"] if "S" in value else plain_value(value)
    return plain


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "S": _same,
    "N": _number,
    "B": _same,
    "BOOL": _same,
    "NULL": _null,
    "M": plain_map,
    "L": _list,
    "SS": sorted,
    "NS": _number_set,
    "BS": sorted,
}
