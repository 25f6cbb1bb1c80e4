"""The roles: there, to be assumed by the right service, allowed what the target needs, and no more widely than that."""

from collections.abc import Iterator, Sequence
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.preflight.checks.stream import has_stream
from dynamo_opensearch.core.preflight.findings import Finding, NotAskedForError
from dynamo_opensearch.core.preflight.lines import compact
from dynamo_opensearch.core.preflight.look import Look
from dynamo_opensearch.core.preflight.policies.documents import (
    Request,
    Statement,
    raw_statements,
    sources,
    statements_of,
)
from dynamo_opensearch.core.preflight.policies.evaluation import (
    Decision,
    Verdict,
    decide_assumption,
    is_open_to_all,
)
from dynamo_opensearch.core.preflight.policies.simulation import RoleRights
from dynamo_opensearch.core.preflight.policies.writing import policy
from dynamo_opensearch.core.preflight.refusals import refused_finding, with_refusals
from dynamo_opensearch.core.preflight.role_actions import RoleOfTarget, action_findings
from dynamo_opensearch.core.preflight.side import Side

_ASSUME = "sts:AssumeRole"


def look_at_roles(side: Side) -> Look:
    """Every role of the target file.

    Raises:
        NotAskedForError: the target file names none.
        PolicyDocumentError: a policy cannot be read.
        ServiceUnavailableError: IAM went on failing.
    """
    if not side.environment.roles:
        raise NotAskedForError(f"environments.{side.name}.roles is not in the target file")
    stream_arn = _stream_arn(side)
    findings: list[Finding] = []
    fields: dict[str, Any] = {}
    told_by = set()
    for name, settings in side.environment.roles.items():
        one = RoleOfTarget(side=side, name=name, settings=settings, stream_arn=stream_arn)
        found = _described(one)
        if isinstance(found, Finding):
            findings.append(found)
            continue
        trust = statements_of(found["AssumeRolePolicyDocument"], _source(one))
        rights = RoleRights(side.aws, found)
        findings += (*_trust_findings(one, found, trust), *with_refusals(side, action_findings(one, rights)))
        fields |= _fields(one, found, trust)
        told_by.add(rights.by)
    count = sum(len(settings.actions) for settings in side.environment.roles.values())
    return Look(
        seen=f"{', '.join(side.environment.roles)}: {count} actions, by {' and '.join(sorted(told_by)) or 'nothing'}",
        findings=tuple(findings),
        fields=fields,
    )


def _stream_arn(side: Side) -> str | None:
    """Of the stream that the table has now; None where a sample must do."""
    if not any(one.startswith("dynamodb:") for role in side.environment.roles.values() for one in role.actions):
        return None
    try:
        described = side.table()
    except (ResourceMissingError, AccessDeniedError):
        return None
    return described.get("LatestStreamArn") if has_stream(described) else None


def _fields(role: RoleOfTarget, found: dict[str, Any], trust: tuple[Statement, ...]) -> dict[str, Any]:
    services = {one for said in trust if said.is_allow for one in (said.principals or {}).get("Service", ())}
    return {
        f"{role.name}: assumed by": sorted(services),
        f"{role.name}: has a permissions boundary": "PermissionsBoundary" in found,
        f"{role.name}: needed actions": sorted(role.settings.actions),
    }


def _described(role: RoleOfTarget) -> dict[str, Any] | Finding:
    """GetRole's ``Role``; what is wrong where it is not the one that is meant, or may not be asked for."""
    arn = role.settings.arn
    try:
        found = dict(role.side.aws.ask("iam", "get_role", arn, RoleName=role.role_name)["Role"])
    except ResourceMissingError:
        return _missing(role)
    except AccessDeniedError as error:
        return refused_finding(role.side, error)
    if found["Arn"] == arn:
        return found
    return Finding(
        what=f"role {role.role_name}",
        found=f"{found['Arn']}, in the account of the connection",
        expected=arn,
        remedy=f"{role.side.file_line(f'roles.{role.name}.arn', found['Arn'])}, or let connection "
        f"{role.side.environment.aws_conn_id} lead to account {role.place.account}",
    )


def _missing(role: RoleOfTarget) -> Finding:
    services = list(role.settings.assumed_by) or ["<service>.amazonaws.com"]
    return Finding(
        what=f"role {role.role_name}",
        found="nothing",
        expected=f"a role that {', '.join(services)} may assume",
        remedy=role.side.aws_line(
            "iam",
            "create-role",
            role_name=role.role_name,
            assume_role_policy_document=compact(policy([_trusting(services)])),
        ),
    )


def _trust_findings(role: RoleOfTarget, found: dict[str, Any], trust: tuple[Statement, ...]) -> Iterator[Finding]:
    request = Request(action=_ASSUME, resource="*", context=role.trust_context)
    services = list(role.settings.assumed_by)
    if open_ones := [one for one in trust if is_open_to_all(one)]:
        kept = _without(role, found, open_ones) or [_trusting(services or ["<service>.amazonaws.com"])]
        yield Finding(
            what=f"trust policy of {role.role_name}",
            found="everybody of every account",
            expected=", ".join(services) or "one service",
            remedy=_trust_line(role, kept),
        )
    for service in services:
        decision = decide_assumption(trust, service, request)
        is_accepted = decision.verdict is Verdict.CONDITIONAL and _ASSUME in role.settings.conditional
        if decision.verdict is not Verdict.ALLOWED and not is_accepted:
            by = sources(decision.by)
            yield Finding(
                what=f"{service} assuming {role.role_name}",
                found=f"{decision.verdict.value}{f' by {by}' if by else ''}",
                expected="allowed",
                remedy=_trust_remedy(role, found, service, decision),
            )


def _trust_remedy(role: RoleOfTarget, found: dict[str, Any], service: str, decision: Decision) -> str:
    if decision.verdict is Verdict.CONDITIONAL:
        return role.accept_line(_ASSUME)
    if decision.verdict is Verdict.DENIED:
        return _trust_line(role, _without(role, found, decision.by))
    return _trust_line(role, [*_without(role, found, ()), _trusting([service])])


def _without(role: RoleOfTarget, found: dict[str, Any], taken: Sequence[Statement]) -> list[Any]:
    """The trust policy's statements but these."""
    source = _source(role)
    listed = raw_statements(found["AssumeRolePolicyDocument"], source)
    return [one for one in listed if statements_of({"Statement": one}, source)[0] not in taken]


def _source(role: RoleOfTarget) -> str:
    return f"trust policy of {role.role_name}"


def _trust_line(role: RoleOfTarget, statements: list[Any]) -> str:
    return role.side.aws_line(
        "iam", "update-assume-role-policy", role_name=role.role_name, policy_document=compact(policy(statements))
    )


def _trusting(services: list[str]) -> dict[str, Any]:
    principal = services[0] if len(services) == 1 else services
    return {"Effect": "Allow", "Principal": {"Service": principal}, "Action": _ASSUME}
