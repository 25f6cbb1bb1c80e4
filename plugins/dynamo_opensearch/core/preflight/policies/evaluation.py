"""What policies come to: an explicit Deny, no Allow, an Allow, or one that depends on the request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from dynamo_opensearch.core.preflight.policies.documents import Request, Statement
from dynamo_opensearch.core.preflight.policies.tri import Tri


class Verdict(Enum):
    """The words for people."""

    DENIED = "denied"
    NOT_ALLOWED = "not allowed"
    CONDITIONAL = "conditional"
    ALLOWED = "allowed"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A verdict, and the statements that it comes from."""

    verdict: Verdict
    by: tuple[Statement, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Policies:
    """All that bears on a role's requests. ``boundary``: None where it has none."""

    identity: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None = None


def decide(policies: Policies, request: Request) -> Decision:
    """Identity policies allow; a permissions boundary only limits. A Deny anywhere goes before every Allow."""
    own = evaluate(policies.identity, request)
    if policies.boundary is None or own.verdict is Verdict.DENIED:
        return own
    limit = evaluate(policies.boundary, request)
    order = (Verdict.DENIED, Verdict.NOT_ALLOWED, Verdict.CONDITIONAL, Verdict.ALLOWED)
    return min(own, limit, key=lambda one: order.index(one.verdict))


def evaluate(statements: Sequence[Statement], request: Request) -> Decision:
    """What one set of statements says."""
    judged = [(one, one.is_about(request)) for one in statements]

    def those(is_allow: bool, about: Tri) -> tuple[Statement, ...]:
        return tuple(one for one, said in judged if one.is_allow is is_allow and said is about)

    if denies := those(False, Tri.YES):
        return Decision(verdict=Verdict.DENIED, by=denies)
    allows, may_allow, may_deny = those(True, Tri.YES), those(True, Tri.MAYBE), those(False, Tri.MAYBE)
    if not allows and not may_allow:
        return Decision(verdict=Verdict.NOT_ALLOWED)
    if may_deny or not allows:
        return Decision(verdict=Verdict.CONDITIONAL, by=may_deny or may_allow)
    return Decision(verdict=Verdict.ALLOWED, by=allows)


def decide_assumption(trust: Sequence[Statement], service: str, request: Request) -> Decision:
    """Whether a service may assume the role that this trust policy belongs to."""
    return evaluate([one for one in trust if _is_of_service(one, service)], request)


def _is_of_service(statement: Statement, service: str) -> bool:
    if statement.not_principals is not None:
        return service not in statement.not_principals.get("Service", ())
    named = statement.principals or {}
    return service in named.get("Service", ()) or "*" in named.get("*", ())


def is_open_to_all(statement: Statement) -> bool:
    """Whether a statement of a trust policy lets anybody of any account assume its role, without a condition."""
    named = statement.principals or {}
    return statement.is_allow and not statement.condition and "*" in (*named.get("*", ()), *named.get("AWS", ()))
