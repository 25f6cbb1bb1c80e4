"""Whether a role may do what the target needs of it, and not to everybody's resources."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.lines import compact
from dynamo_opensearch.core.preflight.policies.documents import Request, Statement, sources
from dynamo_opensearch.core.preflight.policies.evaluation import Decision, Verdict, decide
from dynamo_opensearch.core.preflight.policies.simulation import RoleRights
from dynamo_opensearch.core.preflight.policies.writing import allow, policy, policy_name
from dynamo_opensearch.core.preflight.scopes import Scope, scopes_of
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.arns import Place
from dynamo_opensearch.core.targets.environment import RoleSettings


@dataclass(frozen=True, kw_only=True)
class RoleOfTarget:
    """A role under its ``name`` in the target file. ``stream_arn``: of the table's stream, where it has one."""

    side: Side
    name: str
    settings: RoleSettings
    stream_arn: str | None

    @property
    def role_name(self) -> str:
        """As IAM has it, without its path."""
        return self.settings.arn.rpartition("/")[2]

    @property
    def place(self) -> Place:
        """Where the role's resources are."""
        return Place.of(self.settings.arn, self.side.region)

    @property
    def context(self) -> Mapping[str, str]:
        """What is the same for all requests of this role."""
        account = self.place.account
        return {
            "aws:securetransport": "true",
            "aws:requestedregion": self.side.region,
            "aws:principalarn": self.settings.arn,
            "aws:principalaccount": account,
            "aws:resourceaccount": account,
        }

    @property
    def trust_context(self) -> Mapping[str, str]:
        """What is the same whenever a service assumes it for something in this account."""
        return {"aws:sourceaccount": self.place.account}

    def accept_line(self, action: str) -> str:
        """What to do about a condition that cannot be judged."""
        wanted = sorted({*self.settings.conditional, action})
        line = self.side.file_line(f"roles.{self.name}.conditional", wanted)
        return f"take the condition out, or, where it is meant, {line}"


@dataclass(frozen=True, kw_only=True)
class _Need:
    """An action on a scope."""

    action: str
    scope: Scope


def action_findings(role: RoleOfTarget, rights: RoleRights) -> Iterator[Finding]:
    """What the role lacks, and what it has too much of.

    Raises:
        AccessDeniedError: neither IAM's simulator nor the role's policies may be asked.
        PolicyDocumentError, ServiceUnavailableError: as those.
    """
    needs, untold = _needs(role)
    for action in untold:
        yield _untold(role, action)
    decisions = _decide(role, rights, [(need.action, need.scope.sample) for need in needs])
    allowed = []
    for need in needs:
        decision = decisions[need.action, need.scope.sample]
        if decision.verdict is Verdict.ALLOWED:
            allowed.append(need)
        elif decision.verdict is not Verdict.CONDITIONAL or need.action not in role.settings.conditional:
            yield _lacking(role, rights, need, decision)
    yield from _too_wide(role, rights, allowed)


def _needs(role: RoleOfTarget) -> tuple[list[_Need], list[str]]:
    """What is needed where, and the actions of which nothing tells where."""
    needs, untold = [], []
    for action in role.settings.actions:
        scopes = scopes_of(action, role.settings, role.side, role.place, role.stream_arn)
        needs += [_Need(action=action, scope=scope) for scope in scopes]
        if not scopes:
            untold.append(action)
    return needs, untold


def _decide(
    role: RoleOfTarget, rights: RoleRights, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Decision]:
    """Decisions for pairs of action and resource, a resource at a time."""
    by_resource: defaultdict[str, list[str]] = defaultdict(list)
    for action, resource in wanted:
        by_resource[resource].append(action)
    return {
        (action, resource): decision
        for resource, actions in by_resource.items()
        for action, decision in rights.decide(actions, resource, role.context).items()
    }


def _untold(role: RoleOfTarget, action: str) -> Finding:
    service = action.partition(":")[0]
    return Finding(
        what=f"{action} of {role.role_name}",
        found="no resource that it is needed on",
        expected="an ARN",
        remedy=role.side.file_line(f"roles.{role.name}.resources.{service}", ["<ARN>"]),
    )


def _lacking(role: RoleOfTarget, rights: RoleRights, need: _Need, decision: Decision) -> Finding:
    statements = _responsible(role, rights, need.action, need.scope.sample)
    by = sources(statements)
    if decision.verdict is Verdict.NOT_ALLOWED:
        remedy = _allow_line(role, need)
    elif decision.verdict is Verdict.DENIED:
        where = by or "the organisation's policies, or of one that may not be read"
        remedy = "; ".join([f"take the Deny out of {where}", *_show_lines(role, statements)])
    else:
        remedy = role.accept_line(need.action)
    return Finding(
        what=f"{need.action} of {role.role_name}",
        found=f"{decision.verdict.value} on {need.scope.sample}{f' by {by}' if by else ''}",
        expected=f"allowed on {need.scope.pattern}",
        remedy=remedy,
    )


def _too_wide(role: RoleOfTarget, rights: RoleRights, needs: list[_Need]) -> Iterator[Finding]:
    """An action that is allowed on a resource of nobody's is allowed on everybody's."""
    asked = [(need, stranger) for need in needs if (stranger := need.scope.stranger) is not None]
    decisions = _decide(role, rights, [(need.action, stranger) for need, stranger in asked])
    for need, stranger in asked:
        if decisions[need.action, stranger].verdict is not Verdict.ALLOWED:
            continue
        by = sources(_responsible(role, rights, need.action, stranger)) or "its policies"
        yield Finding(
            what=f"{need.action} of {role.role_name}",
            found=f"allowed by {by} on other resources as well, such as {stranger}",
            expected=f"allowed on {need.scope.pattern} only",
            remedy=f"{_allow_line(role, need)}; then take {need.action} out of {by}",
        )


def _responsible(role: RoleOfTarget, rights: RoleRights, action: str, resource: str) -> tuple[Statement, ...]:
    """The statements that decide, by the documents; none where these may not be read."""
    request = Request(action=action, resource=resource, context=role.context)
    try:
        return decide(rights.policies, request).by
    except AccessDeniedError:
        return ()


def _show_lines(role: RoleOfTarget, statements: Iterable[Statement]) -> Iterator[str]:
    """What shows the policies that these stand in."""
    for source in dict.fromkeys(one.source for one in statements):
        name = source.rpartition(" ")[2]
        if name.startswith("arn:"):
            yield role.side.aws_line("iam", "get-policy", policy_arn=name)
        else:
            yield role.side.aws_line("iam", "get-role-policy", role_name=role.role_name, policy_name=name)


def _allow_line(role: RoleOfTarget, need: _Need) -> str:
    """A policy of its own for the action, so that nothing else is replaced."""
    return role.side.aws_line(
        "iam",
        "put-role-policy",
        role_name=role.role_name,
        policy_name=policy_name(role.side.target.name, need.action, need.scope.pattern),
        policy_document=compact(policy([allow(need.action, need.scope.pattern)])),
    )
