"""One reconciliation on the benchmark's servers, with ports as its tasks have them."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dynamo_opensearch.core.compare.comparison import key_kinds
from dynamo_opensearch.core.compare.index_side import routing_of_aliases
from dynamo_opensearch.core.compare.looking import Looker
from dynamo_opensearch.core.reconcile.depths import ReconcileDepth
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.planning import ReconcilePlanPorts, ReconcileWishes, plan_reconciliation
from dynamo_opensearch.core.reconcile.reading import ReadPorts, depth_of
from dynamo_opensearch.core.reconcile.settling import SettlePorts
from dynamo_opensearch.core.reconcile.work_files import WorkFileMissingError, WorkFiles
from tools.bench.rebuild.wired import Wired
from tools.bench.target_index import ALIAS

Step = Literal["empty", "table", "index", "join", "settle"]
"""``table`` and ``index``: a reading task; ``empty``: a task that does nothing."""


@dataclass(frozen=True, kw_only=True)
class ReconcileTask:
    """What one process does. ``numbers``: which parts of its side, or which of the plan's joins; all for a settling.

    ``folder``: of the work files. ``scratch``: the task's own. ``items``: of the table, and documents of the index.
    """

    dynamodb: str
    opensearch: str
    plan: dict[str, Any]
    step: Step
    items: int
    folder: str
    scratch: str
    numbers: list[int] = field(default_factory=list)


class FolderFiles:
    """Work files in a local folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, file: Path) -> None:
        """Copy it there."""
        shutil.copyfile(file, self.folder / name)

    def get(self, name: str, file: Path) -> None:
        """Copy it from there.

        Raises:
            WorkFileMissingError: it is not there.
        """
        try:
            shutil.copyfile(self.folder / name, file)
        except FileNotFoundError as error:
            raise WorkFileMissingError(name, str(self.folder)) from error


class ReconcileWired(Wired):
    """Not thread-safe; nothing is asked of the servers before it is used."""

    def plan(self, depth: ReconcileDepth) -> ReconcilePlan:
        """What a run of this depth would do, planned from what both servers say of themselves."""
        target = self.target.model_copy(update={"alias": ALIAS})
        ports = ReconcilePlanPorts(table=self.table, cluster=self.patient, clock=self.clock, lag_s=lambda: None)
        wishes = ReconcileWishes(run_id="bench", depth=depth, repair="none")
        return plan_reconciliation(target, self.stamps, wishes, ports)

    def read_ports(self, files: WorkFiles, scratch: Path) -> ReadPorts:
        """Those of a reading task."""
        return ReadPorts(
            table=self.table,
            patient=self.patient,
            builder=self.builder,
            files=files,
            clock=self.clock,
            scratch=scratch,
        )

    def settle_ports(self, plan: ReconcilePlan, files: WorkFiles, scratch: Path) -> SettlePorts:
        """Those of the settling task; its list of differences stays among the work files."""
        index = plan.subject.index
        looker = Looker(
            index,
            depth_of(plan),
            routing_of_aliases(self.patient, index),
            key_kinds(self.table.describe(), self.target.key),
            self.builder,
            self.reader,
            self.patient,
        )
        return SettlePorts(
            looker=looker,
            files=files,
            keep_list=lambda file: files.put("differences.ndjson", file),
            since_us={},
            waits_s=(),
            clock=self.clock,
            scratch=scratch,
        )
