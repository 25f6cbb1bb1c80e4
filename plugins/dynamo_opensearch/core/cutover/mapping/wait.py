"""Waiting until an event source mapping hands on changes."""

from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, ResourceMissingError
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.cutover.mapping.errors import MappingBusyError, MappingOffError
from dynamo_opensearch.core.cutover.mapping.search import POLL_S

_STALE_S = 30.0
"""For so long an answer may be of before it was enabled."""


def wait_for_mapping(plane: ControlPlane, clock: Clock, uuid: str, wait_s: float) -> str:
    """Look until it is Enabled; what was seen then. Reads only, safe to run again.

    Creating, Enabling and Updating are waited out; Disabled is believed when it is still so after 30 s.

    Raises:
        MappingOffError: it was disabled or deleted.
        MappingBusyError: it is not Enabled after ``wait_s``.
        AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    began_s = clock.monotonic_s()
    while True:
        found = _look(plane, uuid)
        state, waited_s = str(found.get("State")), clock.monotonic_s() - began_s
        if state == "Enabled":
            return f"event source mapping {uuid} is Enabled; {found.get('LastProcessingResult') or 'nothing processed'}"
        is_off = state == "Deleting" or (state in ("Disabling", "Disabled") and waited_s >= _STALE_S)
        if is_off:
            raise MappingOffError(uuid, state, str(found.get("StateTransitionReason") or ""))
        if waited_s >= wait_s:
            raise MappingBusyError(uuid, state, waited_s)
        clock.sleep(POLL_S)


def _look(plane: ControlPlane, uuid: str) -> dict[str, Any]:
    try:
        return plane.ask("lambda", "get_event_source_mapping", uuid, UUID=uuid)
    except ResourceMissingError as error:
        raise MappingOffError(uuid, "gone", "") from error
