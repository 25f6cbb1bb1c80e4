"""What all measurements of the rebuild stand on: one OpenSearch, recorded pages, and indices of the members."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.bench import sources
from tools.bench.contender import Task
from tools.bench.course import CEILING, SEGMENTS, Say
from tools.bench.rebuild.beside import running_beside
from tools.bench.rebuild.wired import forget_state
from tools.bench.runs import Contender, Run, run_contender
from tools.bench.settings import Settings
from tools.bench.target_index import ALIAS, CountError, count, fresh_index
from tools.local import members, ministack, paths
from tools.local.processes import Server

FIRST, SECOND = "bench-v1", "bench-v2"


class Ground:
    """``bodies``: the bulk requests of all ``settings.items`` members."""

    def __init__(self, settings: Settings, say: Say, server: Server, pages: Path, bodies: Path) -> None:
        self.settings, self.say, self.server, self.pages, self._bodies = settings, say, server, pages, bodies
        self._mapping = json.loads((paths.ROOT / "include" / "mappings" / "members.json").read_text())

    def fresh(self, index: str, alias: str = ALIAS) -> AbstractContextManager[None]:
        """An empty index of include/mappings/members.json, with settings for filling."""
        return fresh_index(self.server.url, index, self._mapping, alias)

    def fill(self, index: str, alias: str = ALIAS) -> None:
        """All members, by bodies made beforehand."""
        self.run(CEILING, [asdict(self.copy_task("", index, alias))], index, self.settings.items)

    def copy_task(self, source: str, index: str, alias: str) -> Task:
        """All segments."""
        return Task(
            source=source,
            target=self.server.url,
            index=index,
            alias=alias,
            first_segment=0,
            end_segment=SEGMENTS,
            total_segments=SEGMENTS,
            bodies=str(self._bodies),
        )

    def run(
        self,
        contender: Contender,
        tasks: list[dict[str, Any]],
        index: str | None,
        expected: int,
        servers: Mapping[str, int] | None = None,
    ) -> Run:
        """One run, the documents of ``index`` counted. ``servers``: process ids of others than OpenSearch.

        Raises:
            CountError: not as many as expected.
        """
        run = run_contender(contender, tasks, {"opensearch": self.server.pid, **(servers or {})})
        if index is not None and (found := count(self.server.url, index)) != expected:
            raise CountError(contender.title, expected, found)
        self.say(
            f"{contender.name:10} {run.seconds:6.2f} s  {run.documents_per_s:9,.0f}/s  "
            f"{run.cpu_s_per_100k:6.2f} CPU s per 100,000"
        )
        return run

    @contextmanager
    def table(self) -> Iterator[Server]:
        """A MiniStack with an empty table of members and its stream; no state of a follower is left."""
        forget_state(self.server.url)
        with ministack.started(sources.FOLDER / "MiniStack") as server:
            members.create_table(sources.members_client(server.url))
            yield server

    @contextmanager
    def following(self, table: Server) -> Iterator[None]:
        """A follower, from the horizon on, in a process of its own."""
        forget_state(self.server.url)
        said = {"dynamodb_url": table.url, "opensearch_url": self.server.url}
        with running_beside("tools.bench.rebuild.following", said) as follower:
            yield
            follower.stop()
