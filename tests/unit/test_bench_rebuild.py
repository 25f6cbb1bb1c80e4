"""The benchmark of a rebuild: what counts as waiting, which steps of a swap are timed, and the aims."""

import json
import threading
from dataclasses import dataclass, replace
from typing import Any

import pytest

from dynamo_opensearch.core.follow.settings import FollowStep
from dynamo_opensearch.core.follow.state import FollowCounts, FollowState
from dynamo_opensearch.core.stream.position import ShardPosition, StreamPosition
from tools.bench.rebuild import follow_backlog
from tools.bench.rebuild.course import MeasuredRebuild
from tools.bench.rebuild.figures import aims, figures
from tools.bench.rebuild.followers import margin_of_new_changes
from tools.bench.rebuild.grids import grids
from tools.bench.rebuild.swaps import SwapRun, TimedCluster, step_of
from tools.bench.rebuild.traffic import TrafficTask, Writer
from tools.bench.runs import Run, _seconds
from tools.bench.settings import Settings
from tools.bench.table import markdown

COPIES = ("bare auto", "copy auto", "bare 2", "copy 2")
FOLLOWERS = ("old 1", "old 2", "new 1", "new 2")


def run(contender: str, seconds: float, documents: int = 1000) -> Run:
    servers = {"opensearch": 1.0, "source": 0.5}
    return Run(
        contender=contender, seconds=seconds, cpu_s=1.0, peak_mb=100.0, documents=documents, servers_cpu_s=servers
    )


def measured(reads_s: float = 0.1, copy_s: float = 11.0) -> MeasuredRebuild:
    return MeasuredRebuild(
        server_copies=[run(name, 10.0 if "bare" in name else copy_s) for name in COPIES],
        table_copies=[run("own", 10.0), run("next", 10.5)],
        follower=[run("reads", reads_s), *(run(name, 0.5) for name in FOLLOWERS)],
        swaps=[
            SwapRun(blocked_s=seconds, caught_up_before=1, caught_up_under=2, steps={"block": seconds / 2})
            for seconds in (0.1, 0.6, 0.2)
        ],
        traffic={"changes_per_s": 199.9, "reads": 1000, "read_errors": 0},
        opensearch_version="3.8.0",
        loads=[0.5, 1.5],
    )


def test_the_aims_are_held_against_what_was_measured_beside_them() -> None:
    found = {aim.aim: (round(aim.value, 3), aim.bound, aim.is_met) for aim in aims(measured())}
    assert found["source=index: time to that of bare _reindex, slices=auto"] == (1.1, 1.15, True)
    assert found["source=table: time to that of the backfill"] == (1.05, 1.1, True)
    assert found["follower, changes a second: 2 indices, two looks at each change"] == (2000.0, 1000.0, True)
    assert found["write block to unblock, s, median"] == (0.2, 0.5, True)
    assert found["write block to unblock, s, worst"] == (0.6, 0.5, False)


def test_a_server_that_reads_slowly_asks_less_of_the_follower() -> None:
    bounds = {aim.bound for aim in aims(measured(reads_s=2.0)) if aim.aim.startswith("follower")}
    assert bounds == {0.8 * 500}


def test_the_tables_are_made_of_what_the_json_file_keeps() -> None:
    kept = json.loads(json.dumps(figures(Settings(), measured())))
    text = markdown(kept, grids(kept))
    assert "| write block to unblock | 0.100 | 0.200 | 0.600 | 0.600 |" in text
    assert "200 changes/s" in text
    assert "0 errors in 1,000 searches" in text
    assert "| write block to unblock, s, worst | at most 0.5 | 0.60 | no |" in text


def test_what_a_contender_waits_by_design_does_not_count() -> None:
    results = [{"began_s": 10.0, "ended_s": 15.0, "waited_s": 3.0}]
    assert _seconds(results) == 2.0


@pytest.mark.parametrize(
    ("method", "path", "step"),
    [
        ("PUT", "/a/_block/write", "block"),
        ("GET", "/_cluster/health/b", "health"),
        ("POST", "/b/_refresh", "refresh"),
        ("GET", "/a,b/_alias", "look"),
        ("POST", "/_aliases", "move the alias"),
        ("PUT", "/a/_settings", "unblock"),
    ],
)
def test_each_request_of_a_swap_has_its_step(method: str, path: str, step: str) -> None:
    assert step_of(method, path) == step


class Answering:
    def request(self, method: str, path: str, **_: Any) -> Any:
        if path == "/broken/_refresh":
            raise RuntimeError(path)
        return {}


def test_only_the_steps_under_the_block_are_timed() -> None:
    timed = TimedCluster(Answering())
    catch_up = timed.catching_up(lambda: 7)
    assert catch_up() == 7
    timed.request("POST", "/b/_refresh")
    assert timed.steps == {}
    timed.request("PUT", "/a/_block/write")
    catch_up()
    with pytest.raises(RuntimeError):
        timed.request("POST", "/broken/_refresh")
    timed.request("PUT", "/a/_settings")
    timed.request("GET", "/a/_alias")
    assert list(timed.steps) == ["block", "catch up", "refresh", "unblock"]


@dataclass
class Steps:
    """A follower that makes so many first and second looks in each step; all is done after the last one."""

    looks: list[tuple[int, int]]
    clock: "Clock"

    def __post_init__(self) -> None:
        self.state = FollowState(stream_arn="arn", seen=StreamPosition(shards={"s": ShardPosition(after="2")}))

    def step(self) -> FollowStep:
        first, second = self.looks.pop(0)
        self.clock.now_s += 1.0 if first + second else 0.25
        counts = self.state.counts
        counts = FollowCounts(
            records=2, looks=counts.looks + first + second, first=counts.first + first, second=counts.second + second
        )
        position = StreamPosition() if self.looks else self.state.seen
        self.state = replace(self.state, counts=counts, position=position)
        return FollowStep(is_fed=True, wait_s=10.0)


class Clock:
    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_a_follower_that_waits_for_second_looks_to_come_due_is_not_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(follow_backlog, "time", clock)
    steps: Any = Steps([(1, 0), (0, 0), (1, 0), (0, 0), (0, 2), (0, 0)], clock)
    done = follow_backlog.follow(steps, 2)
    assert (
        clock.now_s - done.waited_s == 1.0 + 10.0 + 0.25 + 10.0 + 1.0 + 1.0
    )  # three busy steps, two waits for records


def test_new_changes_have_their_first_look_before_the_second_is_due() -> None:
    margin_s = margin_of_new_changes(age_s=60.0, changes=7_000)
    first_due_in_s = 1.0 + 2 * margin_s - 60.0
    assert first_due_in_s == pytest.approx(4.0 + 10.0)


class Table:
    def __init__(self, told: threading.Event, until: int) -> None:
        self.calls: list[str] = []
        self._told, self._until = told, until

    def __getattr__(self, name: str) -> Any:
        def call(**_: Any) -> None:
            self.calls.append(name)
            if len(self.calls) == self._until:
                self._told.set()

        return call


def test_the_writer_puts_updates_and_deletes_until_it_is_told() -> None:
    told = threading.Event()
    table = Table(told, 300)
    writer = Writer(table, TrafficTask(dynamodb="", opensearch="", keys=10, changes_per_s=1e9))
    writer.run(told)
    assert writer.changes == 300
    assert {name: 80 < table.calls.count(name) < 120 for name in ("put_item", "update_item", "delete_item")} == {
        "put_item": True,
        "update_item": True,
        "delete_item": True,
    }
