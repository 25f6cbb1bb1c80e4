"""Policy documents as statements, and whether a statement is about a request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.preflight.policies.conditions import Context, holds
from dynamo_opensearch.core.preflight.policies.tri import Tri, all_of, any_of
from dynamo_opensearch.core.preflight.policies.wildcards import matches_action, matches_arn


class PolicyDocumentError(PermanentError):
    """A policy cannot be read."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(source, problem)
        self.source, self.problem = source, problem

    def __str__(self) -> str:
        return f"policy {self.source!r} cannot be read: {self.problem}. Correct it in IAM, then start this DAG again."


@dataclass(frozen=True, kw_only=True)
class Request:
    """An action on a resource (an ARN, or ``*`` where the action knows none), and what is known of its context."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement. ``source``: the policy that it stands in. None is a member that is not there."""

    source: str
    sid: str
    is_allow: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: Mapping[str, tuple[str, ...]] | None
    not_principals: Mapping[str, tuple[str, ...]] | None
    condition: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The statement as a person finds it."""
        return f"{self.sid} of {self.source}" if self.sid else self.source

    def is_about(self, request: Request) -> Tri:
        """Whether it speaks of the request: its action, its resource, and its context."""
        return all_of((self._has_action(request), self._has_resource(request), holds(self.condition, request.context)))

    def _has_action(self, request: Request) -> Tri:
        if self.not_actions is not None:
            return Tri.of(not any(matches_action(one, request.action) for one in self.not_actions))
        return Tri.of(any(matches_action(one, request.action) for one in self.actions or ()))

    def _has_resource(self, request: Request) -> Tri:
        if self.not_resources is not None:
            return ~any_of(matches_arn(one, request.resource) for one in self.not_resources)
        if self.resources is None:
            return Tri.YES  # a trust policy, whose resource is the role that it belongs to
        return any_of(matches_arn(one, request.resource) for one in self.resources)


def statements_of(document: str | Mapping[str, Any], source: str) -> tuple[Statement, ...]:
    """The statements of a document: as boto3 hands it over, or as IAM sends it, encoded as in a URL.

    Raises:
        PolicyDocumentError: it is none.
    """
    return tuple(_statement(one, source) for one in raw_statements(document, source))


def raw_statements(document: str | Mapping[str, Any], source: str) -> list[Any]:
    """The same as they stand in the document, for one that is to be put anew.

    Raises:
        PolicyDocumentError: it is none.
    """
    listed = _decoded(document, source).get("Statement", ())
    return [listed] if isinstance(listed, dict) else list(listed)


def _decoded(document: str | Mapping[str, Any], source: str) -> Mapping[str, Any]:
    if not isinstance(document, str):
        return document
    text = document if document.lstrip().startswith("{") else unquote(document)
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise PolicyDocumentError(source, "no JSON") from error
    if not isinstance(content, dict):
        raise PolicyDocumentError(source, "no object")
    return content


def _statement(content: Any, source: str) -> Statement:
    if not isinstance(content, dict) or content.get("Effect") not in ("Allow", "Deny"):
        raise PolicyDocumentError(source, "a statement without Effect")
    return Statement(
        source=source,
        sid=str(content.get("Sid", "")),
        is_allow=content["Effect"] == "Allow",
        actions=_texts(content.get("Action")),
        not_actions=_texts(content.get("NotAction")),
        resources=_texts(content.get("Resource")),
        not_resources=_texts(content.get("NotResource")),
        principals=_principals(content.get("Principal")),
        not_principals=_principals(content.get("NotPrincipal")),
        condition=content.get("Condition") or {},
    )


def _texts(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def _principals(value: Any) -> dict[str, tuple[str, ...]] | None:
    """By kind: AWS, Service, Federated. A bare ``*`` is everybody."""
    if value is None:
        return None
    if isinstance(value, str):
        return {"*": (value,)}
    return {kind: _texts(names) or () for kind, names in value.items()}


def sources(statements: Iterable[Statement]) -> str:
    """The statements' names, for people."""
    return ", ".join(dict.fromkeys(one.name for one in statements))
