"""A call that the caller may not make, as a finding that names the action to allow, and to whom."""

from collections.abc import Iterable, Iterator

from dynamo_opensearch.core.errors import AccessDeniedError, SyncError
from dynamo_opensearch.core.opensearch.errors import SERVICE as OPENSEARCH
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.lines import compact
from dynamo_opensearch.core.preflight.policies.writing import allow, policy, policy_name
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.arns import Place

_UNKNOWN = "<role of the caller>"
_ARN_OF = {
    "cognito-idp:": ("cognito-idp", "userpool/{}"),
    "dynamodb:": ("dynamodb", "table/{}"),
    "es:DescribeDomain": ("es", "domain/{}"),
    "kms:": ("kms", "key/{}"),
    "lambda:GetEventSourceMapping": ("lambda", "event-source-mapping:{}"),
    "lambda:GetFunctionConfiguration": ("lambda", "function:{}"),
    "sqs:": ("sqs", "{}"),
}
"""The form of the ARN that an action is allowed on, by what the action begins with; all others know no resources."""


def refused_finding(side: Side, error: AccessDeniedError) -> Finding:
    """Who lacks which action on what, and the line that allows it."""
    if error.service == OPENSEARCH:
        return _refused_by_opensearch(side, error)
    error.dag_id = policy_of_preflight(side)
    caller = _caller(side)
    arn = _resource_arn(error, side, caller)
    action = error.action
    kind, name = _principal(caller)
    return Finding(
        what=f"{action} on {error.resource}",
        found=f"{error.code} for {caller or 'the caller'}",
        expected=f"a caller that may ask: {error.standing}",
        remedy=side.aws_line(
            "iam",
            f"put-{kind}-policy",
            **{f"{kind}_name": name},
            policy_name=policy_name(f"{side.target.name}-preflight", action, arn),
            policy_document=compact(policy([allow(action, arn)])),
        ),
    )


def with_refusals(side: Side, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings; where a call for them is refused, that in place of those that would have followed."""
    try:
        yield from findings
    except AccessDeniedError as error:
        yield refused_finding(side, error)


def _refused_by_opensearch(side: Side, error: AccessDeniedError) -> Finding:
    right = f"es:ESHttp{error.action.capitalize()}" if side.is_signed else "the right to it in the security plugin"
    where = f" (policy {policy_of_preflight(side)} of docs/iam.md)" if side.is_signed else ""
    return Finding(
        what=f"{error.action} {error.resource}",
        found=f"refused with {error.code}",
        expected="an answer",
        remedy=f"allow {right}{where} to the worker's role or user, on "
        f"{side.environment.opensearch.domain or side.endpoint}",
    )


def policy_of_preflight(side: Side) -> str:
    """The DAG's id, and the name of its policy in docs/iam.md."""
    return f"{side.target.name}_preflight"


def _caller(side: Side) -> str | None:
    """The ARN that AWS knows the caller by; None where not even that is told."""
    try:
        return str(side.aws.ask("sts", "get_caller_identity", "the caller")["Arn"])
    except SyncError:
        return None


def _principal(caller: str | None) -> tuple[str, str]:
    """Kind and name, as IAM's calls have them; of an assumed role the role's."""
    parts = (caller or "").rpartition(":")[2].split("/")
    if parts[0] == "assumed-role" and len(parts) > 1:
        return "role", parts[1]
    if parts[0] == "user":
        return "user", parts[-1]
    return "role", _UNKNOWN


def _resource_arn(error: AccessDeniedError, side: Side, caller: str | None) -> str:
    if error.resource.startswith("arn:"):
        return error.resource
    account = (caller or "").split(":")[4:5]
    if caller is None or not account:
        return "*"
    place = Place(partition=caller.split(":")[1], region=side.region, account=account[0])
    for beginning, (service, form) in _ARN_OF.items():
        if error.action.startswith(beginning):
            name = error.resource.rsplit("/", 1)[-1] if service == "sqs" else error.resource
            if name.startswith("alias/"):
                return place.arn(service, "key/*")
            return place.arn(service, form.format(name))
    return "*"
