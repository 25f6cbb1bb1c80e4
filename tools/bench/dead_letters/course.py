"""The course of the replay's part: bare reads, bare queues, and one consumer on each kind of server."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from tools.bench import sources
from tools.bench.course import OPENSEARCH_HEAP, Say
from tools.bench.dead_letters.cases import CASES, DYNAMODB_LOCAL, ELASTICMQ, MINISTACK, Case, bare_queue, bare_reads
from tools.bench.dead_letters.consumer import ReplayTask
from tools.bench.dead_letters.letters import LettersError, WrittenTable, check_equal, filled_queue, write_table
from tools.bench.rebuild.follow_backlog import FollowTask
from tools.bench.rebuild.followers import margin_of_new_changes
from tools.bench.runs import Contender, Run, run_contender
from tools.bench.settings import Settings
from tools.bench.target_index import CountError, count, fresh_index
from tools.local import dynamodb_local, elasticmq, http, ministack, opensearch, paths
from tools.local.processes import Server

_INDEX = "bench-v1"
_MARGIN_S = 6.0
_OLD_AFTER_S = 2 * _MARGIN_S + 2.0


@dataclass(frozen=True, kw_only=True)
class MeasuredReplay:
    """All runs, in order of rounds."""

    runs: list[Run] = field(default_factory=list)
    opensearch_version: str = ""
    loads: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """All servers. ``queues``: those that SQS is asked of, by kind. ``tables``: by kind, written."""

    say: Say
    opensearch: Server
    queues: Mapping[str, Server]
    tables: Mapping[str, WrittenTable]
    mapping: dict[str, Any]

    def run(self, contender: Contender, task: dict[str, Any], servers: Mapping[str, int]) -> Run:
        """One run, said."""
        run = run_contender(contender, [task] * contender.processes, {"opensearch": self.opensearch.pid, **servers})
        cpu_s = run.cpu_s / run.documents * 1000
        self.say(
            f"{contender.title:58} {run.seconds:6.2f} s {run.documents_per_s:8,.0f}/s {cpu_s:6.3f} CPU s per 1,000"
        )
        return run


def measure(settings: Settings, say: Say) -> MeasuredReplay:
    """Everything, in about a quarter of an hour.

    Raises:
        CountError, ContenderError, LettersError, ServerError, NotInstalledError: what was measured would not be worth
            showing.
    """
    load_before = psutil.getloadavg()[0]
    with ExitStack() as stack:
        server = stack.enter_context(opensearch.started(sources.FOLDER / "opensearch", heap=OPENSEARCH_HEAP))
        table = stack.enter_context(ministack.started(sources.FOLDER / "MiniStack"))
        local = stack.enter_context(dynamodb_local.started(sources.FOLDER / "DynamoDB Local"))
        queue = stack.enter_context(elasticmq.started(sources.FOLDER / "elasticmq"))
        ground = Ground(
            say=say,
            opensearch=server,
            queues={MINISTACK: table, ELASTICMQ: queue},
            tables={
                MINISTACK: _written(say, MINISTACK, table, settings.replay_records),
                DYNAMODB_LOCAL: _written(say, DYNAMODB_LOCAL, local, settings.replay_records // 2),
            },
            mapping=json.loads((paths.ROOT / "include" / "mappings" / "members.json").read_text()),
        )
        time.sleep(_OLD_AFTER_S)
        runs = [run for number in range(settings.rounds) for run in _round(ground, number)]
        return MeasuredReplay(
            runs=runs,
            opensearch_version=http.call(server.url)["version"]["number"],
            loads=[load_before, psutil.getloadavg()[0]],
        )


def _written(say: Say, kind: str, server: Server, items: int) -> WrittenTable:
    say(f"writing {items:,} items into {kind}")
    return write_table(server.url, server.pid, items, time.monotonic())


def _round(ground: Ground, number: int) -> Iterator[Run]:
    if number == 0:
        ground.say("a first run, which warms OpenSearch up and does not count")
        _replay(ground, CASES[0])
    for kind, table in ground.tables.items():
        task = FollowTask(dynamodb=table.url, opensearch=ground.opensearch.url, changes=table.items, margin_s=_MARGIN_S)
        yield ground.run(bare_reads(kind), asdict(task), {"table": table.pid})
    for case in CASES:
        if case.has_bare_queue and case.consumers == 1:
            yield _bare_queue(ground, case)
        yield _replay(ground, case)


def _bare_queue(ground: Ground, case: Case) -> Run:
    table, queue = ground.tables[case.table], ground.queues[case.queue]
    with filled_queue(queue.url, table.messages(case.records(table.items), case.each)) as queue_url:
        return ground.run(bare_queue(case), asdict(_task(ground, case, queue_url)), {"queue": queue.pid})


def _replay(ground: Ground, case: Case) -> Run:
    """From the full queue; held against the table afterwards."""
    table, queue, records = (
        ground.tables[case.table],
        ground.queues[case.queue],
        case.records(ground.tables[case.table].items),
    )
    servers = {"table": table.pid} | ({} if queue.pid == table.pid else {"queue": queue.pid})
    url = ground.opensearch.url
    with (
        fresh_index(url, _INDEX, ground.mapping),
        filled_queue(queue.url, table.messages(records, case.each)) as queue_url,
    ):
        run = ground.run(case.contender, asdict(_task(ground, case, queue_url)), servers)
        if run.documents != records:
            raise LettersError(f"{case.contender.title}: {run.documents} of {records} records were replayed")
        if (found := count(url, _INDEX)) != records:
            raise CountError(case.contender.title, records, found)
        check_equal(table, url, _INDEX, records)
    return run


def _task(ground: Ground, case: Case, queue_url: str) -> ReplayTask:
    table = ground.tables[case.table]
    records = case.records(table.items)
    new_margin_s = margin_of_new_changes(time.monotonic() - table.began_s, records)
    return ReplayTask(
        dynamodb=table.url,
        opensearch=ground.opensearch.url,
        sqs=ground.queues[case.queue].url,
        queue_url=queue_url,
        records=records,
        margin_s=new_margin_s if case.is_new else _MARGIN_S,
        needs_second_looks=case.is_new,
    )
