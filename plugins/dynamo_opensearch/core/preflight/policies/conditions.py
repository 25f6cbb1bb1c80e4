"""The ``Condition`` of a statement, as far as it can be told without a request.

A few context keys are the same for every request of a role: those are judged. All others may hold or not.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from collections.abc import Callable, Mapping
from typing import Any

from dynamo_opensearch.core.preflight.policies.tri import Tri, all_of
from dynamo_opensearch.core.preflight.policies.wildcards import matches_text

Context = Mapping[str, str]
"""Values of the context keys that are known, by their names in lower case. A key that is known is there."""

_IF_EXISTS = "ifexists"
_SET_PREFIXES = ("foranyvalue:", "forallvalues:")
_EQUAL: dict[str, Callable[[str, str], bool]] = {
    "stringequals": lambda wanted, found: wanted == found,
    "stringequalsignorecase": lambda wanted, found: wanted.lower() == found.lower(),
    "stringlike": matches_text,
    "arnequals": matches_text,
    "arnlike": matches_text,
    "bool": lambda wanted, found: wanted.lower() == found.lower(),
}
_UNEQUAL = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
}


def holds(condition: Mapping[str, Any], context: Context) -> Tri:
    """Whether all of a condition holds: every operator, and every key of each."""
    return all_of(
        _holds(operator, key, _texts(wanted), context)
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> Tri:
    name = operator.lower()
    found = context.get(key.lower())
    if found is None or any("${" in one for one in wanted):
        return Tri.MAYBE
    if name == "null":
        return Tri.of(wanted == ["false"])
    name = name.removesuffix(_IF_EXISTS)
    for prefix in _SET_PREFIXES:  # a key that has one value has that value in each of both senses
        name = name.removeprefix(prefix)
    if name in _EQUAL:
        return Tri.of(any(_EQUAL[name](one, found) for one in wanted))
    if name in _UNEQUAL:
        return Tri.of(not any(_EQUAL[_UNEQUAL[name]](one, found) for one in wanted))
    return Tri.MAYBE


def _texts(wanted: Any) -> list[str]:
    values = wanted if isinstance(wanted, list) else [wanted]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]
