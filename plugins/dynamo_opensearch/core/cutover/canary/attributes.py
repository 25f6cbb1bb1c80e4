"""Which attributes an item needs to belong to a target, and which of them may change. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import JsonValue

from dynamo_opensearch.core.cutover.canary.values import (
    CANARY,
    changed_value,
    is_text,
    key_value,
    typed_value,
    value_for,
)
from dynamo_opensearch.core.documents.attribute_values import AttributeValue, Item
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.documents.item_filter import FilterCondition
from dynamo_opensearch.core.opensearch.mapping_diff import flat_fields

Path = tuple[str, ...]
"""An attribute, and the members of maps within it."""


class States(NamedTuple):
    """An item in two states, which differ at ``path``."""

    first: Item
    second: Item
    path: Path


class CanaryAttributes:
    """Attributes by the target's field rules, its mapping, and what its file gives."""

    def __init__(
        self, rules: FieldRules, key: Sequence[str], mappings: Mapping[str, Any], given: Mapping[str, JsonValue]
    ) -> None:
        self._rules, self._key, self._given = rules, tuple(key), given
        self._mappings, self._fields = mappings, flat_fields(dict(mappings))
        self._conditions = {one.attribute: one for one in (rules.filter.all if rules.filter else ())}
        self._before_renames = {new: old for old, new in rules.renames.items()}

    def problems(self, key_types: Sequence[str]) -> Iterator[str]:
        """Why no item could be made, whatever its other attributes."""
        types = dict(zip(self._key, key_types, strict=True))
        for name in self._key:
            if name in self._given and not (types[name] == "S" and isinstance(self._given[name], str)):
                yield f"{name!r} is a key attribute: only a text that the key begins with can be given for one"
        if all(self._fixed(name) is not None for name in self._key):
            yield f"the filter fixes the key {list(self._key)}, so an item of its own cannot have one"

    def base(self, key_types: Sequence[str], required: Sequence[str], mark: str) -> Item:
        """An item with its key, what the filter asks for, the required fields, and what the file gives."""
        item: Item = {}
        for name, condition in self._conditions.items():
            value = self._fixed(name) or _value_of(condition)
            if value is not None:
                item = {**item, name: value}
        for field in required:
            path = self._path(field)
            if self._is_taken(path[0]) and get_at(item, path) is None:
                item = _put(item, path, value_for(self._fields.get(field, {})))
        item = {**item, **{name: typed_value(value) for name, value in self._given.items()}}
        return {**item, **self._key_values(key_types, mark)}

    def states(self, base: Item, required: Sequence[str], attempt: int) -> Iterator[States]:
        """The item in two states that may give two documents, the likeliest first; ``attempt`` as ``changed_value``."""
        given = [(self._rules.renames.get(name, name), (name,)) for name in self._given]
        for field, path in [*given, *((field, self._path(field)) for field in required)]:
            if self._may_change(path[0]):
                yield from self._changed(base, path, field, attempt)
        for field in self._further_texts():
            path = self._path(field)
            if self._may_change(path[0]) and self._is_taken(path[0]) and get_at(base, path) is None:
                yield from self._changed(_put(base, path, {"S": CANARY}), path, field, attempt)

    def _changed(self, item: Item, path: Path, field: str, attempt: int) -> Iterator[States]:
        value = get_at(item, path)
        changed = None if value is None else changed_value(value, self._fields.get(field, {}), attempt)
        if changed is not None:
            yield States(item, _put(item, path, changed), path)

    def _key_values(self, key_types: Sequence[str], mark: str) -> dict[str, AttributeValue]:
        return {
            name: self._fixed(name)
            or key_value(kind, self._fields.get(self._rules.renames.get(name, name), {}), self._prefix(name), mark)
            for name, kind in zip(self._key, key_types, strict=True)
        }

    def _prefix(self, name: str) -> str:
        asked = self._conditions[name].begins_with or "" if name in self._conditions else ""
        return str(self._given.get(name, asked))

    def _fixed(self, name: str) -> AttributeValue | None:
        """The value that the filter asks for; the first of several."""
        condition = self._conditions.get(name)
        if condition is None:
            return None
        if condition.equals is not None:
            return typed_value(condition.equals)
        return None if condition.one_of is None else typed_value(condition.one_of[0])

    def _further_texts(self) -> Iterator[str]:
        """Fields of the mapping that take any text; a new one, where the mapping takes any."""
        yield from (name for name, field in self._fields.items() if "." not in name and is_text(field))
        if str(self._mappings.get("dynamic", True)).lower() == "true":
            yield CANARY

    def _is_taken(self, attribute: str) -> bool:
        """Whether an attribute gets into the document."""
        if self._rules.include_fields is not None:
            return attribute in self._rules.include_fields
        return attribute not in self._rules.exclude_fields

    def _may_change(self, attribute: str) -> bool:
        return attribute not in self._key and attribute not in self._conditions

    def _path(self, field: str) -> Path:
        """Where a field of the document comes from, before it was renamed and flattened."""
        top, *members = field.split(".")
        name = self._before_renames.get(top, top)
        for attribute, prefix in self._rules.flatten.items():
            if prefix and name.startswith(prefix) and name != prefix:
                return attribute, name.removeprefix(prefix), *members
        return name, *members


def _value_of(condition: FilterCondition) -> AttributeValue | None:
    if condition.begins_with is not None:
        return {"S": f"{condition.begins_with}{CANARY}"}
    return {"S": CANARY} if condition.exists else None


def get_at(item: Item, path: Path) -> AttributeValue | None:
    """The value at a place in an item; None where there is none."""
    value = item.get(path[0])
    for member in path[1:]:
        value = None if value is None else value.get("M", {}).get(member)
    return value


def _put(item: Item, path: Path, value: AttributeValue) -> Item:
    if len(path) == 1:
        return {**item, path[0]: value}
    inner = item.get(path[0], {}).get("M", {})
    return {**item, path[0]: {"M": _put(inner, path[1:], value)}}
