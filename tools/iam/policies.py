"""The least policy for a DAG: what its recorded calls need, and what they need beside."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from dynamo_opensearch.core.preflight.policies.writing import policy
from tools.iam.calls import Calls
from tools.iam.names import Names
from tools.iam.needs import REASONS, VIA, Reason, rights_on_keys
from tools.iam.operations import Right, action_of

PASSED_TO = "ecs-tasks.amazonaws.com"
Document = dict[str, Any]


class Need(NamedTuple):
    """A right, and who needs it: names of tasks; for a right that no call names, why."""

    right: Right
    tasks: frozenset[str]
    why: str = ""


def needs_of(kind: str, calls: Calls) -> list[Need]:
    """What a DAG's tasks must be allowed, by form."""
    tasks: dict[Right, set[str]] = {}
    for task, operation, forms in calls.each(kind):
        for form in forms:
            for right in (Right(action_of(operation), form), *rights_on_keys(operation, form)):
                tasks.setdefault(right, set()).add(task)
    found = [Need(right, frozenset(of)) for right, of in tasks.items()]
    found += [Need(one.right, frozenset(), one.why) for one in _reasons(kind)]
    return sorted(found)


def _reasons(kind: str) -> Iterator[Reason]:
    return (one for one in REASONS if one.kind == kind)


def policy_of(wanted: Iterable[tuple[Iterable[str], Iterable[Names]]], calls: Calls) -> Document:
    """What kinds of DAGs need for the targets whose names these are. What a target's file does not name is left out."""
    allowed: dict[tuple[str, str], set[str]] = {}
    for kinds, named in wanted:
        needs = [need for kind in kinds for need in needs_of(kind, calls)]
        for need, names in product(needs, named):
            for resource in names.concrete(need.right.resource):
                condition = json.dumps(_condition(need.right, names))
                allowed.setdefault((resource, condition), set()).add(need.right.action)
    return policy(list(_statements(allowed)))


def _condition(right: Right, names: Names) -> Document:
    """Keys are used by AWS's services for the caller, but for DescribeKey, which a check asks itself."""
    if right.resource in VIA and right.action != "kms:DescribeKey":
        return {"StringEquals": {"kms:ViaService": names.within(f"{VIA[right.resource]}.<region>.amazonaws.com")}}
    if right.action == "iam:PassRole":
        return {"StringEquals": {"iam:PassedToService": PASSED_TO}}
    return {}


def _statements(allowed: Mapping[tuple[str, str], set[str]]) -> Iterator[Document]:
    """One for each set of actions, with all that they are allowed on."""
    resources: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for (resource, condition), together in allowed.items():
        resources.setdefault((tuple(sorted(together)), condition), []).append(resource)
    for (actions, condition), listed in sorted(resources.items()):
        statement: Document = {"Effect": "Allow", "Action": list(actions), "Resource": sorted(listed)}
        if condition != "{}":
            statement["Condition"] = json.loads(condition)
        yield statement


def left_out(kinds: Iterable[str], calls: Calls, names: Names) -> list[str]:
    """Placeholders of what the DAGs would need rights on if the target's file named it."""
    forms = {need.right.resource for kind in kinds for need in needs_of(kind, calls)}
    return sorted({form.partition(">")[0] + ">" for form in forms if form.startswith("<") and not names.concrete(form)})
