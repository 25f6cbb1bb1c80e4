"""A rig's two sides reconciled as the tasks do it, one after the other, with their files in a local folder."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynamo_opensearch.core.compare.comparison import key_kinds
from dynamo_opensearch.core.compare.index_side import routing_of_aliases
from dynamo_opensearch.core.compare.join import Found
from dynamo_opensearch.core.compare.looking import Looker
from dynamo_opensearch.core.compare.removing import StrayRemover
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.compare.rows import SideRead
from dynamo_opensearch.core.dynamodb.fast_parsing import install_fast_parsing
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.scan import ScanSettings, count_items
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.look.living import LivingIndices
from dynamo_opensearch.core.look.reject_log import RejectLog
from dynamo_opensearch.core.look.twice import TwiceLooker
from dynamo_opensearch.core.offer.destination import Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.sender import BulkSender, Sender
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.opensearch.index_life import count_documents
from dynamo_opensearch.core.reconcile.counting import CountPorts, count_sides
from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.reconcile.depths import ReconcileDepth, Repair
from dynamo_opensearch.core.reconcile.joining import join_partitions
from dynamo_opensearch.core.reconcile.plan import Part, ReconcilePlan
from dynamo_opensearch.core.reconcile.planning import ReconcilePlanPorts, ReconcileWishes, plan_reconciliation
from dynamo_opensearch.core.reconcile.reading import ReadPorts, depth_of, read_part
from dynamo_opensearch.core.reconcile.repairing import RepairPorts, repair
from dynamo_opensearch.core.reconcile.settling import Settled, SettlePorts, settle
from dynamo_opensearch.core.reconcile.work_files import WorkFileMissingError
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.stream.changes import ChangeCounter
from dynamo_opensearch.core.targets.model import Target
from tests.support import oracle
from tests.support.fakes import MemorySink
from tests.support.rig import Rig


class FolderFiles:
    """Work files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, file: Path) -> None:
        shutil.copyfile(file, self.folder / name)

    def get(self, name: str, file: Path) -> None:
        if not (self.folder / name).exists():
            raise WorkFileMissingError(name, str(self.folder))
        shutil.copyfile(self.folder / name, file)


