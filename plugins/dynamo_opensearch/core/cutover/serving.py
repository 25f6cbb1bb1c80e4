"""Putting a version in service: recorded first, so that a rollback finds what it replaced; once, whoever asks twice."""

from collections.abc import Callable
from dataclasses import dataclass

from dynamo_opensearch.core.errors import PassingError, PermanentError
from dynamo_opensearch.core.services.changing import make_change
from dynamo_opensearch.core.services.component import Component, Run, Snapshot
from dynamo_opensearch.core.services.errors import ServiceChangedError
from dynamo_opensearch.core.services.in_service import InService, shown
from dynamo_opensearch.core.services.recorded import BEGUN, RecordedChange, RecordedChanges

PURPOSE = "cutover"


class VersionUnfitError(PermanentError):
    """What shall be served cannot be."""

    def __init__(self, resource: str, version: str, reason: str) -> None:
        super().__init__(resource, version, reason)
        self.resource, self.version, self.reason = resource, version, reason

    def __str__(self) -> str:
        return (
            f"{self.resource} was not changed: {self.version} {self.reason}. Correct the target file where it names "
            "that one, or deploy another one; then clear this task."
        )


class VersionNotAwakeError(PassingError):
    """What shall be served would refuse its first calls."""

    def __init__(self, resource: str, version: str, reason: str) -> None:
        super().__init__(resource, version, reason)
        self.resource, self.version, self.reason = resource, version, reason

    def __str__(self) -> str:
        return f"{self.resource} was not changed, the task tries again: {self.version} {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Served:
    """What is in service ``now``, with its token, and what ``was`` before. ``warnings``: what one should know."""

    component: str
    resource: str
    was: InService
    now: InService
    was_changed: bool
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.was_changed:
            did = f"{self.resource}: {self.now} is in service already, nothing was to do"
        elif self.was.is_nothing:
            did = (
                f"{self.resource} was made, and leads to {self.now}: there is nothing that a rollback could go back to"
            )
        else:
            did = f"{self.resource}: {self.now} in place of {self.was}"
        return "\n".join((did, *(f"  warning: {one}" for one in self.warnings)))


def put_in_service(
    component: Component,
    shall: InService,
    changes: RecordedChanges,
    run: Run,
    check: Callable[[Snapshot, InService], tuple[str, ...]],
) -> Served:
    """Serve ``shall``, unless that is in service. ``check``: raises, or returns warnings; asked before a change only.

    Safe to run again, also after a kill at any point: a change that was begun is gone on with, one that has ended is
    looked at anew.

    Raises:
        ServiceChangedError: another run has changed it since this one was triggered.
        ServiceMovedError: somebody else has changed it just now. Nothing was changed.
        ServiceBusyError: it is just being changed.
        ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    last = changes.last(component.name, component.resource)
    is_own = last is not None and last.is_of(run)
    if last is not None and is_own and last.outcome == BEGUN and last.shall.is_same(shall):
        return _served(component, last.was, make_change(last, None, component, changes), was_changed=True)
    seen = component.snapshot()
    was = seen.in_service
    if was.is_same(shall):
        return _served(component, was, was, was_changed=False)
    if last is not None and not is_own and last.latest_us > run.triggered_us:
        raise ServiceChangedError(component.resource, str(last))
    warnings = (*check(seen, shall), *seen.warnings())
    planned = RecordedChange(
        component=component.name,
        resource=component.resource,
        purpose=PURPOSE,
        deployment=run.deployment,
        dag_id=run.dag_id,
        run_id=run.run_id,
        was=was,
        shall=shall,
        began_us=0,
    )
    now = make_change(planned, last.mark if last else None, component, changes)
    return _served(component, was, now, was_changed=True, warnings=warnings)


def check_fit(resource: str, seen: Snapshot, shall: InService) -> None:
    """Raise where a version cannot be served.

    Raises:
        VersionUnfitError: it was deleted, or has failed.
        VersionNotAwakeError: it is being made, or sleeps.
    """
    unfit = seen.unfit(shall.version)
    if unfit is not None:
        error = VersionNotAwakeError if unfit.is_passing else VersionUnfitError
        raise error(resource, shown(shall.version), unfit.reason)


def _served(
    component: Component, was: InService, now: InService, *, was_changed: bool, warnings: tuple[str, ...] = ()
) -> Served:
    return Served(
        component=component.name,
        resource=component.resource,
        was=was,
        now=now,
        was_changed=was_changed,
        warnings=warnings,
    )
