"""The ports of a rebuild and a rollback, wired to a target's servers."""

from collections.abc import Callable, Iterator

from dynamo_opensearch.core.dynamodb.iterator_age import iterator_age_s
from dynamo_opensearch.core.dynamodb.pacing import ReadUnitPacer
from dynamo_opensearch.core.dynamodb.table_description import TableDescription
from dynamo_opensearch.core.follow.catch_up import CatchUp
from dynamo_opensearch.core.follow.starts import note_start
from dynamo_opensearch.core.offer.rejects import RejectSink
from dynamo_opensearch.core.opensearch.alias import read_target_aliases, write_aliases
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.rebuild.planning import RebuildPlanPorts, follow_from_us
from dynamo_opensearch.core.rebuild.samples import SampleSource, TableSamples
from dynamo_opensearch.core.rebuild.swap import SwapPorts
from dynamo_opensearch.core.rebuild.swap_plan import SwapPlan
from dynamo_opensearch.core.stream.position import StreamPosition
from dynamo_opensearch.wiring.dead_letters import dead_letter_queue
from dynamo_opensearch.wiring.following import follow_ports, follow_settings, follow_state, stream_arn
from dynamo_opensearch.wiring.replaying import samples_of
from dynamo_opensearch.wiring.target_connections import TargetConnections

MOST_DEAD_LETTERS = 500
"""Messages whose items a new mapping is tried on; a dry replay with `into_mapping` tries all."""


def rebuild_plan_ports(
    connections: TargetConnections, rejects: RejectSink, is_run_finished: Callable[[str], bool]
) -> RebuildPlanPorts:
    """What planning a rebuild looks at. ``rejects``: where refused samples go."""
    return RebuildPlanPorts(
        table=connections.table,
        cluster=connections.patient,
        clock=connections.clock,
        iterator_age_s=lambda: indexer_age_s(connections),
        samples=lambda table: _samples(connections, table),
        rejects=rejects,
        is_run_finished=is_run_finished,
    )


def indexer_age_s(connections: TargetConnections) -> float | None:
    """Seconds that the target's indexer is behind; None where the target names none, or no metric tells.

    Raises:
        AccessDeniedError, ServiceUnavailableError: as ``iterator_age_s``.
    """
    indexer = connections.environment.indexer
    if indexer is None:
        return None
    return iterator_age_s(
        connections.dynamodb.cloudwatch_client(), indexer.function, indexer.alias, connections.clock, connections.retry
    )


def _samples(connections: TargetConnections, table: TableDescription) -> Iterator[SampleSource]:
    """Items of the table; and those that dead letters are about, where the target names a queue."""
    rules, budgets = connections.target.documents, connections.target.budgets
    yield TableSamples(
        table=connections.table,
        pacer=ReadUnitPacer(budgets.read_units_per_s, connections.clock),
        items_estimated=table.items_estimated,
        scan_arguments={} if rules.filter is None else rules.filter.scan_arguments(),
    )
    if connections.environment.dead_letters is not None:
        with dead_letter_queue(connections) as queue:
            yield from samples_of(connections, queue, MOST_DEAD_LETTERS)


def swap_ports(connections: TargetConnections, plan: SwapPlan) -> SwapPorts:
    """What a swap works with; it catches up from where the follower has looked last."""
    arn = stream_arn(connections)
    state = follow_state(connections)
    catch_up = CatchUp(
        follow_settings(connections, arn),
        follow_ports(connections, arn, _no_sink),
        plan.to_index,
        plan.to_marker,
        StreamPosition() if state is None else state.seen,
    )
    return SwapPorts(
        cluster=connections.cluster,
        patient=connections.patient,
        catch_up=catch_up.drain,
        block_notes=connections.state("swap"),
        kept=connections.state("kept"),
        clock=connections.clock,
    )


def note_previous_start(connections: TargetConnections, plan: SwapPlan) -> None:
    """Note from where the follower feeds the index that is replaced, before its marker shows it to the follower.

    Safe to run again: after the swap the follower knows already, and an index that clean-up has deleted needs none.
    """
    replaced = read_target_aliases(connections.patient, plan.alias).live.get(plan.from_index)
    if replaced is not None:
        uuid = read_index(connections.patient, plan.from_index).uuid
        note_start(connections.state("starts"), uuid, _previous_start(connections, plan))


def _previous_start(connections: TargetConnections, plan: SwapPlan) -> StreamPosition:
    """From where the follower feeds the index that is replaced.

    After a rebuild: from where it began for the new index, since an indexer that lags has not fed the old one to the
    end. After a rollback: from where the indexer stands.
    """
    _, following, _ = write_aliases(plan.alias)
    state = follow_state(connections)
    joined = None if state is None else state.joined_index(plan.to_index)
    if plan.to_marker == following and joined is not None:
        return joined.start
    return StreamPosition(not_before_us=follow_from_us(connections.clock.time_us(), indexer_age_s(connections)))


def _no_sink(index: str) -> RejectSink:
    raise AssertionError(f"a swap writes down no rejects, got some of {index!r}")