@dataclass
class Reconciling:
    """``partitions``: how many, in place of what the sizes ask for. ``stamps``: short margins, so that a repair is."""

    rig: Rig
    scratch: Path
    waits_s: tuple[float, ...] = (0.05, 0.1)
    partitions: int | None = None
    budgets: dict[str, Any] = field(default_factory=dict)
    stamps: StampRule = field(default_factory=lambda: StampRule(stream_rounding_s=0.2, margin_s=0.5))
    sinks: dict[str, MemorySink] = field(default_factory=dict)
    since_us: Mapping[str, int] = field(default_factory=dict)

    @property
    def files(self) -> FolderFiles:
        return FolderFiles(self.scratch / "work")

    @property
    def list_file(self) -> Path:
        return self.scratch / "differences.ndjson"

    def target(self) -> Target:
        rig = self.rig
        return Target.model_validate(
            {
                "name": "members",
                "table": rig.table,
                "key": rig.key,
                "alias": rig.alias,
                "mapping": "any.json",
                "indexer_writes": "unversioned" if rig.unversioned else "versioned",
                "documents": rig.rules,
                "budgets": self.budgets,
                "environments": {"local": {}},
            }
        )

    def plan(self, depth: ReconcileDepth = "content", wish: Repair = "none") -> ReconcilePlan:
        rig = self.rig
        ports = ReconcilePlanPorts(table=rig.table_client, cluster=rig.patient, clock=rig.clock, lag_s=lambda: None)
        wishes = ReconcileWishes(run_id="run", depth=depth, repair=wish)
        plan = plan_reconciliation(self.target(), self.stamps, wishes, ports)
        if self.partitions is None:
            return plan
        joins = [[number, number] for number in range(self.partitions)]
        return ReconcilePlan.from_json({**plan.to_json(), "partitions": self.partitions, "joins": joins})

    def read(self, plan: ReconcilePlan, part: Part) -> SideRead:
        rig = self.rig
        ports = ReadPorts(
            table=rig.table_client,
            patient=rig.patient,
            builder=rig.builder_for(plan.subject.index),
            files=self.files,
            clock=rig.clock,
            scratch=self.scratch,
        )
        return read_part(plan, part, ports)

    def read_all(self, plan: ReconcilePlan) -> dict[str, SideRead]:
        reads = {"table": SideRead(), "index": SideRead()}
        for part in plan.parts:
            reads[part.side] += self.read(plan, part)
        return reads

    def join_all(self, plan: ReconcilePlan) -> Found:
        spans = (range(first, last + 1) for first, last in plan.joins)
        return sum((join_partitions(plan, span, self.files, self.scratch) for span in spans), start=Found())

    def settle(self, plan: ReconcilePlan, reads: Mapping[str, SideRead], found: Found, allowed: int = 0) -> Settled:
        ports = SettlePorts(
            looker=self.looker(plan),
            files=self.files,
            keep_list=self.keep_list,
            since_us=self.since_us,
            waits_s=self.waits_s,
            clock=self.rig.clock,
            scratch=self.scratch,
        )
        return settle(plan, reads["table"], reads["index"], found, allowed, ports)

    def compare(self, depth: ReconcileDepth = "content") -> ComparisonReport:
        plan = self.plan(depth)
        return self.settle(plan, self.read_all(plan), self.join_all(plan)).comparison

    def count(self) -> SideCounts:
        """Depth ``count``; the table has a stream."""
        rig, plan = self.rig, self.plan("count")
        arn = plan.subject.stream_arn
        assert arn is not None
        streams = oracle.client(rig.direct_dynamodb, "dynamodbstreams")
        install_fast_parsing(streams)
        stream = StreamClient(streams, arn, rig.clock, rig.retry)
        scan = ScanSettings(total_segments=plan.total_segments, consistent=True)
        ports = CountPorts(
            count_table=lambda: count_items(rig.table_client, scan, None, rig.clock),
            count_index=lambda: count_documents(rig.patient, plan.subject.index),
            changes_since=lambda since_us: ChangeCounter(stream, since_us, rig.clock, 1.0).count,
            lag_s=None,
            is_filtered=False,
            waits_s=self.waits_s,
            clock=rig.clock,
        )
        try:
            return count_sides(ports)
        finally:
            streams.close()

    def repair(self, plan: ReconcilePlan, comparison: ComparisonReport) -> ComparisonReport:
        rig = self.rig
        reader = KeyedReader(rig.table_client, rig.key, rig.clock, rig.retry)
        rejects = RejectLog(lambda index: self.sinks.setdefault(index, MemorySink()), {}, {})
        living = LivingIndices(rig.patient, rig.alias, rig.builder_for, self._sender, rig.clock)
        twice = TwiceLooker(
            reader,
            living,
            rejects,
            self.stamps,
            rig.clock,
            key_attributes=rig.key,
            bulk_bytes=rig.bulk_bytes,
            requests_in_flight=rig.requests_in_flight,
        )
        ports = RepairPorts(
            looker=self.looker(plan),
            offer=twice.offer,
            offer_read_units=lambda: twice.read_units,
            remove=StrayRemover(plan.subject.index, rig.patient).remove,
            rejected=lambda: sum(sum(reasons.values()) for reasons in rejects.counts.values()),
            files=self.files,
            keep_list=self.keep_list,
            since_us=self.since_us,
            waits_s=self.waits_s,
            clock=rig.clock,
            scratch=self.scratch,
        )
        return repair(comparison, plan.began_us, ports)

    def compare_and_repair(self, depth: ReconcileDepth = "content") -> tuple[ComparisonReport, ComparisonReport]:
        plan = self.plan(depth, "apply")
        reads = self.read_all(plan)  # before the join, whose files it makes
        before = self.settle(plan, reads, self.join_all(plan)).comparison
        return before, self.repair(plan, before)

    def looker(self, plan: ReconcilePlan) -> Looker:
        rig, index = self.rig, plan.subject.index
        builder = rig.builder_for(index)
        return Looker(
            index,
            depth_of(plan),
            routing_of_aliases(rig.patient, index),
            key_kinds(rig.table_client.describe(), builder.key_attributes),
            builder,
            KeyedReader(rig.table_client, rig.key, rig.clock, rig.retry),
            rig.patient,
        )

    def keep_list(self, file: Path) -> None:
        shutil.copyfile(file, self.list_file)

    def _sender(self, write_alias: str, is_fed_by_indexer: bool) -> Sender:
        rig = self.rig
        if rig.unversioned and is_fed_by_indexer:
            return rig.sender()
        reader = KeyedReader(rig.table_client, rig.key, rig.clock, rig.retry)
        destination = Destination(
            alias=write_alias, index_behind=lambda: index_behind(rig.patient, write_alias, rig.base)
        )
        refresher = Refresher(reader, rig.builder_for, self.stamps)
        limit = InFlightLimit(rig.requests_in_flight)
        return BulkSender(rig.cluster, destination, refresher, limit, rig.clock, rig.retry)
