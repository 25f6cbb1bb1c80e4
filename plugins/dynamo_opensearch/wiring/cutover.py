"""The steps of a cutover, wired to a target's servers."""

from collections.abc import Callable

from dynamo_opensearch.core.backfill.planning import PlanPorts
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.cutover.alias_index import MadeIndex, make_alias_index
from dynamo_opensearch.core.cutover.readiness import Readiness
from dynamo_opensearch.core.cutover.search_domain import SearchDomain
from dynamo_opensearch.core.cutover.table_stream import StreamSwitch, enable_stream, look_at_stream
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.hooks.opensearch import OpenSearchHook
from dynamo_opensearch.wiring.services import control_plane
from dynamo_opensearch.wiring.target_connections import TargetConnections

Look = Callable[[], Readiness]


_ONE_TRY = RetryPolicy(give_up_after_s=0.0)


def domain_readiness(connections: TargetConnections) -> Look:
    """Looks at the domain and asks OpenSearch, once each time; the clients are kept from look to look."""
    endpoint, _ = OpenSearchHook(connections.environment.opensearch_conn_id).endpoint()
    cluster = PatientCluster(connections.cluster, connections.clock, _ONE_TRY)
    domain = connections.environment.opensearch.domain
    return SearchDomain(control_plane(connections), domain, cluster, endpoint).look


def make_index_behind_alias(connections: TargetConnections, run_id: str) -> MadeIndex:
    """Make the index where there is none; its note names the run.

    Raises:
        Exception: as ``make_alias_index``.
    """
    return make_alias_index(
        connections.target,
        connections.mapping(),
        connections.builder,
        connections.stamps,
        run_id,
        PlanPorts(table=connections.table, cluster=connections.patient, clock=connections.clock),
    )


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
