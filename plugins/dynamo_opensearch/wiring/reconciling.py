"""A reconciliation, wired to a target's servers."""

import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from dynamo_opensearch.core.aws.event_source_mapping import mapping_state
from dynamo_opensearch.core.compare.comparison import key_kinds
from dynamo_opensearch.core.compare.index_side import routing_of_aliases
from dynamo_opensearch.core.compare.looking import Looker
from dynamo_opensearch.core.compare.removing import StrayRemover
from dynamo_opensearch.core.dynamodb.scan import ScanSettings, count_items
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.errors import SyncError
from dynamo_opensearch.core.look.reject_log import RejectLog
from dynamo_opensearch.core.look.twice import TwiceLooker
from dynamo_opensearch.core.offer.rejects import RejectSink
from dynamo_opensearch.core.opensearch.index_life import count_documents
from dynamo_opensearch.core.reconcile.causes import Surroundings
from dynamo_opensearch.core.reconcile.counting import CountPorts
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.planning import ReconcilePlanPorts
from dynamo_opensearch.core.reconcile.reading import ReadPorts, depth_of
from dynamo_opensearch.core.reconcile.repairing import RepairPorts
from dynamo_opensearch.core.reconcile.settling import SettlePorts
from dynamo_opensearch.core.reconcile.work_files import WorkFiles
from dynamo_opensearch.core.stream.changes import ChangeCounter, StreamChanges
from dynamo_opensearch.wiring.dead_letters import dead_letter_depth
from dynamo_opensearch.wiring.rebuilding import indexer_age_s
from dynamo_opensearch.wiring.replaying import keyed_reader, living_indices
from dynamo_opensearch.wiring.target_connections import TargetConnections

MOST_COUNTING_SEGMENTS = 64
"""Segments of the scan that counts a table: enough for its few readers, whatever a copy would be divided into."""
_LONGEST_WAIT_S = 600.0


def plan_ports(connections: TargetConnections) -> ReconcilePlanPorts:
    """What planning looks at."""
    return ReconcilePlanPorts(
        table=connections.table,
        cluster=connections.patient,
        clock=connections.clock,
        lag_s=lambda: indexer_age_s(connections),
    )


def read_ports(connections: TargetConnections, plan: ReconcilePlan, files: WorkFiles) -> ReadPorts:
    """What a reading task works with."""
    return ReadPorts(
        table=connections.table,
        patient=connections.patient,
        builder=connections.builder_for(plan.subject.index),
        files=files,
        clock=connections.clock,
        scratch=scratch_folder(),
        consistent_scan=connections.target.budgets.consistent_scan,
    )


def settle_ports(
    connections: TargetConnections,
    plan: ReconcilePlan,
    files: WorkFiles,
    keep_list: Callable[[Path], None],
    since_us: Mapping[str, int],
) -> SettlePorts:
    """What looking again at differences works with."""
    return SettlePorts(
        looker=suspect_looker(connections, plan),
        files=files,
        keep_list=keep_list,
        since_us=since_us,
        waits_s=settle_waits_s(connections, plan),
        clock=connections.clock,
        scratch=scratch_folder(),
    )


def repair_ports(
    connections: TargetConnections,
    plan: ReconcilePlan,
    files: WorkFiles,
    keep_list: Callable[[Path], None],
    since_us: Mapping[str, int],
    sink_for: Callable[[str], RejectSink],
) -> RepairPorts:
    """What a repair works with. ``sink_for``: where the documents go that an index refuses."""
    budgets = connections.target.budgets
    rejects = RejectLog(sink_for, {}, {})
    twice = TwiceLooker(
        keyed_reader(connections),
        living_indices(connections),
        rejects,
        connections.stamps,
        connections.clock,
        key_attributes=connections.target.key,
        bulk_bytes=budgets.bulk_bytes,
        requests_in_flight=budgets.requests_in_flight,
    )
    return RepairPorts(
        looker=suspect_looker(connections, plan),
        offer=twice.offer,
        offer_read_units=lambda: twice.read_units,
        remove=StrayRemover(plan.subject.index, connections.patient).remove,
        rejected=lambda: sum(sum(reasons.values()) for reasons in rejects.counts.values()),
        files=files,
        keep_list=keep_list,
        since_us=since_us,
        waits_s=settle_waits_s(connections, plan),
        clock=connections.clock,
        scratch=scratch_folder(),
    )


