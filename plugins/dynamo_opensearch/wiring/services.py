"""A target's services and aliases, wired to AWS."""

from functools import cache

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane, ControlPlane
from dynamo_opensearch.core.services.choosing import check_replay, choose_component, choose_health
from dynamo_opensearch.core.services.component import Component
from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.core.services.recorded import RecordedChanges
from dynamo_opensearch.core.services.settling import Settling
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.wiring.target_connections import TargetConnections


def control_plane(connections: TargetConnections) -> ControlPlane:
    """AWS by the target's connection; one client of each service, made when it is first asked."""
    return BotoControlPlane(cache(connections.dynamodb.client), connections.clock, connections.retry)


def component_of(connections: TargetConnections, name: str) -> Component:
    """A component by its name.

    Raises:
        ServiceUnnamedError: the target's file does not name it.
    """
    environment = connections.environment
    return choose_component(name, connections.target.name, environment_name(), environment, control_plane(connections))


def check_replay_of(connections: TargetConnections, name: str) -> None:
    """Refuse a replay that nothing would come of.

    Raises:
        ServiceUnnamedError: as ``check_replay``.
    """
    check_replay(name, connections.target.name, environment_name(), connections.environment)


def recorded_changes(connections: TargetConnections) -> RecordedChanges:
    """What was put in place of what."""
    return RecordedChanges(connections.state("services"), connections.clock)


def settling_of(connections: TargetConnections, name: str, shall: InService, give_up_us: int) -> Settling:
    """The wait for a component to serve ``shall``, and to be well."""
    health = choose_health(name, connections.environment)
    return Settling(component_of(connections, name), shall, health, connections.clock, give_up_us)
