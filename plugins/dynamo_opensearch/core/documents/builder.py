"""Items to documents by a target's field rules; built once for a task, called for each page."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from dynamo_opensearch.core.documents.attribute_values import (
    AttributeValue,
    AttributeValueError,
    Item,
    plain_map,
)
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.documents.ids import are_plain, document_id, routing_text
from dynamo_opensearch.core.documents.transform import Transform, load_transform
from dynamo_opensearch.core.errors import PermanentError

KeyValues = tuple[AttributeValue, ...]


class Document(NamedTuple):
    """What one item is in the index. ``source`` is JSON text; None says that there must be no such document."""

    id: str
    routing: str | None
    source: bytes | None
    key: KeyValues


class RefusedItem(NamedTuple):
    """An item that belongs, but that the rules cannot make a document of."""

    id: str
    key: KeyValues
    error: "DocumentBuildError | AttributeValueError"


class BuiltPage(NamedTuple):
    """The documents of a page, how many of its items do not belong to the target, and those that were refused."""

    documents: list[Document]
    skipped: int
    refused: list[RefusedItem]


class DocumentBuildError(PermanentError):
    """An item cannot be made into a document by the target's field rules."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field, self.problem = field, problem

    def __str__(self) -> str:
        return f"field {self.field!r}: {self.problem}"


class DocumentBuilder:
    """Makes documents by one set of field rules. Pure: the same item gives the same bytes. Safe between threads."""

    def __init__(self, key_attributes: Sequence[str], rules: FieldRules) -> None:
        self.key_attributes = tuple(key_attributes)
        self.rules = rules
        self._transform = load_transform(rules.transform) if rules.transform else None
        self._belongs = rules.filter.item_test() if rules.filter else None
        self._shape = _shape_function(rules, self._transform)
        self._key_of = _key_function(self.key_attributes)
        self._routing_position = self.key_attributes.index(rules.routing) if rules.routing else None

    def fingerprint(self) -> str:
        """Changes whenever the same item could give another document."""
        return self.rules.fingerprint(self._transform.fingerprint if self._transform else None)

    def build(self, items: Iterable[Item]) -> BuiltPage:
        """The documents of the items that belong, in order; one item's refusal does not touch the others.

        Raises:
            KeyError: an item lacks a key attribute.
        """
        belongs, shape, key_of, routing_of, dumps = (
            self._belongs,
            self._shape,
            self._key_of,
            self.routing_of,
            orjson.dumps,
        )
        documents: list[Document] = []
        refused: list[RefusedItem] = []
        skipped = 0
        for item in items:
            if belongs is not None and not belongs(item):
                skipped += 1
                continue
            key = key_of(item)
            try:
                source = dumps(shape(item))
            except (DocumentBuildError, AttributeValueError) as error:
                refused.append(RefusedItem(document_id(key), key, error))
            except orjson.JSONEncodeError:
                unwritable = DocumentBuildError("transform", "returned a value that JSON does not have")
                refused.append(RefusedItem(document_id(key), key, unwritable))
            else:
                documents.append(Document(document_id(key), routing_of(key), source, key))
        return BuiltPage(documents, skipped, refused)

    def gone(self, key: KeyValues) -> Document:
        """What to offer for an item that the table no longer has, or that no longer belongs."""
        return Document(document_id(key), self.routing_of(key), None, key)

    def key_of(self, item: Item) -> KeyValues:
        """The item's key values, partition key first.

        Raises:
            KeyError: the item lacks a key attribute.
        """
        return self._key_of(item)

    def ids_of(self, items: Sequence[Item]) -> list[str]:
        """The ids of the documents for these items.

        Raises:
            KeyError: an item lacks a key attribute.
            AttributeValueError: a key of a type that no DynamoDB key has.
        """
        return [document_id(self._key_of(item)) for item in items]

    def plain_ids(self, items: Sequence[Item]) -> list[str] | None:
        """The ids, where each key is one string that is its own id, as most are; None where one is not."""
        if len(self.key_attributes) != 1:
            return None
        attribute = self.key_attributes[0]
        try:
            texts: list[str] = [item[attribute]["S"] for item in items]
        except KeyError:
            return None
        return texts if are_plain(texts) else None

    def routing_of(self, key: KeyValues) -> str | None:
        """The routing of the document for the item with this key; None where the rules leave it alone."""
        return None if self._routing_position is None else routing_text(key[self._routing_position])


