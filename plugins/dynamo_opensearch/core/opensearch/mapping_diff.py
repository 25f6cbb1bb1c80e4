"""What a new mapping changes for readers: fields added, removed, of another type, or with other parameters. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

WHOLE_MAPPING = "(mapping)"
"""Stands for the field where a parameter of the mapping itself has changed, such as ``dynamic``."""

_CHILDREN = ("properties", "fields")
Fields = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class MappingChanges:
    """Dotted field names; ``retyped`` and ``changed`` say what became of each."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One line for each kind of change that there is."""
        kinds = {"added": self.added, "removed": self.removed, "retyped": self.retyped, "changed": self.changed}
        return [f"{kind}: {'; '.join(names)}" for kind, names in kinds.items() if names]

    def __str__(self) -> str:
        return "\n".join(self.lines()) or "no field changes"


def flat_fields(mappings: dict[str, Any]) -> Fields:
    """Each field by its dotted name, members of objects and multi-fields too, with its parameters and ``type``."""
    return dict(_flat(mappings, ""))


def compare_mappings(old: dict[str, Any], new: dict[str, Any]) -> MappingChanges:
    """From one mapping to another, both as OpenSearch writes them; ``_meta`` does not count."""
    before, after = flat_fields(old), flat_fields(new)
    both = sorted(before.keys() & after.keys())
    changes = {name: list(_changes(before[name], after[name])) for name in both}
    top = list(_changes(_own(old), _own(new)))
    return MappingChanges(
        added=tuple(f"{name} ({after[name]['type']})" for name in sorted(after.keys() - before.keys())),
        removed=tuple(f"{name} ({before[name]['type']})" for name in sorted(before.keys() - after.keys())),
        retyped=tuple(
            f"{name} ({before[name]['type']} to {after[name]['type']})"
            for name in both
            if before[name]["type"] != after[name]["type"]
        ),
        changed=tuple(
            f"{name} ({', '.join(changed)})"
            for name, changed in {WHOLE_MAPPING: top, **changes}.items()
            if changed and (name == WHOLE_MAPPING or before[name]["type"] == after[name]["type"])
        ),
    )


def is_mapped(fields: Fields, name: str) -> bool:
    """Whether documents may carry this field and searches find it; members of a ``flat_object`` need no entry."""
    if name in fields:
        return fields[name].get("enabled", True) not in (False, "false")
    parent = name.rpartition(".")[0]
    while parent and parent not in fields:
        parent = parent.rpartition(".")[0]
    return bool(parent) and fields[parent]["type"] == "flat_object"


def _flat(mapping: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in _CHILDREN:
        for name, field in mapping.get(kind, {}).items():
            path = f"{prefix}{name}"
            yield path, {"type": "object", **_own(field)}
            yield from _flat(field, f"{path}.")


def _own(field: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in field.items() if name not in (*_CHILDREN, "_meta")}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"{name}: {_shown(before, name)} to {_shown(after, name)}"


def _shown(field: dict[str, Any], name: str) -> str:
    return repr(field[name]) if name in field else "default"
