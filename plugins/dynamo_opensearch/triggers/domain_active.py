"""Waiting until OpenSearch can be worked with."""

from collections.abc import Callable

from dynamo_opensearch.core.cutover.readiness import Readiness
from dynamo_opensearch.triggers.readiness import ReadinessTrigger
from dynamo_opensearch.wiring.cutover import domain_readiness
from dynamo_opensearch.wiring.target_connections import TargetConnections


class DomainActiveTrigger(ReadinessTrigger):
    """Fire once the domain is at rest and answers, or when ``give_up_us`` has come."""

    @staticmethod
    def make_readiness(connections: TargetConnections) -> Callable[[], Readiness]:
        """See ``ReadinessTrigger``."""
        return domain_readiness(connections)
