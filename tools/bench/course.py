"""The course of the benchmark: which contender runs when, on which servers."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from tools.bench import sources, target_index
from tools.bench.contender import Task
from tools.bench.replay import replaying
from tools.bench.runs import BENCH_VENV, Contender, Run, run_contender
from tools.bench.settings import Settings
from tools.local import dynamodb_local, http, ministack, opensearch, paths
from tools.local.processes import Server

SEGMENTS = 4
OPENSEARCH_HEAP = "2g"

CEILING = Contender(name="a", title="ceiling: bodies made beforehand", module="tools.bench.ceiling")
OURS = Contender(name="b", title="this project, one task", module="tools.bench.ours")
OURS_TWICE = Contender(name="b2", title="this project, two tasks", module="tools.bench.ours", processes=2)
PLAIN = Contender(
    name="c",
    title="boto3, TypeDeserializer, parallel_bulk",
    module="tools.bench.plain_boto3",
    environment=BENCH_VENV,
)
WRANGLER = Contender(name="d", title="awswrangler", module="tools.bench.wrangler", environment=BENCH_VENV)
CONTENDERS = (CEILING, OURS, OURS_TWICE, PLAIN, WRANGLER)

BARE_SCAN = Contender(name="scan", title="bare scan", module="tools.bench.bare_scan")
TASK = Contender(name="task", title="this project in an Airflow task's process", module="tools.bench.memory")

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All runs: by contender from the replay (light and members' mapping), by emulator, and for memory.

    ``loads``: the machine's load before and after, to tell a quiet machine from a shared one.
    """

    light: list[Run] = field(default_factory=list)
    members: list[Run] = field(default_factory=list)
    emulators: dict[str, list[Run]] = field(default_factory=dict)
    memory: list[Run] = field(default_factory=list)
    opensearch_version: str = ""
    loads: list[float] = field(default_factory=list)


class Field:
    """The OpenSearch that all runs write to, an index of its own for each."""

    def __init__(self, server: Server, say: Say) -> None:
        self._server, self._say, self._numbers = server, say, count(1)

    def run(
        self,
        contender: Contender,
        source_url: str,
        expected: int,
        *,
        source_pid: int | None = None,
        bodies: Path | None = None,
        mapping: dict[str, Any] | None = None,
        scan_limit: int | None = None,
        segments: int = SEGMENTS,
    ) -> Run:
        """One run, its documents counted.

        Raises:
            CountError: the index holds another number of documents than ``expected``.
        """
        index = f"bench-v{next(self._numbers)}"
        tasks = [
            asdict(
                Task(
                    source=source_url,
                    target=self._server.url,
                    index=index,
                    alias=target_index.ALIAS,
                    first_segment=segments * number // contender.processes,
                    end_segment=segments * (number + 1) // contender.processes,
                    total_segments=SEGMENTS,
                    scan_limit=scan_limit,
                    bodies=str(bodies or ""),
                )
            )
            for number in range(contender.processes)
        ]
        servers = {"opensearch": self._server.pid} | ({} if source_pid is None else {"source": source_pid})
        with target_index.fresh_index(self._server.url, index, mapping):
            run = run_contender(contender, tasks, servers)
            found = target_index.count(self._server.url, index)
        if found != expected:
            raise target_index.CountError(contender.title, expected, found)
        if run.documents:
            self._say(
                f"{contender.name:5} {run.documents_per_s:9,.0f} items/s  {run.cpu_s_per_100k:6.2f} CPU s per 100,000"
            )
        return run


def measure(settings: Settings, say: Say) -> Measured:
    """Everything, in a few minutes.

    Raises:
        CountError, ContenderError, ServerError, NotInstalledError: what was measured would not be worth showing.
    """
    load_before = psutil.getloadavg()[0]
    say(f"recording {settings.items:,} items")
    pages = sources.recording(settings.items)
    bodies = sources.bulk_bodies(pages)
    with opensearch.started(sources.FOLDER / "opensearch", heap=OPENSEARCH_HEAP) as server:
        field_of_runs = Field(server, say)
        with replaying(pages) as replay:
            say("warming up OpenSearch")
            for _ in range(3):
                field_of_runs.run(CEILING, replay.url, settings.items, bodies=bodies)

            def rounds(contenders: Sequence[Contender], mapping: dict[str, Any] | None, times: int) -> list[Run]:
                return [
                    field_of_runs.run(
                        contender,
                        replay.url,
                        settings.items,
                        source_pid=replay.pid,
                        bodies=bodies,
                        mapping=mapping,
                    )
                    for _ in range(times)
                    for contender in contenders
                ]

            say("recorded pages, light mapping")
            light = rounds(CONTENDERS, None, settings.rounds)
            say("recorded pages, include/mappings/members.json")
            members = rounds((CEILING, OURS, OURS_TWICE), _members_mapping(), settings.rounds)
        say("memory")
        memory = list(_memory(field_of_runs, pages, settings))
        emulators = {
            name: list(_emulator(field_of_runs, start(sources.FOLDER / name), settings, say, name))
            for name, start in (("MiniStack", ministack.started), ("DynamoDB Local", dynamodb_local.started))
        }
        return Measured(
            light=light,
            members=members,
            emulators=emulators,
            memory=memory,
            opensearch_version=http.call(server.url)["version"]["number"],
            loads=[load_before, psutil.getloadavg()[0]],
        )


def _memory(field_of_runs: Field, pages: Path, settings: Settings) -> Iterator[Run]:
    with replaying(pages) as replay:
        yield field_of_runs.run(TASK, replay.url, 0, segments=0)
        yield field_of_runs.run(TASK, replay.url, settings.items)
    with replaying(pages, settings.large_cycles) as replay:
        yield field_of_runs.run(TASK, replay.url, settings.items * settings.large_cycles)


def _emulator(
    field_of_runs: Field, emulator: AbstractContextManager[Server], settings: Settings, say: Say, name: str
) -> Iterator[Run]:
    with emulator as server:
        say(f"loading {settings.emulator_items:,} items into {name}")
        sources.load_members(server.url, settings.emulator_items)
        limit = sources.PAGE_ITEMS
        for _ in range(settings.emulator_rounds + 1):
            yield field_of_runs.run(BARE_SCAN, server.url, 0, source_pid=server.pid, scan_limit=limit)
            yield field_of_runs.run(OURS, server.url, settings.emulator_items, source_pid=server.pid, scan_limit=limit)


def _members_mapping() -> dict[str, Any]:
    mapping: dict[str, Any] = json.loads((paths.ROOT / "include" / "mappings" / "members.json").read_text())
    return mapping
