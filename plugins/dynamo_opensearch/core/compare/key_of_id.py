"""From a document's id back to the key of its item: the inverse of ``core.documents.ids``."""

import base64
import binascii
from collections.abc import Callable, Sequence
from decimal import Decimal

from dynamo_opensearch.core.documents.attribute_values import AttributeValueError, number_text
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.ids import HASH_MARK, SEPARATOR, document_id

_MOST_DIGITS = 38
_LARGEST_EXPONENT, _SMALLEST_EXPONENT = 125, -130
"""DynamoDB refuses a request whose key is a number beyond these."""


def is_shortened(document_id_text: str) -> bool:
    """Whether the id ends in a hash, so that no key can be read from it."""
    return HASH_MARK in document_id_text


def key_from_id(document_id_text: str, kinds: Sequence[str]) -> KeyValues | None:
    """The only key (of types S, N or B, partition key first) whose document has this id.

    None: there is none, so no item of the table can have such a document; or the id ``is_shortened``.
    """
    parts = document_id_text.split(SEPARATOR) if len(kinds) > 1 else [document_id_text]
    if is_shortened(document_id_text) or len(parts) != len(kinds):
        return None
    key = tuple({kind: _CONTENT[kind](part)} for kind, part in zip(kinds, parts, strict=True))
    return key if is_key_of(key, document_id_text) else None


def is_key_of(key: KeyValues, document_id_text: str) -> bool:
    """Whether DynamoDB would take this key, and its document has this id."""
    try:
        return all(map(_is_possible, key)) and document_id(key) == document_id_text
    except AttributeValueError:
        return False


def _unescape(part: str) -> str:
    return part.replace("%7C", SEPARATOR).replace("%25", "%")


def _same(part: str) -> str:
    return part


_CONTENT: dict[str, Callable[[str], str]] = {"S": _unescape, "N": _same, "B": _same}


def _is_possible(value: object) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if not isinstance(content, str) or not content:
        return False
    if kind == "N":
        return _is_number(content)
    return _is_base64(content) if kind == "B" else _is_text(content)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(text: str) -> bool:
    try:
        number = Decimal(number_text(text))
    except (AttributeValueError, ArithmeticError):
        return False
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    return len(digits) <= _MOST_DIGITS and _SMALLEST_EXPONENT <= number.adjusted() <= _LARGEST_EXPONENT


def _is_base64(text: str) -> bool:
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except (binascii.Error, ValueError):
        return False
