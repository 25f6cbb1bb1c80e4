"""The API's new version: a task definition put in service, or an alias moved; recorded, so that it can go back."""

from dynamo_opensearch.core.aws.control_plane import ControlPlane
from dynamo_opensearch.core.cutover.api.task_definitions import choose_definition
from dynamo_opensearch.core.cutover.indexer.alias import warnings_of_latest
from dynamo_opensearch.core.cutover.serving import Served, VersionUnfitError, check_fit, put_in_service
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.services.component import Run, Snapshot
from dynamo_opensearch.core.services.ecs import EcsComponent
from dynamo_opensearch.core.services.in_service import InService, shown
from dynamo_opensearch.core.services.lambda_alias import LAMBDA_API, LambdaAliasComponent
from dynamo_opensearch.core.services.lambda_versions import published_versions
from dynamo_opensearch.core.services.recorded import RecordedChanges
from dynamo_opensearch.core.targets.environment import ApiSettings


class ReleaseRefusedError(PermanentError):
    """The service is in no state to be deployed to, or its deployments are somebody else's."""

    def __init__(self, resource: str, by_hand: str, problems: tuple[str, ...]) -> None:
        super().__init__(resource, by_hand, problems)
        self.resource, self.by_hand, self.problems = resource, by_hand, problems

    def __str__(self) -> str:
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return (
            f"{self.resource} was not changed. Problems: {len(self.problems)}\n{lines}\nCorrect what can be mended, "
            f"then clear this task; or deploy by hand: {self.by_hand}"
        )


def release_api(plane: ControlPlane, api: ApiSettings, changes: RecordedChanges, run: Run) -> Served:
    """Put in service what the target file names: by default the newest. Does not wait until it is stable.

    Safe to run again, also after a kill: what is in service already is left alone.

    Raises:
        ReleaseRefusedError: nothing can be deployed to the service as it is.
        VersionUnfitError, VersionNotAwakeError: what shall be served cannot be.
        ServiceChangedError, ServiceMovedError, ServiceBusyError: as ``put_in_service``.
        ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    if api.kind == "ecs":
        return _release_definition(plane, api, changes, run)
    return _release_version(plane, api, changes, run)


def _release_definition(plane: ControlPlane, api: ApiSettings, changes: RecordedChanges, run: Run) -> Served:
    component = EcsComponent(plane, str(api.cluster), str(api.service))
    seen = component.snapshot()
    if not seen.in_service.token:  # the primary deployment, which another controller's service does not have
        _check_problems(component, seen)
    shall = InService(version=choose_definition(plane, component.resource, seen.in_service.version, api))

    def check(seen: Snapshot, shall: InService) -> tuple[str, ...]:
        _check_problems(component, seen)
        unfit = seen.unfit(shall.version)
        return () if unfit is None else (f"{shown(shall.version)} {unfit.reason}; it is tried once more",)

    return put_in_service(component, shall, changes, run, check)


def _check_problems(component: EcsComponent, seen: Snapshot) -> None:
    if problems := tuple(seen.problems()):
        raise ReleaseRefusedError(component.resource, component.by_hand, problems)


def _release_version(plane: ControlPlane, api: ApiSettings, changes: RecordedChanges, run: Run) -> Served:
    component = LambdaAliasComponent(plane, LAMBDA_API, str(api.function), str(api.alias))
    version = api.version or max(published_versions(plane, str(api.function)), default=0)
    if not version:
        raise VersionUnfitError(component.resource, f"function {api.function!r}", "has no published version")

    def check(seen: Snapshot, shall: InService) -> tuple[str, ...]:
        check_fit(component.resource, seen, shall)
        return warnings_of_latest(seen.in_service)

    return put_in_service(component, InService(version=str(version)), changes, run, check)
