"""The course of the reconciliation's part: reading and joining beside just reading, and the memory of each task."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

import psutil

from tools.bench import sources
from tools.bench.course import OPENSEARCH_HEAP, Say
from tools.bench.reconcile.ground import DEPTHS, Depth, Ground, made_ready
from tools.bench.reconcile.memory import MemoryRun, measure_memory
from tools.bench.runs import Contender, Run
from tools.bench.settings import Settings
from tools.local import http, opensearch

_AT_ONCE = 2
"""Joining tasks."""
_REPEATED: Mapping[Depth, int] = {"keys": 4, "content": 1}
"""How many rounds of a depth make one: half a second of keys is measured less exactly than six of content."""

BARE = Contender(name="bare", title="just reading both sides", module="tools.bench.reconcile.bare_reads")
OURS = Contender(name="ours", title="this project: read, joined, settled", module="tools.bench.reconcile.task")
PLAIN = Contender(name="plain", title="boto3's paginator and helpers.scan", module="tools.bench.reconcile.plain_reads")


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """One reconciliation: its tasks, those of a step at once, a step after the other."""

    read: Run
    join: Run
    settle: Run

    @property
    def whole(self) -> Run:
        """All together, as one run of as many items as the table has. ``peak_mb``: of the step that needs most."""
        steps = (self.read, self.join, self.settle)
        return Run(
            contender=OURS.name,
            seconds=sum(step.seconds for step in steps),
            cpu_s=sum(step.cpu_s for step in steps),
            peak_mb=max(step.peak_mb for step in steps),
            documents=self.settle.documents,
            servers_cpu_s={name: sum(step.servers_cpu_s[name] for step in steps) for name in self.settle.servers_cpu_s},
        )


@dataclass(frozen=True, kw_only=True)
class Round:
    """Every contender once, at one depth. ``bare`` and ``plain`` saw the rows of both sides."""

    depth: Depth
    bare: Run
    ours: Reconciled
    plain: Run


@dataclass(frozen=True, kw_only=True)
class MeasuredReconcile:
    """All runs, in order of rounds. ``items``: of the smaller table, which the rounds read."""

    items: int
    rounds: list[Round] = field(default_factory=list)
    memory: list[MemoryRun] = field(default_factory=list)
    opensearch_version: str = ""
    loads: list[float] = field(default_factory=list)


def measure(settings: Settings, say: Say) -> MeasuredReconcile:
    """Everything.

    Raises:
        CountError, ContenderError, ServerError, NotInstalledError: what was measured would not be worth showing.
    """
    load_before = psutil.getloadavg()[0]
    pages = sources.recording(settings.items)
    bodies = sources.bulk_bodies(pages)
    with opensearch.started(sources.FOLDER / "opensearch", heap=OPENSEARCH_HEAP) as server:
        rounds: list[Round] = []
        memory: list[MemoryRun] = []
        for cycles in settings.reconcile_cycles:
            with made_ready(say, server, pages, bodies, settings.items, cycles) as ground:
                rounds = rounds or list(_rounds(ground, settings.rounds))
                memory += measure_memory(ground)
        return MeasuredReconcile(
            items=settings.items * settings.reconcile_cycles[0],
            rounds=rounds,
            memory=memory,
            opensearch_version=http.call(server.url)["version"]["number"],
            loads=[load_before, psutil.getloadavg()[0]],
        )


def _rounds(ground: Ground, times: int) -> Iterator[Round]:
    """A first round, which warms both servers up, does not count."""
    turns = {depth: count() for depth in DEPTHS}
    for number in range(times + 1):
        for depth in DEPTHS:
            for _ in range(_REPEATED[depth]):
                done = _round(ground, depth, ours_first=next(turns[depth]) % 2 == 1)
                if number:
                    yield done


def _round(ground: Ground, depth: Depth, *, ours_first: bool) -> Round:
    """``ours_first``: every other time, since what comes second finds the servers busy with rubbish of the first."""
    ours = _reconciled(ground, depth) if ours_first else None
    bare = _just_read(ground, BARE, depth)
    done = Round(
        depth=depth, bare=bare, ours=ours or _reconciled(ground, depth), plain=_just_read(ground, PLAIN, depth)
    )
    for contender, run in ((BARE, done.bare), (OURS, done.ours.whole), (PLAIN, done.plain)):
        ground.say(
            f"{depth:8} {contender.title:40} {run.seconds:6.2f} s {ground.items / run.seconds:9,.0f} items/s "
            f"{run.cpu_s / ground.items * 100_000:6.2f} CPU s per 100,000"
        )
    return done


def _just_read(ground: Ground, contender: Contender, depth: Depth) -> Run:
    return ground.run(contender, ground.reading(ground.plan(depth)), 2 * ground.items)


def _reconciled(ground: Ground, depth: Depth) -> Reconciled:
    plan = ground.plan(depth)
    joins = range(len(plan.joins))
    read = ground.run(OURS, ground.reading(plan), 2 * ground.items)
    at_once = min(_AT_ONCE, len(joins))
    join = ground.run(
        OURS, [ground.task(plan, "join", joins[number::at_once]) for number in range(at_once)], ground.items
    )
    settle = ground.run(OURS, [ground.task(plan, "settle")], ground.items)
    return Reconciled(read=read, join=join, settle=settle)
