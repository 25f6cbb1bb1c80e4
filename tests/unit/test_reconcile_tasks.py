"""Both sides read in parts, joined by partitions and looked at again, in memory: every difference, and nothing else."""

import gc
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.compare.index_side import ShardsFailedError
from dynamo_opensearch.core.compare.join import Found, Kind, read_suspects
from dynamo_opensearch.core.compare.report import ComparisonCountError, ComparisonReport
from dynamo_opensearch.core.compare.rows import SideRead, partition_of
from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.reconcile import joining, settling
from dynamo_opensearch.core.reconcile.plan import Part
from dynamo_opensearch.core.reconcile.reading import depth_of
from dynamo_opensearch.core.reconcile.work_files import FOUND, WorkFileMissingError, side_name, suspects_name
from tests.support import reconciliations
from tests.support.fakes import NOW_US
from tests.support.reconcile_rig import Reconciling
from tests.support.reconciled import INDEX, MemoryRig

DAY_US = 86_400_000_000
Make = Callable[..., Reconciling]


def reconciling(rig: MemoryRig, folder: Path, **settings: Any) -> Reconciling:
    return Reconciling(rig, folder, **settings)  # type: ignore[arg-type]


@pytest.fixture
def rig() -> MemoryRig:
    made = MemoryRig()
    made.fill([f"k{number:02}" for number in range(60)])
    return made


@pytest.fixture
def one(rig: MemoryRig, tmp_path: Path) -> Reconciling:
    return reconciling(rig, tmp_path, partitions=3)


def spoil(rig: MemoryRig) -> None:
    """Three documents gone, two orphans, one with another value."""
    rig.drop("k01", "k02", "k03")
    rig.hold("ghost")
    rig.hold("k99")
    rig.hold("k10", "another")


KINDS = {
    "k01": "missing",
    "k02": "missing",
    "k03": "missing",
    "ghost": "orphaned",
    "k99": "orphaned",
    "k10": "stale",
}


def listed(one: Reconciling) -> dict[str, str]:
    """The list for people: kinds by id."""
    lines = [json.loads(line) for line in one.list_file.read_text().splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    return {line["id"]: line["kind"] for line in lines}


def of_repair(one: Reconciling) -> dict[str, str]:
    """The list that a repair works off."""
    return {row.id: row.kind.value for batch in read_suspects(one.files.folder / FOUND, 100) for row in batch}


def kinds(report: ComparisonReport) -> tuple[int, int, int]:
    return report.missing, report.orphaned, report.stale


# All of it


NAMES = [f"n{number}" for number in range(24)]
SIDES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["1", "2"]))


@settings(max_examples=40)
@given(SIDES, SIDES, st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.sampled_from(["keys", "content"]))
def test_what_two_dictionaries_differ_in_is_found_listed_and_mended(
    tmp_path_factory: pytest.TempPathFactory,
    table: dict[str, str],
    index: dict[str, str],
    partitions: int,
    shards: int,
    segments: int,
    depth: Any,
) -> None:
    rig = MemoryRig(shards)
    for name, value in table.items():
        rig.items.put(name, value=value)
    for name, value in index.items():
        rig.hold(name, value)
    one = reconciling(rig, tmp_path_factory.mktemp("any"), partitions=partitions, budgets={"segments": segments})

    before, after = one.compare_and_repair(depth)

    differing = {name for name in table.keys() & index if table[name] != index[name]} if depth == "content" else set()
    missing, orphaned = table.keys() - index, index.keys() - table
    assert kinds(before) == (len(missing), len(orphaned), len(differing))
    assert (before.equal, before.table_count, before.index_count) == (
        len(table.keys() & index) - len(differing),
        len(table),
        len(index),
    )
    assert before.is_settled
    assert of_repair(one) == (
        dict.fromkeys(missing, "missing") | dict.fromkeys(orphaned, "orphaned") | dict.fromkeys(differing, "stale")
    )
    assert (after.differences, after.mended) == (0, before.differences)
    left = {name: index[name] for name in index.keys() & table} if depth == "keys" else table
    assert rig.cluster.documents(INDEX) == {name: {"id": name, "value": (table | left)[name]} for name in table}
    assert {name for name, (version, _) in rig.cluster.indices[INDEX].items() if version == 5} == index.keys() - (
        orphaned | differing
    ), "nothing else was written to"


