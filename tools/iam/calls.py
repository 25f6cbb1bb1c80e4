"""The calls that the tests recorded: which DAG's tasks ask what, and of which of the target's resources."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from dynamo_opensearch.core.targets.arns import Place
from dynamo_opensearch.core.targets.model import Target
from tools.iam.names import ANY_MAPPING, NAMED_MAPPING, REQUESTS, Names, Others, names_of
from tools.iam.operations import Right, rights_of
from tools.iam.requests import ForeignRequestError, path_of, right_of_request

COMMITTED = Path(__file__).with_name("calls.json")
OPENSEARCH, WATCHER, API_SERVER = "opensearch-http", "(asset watcher)", "(api server)"
"""As tests/support/call_recorder writes them."""

NOT_THERE = "/no-such-index"
"""What tests call an index that they name to a DAG though there is none."""

OF_A_DEPLOYMENT = "sync_"
"""What the ids of DAGs begin with that serve all targets."""

_ELSEWHERE = {WATCHER: "dlq_replay", API_SERVER: "api_server"}


@dataclass(frozen=True, kw_only=True)
class Record:
    """A line of a recording. ``targets``: the target files as they were at that moment."""

    dag_id: str
    task_id: str
    service: str
    operation: str
    names: Mapping[str, Any]
    targets: tuple[Target, ...]

    def __str__(self) -> str:
        named = ", ".join(f"{name} {value}" for name, value in self.names.items())
        return f"{self.service}:{self.operation} ({named or 'no names'}) by {self.task_id or '-'} of {self.dag_id}"


@dataclass(frozen=True, kw_only=True)
class Known:
    """A call whose resources are those of a target. ``kind``: the DAG's id without the target's name.

    ``forms``: what must be allowed, with the target's names as placeholders; ``rights``: the same with its ``names``.
    """

    kind: str
    task: str
    operation: str
    forms: tuple[Right, ...]
    rights: tuple[Right, ...]
    names: Names


class ForeignCallError(LookupError):
    """A call about a resource that no target's file names."""

    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self.record = record

    def __str__(self) -> str:
        return f"{self.record}: about nothing that the target's file names"


def read_records(folder: Path) -> Iterator[Record]:
    """All of a folder, and of those below it."""
    for file in sorted(folder.rglob("calls-*.ndjson")):
        for line in file.read_text().splitlines():
            fields = json.loads(line)
            yield Record(**fields | {"targets": _targets((file.parent / fields["targets"]).read_text())})


@cache
def _targets(stored: str) -> tuple[Target, ...]:
    """Those that are whole; a test may have broken one."""
    return tuple(target for text in json.loads(stored).values() if (target := _target(text)) is not None)


def _target(text: str) -> Target | None:
    try:
        return Target.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError):
        return None


def understand(record: Record, environment: str, place: Place, others: Others) -> Known | None:
    """The call with the target's resources as forms; None where it is no DAG's of this package, or asks in vain.

    Raises:
        ForeignCallError: it is about something that is not the target's.
        UnknownOperationError: nothing says how it is allowed.
    """
    owners = list(_owners(record))
    if not owners or str(record.names.get("path", "")).startswith(NOT_THERE):
        return None
    for kind, target in owners:
        if environment not in target.environments:
            continue
        names = names_of(target, environment, place, others)
        found = _of_request(record, names) if record.service == OPENSEARCH else _of_call(record, names, place)
        if found is not None:
            operation, forms, rights = found
            return Known(kind=kind, task=record.task_id, operation=operation, forms=forms, rights=rights, names=names)
    raise ForeignCallError(record)


def _owners(record: Record) -> Iterator[tuple[str, Target]]:
    for target in record.targets:
        if record.dag_id.startswith(OF_A_DEPLOYMENT):
            yield record.dag_id, target
        elif record.dag_id in _ELSEWHERE:
            yield _ELSEWHERE[record.dag_id], target
        elif record.dag_id.startswith(f"{target.name}_"):
            yield record.dag_id.removeprefix(f"{target.name}_"), target


_Found = tuple[str, tuple[Right, ...], tuple[Right, ...]]


def _of_request(record: Record, names: Names) -> _Found | None:
    """None where it is about no index of the target's."""
    path = record.names["path"]
    try:
        form = right_of_request(record.operation, path, names)
    except ForeignRequestError:
        return None
    rights = [Right(form.action, f"{domain}/{path_of(path)}") for domain in names.arns.get(REQUESTS, ())]
    return form.action, (form,), tuple(rights)


def _of_call(record: Record, names: Names, place: Place) -> _Found | None:
    """None where a resource is not the target's."""
    operation = f"{record.service}:{record.operation}"
    forms: list[Right] = []
    rights: list[Right] = []
    for right in rights_of(operation, record.names, place.region, place.account):
        found = names.forms(right.resource)
        if not found:
            return None
        forms += [Right(right.action, form) for form in found]
        concrete = names.concrete(right.resource) if right.resource.startswith("<") else [right.resource]
        rights += [Right(right.action, resource) for resource in concrete]
    return operation, tuple(forms), tuple(rights)


class Calls:
    """By kind of DAG, task and operation: the forms of the resources that are asked about."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, dict[str, set[str]]]] = {}

    @classmethod
    def committed(cls) -> "Calls":
        """Those that the policies are made from."""
        calls = cls()
        for kind, tasks in json.loads(COMMITTED.read_text()).items():
            for task, operations in tasks.items():
                for operation, forms in operations.items():
                    calls._forms(kind, task, operation).update(forms)
        return calls

    def add(self, known: Known) -> None:
        """One more."""
        self._forms(known.kind, known.task, known.operation).update(form.resource for form in known.forms)

    def _covered(self, kind: str, operation: str, forms: set[str]) -> set[str]:
        """Without the mapping that the target names, where the DAG asks about any one: a policy says no right twice."""
        if not any(ANY_MAPPING in tasks.get(operation, ()) for tasks in self._found[kind].values()):
            return forms
        return {ANY_MAPPING if form == NAMED_MAPPING else form for form in forms}

    def _forms(self, kind: str, task: str, operation: str) -> set[str]:
        return self._found.setdefault(kind, {}).setdefault(task, {}).setdefault(operation, set())

    @property
    def kinds(self) -> list[str]:
        """The DAGs, by their ids without the target's name."""
        return sorted(self._found)

    def each(self, kind: str) -> Iterator[tuple[str, str, frozenset[str]]]:
        """Task, operation and forms of a DAG's calls."""
        for task, operations in sorted(self._found.get(kind, {}).items()):
            for operation, forms in sorted(operations.items()):
                yield task, operation, frozenset(forms)

    def text(self) -> str:
        """As it is committed."""
        sets = {
            kind: {
                task: {name: sorted(self._covered(kind, name, forms)) for name, forms in found.items()}
                for task, found in tasks.items()
            }
            for kind, tasks in self._found.items()
        }
        return json.dumps(sets, indent=1, sort_keys=True) + "\n"
