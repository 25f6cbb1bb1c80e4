"""The policies of a role, read from IAM."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane
from dynamo_opensearch.core.preflight.policies.documents import Statement, statements_of
from dynamo_opensearch.core.preflight.policies.evaluation import Policies


def read_policies(aws: ControlPlane, role: dict[str, Any]) -> Policies:
    """Inline and managed policies, and the permissions boundary. ``role``: GetRole's ``Role``.

    What the organisation forbids (service control policies) and what resources say themselves is not in it.

    Raises:
        PolicyDocumentError: one cannot be read.
        AccessDeniedError, ServiceUnavailableError, ResourceMissingError: as ``ControlPlane.ask``.
    """
    name = role["RoleName"]
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return Policies(
        identity=(*_inline(aws, name), *_attached(aws, name)),
        boundary=None if boundary is None else tuple(_managed(aws, boundary)),
    )


def _inline(aws: ControlPlane, role: str) -> Iterator[Statement]:
    for policy in pages(aws, "list_role_policies", "PolicyNames", role, RoleName=role):
        answer = aws.ask("iam", "get_role_policy", role, RoleName=role, PolicyName=policy)
        yield from statements_of(answer["PolicyDocument"], f"inline policy {policy}")


def _attached(aws: ControlPlane, role: str) -> Iterator[Statement]:
    for policy in pages(aws, "list_attached_role_policies", "AttachedPolicies", role, RoleName=role):
        yield from _managed(aws, policy["PolicyArn"])


def _managed(aws: ControlPlane, arn: str) -> Iterator[Statement]:
    version = aws.ask("iam", "get_policy", arn, PolicyArn=arn)["Policy"]["DefaultVersionId"]
    answer = aws.ask("iam", "get_policy_version", arn, PolicyArn=arn, VersionId=version)
    yield from statements_of(answer["PolicyVersion"]["Document"], f"policy {arn}")


def pages(aws: ControlPlane, call: str, member: str, resource: str, **arguments: Any) -> Iterator[Any]:
    """The entries of all pages of a listing call of IAM."""
    marker: dict[str, str] = {}
    while True:
        answer = aws.ask("iam", call, resource, **arguments, **marker)
        yield from answer[member]
        if not answer.get("IsTruncated"):
            return
        marker = {"Marker": answer["Marker"]}
