"""Hypothesis strategies for items in DynamoDB's typed JSON."""

import base64
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import Binary, TypeSerializer
from hypothesis import strategies as st

_SERIALIZER = TypeSerializer()


def numbers() -> st.SearchStrategy[Decimal]:
    """Numbers as DynamoDB holds them: 38 digits, 1E-130 to 9.9E125, and zero."""

    def number(digits: int, exponent: int, sign: int) -> Decimal:
        return Decimal((sign, tuple(map(int, str(digits))), exponent))

    wide = st.builds(number, st.integers(1, 10**38 - 1), st.integers(-130, 87), st.sampled_from([0, 1]))
    return st.one_of(wide, st.integers(-(10**18), 10**18).map(Decimal), st.just(Decimal(0)))


_SCALARS = st.one_of(
    st.text(max_size=20),
    numbers(),
    st.binary(max_size=20),
    st.booleans(),
    st.none(),
)
_SETS = st.one_of(
    st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=4),
    st.sets(st.integers(-100, 100).map(Decimal), min_size=1, max_size=4),
    st.sets(st.binary(min_size=1, max_size=8).map(Binary), min_size=1, max_size=4),
)
PLAIN_VALUES = st.recursive(
    st.one_of(_SCALARS, _SETS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)
"""Values as boto3's resource client takes them."""

TYPED_VALUES: st.SearchStrategy[dict[str, Any]] = PLAIN_VALUES.map(_SERIALIZER.serialize)
"""Attribute values as boto3's low-level client takes them: binary as bytes."""


def as_wire(value: Any) -> Any:
    """The same as it stands in a raw answer: binary as base64 text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: as_wire(member) for name, member in value.items()}
    return [as_wire(member) for member in value] if isinstance(value, list) else value
