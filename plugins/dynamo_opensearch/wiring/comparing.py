"""A comparison of an index with its table, wired to a target's servers."""

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dynamo_opensearch.core.backfill.plan import segments_for
from dynamo_opensearch.core.compare.comparison import ComparisonPorts, ComparisonSettings
from dynamo_opensearch.core.compare.mending import Mender
from dynamo_opensearch.core.compare.table_side import Depth
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.table_description import describe_table
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.opensearch.alias import write_alias_of
from dynamo_opensearch.wiring.target_connections import TargetConnections


def comparison_settings(
    connections: TargetConnections, index: str, depth: Depth, read_units_per_s: float | None = None
) -> ComparisonSettings:
    """What the target allows a comparison; up to ``budgets.max_repairs`` of the table may be mended.

    ``read_units_per_s``: the run's own wish, before the target's.
    """
    budgets = connections.target.budgets
    table = describe_table(connections.table)
    return ComparisonSettings(
        index=index,
        depth=depth,
        total_segments=segments_for(table.size_bytes, budgets.concurrent_tasks),
        read_units_per_s=read_units_per_s or budgets.read_units_per_s,
        consistent_scan=budgets.consistent_scan,
        # What was stamped within the margin can only be mended once the margin is over.
        settle_waits_s=(3, 6, 12, max(24, 2 * connections.stamps.margin_s)),
        max_mends=max(1_000, math.ceil(budgets.max_repairs * table.items_estimated)) if budgets.max_repairs else None,
    )


def comparison_ports(
    connections: TargetConnections, index: str, on_rejects: Callable[[Sequence[Reject]], None]
) -> ComparisonPorts:
    """What a comparison works with. ``on_rejects``: stores what the index refuses when it is mended."""
    target = connections.target
    builder = connections.builder_for(index)
    reader = KeyedReader(connections.table, target.key, connections.clock, connections.retry)
    write_alias = write_alias_of(connections.patient, index, target.alias)
    sender = connections.sender(
        write_alias,
        InFlightLimit(target.budgets.requests_in_flight),
        is_fed_by_indexer=write_alias == target.alias,
    )
    refresher = Refresher(reader, connections.builder_for, connections.stamps)
    return ComparisonPorts(
        table=connections.table,
        reader=reader,
        patient=connections.patient,
        builder=builder,
        clock=connections.clock,
        scratch=Path(tempfile.gettempdir()),
        offer=Mender(refresher, sender, builder, index, on_rejects).offer,
    )
