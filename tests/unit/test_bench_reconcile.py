"""The benchmark of a reconciliation: what its index holds, what a whole one is, and the aims."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.reconcile.work_files import WorkFileMissingError
from tools.bench.pages import PageBook, recorded_page
from tools.bench.reconcile.course import MeasuredReconcile, Reconciled, Round
from tools.bench.reconcile.figures import MEASURED_STEPS, aims, figures
from tools.bench.reconcile.grids import grids
from tools.bench.reconcile.ground import DEPTHS, Depth
from tools.bench.reconcile.loading import body_of_cycle
from tools.bench.reconcile.memory import MemoryRun
from tools.bench.reconcile.wired import FolderFiles
from tools.bench.runs import Run
from tools.bench.settings import Settings
from tools.bench.table import markdown

ITEMS = 100_000


def run(seconds: float, documents: int = ITEMS, peak_mb: float = 100.0, tasks: int = 1) -> Run:
    said = {"began_s": 10.0, "ended_s": 10.0 + seconds, "cpu_s": seconds / 2, "peak_mb": peak_mb}
    return Run(
        contender="any",
        seconds=seconds,
        cpu_s=seconds / 2,
        peak_mb=peak_mb,
        documents=documents,
        servers_cpu_s={"source": 0.25, "opensearch": 0.5},
        each=(said,) * tasks,
    )


def one_round(depth: Depth, bare_s: float, read_s: float) -> Round:
    ours = Reconciled(read=run(read_s, 2 * ITEMS, 200.0, tasks=2), join=run(0.25), settle=run(0.125))
    return Round(depth=depth, bare=run(bare_s, 2 * ITEMS), ours=ours, plain=run(8.0, 2 * ITEMS))


def memory(peaks_mb: Mapping[tuple[str, int], float]) -> list[MemoryRun]:
    return [
        MemoryRun(step=step, depth=depth, rows=rows, run=run(1.0, rows, peak_mb))
        for depth in DEPTHS
        for (step, rows), peak_mb in peaks_mb.items()
    ]


EMPTY = {("empty", rows): 100.0 for rows in (300, 3000)}
FLAT = EMPTY | {(step, rows): 200.0 for step in MEASURED_STEPS for rows in (300, 3000)}


def measured(read_s: float = 1.0, peaks_mb: Mapping[tuple[str, int], float] = FLAT) -> MeasuredReconcile:
    rounds = [one_round(depth, bare_s, read_s) for bare_s in (0.5, 1.0, 2.0) for depth in DEPTHS]
    return MeasuredReconcile(
        items=300_000, rounds=rounds, memory=memory(peaks_mb), opensearch_version="3.8.0", loads=[0.5, 1.5]
    )


def test_a_reconciliation_is_all_of_its_tasks() -> None:
    whole = one_round("keys", 1.0, 1.0).ours.whole
    assert (whole.seconds, whole.cpu_s, whole.documents, whole.peak_mb) == (1.375, 0.6875, ITEMS, 200.0)
    assert whole.servers_cpu_s == {"source": 0.75, "opensearch": 1.5}


def test_the_rate_is_held_against_just_reading_in_the_same_round() -> None:
    assert {aim.value: aim.is_met for aim in aims(measured(0.75)) if "rate" in aim.aim} == {1.0 / 1.125: True}
    assert {aim.value: aim.is_met for aim in aims(measured(1.0)) if "rate" in aim.aim} == {1.0 / 1.375: False}


@pytest.mark.parametrize("step", MEASURED_STEPS)
def test_a_task_that_grows_with_the_table_misses_its_aim_alone(step: str) -> None:
    missed = [aim for aim in aims(measured(0.5, FLAT | {(step, 3000): 221.0})) if not aim.is_met]
    assert [(aim.value, aim.bound) for aim in missed] == [(1.105, 1.1)]


def test_a_task_that_is_too_large_misses_its_aim() -> None:
    too_large = {("join", rows): 351.0 for rows in (300, 3000)}
    assert [aim.value for aim in aims(measured(0.5, FLAT | too_large)) if not aim.is_met] == [251]


def test_of_several_joining_tasks_the_largest_counts() -> None:
    smaller_too = [*memory(FLAT), *memory({("join", 3000): 10.0})]
    found = aims(MeasuredReconcile(items=300_000, rounds=measured().rounds, memory=smaller_too))
    assert next(aim.value for aim in found if aim.aim.startswith("joining: peak")) == 100


def test_every_contender_and_task_has_a_row() -> None:
    found = json.loads(json.dumps(figures(Settings(), measured())))
    page = markdown(found, grids(found))
    assert page.count("| just reading both sides | ") == page.count("| this project: read, joined, settled | ") == 2
    assert [page.count(f"| {depth}: reading the index | ") for depth in DEPTHS] == [2, 2]


def recorded(count: int) -> Any:
    items = [{"memberId": {"S": f"id-{number}"}, "name": {"S": 'the "_id" of memberId'}} for number in range(count)]
    return recorded_page({"Items": items, "Count": count, "ScannedCount": count})


@pytest.mark.parametrize("cycle", [0, 1, 12])
def test_the_index_holds_the_ids_that_the_replayed_table_has(cycle: int) -> None:
    items = json.loads(PageBook([recorded(2)], cycle + 1).body(cycle, is_last=True))["Items"]
    lines = [
        line
        for number in range(2)
        for line in (
            {"index": {"_id": f"id-{number}", "version": 1}},
            {"memberId": f"id-{number}", "name": 'the "_id" of memberId'},
        )
    ]
    body = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
    changed = [json.loads(line) for line in body_of_cycle(body, cycle).splitlines()]
    assert [line["index"]["_id"] for line in changed[::2]] == [item["memberId"]["S"] for item in items]
    assert [line["memberId"] for line in changed[1::2]] == [item["memberId"]["S"] for item in items]
    assert {line["name"] for line in changed[1::2]} == {'the "_id" of memberId'}


def test_a_work_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkFileMissingError):
        FolderFiles(tmp_path).get("table-0000-0000.parquet", tmp_path / "brought")