class Traffic:
    """Writers and an indexer that is ``lag`` steps behind; a step is made before each page and each look.

    ``plan``: for each step the items that are put (a value) or removed (None) then. A wait is longer than the lag.
    """

    def __init__(self, rig: MemoryRig, plan: list[dict[str, str | None]], lag: int) -> None:
        self.rig, self.plan, self.lag, self.now = rig, plan, lag, 0
        rig.items.on_scan = lambda segment: self.step()
        rig.cluster.before_page = rig.cluster.before_mget = self.step
        rig.clock.sleep = self.wait  # type: ignore[method-assign]

    def step(self) -> None:
        for name, value in self._at(self.now).items():
            if value is None:
                self.rig.items.items.pop(name, None)
            else:
                self.rig.items.put(name, value=value)
        for name, value in self._at(self.now - self.lag).items():
            if value is None:
                self.rig.drop(name)
            else:
                self.rig.hold(name, value, version=1_000 + self.now)
        self.now += 1

    def wait(self, seconds: float) -> None:
        for _ in range(self.lag + 1):
            self.step()

    def _at(self, step: int) -> dict[str, str | None]:
        return self.plan[step] if 0 <= step < len(self.plan) else {}


HOT = [f"h{number}" for number in range(8)]
WRITES = st.lists(
    st.dictionaries(st.sampled_from(HOT), st.one_of(st.none(), st.sampled_from("abc")), max_size=3), max_size=60
)
LOST = st.dictionaries(st.sampled_from([f"q{number}" for number in range(6)]), st.sampled_from(["missing", "orphaned"]))


@settings(max_examples=30)
@given(WRITES, st.integers(0, 8), LOST, st.sets(st.sampled_from(["s0", "s1"])), st.sets(st.sampled_from(HOT)))
def test_writers_and_an_indexer_behind_are_no_difference_and_hide_none(
    tmp_path_factory: pytest.TempPathFactory,
    writes: list[dict[str, str | None]],
    lag: int,
    lost: dict[str, str],
    stale: set[str],
    before: set[str],
) -> None:
    rig = MemoryRig()
    rig.fill(sorted({f"k{number}" for number in range(20)} | before | stale))
    for name in stale:
        rig.hold(name, "another")
    for name, kind in lost.items():
        rig.items.put(name) if kind == "missing" else rig.hold(name)
    Traffic(rig, writes, lag)
    one = reconciling(rig, tmp_path_factory.mktemp("traffic"), partitions=2)
    report = one.compare()
    assert listed(one) == lost | dict.fromkeys(stale, "stale")
    assert report.differences == len(lost) + len(stale)


def test_the_same_is_found_however_it_is_divided(rig: MemoryRig, tmp_path: Path) -> None:
    spoil(rig)
    for partitions, segments, tasks in ((1, 1, 1), (2, 5, 1), (7, 5, 4), (64, 2, 2)):
        budgets = {"segments": segments, "concurrent_tasks": tasks}
        one = reconciling(rig, tmp_path, partitions=partitions, budgets=budgets)
        assert kinds(one.compare()) == (3, 2, 1)
        assert listed(one) == KINDS