def count_ports(connections: TargetConnections, plan: ReconcilePlan) -> CountPorts:
    """How both sides are counted, page by page."""
    target, index = connections.target, plan.subject.index
    since_plan_s = (connections.clock.time_us() - plan.began_us) / 1e6
    return CountPorts(
        count_table=lambda: _count_table(connections, plan.total_segments),
        count_index=lambda: count_documents(connections.patient, index),
        changes_since=_changes_counter(connections, plan.subject.stream_arn),
        lag_s=None if plan.lag_s is None else plan.lag_s + since_plan_s,  # if the indexer has not moved since
        is_filtered=target.documents.filter is not None,
        waits_s=settle_waits_s(connections, plan),
        clock=connections.clock,
    )


def suspect_looker(connections: TargetConnections, plan: ReconcilePlan) -> Looker:
    """Looks at what differed, item by item and document by document."""
    index = plan.subject.index
    builder = connections.builder_for(index)
    return Looker(
        index,
        depth_of(plan),
        routing_of_aliases(connections.patient, index),
        key_kinds(connections.table.describe(), builder.key_attributes),
        builder,
        keyed_reader(connections),
        connections.patient,
    )


def settle_waits_s(connections: TargetConnections, plan: ReconcilePlan) -> tuple[float, ...]:
    """Between looks at what differs, each twice the one before, together ``budgets.settle_s``.

    The last is longer than two margins, and than the indexer's lag as far as that is known.
    """
    lag_s = min(_LONGEST_WAIT_S, 1.5 * (plan.lag_s or 0.0))
    unit_s = connections.target.budgets.settle_s / 15
    return (unit_s, 2 * unit_s, 4 * unit_s, max(8 * unit_s, 2 * connections.stamps.margin_s, lag_s))


def allowed_repairs(connections: TargetConnections, table_count: int) -> int:
    """How many differences may be mended unasked: ``budgets.max_repairs`` of the items."""
    return math.ceil(connections.target.budgets.max_repairs * table_count)


def scratch_folder() -> Path:
    """A folder of this machine."""
    return Path(tempfile.gettempdir())


def look_around(connections: TargetConnections, plan: ReconcilePlan) -> Surroundings:
    """What else may be wrong; what cannot be asked is said as well."""
    environment, problems = connections.environment, []
    state = dead_letters = None
    uuid = None if environment.indexer is None else environment.indexer.event_source_mapping
    try:
        if uuid is not None:
            client = connections.dynamodb.client("lambda")
            state = mapping_state(client, uuid, connections.clock, connections.retry)
    except SyncError as error:
        problems.append(f"the event source mapping could not be asked: {error}")
    try:
        if environment.dead_letters is not None:
            dead_letters = dead_letter_depth(connections).visible
    except SyncError as error:
        problems.append(f"the dead-letter queue could not be asked: {error}")
    return Surroundings(lag_s=plan.lag_s, mapping_state=state, dead_letters=dead_letters, problems=tuple(problems))


def _count_table(connections: TargetConnections, total_segments: int) -> tuple[int, float]:
    rules, budgets = connections.target.documents, connections.target.budgets
    settings = ScanSettings(
        total_segments=min(total_segments, MOST_COUNTING_SEGMENTS),
        consistent=budgets.consistent_scan,
        extra={} if rules.filter is None else rules.filter.scan_arguments(),
    )
    return count_items(connections.table, settings, budgets.read_units_per_s, connections.clock)


def _changes_counter(
    connections: TargetConnections, stream_arn: str | None
) -> Callable[[int], Callable[[], StreamChanges]] | None:
    if stream_arn is None:
        return None

    def since(moment_us: int) -> Callable[[], StreamChanges]:
        streams = connections.dynamodb.streams_client()
        stream = StreamClient(streams, stream_arn, connections.clock, connections.retry)
        # An eventually consistent scan may miss what is younger than a margin.
        margin_us = round(connections.stamps.margin_s * 1e6)
        rounding_s = connections.stamps.stream_rounding_s
        return ChangeCounter(stream, moment_us - margin_us, connections.clock, rounding_s).count

    return since
