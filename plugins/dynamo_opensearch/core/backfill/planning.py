"""Before the first write: both sides are looked at, refused if they do not fit, and the work is divided."""

from dataclasses import dataclass, fields
from typing import Any, Self

from dynamo_opensearch.core.backfill.plan import plan_segments
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.dynamodb.table_description import check_key, describe_table
from dynamo_opensearch.core.opensearch.alias import aliases_on, index_behind, next_index_name, write_alias_of
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.opensearch.index_checks import (
    IndexUnfitError,
    check_index,
    check_no_template,
    check_versions,
)
from dynamo_opensearch.core.opensearch.index_state import IndexState, read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.server_version import COMPARISON, check_server
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.targets.model import Target


@dataclass(frozen=True, kw_only=True)
class BackfillWishes:
    """What the one who triggers a run may say; None leaves it to the target."""

    segments: int | None = None
    read_units_per_s: float | None = None
    index: str | None = None


@dataclass(frozen=True, kw_only=True)
class BackfillPlan:
    """All that the tasks of a run agree on. ``began_us``: microseconds since 1970; sizes in bytes.

    ``write_alias`` is the alias or marker through which ``index`` is written to.
    """

    target: str
    table: str
    table_id: str
    write_alias: str
    index: str
    creates_index: bool
    mapping_fingerprint: str
    rules_fingerprint: str
    total_segments: int
    tasks: tuple[range, ...]
    items_estimated: int
    size_bytes: int
    read_units_estimated: float
    read_units_per_s_and_task: float | None
    began_us: int

    def to_json(self) -> dict[str, Any]:
        """For XCom; ``tasks`` as the first and last segment of each."""
        flat = {one.name: getattr(self, one.name) for one in fields(self)}
        return flat | {"tasks": [[segments[0], segments[-1]] for segments in self.tasks]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**{**value, "tasks": tuple(range(first, last + 1) for first, last in value["tasks"])})

    def __str__(self) -> str:
        pace = self.read_units_per_s_and_task
        return (
            f"table {self.table!r}: about {self.items_estimated:,} items, {self.size_bytes / 1e6:,.1f} MB, "
            f"{self.read_units_estimated:,.0f} read units"
            f"{'' if pace is None else f' at {pace:,.0f}/s for each task'}; "
            f"{self.total_segments} segments in {len(self.tasks)} tasks; "
            f"index {self.index!r} through {self.write_alias!r}{', to be created' if self.creates_index else ''}"
        )


@dataclass(frozen=True, kw_only=True)
class PlanPorts:
    """What planning looks at."""

    table: TableClient
    cluster: PatientCluster
    clock: Clock


def plan_backfill(
    target: Target,
    mapping: MappingFile,
    builder: DocumentBuilder,
    stamps: StampRule,
    wishes: BackfillWishes,
    ports: PlanPorts,
) -> BackfillPlan:
    """Look at both sides and divide the work. Writes nothing but, where mappings differ, a scratch index for a moment.

    Raises:
        ServerUnfitError: the server is too old for the comparison in the end, or no OpenSearch.
        SegmentsError, ReadUnitsError: wishes that cannot be.
        TableMissingError, TableNotReadyError, TableKeyError: the table does not fit.
        AliasIsIndexError, AliasAmbiguousError, AliasUnfitError, AliasRoutingClashError, IndexNotOfTargetError,
        IndexUnfitError, IndexTemplateError, ForeignVersionError: the index does not fit.
    """
    check_server(ports.cluster, COMPARISON)
    table = describe_table(ports.table)
    check_key(table, target.key)
    segments = plan_segments(table.size_bytes, target.budgets, wishes.segments, wishes.read_units_per_s)
    index, write_alias, creates_index = _destination(target, wishes.index, ports.cluster)
    if creates_index:
        check_no_template(ports.cluster, index)
    else:
        state = read_index(ports.cluster, index)
        check_index(ports.cluster, state, mapping)
        check_rules(state, builder)
        properties = aliases_on(ports.cluster, index).get(write_alias, AliasProperties())
        properties.check_routing(write_alias, target.documents.routing)
        if target.indexer_writes == "versioned":
            check_versions(ports.cluster, index, stamps, ports.clock)
    return BackfillPlan(
        target=target.name,
        table=table.table,
        table_id=table.table_id,
        write_alias=write_alias,
        index=index,
        creates_index=creates_index,
        mapping_fingerprint=mapping.fingerprint,
        rules_fingerprint=builder.fingerprint(),
        total_segments=segments.total_segments,
        tasks=segments.tasks,
        items_estimated=table.items_estimated,
        size_bytes=table.size_bytes,
        read_units_estimated=segments.read_units_estimated,
        read_units_per_s_and_task=segments.read_units_per_s_and_task,
        began_us=ports.clock.time_us(),
    )


def check_rules(state: IndexState, builder: DocumentBuilder) -> None:
    """Raises IndexUnfitError where the index's documents were made by other field rules than the target's now."""
    noted = state.note.get("rules_fingerprint")
    if noted is not None and noted != builder.fingerprint():
        raise IndexUnfitError(
            state.index,
            (
                (
                    f"its documents were made by other field rules or another transform ({noted}) than the target "
                    f"file has now ({builder.fingerprint()}): rebuild it with the reindex DAG"
                ),
            ),
        )


def _destination(target: Target, wished_index: str | None, cluster: PatientCluster) -> tuple[str, str, bool]:
    """Index, the alias to write through, and whether the index is to be created."""
    behind = index_behind(cluster, target.alias, target.index_base)
    if wished_index is not None and wished_index != behind:
        return wished_index, write_alias_of(cluster, wished_index, target.alias), False
    if behind is not None:
        return behind, target.alias, False
    return next_index_name(cluster, target.index_base), target.alias, True
