"""Document ids: the key's values, so escaped that two keys never share an id."""

import hashlib
from collections.abc import Callable, Sequence

from dynamo_opensearch.core.documents.attribute_values import AttributeValue, AttributeValueError, number_text

MAX_ID_BYTES = 512
"""OpenSearch refuses a longer ``_id``, and with it the whole bulk request."""

SEPARATOR = "|"
HASH_MARK = "%~"
"""Stands in no escaped value: there, ``%`` is followed by two hexadecimal digits."""
_PREFIX_BYTES = MAX_ID_BYTES - len(HASH_MARK) - 64


def _canonical_number(text: str) -> str:
    """One text for one number: DynamoDB holds ``1``, ``1.0`` and ``1e0`` for the same key."""
    mantissa, _, exponent_text = number_text(text).lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    stripped = digits.lstrip("0")
    if not stripped:
        return "0"
    significant = stripped.rstrip("0")
    exponent = int(exponent_text or 0) - len(fraction) + len(stripped) - len(significant)
    if exponent >= 0 and len(significant) + exponent <= 38:
        return sign + significant + "0" * exponent
    if -38 <= exponent < 0:
        padded = significant.rjust(-exponent + 1, "0")
        return f"{sign}{padded[:exponent]}.{padded[exponent:]}"
    return f"{sign}{significant}e{exponent}"


def _escape(text: str) -> str:
    if "%" not in text and SEPARATOR not in text:
        return text
    return text.replace("%", "%25").replace(SEPARATOR, "%7C")


def _same(text: str) -> str:
    return text


_KEY_TEXT: dict[str, Callable[[str], str]] = {"S": _escape, "N": _canonical_number, "B": _same}


def key_text(value: AttributeValue) -> str:
    """One key value (S, N or base64 B) as its part of the id.

    Raises:
        AttributeValueError: a type that no DynamoDB key has.
    """
    ((kind, content),) = value.items()
    try:
        return _KEY_TEXT[kind](content)
    except KeyError:
        raise AttributeValueError(kind, "cannot be a key; only S, N and B can") from None


def routing_text(value: AttributeValue) -> str:
    """One key value as a routing value: as it is, so that readers can route a search by what they see in the item.

    Raises:
        AttributeValueError: a type that no DynamoDB key has.
    """
    return str(value["S"]) if "S" in value else key_text(value)


def document_id(key_values: Sequence[AttributeValue]) -> str:
    """The id of the document for the item with these key values, partition key first.

    A plain string key without ``%`` and ``|`` is its own id. An id of more than 512 bytes keeps its beginning and
    ends in the SHA-256 of the whole.

    Raises:
        AttributeValueError: a type that no DynamoDB key has.
    """
    text = key_text(key_values[0]) if len(key_values) == 1 else SEPARATOR.join(map(key_text, key_values))
    if len(text) * 4 <= MAX_ID_BYTES or len(encoded := text.encode()) <= MAX_ID_BYTES:
        return text
    prefix = encoded[:_PREFIX_BYTES].decode(errors="ignore")
    return prefix + HASH_MARK + hashlib.sha256(encoded).hexdigest()


def are_plain(texts: Sequence[str]) -> bool:
    """Whether each of these keys, of one string, is its own id, as most are; looked at all at once."""
    whole = "".join(texts)
    return not ("%" in whole or SEPARATOR in whole or max(map(len, texts), default=0) * 4 > MAX_ID_BYTES)
