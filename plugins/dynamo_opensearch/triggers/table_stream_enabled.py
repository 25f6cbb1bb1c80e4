"""Waiting until a table's stream can be read."""

from collections.abc import Callable

from dynamo_opensearch.core.cutover.readiness import Readiness
from dynamo_opensearch.triggers.readiness import ReadinessTrigger
from dynamo_opensearch.wiring.cutover import stream_readiness
from dynamo_opensearch.wiring.target_connections import TargetConnections


class TableStreamEnabledTrigger(ReadinessTrigger):
    """Fire once the stream is ENABLED, or when ``give_up_us`` has come."""

    @staticmethod
    def make_readiness(connections: TargetConnections) -> Callable[[], Readiness]:
        """See ``ReadinessTrigger``."""
        return stream_readiness(connections)
