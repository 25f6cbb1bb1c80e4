"""A cutover's canary, wired to a target's servers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dynamo_opensearch.core.cutover.canary.item import (
    Canary,
    CanaryUnfitError,
    CanaryWish,
    documents_of,
    plan_canary,
)
from dynamo_opensearch.core.cutover.canary.table import CanaryTable
from dynamo_opensearch.core.cutover.canary.trial import (
    CanaryIndex,
    CanaryPorts,
    CanaryReport,
    fly_canary,
    remove_canary,
)
from dynamo_opensearch.core.cutover.canary.way import where_to_look
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.dynamodb.table_description import check_key, describe_table
from dynamo_opensearch.core.look.reject_log import RejectLog
from dynamo_opensearch.core.look.twice import TwiceLooker
from dynamo_opensearch.core.offer.destination import AliasLostError
from dynamo_opensearch.core.offer.rejects import RejectSink
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.rebuild.mapping_check import CheckPorts, check_new_mapping
from dynamo_opensearch.wiring.replaying import keyed_reader, living_indices
from dynamo_opensearch.wiring.services import control_plane
from dynamo_opensearch.wiring.target_connections import TargetConnections


def why_no_canary(connections: TargetConnections) -> str | None:
    """Why none is to fly; None where one is."""
    indexer = connections.environment.indexer
    if indexer is None:
        return "the target file names no indexer in this environment: nothing carries changes into the index"
    if indexer.canary is False:
        return "indexer.canary is false in the target file: no item is written to try the indexer"
    return None


def planned_canary(connections: TargetConnections, mark: str, attempt: int) -> Canary:
    """The canary of a run's try, by the target file as it is now. ``mark``: as ``mark_of``. Writes nothing.

    Raises:
        CanaryUnfitError: none can be made.
        TableKeyError, TableMissingError, TableNotReadyError: the table does not fit.
    """
    target, indexer = connections.target, connections.environment.indexer
    table = describe_table(connections.table)
    check_key(table, target.key)
    wish = CanaryWish(
        target=target,
        key_types=table.key_types,
        mappings=connections.mapping().mappings,
        given=(indexer.canary if indexer is not None else {}) or {},
        mark=mark,
        attempt=attempt,
    )
    return plan_canary(wish, connections.builder)


def check_canary(connections: TargetConnections, canary: Canary) -> None:
    """Try both states on a scratch index, so that what the mapping refuses never reaches the indexer.

    Raises:
        CanaryUnfitError: the mapping does not take them.
        AliasLostError: nothing is behind the alias.
    """
    target, patient = connections.target, connections.patient
    index = index_behind(patient, target.alias, target.index_base)
    if index is None:
        raise AliasLostError(target.alias)
    found = check_new_mapping(
        target,
        connections.mapping(),
        read_index(patient, index),
        connections.builder,
        [_Sample("the canary", (canary.first, canary.second))],
        CheckPorts(cluster=patient, clock=connections.clock),
    )
    if found.problems:
        raise CanaryUnfitError(target.name, found.problems)


def try_indexer(connections: TargetConnections, canary: Canary, mapping: str | None, wait_s: float) -> CanaryReport:
    """Let it fly. ``mapping``: UUID of the event source mapping; None: the target file's.

    Raises:
        Exception: as ``fly_canary``.
    """
    target, environment, plane = connections.target, connections.environment, control_plane(connections)
    named = environment.indexer.event_source_mapping if environment.indexer is not None else None
    ports = CanaryPorts(
        table=CanaryTable(plane, target.table, canary),
        index=CanaryIndex(connections.patient, target.alias),
        look_at=lambda: where_to_look(plane, target.name, environment, mapping or named),
        clock=connections.clock,
    )
    return fly_canary(canary, documents_of(canary, connections.builder), target.alias, wait_s, ports)


def take_canary_back(
    connections: TargetConnections, canary: Canary, sink_for: Callable[[str], RejectSink]
) -> tuple[bool, bool]:
    """Remove the canary from table and index; whether it was there. ``sink_for``: as ``RejectLog``.

    Raises:
        Exception: as ``remove_canary``.
    """
    target, budgets = connections.target, connections.target.budgets
    is_indexed = index_behind(connections.patient, target.alias, target.index_base) is not None
    twice = TwiceLooker(
        keyed_reader(connections),
        living_indices(connections),
        RejectLog(sink_for, {}, {}),
        connections.stamps,
        connections.clock,
        key_attributes=target.key,
        bulk_bytes=budgets.bulk_bytes,
        requests_in_flight=budgets.requests_in_flight,
    )
    document, _ = documents_of(canary, connections.builder)
    return remove_canary(
        document,
        target.alias,
        CanaryTable(control_plane(connections), target.table, canary),
        CanaryIndex(connections.patient, target.alias) if is_indexed else None,
        lambda: twice.offer([document.key]),
    )


@dataclass(frozen=True)
class _Sample:
    """As ``SampleSource``."""

    name: str
    states: tuple[Item, ...]

    def items(self) -> Iterator[Item]:
        return iter(self.states)