def _key_function(key_attributes: tuple[str, ...]) -> Callable[[Item], KeyValues]:
    if len(key_attributes) == 1:
        attribute = key_attributes[0]
        return lambda item: (item[attribute],)
    return itemgetter(*key_attributes)


def _shape_function(rules: FieldRules, transform: Transform | None) -> Callable[[Item], dict[str, Any]]:
    """The steps that these rules need and no others, so that a plain target pays for none."""
    steps: list[Callable[[dict[str, Any]], dict[str, Any]]] = []
    if rules.flatten:
        steps.append(lambda document: _flattened(document, rules.flatten))
    if rules.renames:
        steps.append(lambda document: _renamed(document, rules.renames))
    if transform:
        steps.append(lambda document: _transformed(document, transform))
    choose = _choice_function(rules)
    if not steps:
        return lambda item: plain_map(choose(item))

    def shape(item: Item) -> dict[str, Any]:
        document = plain_map(choose(item))
        for step in steps:
            document = step(document)
        return document

    return shape


def _choice_function(rules: FieldRules) -> Callable[[Item], Item]:
    if rules.include_fields is not None:
        included = rules.include_fields
        known = frozenset(included)
        # Most items hold nothing else, and then need no copy.
        return lambda item: item if item.keys() <= known else {name: item[name] for name in included if name in item}
    if rules.exclude_fields:
        excluded = frozenset(rules.exclude_fields)
        return lambda item: {name: value for name, value in item.items() if name not in excluded}
    return lambda item: item


def _put(document: dict[str, Any], name: str, value: Any) -> None:
    if name in document:
        raise DocumentBuildError(name, "two attributes of the item would become this one field")
    document[name] = value


def _flattened(document: dict[str, Any], prefixes: dict[str, str]) -> dict[str, Any]:
    flat = {name: value for name, value in document.items() if name not in prefixes}
    for name, prefix in prefixes.items():
        if name not in document:
            continue
        if not isinstance(document[name], dict):
            raise DocumentBuildError(name, "is to be flattened and is not a map")
        for member, value in document[name].items():
            _put(flat, prefix + member, value)
    return flat


def _renamed(document: dict[str, Any], renames: dict[str, str]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    for name, value in document.items():
        _put(renamed, renames.get(name, name), value)
    return renamed


def _transformed(document: dict[str, Any], transform: Transform) -> dict[str, Any]:
    try:
        result = transform.function(_with_decimals(document))
    except Exception as error:  # the target's own code: whatever it raises concerns this one item
        raise DocumentBuildError("transform", f"raised {type(error).__name__}") from error
    if not isinstance(result, dict):
        raise DocumentBuildError("transform", "returned no document; `filter` says which items belong")
    return {name: _with_fragments(member) for name, member in result.items()}


def _with_decimals(value: Any) -> Any:
    """A transform sees numbers as Decimal, never as opaque text."""
    if isinstance(value, orjson.Fragment):
        return Decimal(orjson.dumps(value).decode())
    if isinstance(value, dict):
        return {name: _with_decimals(member) for name, member in value.items()}
    return [_with_decimals(member) for member in value] if isinstance(value, list) else value


def _with_fragments(value: Any) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise DocumentBuildError("transform", "returned a number that JSON does not have")
        return orjson.Fragment(str(value))
    if isinstance(value, dict):
        return {name: _with_fragments(member) for name, member in value.items()}
    return [_with_fragments(member) for member in value] if isinstance(value, list | tuple) else value
