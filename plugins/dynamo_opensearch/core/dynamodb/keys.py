"""Keys between the raw typed JSON of the fast path and the shapes that boto3 takes in requests."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from dynamo_opensearch.core.documents.attribute_values import AttributeValue


def request_key(key: Mapping[str, AttributeValue]) -> dict[str, dict[str, Any]]:
    """A key as boto3's client wants it: binary as bytes, since boto3 encodes it again."""
    return {name: _request_value(value) for name, value in key.items()}


def named_key(attributes: Sequence[str], values: Sequence[AttributeValue]) -> dict[str, AttributeValue]:
    """Key values with their names."""
    return dict(zip(attributes, values, strict=True))


def _request_value(value: AttributeValue) -> dict[str, Any]:
    return {kind: base64.b64decode(content) if kind == "B" else content for kind, content in value.items()}
