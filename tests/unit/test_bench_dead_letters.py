"""The benchmark of a replay: its messages, what counts as waiting, and the aims."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from dynamo_opensearch.core.dead_letters.messages import Depth, Message
from tools.bench.dead_letters.cases import CASES, DYNAMODB_LOCAL, MINISTACK, bare_queue, bare_reads
from tools.bench.dead_letters.consumer import Waits, WatchedClock, WatchedSource
from tools.bench.dead_letters.course import MeasuredReplay
from tools.bench.dead_letters.figures import aims, figures
from tools.bench.dead_letters.grids import grids
from tools.bench.dead_letters.letters import LettersError, WrittenTable
from tools.bench.runs import Run, _seconds
from tools.bench.settings import Settings
from tools.bench.table import markdown
from tools.local import members
from tools.local.esm_records import StreamRecord


def run(contender: str, records_per_s: float) -> Run:
    servers = {"opensearch": 1.0, "table": 0.5}
    return Run(
        contender=contender, seconds=1000 / records_per_s, cpu_s=1.0, peak_mb=1.0, documents=1000, servers_cpu_s=servers
    )


def measured(local_reads_per_s: float) -> MeasuredReplay:
    one_round = [
        run(bare_reads(MINISTACK).name, 20_000.0),
        run(bare_reads(DYNAMODB_LOCAL).name, local_reads_per_s),
        *(run(bare_queue(case).name, 2_000.0) for case in CASES if case.has_bare_queue and case.consumers == 1),
        *(run(case.name, 900.0) for case in CASES),
    ]
    return MeasuredReplay(runs=one_round, opensearch_version="3.8.0", loads=[0.5, 1.5])


def test_a_thousand_records_a_second_are_wanted_or_less_where_bare_reads_are_slow() -> None:
    assert {(aim.bound, aim.is_met) for aim in aims(measured(8_000.0))} == {(1_000, False)}
    assert {(aim.bound, aim.is_met) for aim in aims(measured(1_000.0))} == {(800, True)}


def test_a_case_is_held_against_its_own_tables_reads_and_its_own_queue() -> None:
    found = figures(Settings(), measured(9_000.0))
    local = next(case.name for case in CASES if case.table == DYNAMODB_LOCAL)
    assert (found["replay"][local]["of_bare_reads"], found["replay"][local]["of_bare_queue"]) == (0.1, None)
    assert {found["replay"][case.name]["of_bare_queue"] for case in CASES if case.has_bare_queue} == {0.45}


def test_every_case_has_a_row_and_an_aim() -> None:
    found = json.loads(json.dumps(figures(Settings(), measured(9_000.0))))
    page = markdown(found, grids(found))
    assert [page.count(f"| {case.contender.title} |") for case in CASES] == [1] * len(CASES)
    assert len(found["aims"]) == len({case.name for case in CASES}) == len(CASES)


def test_processes_that_end_with_waiting_are_measured_to_the_end_of_their_work() -> None:
    early = {"began_s": 10.0, "ended_s": 40.0, "waited_s": 22.0}
    late = {"began_s": 11.0, "ended_s": 35.0, "waited_s": 15.0}
    assert _seconds([early, late]) == 10.0


class Source:
    """Empty, after a tenth of a second."""

    def receive(self, most: int, wait_s: float) -> list[Message]:
        time.sleep(0.1)
        return []

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        return list(messages)

    def release(self, messages: Sequence[Message]) -> None: ...

    def depth(self) -> Depth:
        return Depth(visible=0, in_flight=0)


def test_what_is_waited_before_the_last_deletion_is_told_from_what_comes_after_it() -> None:
    waits = Waits()
    source, clock = WatchedSource(Source(), waits), WatchedClock(waits)
    source.receive(10, 1.0)
    clock.sleep(0.1)
    source.delete([])
    deleted_s = waits.ended_s
    source.receive(10, 1.0)
    assert waits.at_the_end_s >= 0.2
    assert waits.seconds >= waits.at_the_end_s + 0.1
    assert waits.ended_s == deleted_s <= time.monotonic() - 0.1


def table(items: int) -> WrittenTable:
    now_s = datetime.now(UTC).timestamp()

    def record(number: int) -> StreamRecord:
        keys = {members.HASH_KEY: {"S": members.member_id(number)}}
        return StreamRecord(str(number), now_s, now_s, {"dynamodb": {"Keys": keys}})

    shards = {"s1": [record(number) for number in range(items)][::-1]}
    return WrittenTable(url="", pid=0, items=items, stream_arn="arn", shards=shards, began_s=0.0)


def test_messages_name_every_record_once_or_those_of_the_first_members() -> None:
    places = [json.loads(body)["DDBStreamBatchInfo"] for body in table(25).messages(25, 10)]
    assert [one["batchSize"] for one in places] == [10, 10, 5]
    assert (places[0]["startSequenceNumber"], places[0]["endSequenceNumber"]) == ("24", "15")
    alone = [json.loads(body)["DDBStreamBatchInfo"] for body in table(25).messages(5, 1)]
    assert sorted(one["startSequenceNumber"] for one in alone) == list("01234")


def test_ranges_that_would_leave_records_out_are_not_made() -> None:
    with pytest.raises(LettersError, match="cannot leave any out"):
        table(25).messages(10, 10)
