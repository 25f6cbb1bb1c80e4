"""Key values as people and services write them, to the one way in which this package holds them.

What comes out, DynamoDB takes: a single key that it would refuse costs the read of a hundred others. Limits:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from decimal import Context, DecimalException, Inexact, InvalidOperation, Overflow, Subnormal
from typing import Any

from dynamo_opensearch.core.dead_letters.messages import KeyType, NotUnderstoodError, TableIdentity
from dynamo_opensearch.core.dead_letters.shapes.json_values import Number, is_utf8
from dynamo_opensearch.core.documents.attribute_values import AttributeValueError
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.ids import key_text

MAX_BYTES = (2048, 1024)
"""Of a partition key's value and of a sort key's."""

_NUMBERS = Context(prec=38, Emin=-130, Emax=125, traps=[Inexact, InvalidOperation, Overflow, Subnormal])


def key_values(attributes: Mapping[str, Any], table: TableIdentity) -> KeyValues:
    """The key among these attributes, in DynamoDB JSON or plain; others are not looked at.

    Plain means: text for S, a number or its text for N, base64 text for B. A number in an S is taken for an N;
    nothing else is guessed, since a wrong guess would look at another item.

    Raises:
        NotUnderstoodError: one is missing, of another type, or no value that a key can have.
    """
    return tuple(
        {kind: _content(attributes, name, kind, most_bytes)}
        for (name, kind), most_bytes in zip(table.key, MAX_BYTES, strict=False)
    )


def _content(attributes: Mapping[str, Any], name: str, kind: KeyType, most_bytes: int) -> str:
    if attributes.get(name) is None:
        raise NotUnderstoodError(f"no value for key attribute {name!r}")
    content = _CANONICAL[kind](_untyped(attributes[name], kind), most_bytes)
    if content is None:
        raise NotUnderstoodError(f"key attribute {name!r} has no value of type {kind}")
    return content


def _untyped(value: Any, kind: KeyType) -> Any:
    if not isinstance(value, dict):
        return value
    if kind == "N" and "N" not in value:
        return value.get("S") if len(value) == 1 else None
    return value.get(kind) if len(value) == 1 else None


def _text(value: Any, most_bytes: int) -> str | None:
    is_fit = isinstance(value, str) and is_utf8(value) and 0 < len(value.encode()) <= most_bytes
    return value if is_fit else None


def _number(value: Any, _most_bytes: int) -> str | None:
    text = value.text if isinstance(value, Number) else value
    if not isinstance(text, str):
        return None
    try:
        _NUMBERS.create_decimal(text)
        return key_text({"N": text})
    except (DecimalException, AttributeValueError):
        return None


def _binary(value: Any, most_bytes: int) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):  # ValueError: text that is not ASCII
        return None
    return base64.b64encode(content).decode() if 0 < len(content) <= most_bytes else None


_CANONICAL: dict[KeyType, Callable[[Any, int], str | None]] = {"S": _text, "N": _number, "B": _binary}
