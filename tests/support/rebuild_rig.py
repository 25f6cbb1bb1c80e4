"""A target with a table, a stream and an index in use, about to be rebuilt."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from dynamo_opensearch.core.backfill.preparing import PreparedIndex
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.dynamodb.pacing import ReadUnitPacer
from dynamo_opensearch.core.dynamodb.table_description import TableDescription
from dynamo_opensearch.core.opensearch.index_life import NewIndex, create_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.rebuild.next_index import make_next_index
from dynamo_opensearch.core.rebuild.plan import RebuildPlan, RebuildWishes
from dynamo_opensearch.core.rebuild.planning import RebuildPlanPorts, plan_rebuild
from dynamo_opensearch.core.rebuild.samples import SampleSource, TableSamples
from dynamo_opensearch.core.targets.model import Target
from tests.support.fakes import MemorySink
from tests.support.rig import Rig, small_item

TYPES: dict[str, Any] = {"id": {"type": "keyword"}, "number": {"type": "long"}, "value": {"type": "keyword"}}
OLD_FILE = MappingFile("old.json", {"dynamic": "strict", "properties": TYPES}, {"index.number_of_replicas": 0})
NEW_FILE = MappingFile(
    "new.json",
    {"dynamic": "strict", "properties": {**TYPES, "value": {"type": "text"}, "later": {"type": "date"}}},
    {"index.number_of_replicas": 0},
)


@dataclass
class RebuildRig:
    """``target``, ``mapping`` and the rest may be changed before ``plan`` is called."""

    rig: Rig
    source: Literal["table", "index"] = "table"
    mapping: MappingFile = NEW_FILE
    run_id: str = "run 1"
    changes: dict[str, Any] = field(default_factory=dict)
    finished_runs: set[str] = field(default_factory=set)
    iterator_age_s: float | None = None
    more_samples: list[SampleSource] = field(default_factory=list)
    sink: MemorySink = field(default_factory=MemorySink)
    routing: str | None = None

    def set_up(self, items: int = 20, index: str = "") -> "RebuildRig":
        """Table with a stream, and an index in use that this package made."""
        self.rig.create_table(stream=True)
        self.rig.put([small_item(number) for number in range(items)])
        self.make_live(index or self.rig.index)
        return self

    def make_live(self, index: str) -> None:
        """The index behind the alias, with the note of this package."""
        note = {"target": self.rig.base, "rules_fingerprint": self.builder.fingerprint(), "run_id": "run 0"}
        create_index(self.rig.patient, NewIndex(index=index, alias=self.rig.alias, mapping=OLD_FILE, note=note))

    @property
    def target(self) -> Target:
        return Target.model_validate(
            {
                "name": self.rig.base,
                "table": self.rig.table,
                "key": list(self.rig.key),
                "alias": self.rig.alias,
                "mapping": "new.json",
                "indexer_writes": "versioned",
                "environments": {"local": {}},
                **self.changes,
            }
        )

    @property
    def builder(self) -> DocumentBuilder:
        return DocumentBuilder(self.target.key, self.target.documents)

    def plan(self) -> RebuildPlan:
        rig = self.rig
        ports = RebuildPlanPorts(
            table=rig.table_client,
            cluster=rig.patient,
            clock=rig.clock,
            iterator_age_s=lambda: self.iterator_age_s,
            samples=self._samples,
            rejects=self.sink,
            is_run_finished=lambda run_id: run_id in self.finished_runs,
        )
        wishes = RebuildWishes(source=self.source)
        return plan_rebuild(self.target, self.mapping, self.builder, rig.stamps, wishes, self.run_id, ports)

    def make(self, plan: RebuildPlan) -> PreparedIndex:
        return make_next_index(plan, self.mapping, self.builder, self.run_id, self.rig.patient)

    def _samples(self, table: TableDescription) -> Iterable[SampleSource]:
        pacer = ReadUnitPacer(None, self.rig.clock)
        yield TableSamples(table=self.rig.table_client, pacer=pacer, items_estimated=table.items_estimated)
        yield from self.more_samples

    def everything(self) -> dict[str, Any]:
        """Indices with their aliases, settings and mappings, and all documents."""
        found = self.rig.call(f"{self.rig.base}*?expand_wildcards=all&flat_settings=true")
        return {index: (answer, self.rig.documents(index)) for index, answer in found.items()}

    def aliases(self) -> dict[str, list[str]]:
        """Each index with the aliases that it carries, without the target's base name."""
        found = self.rig.call(f"{self.rig.base}*/_alias?expand_wildcards=all")
        base = self.rig.base
        return {
            index.removeprefix(base): sorted(one.removeprefix(base) for one in answer["aliases"])
            for index, answer in found.items()
        }
