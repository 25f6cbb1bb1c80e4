"""Looking at both sides before a reconciliation: refuse what does not fit, divide the rest. Reads only."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, zip_longest

from dynamo_opensearch.core.backfill.plan import divide, plan_segments
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.compare.index_side import count_shards
from dynamo_opensearch.core.compare.join import partitions_for
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.dynamodb.table_description import TableDescription, check_key, describe_table
from dynamo_opensearch.core.look.living import NoLivingIndexError
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.opensearch.index_checks import check_versions
from dynamo_opensearch.core.opensearch.index_life import count_documents
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.server_version import COMPARISON, check_server
from dynamo_opensearch.core.reconcile.depths import ReconcileDepth, Repair, check_repair
from dynamo_opensearch.core.reconcile.plan import Part, ReconcilePlan, Side
from dynamo_opensearch.core.reconcile.report import Subject
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.targets.model import MAX_MAPPED_TASKS, Target

MOST_PARTITIONS = 64
"""Each is a file of each reading task, and 500 rows of its memory; a partition that is too large spills to disk."""
_PARTITIONS_IN_TASK = 8
_SHARDS_IN_TASK = 4


@dataclass(frozen=True, kw_only=True)
class ReconcileWishes:
    """What this run is to do."""

    run_id: str
    depth: ReconcileDepth
    repair: Repair


@dataclass(frozen=True, kw_only=True)
class ReconcilePlanPorts:
    """What planning looks at. ``lag_s``: how many seconds the indexer is behind; None where nothing tells."""

    table: TableClient
    cluster: PatientCluster
    clock: Clock
    lag_s: Callable[[], float | None]


def plan_reconciliation(
    target: Target, stamps: StampRule, wishes: ReconcileWishes, ports: ReconcilePlanPorts
) -> ReconcilePlan:
    """Plan one run. Writes nothing.

    Raises:
        RepairWithoutKeysError: a repair at a depth that names no keys.
        ServerUnfitError: an OpenSearch that gives no point in time of a shard.
        TableMissingError, TableNotReadyError, TableKeyError: the table.
        NoLivingIndexError, AliasIsIndexError, AliasAmbiguousError, AliasUnfitError: the alias.
        ForeignVersionError: a repair would meet versions that are no stamps.
        AccessDeniedError, ServiceUnavailableError: as the requests.
    """
    check_repair(wishes.depth, wishes.repair)
    if wishes.depth in ("keys", "content"):
        check_server(ports.cluster, COMPARISON)
    began_us = ports.clock.time_us()
    table = describe_table(ports.table)
    check_key(table, target.key)
    index = index_behind(ports.cluster, target.alias, target.index_base)
    if index is None:
        raise NoLivingIndexError(target.alias)
    if wishes.repair == "apply" and target.indexer_writes == "versioned":
        check_versions(ports.cluster, index, stamps, ports.clock)
    documents = count_documents(ports.cluster, index)
    segments = plan_segments(table.size_bytes, target.budgets, None, None)
    compares_keys = wishes.depth in ("keys", "content")
    parts = _parts(target, segments.tasks, count_shards(ports.cluster, index)) if compares_keys else ()
    rows = documents + max(documents, table.items_estimated)  # DynamoDB's figure of a new table is 0 for hours
    partitions = min(MOST_PARTITIONS, partitions_for(rows)) if compares_keys else 0
    return ReconcilePlan(
        subject=_subject(target, table, index, read_index(ports.cluster, index).uuid),
        run_id=wishes.run_id,
        depth=wishes.depth,
        repair=wishes.repair,
        began_us=began_us,
        tolerance=target.budgets.tolerance,
        items_estimated=table.items_estimated,
        documents=documents,
        read_units_estimated=segments.read_units_estimated if wishes.depth != "approximate" else 0.0,
        read_units_per_s_and_task=_share(target, parts),
        total_segments=segments.total_segments,
        parts=parts,
        partitions=partitions,
        joins=_joins(partitions, target.budgets.concurrent_tasks),
        lag_s=ports.lag_s(),
    )


def _subject(target: Target, table: TableDescription, index: str, uuid: str) -> Subject:
    return Subject(
        target=target.name,
        table=table.table,
        table_id=table.table_id,
        stream_arn=table.stream_arn,
        alias=target.alias,
        index=index,
        index_uuid=uuid,
    )


def _parts(target: Target, segments: tuple[range, ...], shards: int) -> tuple[Part, ...]:
    """Both sides in turn, so that they are read side by side; no more parts than Airflow maps."""
    most = MAX_MAPPED_TASKS // 2
    if len(segments) > most:
        segments = divide(range(segments[-1][-1] + 1), most)
    shard_tasks = min(shards, most, max(2 * target.budgets.concurrent_tasks, -(-shards // _SHARDS_IN_TASK)))
    table, index = _side("table", segments), _side("index", divide(range(shards), shard_tasks))
    return tuple(part for part in chain(*zip_longest(table, index)) if part is not None)


def _side(side: Side, pieces: tuple[range, ...]) -> list[Part]:
    return [Part(side=side, number=number, first=one[0], last=one[-1]) for number, one in enumerate(pieces)]


def _share(target: Target, parts: tuple[Part, ...]) -> float | None:
    """Read units a second for each of the table's tasks, as many as may run at once."""
    pace = target.budgets.read_units_per_s
    table_parts = sum(part.side == "table" for part in parts)
    return pace if pace is None or not parts else pace / min(table_parts, reading_tasks_at_once(target))


def reading_tasks_at_once(target: Target) -> int:
    """Of both sides together."""
    return 2 * target.budgets.concurrent_tasks


def _joins(partitions: int, concurrent_tasks: int) -> tuple[tuple[int, int], ...]:
    if not partitions:
        return ()
    tasks = min(partitions, max(concurrent_tasks, -(-partitions // _PARTITIONS_IN_TASK)))
    return tuple((one[0], one[-1]) for one in divide(range(partitions), tasks))
