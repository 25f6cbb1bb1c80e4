"""Making the change that was planned: recorded first, then made once, whoever else changes the component."""

from dynamo_opensearch.core.services.component import Component
from dynamo_opensearch.core.services.errors import ServiceMovedError
from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.core.services.recorded import RecordedChange, RecordedChanges


def make_change(
    planned: RecordedChange, after: str | None, component: Component, changes: RecordedChanges
) -> InService:
    """Put ``planned.shall`` in place of ``planned.was``; what is served now, with its token.

    Safe to run again, and after a kill at any point: what was recorded and made by an earlier try is taken as it is,
    also where ECS has turned it round since.

    Raises:
        ServiceChangedError: another change was recorded since the plan.
        ServiceMovedError: the component does not serve what was planned from. Nothing was changed.
        ServiceBusyError: it is just being changed.
        ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    change, is_second_try = changes.begin(planned, after)
    try:
        now = _made(change, component, is_second_try=is_second_try)
    except ServiceMovedError:
        changes.give_up(change)
        raise
    changes.serves(change, now)
    return now


def _made(change: RecordedChange, component: Component, *, is_second_try: bool) -> InService:
    seen = component.snapshot()
    now = seen.in_service
    if now.is_same(change.shall):
        return now
    if is_second_try and (attempt := seen.attempt(change.was, change.shall)) is not None:
        return attempt
    if not now.is_same(change.was):
        raise ServiceMovedError(component.resource, str(change.was), str(now))
    return component.change(change.was, change.shall)
