"""Finding out what a component goes back to. Reads only."""

from collections.abc import Iterator
from dataclasses import replace

from dynamo_opensearch.core.services.component import Component, Earlier, Run, Snapshot, Unfit
from dynamo_opensearch.core.services.errors import ServiceChangedError, ServiceRollbackRefusedError
from dynamo_opensearch.core.services.in_service import InService, shown, utc
from dynamo_opensearch.core.services.plan import ServiceRollbackPlan
from dynamo_opensearch.core.services.recorded import NOT_MADE, RecordedChange, RecordedChanges


def plan_service_rollback(target: str, component: Component, changes: RecordedChanges, run: Run) -> ServiceRollbackPlan:
    """Look at the component and at what is recorded of it. Safe to run again: a change that was begun stays the plan.

    Raises:
        ServiceRollbackRefusedError: there is nothing to go back to, with everything that was found.
        ServiceChangedError: another run has changed it since this one was triggered.
        ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    last = changes.last(component.name, component.resource)
    if last is not None and last.is_of(run):
        return _begun(target, last)
    if last is not None and last.latest_us > run.triggered_us:
        raise ServiceChangedError(component.resource, str(last))
    seen = component.snapshot()
    if problems := tuple(seen.problems()):
        raise ServiceRollbackRefusedError(component.resource, component.by_hand, problems)
    found, passed_over = _find(seen, component, last)
    return ServiceRollbackPlan(
        target=target,
        component=component.name,
        resource=component.resource,
        was=seen.in_service,
        shall=found.serving,
        basis=found.basis,
        is_undo=found.is_undo,
        after=last.mark if last else None,
        details=tuple(
            f"{shown(one.version)}: {seen.describe(one.version)}" for one in (seen.in_service, found.serving)
        ),
        passed_over=passed_over,
        warnings=tuple(seen.warnings()),
    )


def _begun(target: str, change: RecordedChange) -> ServiceRollbackPlan:
    """The plan that this run has recorded already."""
    return ServiceRollbackPlan(
        target=target,
        component=change.component,
        resource=change.resource,
        was=change.was,
        shall=change.shall,
        basis=f"this run began it on {utc(change.began_us)}",
    )


def _find(seen: Snapshot, component: Component, last: RecordedChange | None) -> tuple[Earlier, tuple[str, ...]]:
    """The first that is fit, and what was passed over before it.

    Raises:
        ServiceRollbackRefusedError: there is none.
    """
    now, passed_over, looked_at = seen.in_service, list[str](), list[InService]()
    for one in _candidates(seen, component, last):
        if one.serving.is_same(now) or any(one.serving.is_same(other) for other in looked_at):
            continue
        looked_at.append(one.serving)
        unfit = _unfit(seen, one)
        if unfit is None:
            return one, tuple(passed_over)
        passed_over.append(unfit.reason)
        if unfit.is_passing:
            raise ServiceRollbackRefusedError(component.resource, component.by_hand, tuple(passed_over))
    nothing = f"{now} is in service, and nothing is known that was before it and could be again"
    if last is not None and _was_made(now, last):
        nothing += f": it was {last}"
    raise ServiceRollbackRefusedError(component.resource, component.by_hand, (*passed_over, nothing))


def _unfit(seen: Snapshot, one: Earlier) -> Unfit | None:
    """Why it cannot be served, of whichever of its versions."""
    if one.why_not is not None:
        return Unfit(reason=f"{shown(one.serving.version)} {one.why_not}")
    for version in (one.serving.version, *one.serving.weights):
        if unfit := seen.unfit(version):
            return replace(unfit, reason=f"{shown(version)} {unfit.reason}")
    return None


def _candidates(seen: Snapshot, component: Component, last: RecordedChange | None) -> Iterator[Earlier]:
    """What was recorded as replaced by what is in service now, and what the component itself knows.

    The record comes first as long as nobody has changed the component since, or where it knows no past of its own.
    What the last change made has no past.
    """
    if last is not None and _was_made(seen.in_service, last):
        return
    undo = None if last is None else _undo(seen.in_service, last)
    if undo is not None and last is not None:
        is_untouched = last.shall.token in ("", seen.in_service.token)
        if is_untouched or not component.knows_its_past:
            yield undo
    yield from seen.earlier()
    if undo is not None:
        yield undo


def _was_made(now: InService, last: RecordedChange) -> bool:
    """Whether the last change made what is in service, where nothing was."""
    return last.was.is_nothing and last.outcome != NOT_MADE and last.shall.is_same(now)


def _undo(now: InService, last: RecordedChange) -> Earlier | None:
    if last.outcome == NOT_MADE or not last.shall.is_same(now):
        return None
    return Earlier(serving=replace(last.was, token="", since_us=0), basis=f"recorded: {last}", is_undo=True)
