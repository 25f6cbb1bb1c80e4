"""The steps of a cutover, wired to a target's servers."""

from collections.abc import Callable

from dynamo_opensearch.core.cutover.readiness import Readiness
from dynamo_opensearch.core.cutover.table_stream import StreamSwitch, enable_stream, look_at_stream
from dynamo_opensearch.wiring.services import control_plane
from dynamo_opensearch.wiring.target_connections import TargetConnections

Look = Callable[[], Readiness]


def switch_stream_on(connections: TargetConnections) -> StreamSwitch:
    """Switch the table's stream on, with the view type that the target file asks for.

    Raises:
        StreamViewError, TableUnusableError, TableNotReadyError, StreamNotSwitchedOnError: as ``enable_stream``.
    """
    view_type = connections.environment.stream.view_type
    return enable_stream(control_plane(connections), connections.target.table, view_type)


def stream_readiness(connections: TargetConnections) -> Look:
    """Looks at the table's stream; the clients are kept from look to look."""
    plane = control_plane(connections)
    table, view_type = connections.target.table, connections.environment.stream.view_type
    return lambda: look_at_stream(plane, table, view_type)
