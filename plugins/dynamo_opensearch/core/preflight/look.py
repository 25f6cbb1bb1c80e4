"""What a check saw of one environment, and how two environments differ."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.lines import compact

_MOST = 20


def _by_hand(name: str, value: Any) -> str:
    return f"make {name} {compact(value)}"


@dataclass(frozen=True, kw_only=True)
class Look:
    """``fields``: what can be held against another environment, by name. ``align``: how one of them gets a value."""

    seen: str
    findings: tuple[Finding, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    align: Callable[[str, Any], str] = _by_hand


def in_terraform(resource: str) -> Callable[[str, Any], str]:
    """For ``align``, where the fields are arguments of a Terraform resource: its name, such as aws_sqs_queue."""

    def line(name: str, value: Any) -> str:
        return f"Terraform: {resource}: {name} = {compact(value)}"

    return line


def some_of(findings: Iterable[Finding], of: str) -> Iterator[Finding]:
    """The first 20, and how many more there are; ``of``: what they all are."""
    listed = list(findings)
    yield from listed[:_MOST]
    if len(listed) > _MOST:
        yield replace(listed[-1], what=of, found=f"{len(listed) - _MOST} more that differ", expected="none")


def compare(here: Look, there: Look, environment: str) -> Iterator[Finding]:
    """What differs, field by field; ``environment``: the other one's name. What only one of them has differs too."""
    yield from some_of(_differences(here, there, environment), f"fields, beside {environment}")


def _differences(here: Look, there: Look, environment: str) -> Iterator[Finding]:
    if not here.fields:
        return
    if not there.fields:
        yield from (_nothing_there(one, environment) for one in there.findings[:1])
        return
    for name in sorted(here.fields.keys() | there.fields.keys()):
        mine, other = here.fields.get(name), there.fields.get(name)
        if mine != other:
            yield Finding(
                what=f"{name}, beside {environment}",
                found=shown(mine),
                expected=f"{shown(other)}, as in {environment}",
                remedy=here.align(name, other),
            )


def shown(value: Any) -> str:
    """A value in a few words."""
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else compact(value)


def _nothing_there(finding: Finding, environment: str) -> Finding:
    return replace(finding, what=f"comparison with {environment}: {finding.what}")
