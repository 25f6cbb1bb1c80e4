"""The indexer's code: uploaded where it is other code, published as a version. The alias is moved by another step."""

from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, RequestRefusedError, ResourceMissingError
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.cutover.indexer.deployed import DeployedIndexer
from dynamo_opensearch.core.cutover.indexer.errors import (
    FunctionBusyError,
    ImageFunctionError,
    IndexerAliasUnnamedError,
    IndexerMovedError,
    IndexerRefusedError,
    IndexerUpdateFailedError,
    NothingToServeError,
    PackageChangedError,
)
from dynamo_opensearch.core.cutover.indexer.function import LambdaFunction, describe_function, doubts_about
from dynamo_opensearch.core.cutover.indexer.package import IndexerPackage
from dynamo_opensearch.core.services.lambda_versions import LATEST, published_versions
from dynamo_opensearch.core.targets.environment import IndexerSettings

_CONTENDED = frozenset({"PreconditionFailedException", "ResourceConflictException"})
"""The function was changed since it was looked at, or is just being changed: by others, or by this call, sent again."""

_ROUNDS = 5


def bring_indexer(
    plane: ControlPlane, clock: Clock, indexer: IndexerSettings, package: IndexerPackage | None
) -> DeployedIndexer:
    """What the target file asks for: its package deployed; without one, the version that the alias leads to kept.

    Raises:
        IndexerAliasUnnamedError: the target file names no alias. Nothing was changed.
        SyncError: as ``deploy_indexer`` and ``keep_indexer``.
    """
    if indexer.alias is None:
        raise IndexerAliasUnnamedError(indexer.function)
    if package is None:
        return keep_indexer(plane, clock, indexer.function, indexer.alias)
    return deploy_indexer(plane, clock, indexer.function, package)


def deploy_indexer(plane: ControlPlane, clock: Clock, function: str, package: IndexerPackage) -> DeployedIndexer:
    """Bring the package to the function and publish it. What readers and the mapping use stays as it is.

    Safe to run again, also after a kill: code that is there is not uploaded, and a version of it, as it is configured,
    is not published a second time.

    Raises:
        IndexerFunctionMissingError, ImageFunctionError: there is nothing to bring it to.
        IndexerMovedError: somebody else has brought other code meanwhile.
        IndexerUpdateFailedError: Lambda cannot make a function of it.
        IndexerRefusedError: Lambda does not take it, such as code that is not signed.
        FunctionBusyError, PackageChangedError: the next try may succeed.
        AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    indexer = LambdaFunction(plane, function, clock)
    found = indexer.settled()
    if found.get("PackageType") == "Image":
        raise ImageFunctionError(function, package.where)
    was_uploaded = found["CodeSha256"] != package.sha256 or found.get("LastUpdateStatus") == "Failed"
    if was_uploaded:
        _upload(indexer, found, package)
    _check_ended(indexer.settled(), function, package)
    newest = max(published_versions(plane, function), default=0)
    version = _publish(indexer, package)
    published = indexer.settled(version)
    _check_active(published, f"{function}:{version}")
    return DeployedIndexer(
        function=function,
        version=version,
        code_sha256=package.sha256,
        was_uploaded=was_uploaded,
        was_published=int(version) > newest,
        is_kept=False,
        settings=describe_function(published),
        doubts=doubts_about(published),
    )


def keep_indexer(plane: ControlPlane, clock: Clock, function: str, alias: str) -> DeployedIndexer:
    """The version that the alias leads to, for want of a package. Reads only.

    Raises:
        NothingToServeError: there is no such alias, or it leads to $LATEST.
        IndexerFunctionMissingError: there is no such function.
        FunctionBusyError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``deploy_indexer``.
    """
    indexer = LambdaFunction(plane, function, clock)
    indexer.settled()
    try:
        found = plane.ask("lambda", "get_alias", f"{function}:{alias}", FunctionName=function, Name=alias)
    except ResourceMissingError as error:
        raise NothingToServeError(function, alias, f"there is no alias {function}:{alias}") from error
    version = str(found["FunctionVersion"])
    if version == LATEST:
        problem = f"alias {function}:{alias} leads to {LATEST}, which each deployment overwrites: there is no way back"
        raise NothingToServeError(function, alias, problem)
    published = indexer.settled(version)
    return DeployedIndexer(
        function=function,
        version=version,
        code_sha256=published["CodeSha256"],
        was_uploaded=False,
        was_published=False,
        is_kept=True,
        settings=describe_function(published),
        doubts=doubts_about(published),
    )


def _upload(indexer: LambdaFunction, found: dict[str, Any], package: IndexerPackage) -> None:
    """UpdateFunctionCode; not over code that somebody else has brought since ``found``."""
    before = found
    for _ in range(_ROUNDS):
        try:
            answer = indexer.ask("update_function_code", **package.upload, RevisionId=before["RevisionId"])
        except (RequestRefusedError, ResourceMissingError) as error:
            if error.code not in _CONTENDED:
                raise IndexerRefusedError(indexer.name, "lambda:UpdateFunctionCode", error.code) from error
            before = indexer.settled()
            if before["CodeSha256"] == package.sha256:
                return  # this call's own doing, sent again after its answer was lost
            if before["CodeSha256"] != found["CodeSha256"]:
                raise IndexerMovedError(indexer.name, before["CodeSha256"], package.sha256) from error
        else:
            if answer["CodeSha256"] != package.sha256:
                raise PackageChangedError(package.where, package.sha256, answer["CodeSha256"])
            return
    raise FunctionBusyError(indexer.name, f"{_ROUNDS} updates of others came in between")


def _check_ended(found: dict[str, Any], function: str, package: IndexerPackage) -> None:
    if found["CodeSha256"] != package.sha256:
        raise IndexerMovedError(function, found["CodeSha256"], package.sha256)
    if found.get("LastUpdateStatus") == "Failed":
        code, reason = found.get("LastUpdateStatusReasonCode", ""), found.get("LastUpdateStatusReason", "")
        raise IndexerUpdateFailedError(function, "the update", code, reason)
    _check_active(found, function)


def _check_active(found: dict[str, Any], resource: str) -> None:
    """One that sleeps is woken by its first call; the step that moves the alias says how."""
    if found.get("State") == "Failed":
        raise IndexerUpdateFailedError(
            resource, "the state", found.get("StateReasonCode", ""), found.get("StateReason", "")
        )


def _publish(indexer: LambdaFunction, package: IndexerPackage) -> str:
    """Its number; Lambda itself returns the last one where neither code nor configuration has changed since."""
    try:
        answer = indexer.ask("publish_version", CodeSha256=package.sha256)
    except RequestRefusedError as error:
        code = indexer.settled()["CodeSha256"]
        if code != package.sha256:
            raise IndexerMovedError(indexer.name, code, package.sha256) from error
        if error.code == "ResourceConflictException":
            raise FunctionBusyError(indexer.name, "an update began when a version was to be published") from error
        raise IndexerRefusedError(indexer.name, "lambda:PublishVersion", error.code) from error
    if answer["CodeSha256"] != package.sha256:
        raise IndexerMovedError(indexer.name, answer["CodeSha256"], package.sha256)
    return str(answer["Version"])
