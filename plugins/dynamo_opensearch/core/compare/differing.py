"""Two documents of one key: whether they say the same, and where they begin to differ. Never shows a value."""

from typing import Any

from dynamo_opensearch.core.compare.digest import canonical_json, decode_exact
from dynamo_opensearch.core.documents.attribute_values import AttributeValue, Item
from dynamo_opensearch.core.documents.builder import DocumentBuilder

_SETS = {"SS": "S", "NS": "N", "BS": "B"}


def is_same_document(builder: DocumentBuilder, item: Item, expected: Any, actual: Any) -> bool:
    """Whether ``actual`` is the item's document, when the members of its sets may come in any order.

    DynamoDB keeps no order of them and other indexers write them as they come; a document does not tell a set from a
    list. So it is built once more with every set turned round: a list that is another one then, is a set.
    ``expected`` and ``actual`` as ``decode_exact`` gives them.
    """
    if canonical_json(expected) == canonical_json(actual):
        return True
    turned = {name: _turned(value) for name, value in item.items()}
    if turned == item:
        return False
    built = builder.build([turned]).documents
    return bool(built) and _agree(expected, decode_exact((built[0].source or b"null").decode()), actual)


def first_difference(expected: Any, actual: Any, path: str = "") -> str:
    """The name of the first field, in the order of names, that is not the same: ``address.city``, ``lines[].price``."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name in sorted(expected.keys() | actual.keys()):
            inner = f"{path}.{name}" if path else name
            if name not in expected or name not in actual:
                return inner
            if canonical_json(expected[name]) != canonical_json(actual[name]):
                return first_difference(expected[name], actual[name], inner)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for one, other in zip(expected, actual, strict=True):
            if canonical_json(one) != canonical_json(other):
                return first_difference(one, other, f"{path}[]")
    return path


def _turned(value: AttributeValue) -> AttributeValue:
    ((kind, content),) = value.items()
    if kind in _SETS:
        return {"L": [{_SETS[kind]: member} for member in sorted(content, reverse=True)]} if len(content) > 1 else value
    if kind == "M":
        return {"M": {name: _turned(member) for name, member in content.items()}}
    return {"L": [_turned(member) for member in content]} if kind == "L" else value


def _agree(expected: Any, turned: Any, actual: Any) -> bool:
    if isinstance(expected, dict) and isinstance(turned, dict) and isinstance(actual, dict):
        return expected.keys() == turned.keys() == actual.keys() and all(
            _agree(expected[name], turned[name], actual[name]) for name in expected
        )
    if isinstance(expected, list) and isinstance(turned, list) and isinstance(actual, list):
        if not len(expected) == len(turned) == len(actual):
            return False
        if _members(expected) == _members(turned) and canonical_json(expected) != canonical_json(turned):
            return _members(expected) == _members(actual)
        return all(map(_agree, expected, turned, actual))
    return canonical_json(expected) == canonical_json(actual)


def _members(values: list[Any]) -> list[bytes]:
    return sorted(map(canonical_json, values))
