"""The alias of the indexer: moved to the version that was deployed, made where it is missing."""

from dynamo_opensearch.core.aws.control_plane import ControlPlane, RequestRefusedError, ResourceMissingError
from dynamo_opensearch.core.cutover.indexer.deployed import DeployedIndexer
from dynamo_opensearch.core.cutover.serving import Served, check_fit, put_in_service
from dynamo_opensearch.core.services.component import Run, Snapshot
from dynamo_opensearch.core.services.errors import ServiceMovedError
from dynamo_opensearch.core.services.in_service import NOTHING, InService
from dynamo_opensearch.core.services.lambda_alias import (
    LAMBDA_INDEXER,
    LambdaAliasComponent,
    LambdaAliasSnapshot,
    alias_in_service,
)
from dynamo_opensearch.core.services.lambda_versions import LATEST
from dynamo_opensearch.core.services.recorded import RecordedChanges


def move_indexer(
    plane: ControlPlane, alias: str, deployed: DeployedIndexer, changes: RecordedChanges, run: Run
) -> Served:
    """Let the alias lead to the version that was deployed, with all of its calls. Safe to run again.

    Where no package was named the alias stays as it is.

    Raises:
        VersionUnfitError, VersionNotAwakeError: that version cannot be invoked.
        ServiceChangedError, ServiceMovedError, ServiceBusyError: as ``put_in_service``.
        ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    if deployed.is_kept:
        kept = LambdaAliasComponent(plane, LAMBDA_INDEXER, deployed.function, alias)
        now = kept.snapshot().in_service
        return Served(component=kept.name, resource=kept.resource, was=now, now=now, was_changed=False)
    component = AliasMadeWhereMissing(plane, LAMBDA_INDEXER, deployed.function, alias)

    def check(seen: Snapshot, shall: InService) -> tuple[str, ...]:
        check_fit(component.resource, seen, shall)
        return warnings_of_latest(seen.in_service)

    return put_in_service(component, InService(version=deployed.version), changes, run, check)


def warnings_of_latest(was: InService) -> tuple[str, ...]:
    """What cannot be gone back to."""
    if was.version != LATEST:
        return ()
    return (f"the alias led to {LATEST}, which each deployment overwrites: a rollback cannot go back to it",)


class AliasMadeWhereMissing(LambdaAliasComponent):
    """As ``LambdaAliasComponent``; an alias that is missing serves nothing, and to change that makes it."""

    def snapshot(self) -> Snapshot:
        """As ``Component.snapshot``."""
        try:
            return super().snapshot()
        except ResourceMissingError:
            return LambdaAliasSnapshot(self._plane, self._function, self._alias, None, NOTHING)

    def change(self, was: InService, shall: InService) -> InService:
        """As ``Component.change``: Lambda makes an alias once, so that the one who comes second changes nothing."""
        if not was.is_nothing:
            return super().change(was, shall)
        try:
            return alias_in_service(self._ask("create_alias", FunctionVersion=shall.version))
        except RequestRefusedError as error:
            if error.code != "ResourceConflictException":
                raise
            now = self._read()
            if not now.is_same(shall):  # else it was this call, sent again after its answer was lost
                raise ServiceMovedError(self.resource, str(was), str(now)) from error
            return now