def test_nothing_stays_in_the_scratch_folder(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    one.compare_and_repair()
    assert {path.name for path in one.scratch.iterdir()} == {"work", "differences.ndjson"}


def test_what_one_task_stores_again_changes_nothing(one: Reconciling, rig: MemoryRig) -> None:
    """As when a task is killed after its work and before Airflow hears of it."""
    spoil(rig)
    plan = one.plan()
    reads = one.read_all(plan)
    for part in plan.parts:
        one.read(plan, part)
    found = one.join_all(plan)
    assert one.join_all(plan) == found
    first, second = (one.settle(plan, reads, found).comparison for _ in range(2))
    assert kinds(first) == kinds(second) == (3, 2, 1)
    assert listed(one) == of_repair(one) == KINDS


def test_a_part_that_is_read_again_later_is_joined_as_it_is_then(one: Reconciling, rig: MemoryRig) -> None:
    plan = one.plan()
    for part in plan.parts:
        one.read(plan, part)
    spoil(rig)
    reads = one.read_all(plan)
    assert kinds(one.settle(plan, reads, one.join_all(plan)).comparison) == (3, 2, 1)


# Reading


def rows_of(one: Reconciling, part: Part, partitions: int) -> list[list[dict[str, Any]]]:
    files = [one.files.folder / side_name(part.side, part.number, number) for number in range(partitions)]
    return [pq.read_table(file).to_pylist() for file in files]


def test_each_part_reads_its_own_pieces_and_all_together_read_everything_once(rig: MemoryRig, tmp_path: Path) -> None:
    one = reconciling(rig, tmp_path, partitions=4, budgets={"segments": 5, "concurrent_tasks": 2})
    plan = one.plan()
    seen: dict[str, list[str]] = {"table": [], "index": []}
    for part in plan.parts:
        rig.items.scans.clear()
        read = one.read(plan, part)
        divided = rows_of(one, part, 4)
        assert {asked["Segment"] for asked in rig.items.scans} == (set(part.pieces) if part.side == "table" else set())
        assert sum(map(len, divided)) == read.rows
        for number, rows in enumerate(divided):
            assert {partition_of(row["id"], 4) for row in rows} <= {number}
        seen[part.side] += [row["id"] for rows in divided for row in rows]
    assert sorted(seen["table"]) == sorted(seen["index"]) == sorted(rig.items.items)


def test_what_was_not_refreshed_is_read_all_the_same(one: Reconciling, rig: MemoryRig) -> None:
    assert rig.cluster.visible.get(INDEX, {}) == {}
    plan = one.plan()
    rig.hold("just indexed")
    read = one.read_all(plan)
    assert read["index"].rows == 61


def test_keys_alone_ask_for_no_content(one: Reconciling, rig: MemoryRig) -> None:
    plan = one.plan("keys")
    one.read_all(plan)
    assert all(set(asked["ExpressionAttributeNames"].values()) == {"id"} for asked in rig.items.scans)
    for part in plan.parts:
        assert {row["digest"] for rows in rows_of(one, part, 3) for row in rows} == {None}


def test_content_has_a_digest_that_both_sides_share(one: Reconciling) -> None:
    plan = one.plan()
    one.read_all(plan)
    digests: dict[str, dict[str, int]] = {"table": {}, "index": {}}
    for part in plan.parts:
        digests[part.side] |= {row["id"]: row["digest"] for rows in rows_of(one, part, 3) for row in rows}
    assert digests["table"] == digests["index"]
    assert len(set(digests["table"].values())) == 60


def test_items_that_do_not_belong_are_counted_and_not_compared(tmp_path: Path) -> None:
    rig = MemoryRig(filter={"all": [{"attribute": "value", "equals": "1"}]})
    rig.fill(["a", "b"])
    rig.items.put("c", "d", value="0")
    report = reconciling(rig, tmp_path).compare("keys")
    assert (report.table_count, report.skipped, report.differences) == (2, 2, 0)


def test_items_that_the_rules_refuse_are_named_and_not_looked_at(tmp_path: Path) -> None:
    rig = MemoryRig(flatten={"value": "v_"})
    rig.items.put("bad")
    one = reconciling(rig, tmp_path)
    report = one.compare()
    assert (report.refused, report.differences, kinds(report)) == (1, 1, (0, 0, 0))
    assert listed(one) == of_repair(one) == {"bad": "refused"}


def test_read_units_are_those_of_the_scan_and_of_the_looks(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan = one.plan()
    reads = one.read_all(plan)
    assert reads["table"].read_units == 0.5 * len(rig.items.scans) > 0
    assert reads["index"].read_units == 0
    report = one.settle(plan, reads, one.join_all(plan)).comparison
    assert report.read_units == reads["table"].read_units + 3 * 6  # three looks at six keys


@pytest.mark.parametrize(("pace", "least_s"), [(None, 0.0), (1.0, 2.0)])
def test_each_part_of_the_table_keeps_to_its_share_of_the_read_units(
    rig: MemoryRig, tmp_path: Path, pace: float | None, least_s: float
) -> None:
    budgets = {"segments": 2, "concurrent_tasks": 1, "read_units_per_s": pace}
    one = reconciling(rig, tmp_path, budgets=budgets)
    plan = one.plan("keys")
    read = one.read_all(plan)["table"]
    assert read.read_units == 5
    assert sum(rig.clock.slept) >= least_s
    assert bool(rig.clock.slept) is (pace is not None)


def test_a_shard_that_gives_less_than_it_counted_is_no_reading(one: Reconciling, rig: MemoryRig) -> None:
    plan = one.plan()
    rig.cluster.gaps = 1
    part = next(part for part in plan.parts if part.side == "index")
    with pytest.raises(ShardsFailedError, match="documents came"):
        one.read(plan, part)
    assert list(one.files.folder.iterdir()) == [], "nothing is stored of it"
    assert rig.cluster.pits == {}, "the point in time is let go"


def test_a_scan_that_fails_halfway_stores_nothing_and_leaves_the_collector_on(one: Reconciling, rig: MemoryRig) -> None:
    plan = one.plan()

    def fail(segment: int) -> None:
        if len(rig.items.scans) >= 3:
            raise PassingError("away")

    rig.items.on_scan = fail
    with pytest.raises(PassingError):
        one.read(plan, next(part for part in plan.parts if part.side == "table"))
    assert list(one.files.folder.iterdir()) == []
    assert gc.isenabled()
    assert {path.name for path in one.scratch.iterdir()} == {"work"}


def test_points_in_time_are_let_go_after_reading(one: Reconciling, rig: MemoryRig) -> None:
    one.read_all(one.plan())
    assert rig.cluster.pits == {}
    assert sum(request == ("POST", f"/{INDEX}/_search/point_in_time") for request in rig.cluster.requested) == 2


@pytest.mark.parametrize("depth", ["approximate", "count"])
def test_a_plan_that_compares_no_keys_has_nothing_to_read(depth: Any) -> None:
    plan = reconciliations.plan(depth=depth)
    assert not plan.compares_keys
    with pytest.raises(ValueError, match=f"depth {depth} reads no rows"):
        depth_of(plan)


# Joining


@pytest.mark.parametrize("side", ["table", "index"])
def test_a_join_that_lacks_a_part_of_a_side_says_which(one: Reconciling, side: str) -> None:
    plan = one.plan()
    one.read_all(plan)
    name = side_name(side, 0, 1)
    (one.files.folder / name).unlink()
    joining.join_partitions(plan, [0], one.files, one.scratch)
    with pytest.raises(WorkFileMissingError, match=f"{name} is not in .*not shared by all workers"):
        joining.join_partitions(plan, [0, 1], one.files, one.scratch)


def test_each_partition_has_its_own_file_of_suspects(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan = one.plan()
    one.read_all(plan)
    found = joining.join_partitions(plan, range(3), one.files, one.scratch)
    assert found == Found(equal=56, missing=3, orphaned=2, stale=1)
    for number in range(3):
        rows = [row for batch in read_suspects(one.files.folder / suspects_name(number), 10) for row in batch]
        assert {row.id for row in rows} == {name for name in KINDS if partition_of(name, 3) == number}


# Looking again


def test_suspects_of_all_partitions_wait_together(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan = one.plan()
    reads, found = one.read_all(plan), one.join_all(plan)
    rig.clock.slept.clear()
    one.settle(plan, reads, found)
    assert rig.clock.slept == list(one.waits_s)


def test_what_comes_right_between_the_looks_is_in_motion_and_on_no_list(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan = one.plan()
    reads, found = one.read_all(plan), one.join_all(plan)
    looks: list[int] = []

    def catch_up() -> None:
        looks.append(1)
        if len(looks) == 2:
            rig.hold("k01")
            rig.drop("ghost")

    rig.cluster.before_mget = catch_up
    report = one.settle(plan, reads, found).comparison
    assert (kinds(report), report.in_motion) == ((2, 1, 1), 2)
    assert listed(one) == of_repair(one) == {name: kind for name, kind in KINDS.items() if name not in ("k01", "ghost")}


def test_what_is_written_between_the_looks_is_in_motion_though_it_differs(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan = one.plan()
    reads, found = one.read_all(plan), one.join_all(plan)
    values = itertools.count()
    rig.cluster.before_mget = lambda: rig.items.put("k10", value=f"written {next(values)}")
    report = one.settle(plan, reads, found).comparison
    assert (kinds(report), report.in_motion) == ((3, 2, 0), 1)
    assert "k10" not in listed(one)


def test_far_too_much_is_reported_as_found_and_not_looked_at(
    one: Reconciling, rig: MemoryRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(rig)
    plan = one.plan()
    reads, found = one.read_all(plan), one.join_all(plan)
    asked: list[tuple[int, int | None]] = []

    def most(rows: int, max_repairs: int | None) -> int:
        asked.append((rows, max_repairs))
        return 5

    monkeypatch.setattr(settling, "most_suspects", most)
    rig.cluster.requested.clear()
    report = one.settle(plan, reads, found, allowed=4).comparison
    assert asked == [(60, 4)]
    assert ("POST", f"/{INDEX}/_mget") not in rig.cluster.requested
    assert (kinds(report), report.unsettled, report.is_settled) == ((3, 2, 1), 6, False)
    assert listed(one) == of_repair(one) == KINDS
    lines = [json.loads(line) for line in one.list_file.read_text().splitlines()]
    assert {line["is_settled"] for line in lines} == {False}


def test_just_as_much_as_is_allowed_is_looked_at(
    one: Reconciling, rig: MemoryRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(rig)
    monkeypatch.setattr(settling, "most_suspects", lambda *_: 6)
    assert one.compare().is_settled


def test_a_difference_is_known_since_the_run_that_found_it_first(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    one.since_us = {"k01": NOW_US - 3 * DAY_US, "k10": NOW_US - DAY_US, "mended since": 1}
    plan = one.plan()
    settled = one.settle(plan, one.read_all(plan), one.join_all(plan))
    assert (settled.known, settled.oldest_us) == (2, NOW_US - 3 * DAY_US)
    new = {json.loads(line)["id"]: json.loads(line)["since"] for line in one.list_file.read_text().splitlines()}
    assert new["k02"] == "2027-01-15T08:00:00+00:00"
    assert new["k01"] == "2027-01-12T08:00:00+00:00"


def test_counts_of_the_tasks_before_that_do_not_add_up_are_refused(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan = one.plan()
    reads, found = one.read_all(plan), one.join_all(plan)
    with pytest.raises(ComparisonCountError, match="items"):
        one.settle(plan, reads | {"table": reads["table"] + SideRead(rows=1)}, found)
    with pytest.raises(ComparisonCountError, match="documents"):
        one.settle(plan, reads | {"index": SideRead(rows=58)}, found)
    with pytest.raises(ComparisonCountError, match="items"):
        one.settle(plan, reads, found + Found(missing=1))


def test_settling_without_a_joins_file_says_so(one: Reconciling) -> None:
    plan = one.plan()
    reads, found = one.read_all(plan), one.join_all(plan)
    (one.files.folder / suspects_name(2)).unlink()
    with pytest.raises(WorkFileMissingError):
        one.settle(plan, reads, found)


def test_the_first_differing_field_is_named_and_its_value_is_not(one: Reconciling, rig: MemoryRig) -> None:
    rig.hold("k10", "a secret")
    report = one.compare()
    assert report.differing_fields == {"value": 1}
    assert report.samples == {Kind.STALE.value: ("k10",)}
    assert "a secret" not in one.list_file.read_text() + str(report) + str(report.to_json())
