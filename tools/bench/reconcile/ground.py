"""What all measurements of a reconciliation stand on: a table that is replayed, and an index that holds the same."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from tools.bench import sources
from tools.bench.course import Say
from tools.bench.reconcile.loading import loaded_index
from tools.bench.reconcile.wired import ReconcileTask, ReconcileWired, Step
from tools.bench.replay import Replay, replaying
from tools.bench.runs import Contender, Run, run_contender
from tools.bench.target_index import CountError
from tools.local.processes import Server

Depth = Literal["keys", "content"]
DEPTHS: tuple[Depth, ...] = ("keys", "content")
INDEX = "bench-v1"


@dataclass(frozen=True, kw_only=True)
class Ground:
    """``items``: of the table, and documents of the index. ``folder``: for the files of one reconciliation."""

    say: Say
    server: Server
    replay: Replay
    items: int
    folder: Path

    def plan(self, depth: Depth) -> ReconcilePlan:
        """Of a run; the files of the one before are gone."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in (self._work, self._scratch):
            part.mkdir(parents=True)
        return ReconcileWired(self.replay.url, self.server.url).plan(depth)

    def run(self, contender: Contender, tasks: Sequence[ReconcileTask], expected: int | None) -> Run:
        """One process for each task, at once. ``expected``: rows that they see together, where that is known.

        Raises:
            CountError: it was another number.
        """
        servers = {"opensearch": self.server.pid, "source": self.replay.pid}
        run = run_contender(contender, list(map(asdict, tasks)), servers)
        if expected is not None and run.documents != expected:
            raise CountError(contender.title, expected, run.documents)
        return run

    def task(self, plan: ReconcilePlan, step: Step, numbers: Sequence[int] = ()) -> ReconcileTask:
        """One task of a plan."""
        return ReconcileTask(
            dynamodb=self.replay.url,
            opensearch=self.server.url,
            plan=plan.to_json(),
            step=step,
            items=self.items,
            folder=str(self._work),
            scratch=str(self._scratch),
            numbers=list(numbers),
        )

    def reading(self, plan: ReconcilePlan) -> list[ReconcileTask]:
        """Everything of either side in one task each."""
        return [self.task(plan, "table", plan.numbers_of("table")), self.task(plan, "index", plan.numbers_of("index"))]

    @property
    def _work(self) -> Path:
        return self.folder / "work"

    @property
    def _scratch(self) -> Path:
        return self.folder / "scratch"


@contextmanager
def made_ready(say: Say, server: Server, pages: Path, bodies: Path, items: int, cycles: int) -> Iterator[Ground]:
    """A recording of ``items`` members, ``cycles`` times on either side.

    Raises:
        CountError, ServerError: it could not be.
    """
    count, folder = items * cycles, sources.FOLDER / "reconcile"
    say(f"loading {count:,} documents")
    with replaying(pages, cycles) as replay, loaded_index(server.url, INDEX, bodies, cycles, count):
        yield Ground(say=say, server=server, replay=replay, items=count, folder=folder)
    shutil.rmtree(folder, ignore_errors=True)
