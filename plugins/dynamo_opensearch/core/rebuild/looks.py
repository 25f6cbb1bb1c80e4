"""What stands in the way of a rebuild: each part is looked at once, and what is found is gathered."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.dynamodb.table_description import TableDescription, check_key, describe_table
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.offer.rejects import RejectSink
from dynamo_opensearch.core.opensearch.alias import index_behind, read_target_aliases
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.opensearch.index_checks import (
    check_no_template,
    check_versions,
    pipeline_problems,
    source_problems,
)
from dynamo_opensearch.core.opensearch.index_state import IndexState, read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.mapping_check import CheckPorts, MappingCheck, check_new_mapping
from dynamo_opensearch.core.rebuild.next_index import Intent, NextIndex, plan_next_index, source_note
from dynamo_opensearch.core.rebuild.plan import Source
from dynamo_opensearch.core.rebuild.samples import SampleSource
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.targets.model import Target

_WRITE_BLOCKS = ("index.blocks.write", "index.blocks.read_only", "index.blocks.read_only_allow_delete")
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class RebuildPlanPorts:
    """What planning looks at.

    ``iterator_age_s``: seconds that the indexer is behind, None when nothing says so. ``samples``: sources of sample
    items, made from what DescribeTable says. ``rejects``: where refused samples are written.
    ``is_run_finished``: whether the run of this DAG with this id has ended.
    """

    table: TableClient
    cluster: PatientCluster
    clock: Clock
    iterator_age_s: Callable[[], float | None]
    samples: Callable[[TableDescription], Iterable[SampleSource]]
    rejects: RejectSink
    is_run_finished: Callable[[str], bool]


class Looks:
    """The parts of both sides. ``problems`` stand in the way; ``warnings`` are to be told."""

    def __init__(
        self, target: Target, mapping: MappingFile, builder: DocumentBuilder, source: Source, ports: RebuildPlanPorts
    ) -> None:
        self._target, self._mapping, self._builder, self._ports = target, mapping, builder, ports
        self._source = source
        self.properties = AliasProperties()
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def at_table(self) -> TableDescription | None:
        """Key and stream."""
        table = self._tried(lambda: describe_table(self._ports.table))
        if table is not None:
            self._tried(lambda: check_key(table, self._target.key))
            if table.stream_arn is None:
                self.problems.append(_no_stream(table.table))
        return table

    def at_alias(self) -> IndexState | None:
        """The index that readers have, and what the alias does to them."""
        target, cluster = self._target, self._ports.cluster
        found = len(self.problems)
        index = self._tried(lambda: index_behind(cluster, target.alias, target.index_base))
        if index is None:
            if len(self.problems) == found:
                self.problems.append(_no_alias(target))
            return None
        self.properties = read_target_aliases(cluster, target.alias).live.get(index, self.properties)
        self._tried(lambda: self.properties.check_routing(target.alias, target.documents.routing))
        return self._tried(lambda: read_index(cluster, index))

    def at_index(self, current: IndexState, stamps: StampRule) -> None:
        """What would spoil the swap, or a copy of this index."""
        self.problems += _block_problems(current)
        unfit = [*pipeline_problems(current, self._mapping), *source_problems(current.mappings)]
        if self._source == "table":
            self.warnings += [f"index {current.index!r}, which is replaced: {one}" for one in unfit]
            return
        self.problems += [f"index {current.index!r} cannot be copied: {one}, or use source=table" for one in unfit]
        self.problems += _rule_problems(current, self._builder)
        if self._target.indexer_writes == "versioned":
            ports = self._ports
            self._tried(lambda: check_versions(ports.cluster, current.index, stamps, ports.clock))

    def at_next(self, table: TableDescription, current: IndexState, run_id: str) -> NextIndex | None:
        """What carries the marker of the next index, and the templates that would change a new one."""
        intent = Intent(
            index_routing=self.properties.index_routing,
            target=self._target.name,
            source=source_note(self._source, table.table, current.index),
            table_id=table.table_id,
            mapping_fingerprint=self._mapping.fingerprint,
            rules_fingerprint=self._builder.fingerprint(),
            run_id=run_id,
        )
        ports, target = self._ports, self._target
        following = self._tried(
            lambda: plan_next_index(
                ports.cluster, target.alias, target.index_base, intent, ports.is_run_finished, ports.clock.time_us()
            )
        )
        if following is not None:
            self._tried(lambda: check_no_template(ports.cluster, following.index))
        return following

    def at_mapping(self, table: TableDescription, current: IndexState) -> MappingCheck | None:
        """The trial on a scratch index. Refused samples are written before they are told of."""
        ports = self._ports
        check = self._tried(
            lambda: check_new_mapping(
                self._target,
                self._mapping,
                current,
                self._builder,
                ports.samples(table) if table.key == self._target.key else (),
                CheckPorts(cluster=ports.cluster, clock=ports.clock),
            )
        )
        if check is not None:
            self.problems += check.problems
            if check.rejects:
                ports.rejects.write(0, b"".join(one.line(self._builder.key_attributes) for one in check.rejects))
        return check

    def _tried(self, look: Callable[[], _T]) -> _T | None:
        try:
            return look()
        except PermanentError as error:
            self.problems.append(str(error))
        return None


def _block_problems(current: IndexState) -> Iterator[str]:
    for block in _WRITE_BLOCKS:
        if str(current.settings.get(block, "false")) == "true":
            yield (
                f"index {current.index!r} has {block}: true already, so its writers are refused now, and a swap would "
                f'lift a block that is not its own. Lift it: PUT /{current.index}/_settings {{"{block}": null}}'
            )


def _rule_problems(current: IndexState, builder: DocumentBuilder) -> Iterator[str]:
    """A copy takes documents as they are, so they must have been made as the target's rules make them now.

    Without a note nothing says how they were made, not even where the target has no rules: whoever wrote them may
    have shaped them. Only the table says what they should be.
    """
    noted = current.note.get("rules_fingerprint")
    if noted is None:
        yield (
            f"index {current.index!r} was not made by this package, so nothing says by which rules its documents were "
            "made: use source=table"
        )
    elif noted != builder.fingerprint():
        yield (
            f"the documents of index {current.index!r} were made by other field rules or another transform ({noted}) "
            f"than the target file has now ({builder.fingerprint()}): use source=table"
        )


def _no_stream(table: str) -> str:
    return (
        f"table {table!r} has no stream, so nothing would follow what changes during the rebuild. Enable it (any view "
        f"type will do here; your indexer may need images): aws dynamodb update-table --table-name {table} "
        "--stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
    )


def _no_alias(target: Target) -> str:
    return (
        f"alias {target.alias!r} is not there, so there is no index to rebuild: fill a first one with "
        f"{target.name}_backfill"
    )
