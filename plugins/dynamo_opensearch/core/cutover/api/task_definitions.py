"""Which task definition a cutover brings into service."""

from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, RequestRefusedError
from dynamo_opensearch.core.cutover.serving import VersionUnfitError
from dynamo_opensearch.core.services.ecs import family_of
from dynamo_opensearch.core.services.in_service import shown
from dynamo_opensearch.core.targets.environment import ApiSettings


def choose_definition(plane: ControlPlane, resource: str, now: str, api: ApiSettings) -> str:
    """The ARN of the one that the target file names, else of the newest ACTIVE one of the family in service.

    ``resource``: the service, for errors; ``now``: the ARN of what it serves. Reads only.

    Raises:
        VersionUnfitError: it is of another family or INACTIVE, or nothing newer than what is in service is left.
        AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    family = family_of(now)
    if api.task_definition is not None:
        return _named(plane, resource, family, api.task_definition)
    newest = _newest(plane, family)
    if newest is None:
        raise VersionUnfitError(resource, f"family {family!r}", "has no ACTIVE task definition")
    if _revision(newest) < _revision(now):
        raise VersionUnfitError(
            resource,
            shown(newest),
            f"is the newest ACTIVE one, and older than {shown(now)}, which is in service: to deploy it would be to go "
            "back. Register a newer one, or name it as api.task_definition where that is meant",
        )
    return newest


def _named(plane: ControlPlane, resource: str, family: str, name: str) -> str:
    try:
        answer = plane.ask("ecs", "describe_task_definition", name, taskDefinition=name)
    except RequestRefusedError as error:
        if error.code != "ClientException":
            raise
        raise VersionUnfitError(resource, name, "is not known to ECS in this account and region") from error
    found = answer["taskDefinition"]
    arn, status = str(found["taskDefinitionArn"]), str(found.get("status"))
    if family_of(arn) != family:
        raise VersionUnfitError(
            resource,
            name,
            f"is not of family {family!r}, which is in service: a rollback could not come back from it. Change the "
            "family by hand once",
        )
    if status != "ACTIVE":
        raise VersionUnfitError(resource, name, f"is {status}: nothing can be started from it")
    return arn


def _newest(plane: ControlPlane, family: str) -> str | None:
    """ECS lists the highest revision first."""
    arguments: dict[str, Any] = {"familyPrefix": family, "status": "ACTIVE", "sort": "DESC"}
    while True:
        answer = plane.ask("ecs", "list_task_definitions", family, **arguments)
        for arn in answer.get("taskDefinitionArns", ()):
            if family_of(arn) == family:
                return str(arn)
        if not answer.get("nextToken"):
            return None
        arguments["nextToken"] = answer["nextToken"]


def _revision(arn: str) -> int:
    return int(arn.rpartition(":")[2])
