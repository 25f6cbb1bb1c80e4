"""A canary: an item with a key of its own that belongs to the target, in two states that give two documents."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
from pydantic import JsonValue

from dynamo_opensearch.core.cutover.canary.attributes import CanaryAttributes, Path, States
from dynamo_opensearch.core.documents.attribute_values import AttributeValue, Item
from dynamo_opensearch.core.documents.builder import Document, DocumentBuilder
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.rebuild.mapping_check import has_value
from dynamo_opensearch.core.targets.model import Target

_EXAMPLE = "{status: canary, note: canary}"


class CanaryUnfitError(PermanentError):
    """No item that is a canary of the target can be made of what its file says."""

    def __init__(self, target: str, problems: tuple[str, ...]) -> None:
        super().__init__(target, problems)
        self.target, self.problems = target, problems

    def __str__(self) -> str:
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return (
            f"no canary can be made for target {self.target!r}; nothing was written. Problems: {len(self.problems)}\n"
            f"{lines}\nCorrect that in the target file, below the environment: indexer.canary has the attributes that "
            f"such an item needs, one of them a text that may change, such as {_EXAMPLE}; or `false`, for none. Then "
            "clear this task."
        )


@dataclass(frozen=True, kw_only=True)
class Canary:
    """``first`` and ``second``: the item in its two states, in typed JSON, which differ at ``path`` only.

    ``key``: names of its key attributes.
    """

    key: tuple[str, ...]
    first: Item
    second: Item
    path: Path

    @property
    def key_of_item(self) -> dict[str, AttributeValue]:
        """The key, by name."""
        return {name: self.first[name] for name in self.key}

    def to_json(self) -> dict[str, Any]:
        """For XCom: made-up values, and those of the target file."""
        states = {"first": dict(self.first), "second": dict(self.second)}
        return {"key": list(self.key), **states, "path": list(self.path)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**{**value, "key": tuple(value["key"]), "path": tuple(value["path"])})


@dataclass(frozen=True, kw_only=True)
class CanaryWish:
    """What a canary is made from.

    ``key_types``: S, N or B, in the order of the target's key. ``mappings``: the mapping file's. ``given``: attributes
    of the target file, by name; text for a key attribute is what the key begins with. ``mark``: as ``mark_of``.
    ``attempt``: number of the try, so that what an earlier one left on its way is not taken for this one's.
    """

    target: Target
    key_types: Sequence[str]
    mappings: Mapping[str, Any]
    given: Mapping[str, JsonValue]
    mark: str
    attempt: int = 0


def mark_of(deployment: str, dag_id: str, run_id: str) -> str:
    """What tells a run's canary from all other items: the same in every try of the run."""
    return hashlib.sha256(f"{deployment}|{dag_id}|{run_id}".encode()).hexdigest()[:32]


def plan_canary(wish: CanaryWish, builder: DocumentBuilder) -> Canary:
    """Make the item, with what the filter, the required fields and the target file ask for. Pure.

    Raises:
        CanaryUnfitError: it does not belong to the target, or nothing of its document is known to be one that changes.
    """
    target = wish.target
    attributes = CanaryAttributes(builder.rules, target.key, wish.mappings, wish.given)
    problems = list(attributes.problems(wish.key_types))
    if problems:
        raise CanaryUnfitError(target.name, tuple(problems))
    base = attributes.base(wish.key_types, target.required_fields, wish.mark)
    for states in attributes.states(base, target.required_fields, wish.attempt):
        problem = _problem(states, builder, target.required_fields)
        if problem is None:
            return Canary(key=target.key, first=states.first, second=states.second, path=states.path)
        problems.append(problem)
    nothing = "none of its attributes is known to be one that may change"
    raise CanaryUnfitError(target.name, tuple(dict.fromkeys(problems)) or (nothing,))


def documents_of(canary: Canary, builder: DocumentBuilder) -> tuple[Document, Document]:
    """The documents of both states; of a canary that was planned by these rules."""
    first, second = builder.build([canary.first, canary.second]).documents
    return first, second


def _problem(states: States, builder: DocumentBuilder, required: Sequence[str]) -> str | None:
    built = builder.build([states.first, states.second])
    if built.refused:
        return f"no document can be made of it: {built.refused[0].error}"
    if built.skipped:
        return "it does not belong: the target's filter leaves it out"
    one, other = built.documents
    if one.source == other.source:
        return "what could be changed of it does not get into its document"
    content = orjson.loads(one.source or b"{}")
    lacking = [name for name in required if not has_value(content, name)]
    return f"its document lacks the required fields {', '.join(lacking)}" if lacking else None
