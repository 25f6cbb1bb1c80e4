"""A reconciliation in tasks, on the real servers: differences are found by kind, listed, mended, nothing else is."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.reconcile.work_files import WorkFileMissingError, side_name
from tests.integration.conftest import MakeRig
from tests.support.reconcile_rig import Reconciling
from tests.support.rig import small_item

OLD = "version_type=external_gte&version=5"
ITEMS = 400
Make = Callable[..., Reconciling]


@pytest.fixture
def reconciling(make_rig: MakeRig, tmp_path: Path) -> Make:
    def make(items: int = ITEMS, *, shards: int = 2, **settings: Any) -> Reconciling:
        own = {name: settings.pop(name) for name in ("partitions", "budgets") if name in settings}
        rig = make_rig(**{"limit": None, "bulk_bytes": 1_000_000, **settings})
        rig.fill(items)
        rig.create_index(settings={"number_of_shards": shards})
        rig.copy()
        return Reconciling(rig, tmp_path, **own)

    return make


def spoil(one: Reconciling) -> None:
    """Ten documents deleted, five orphans, four with another value, past the package."""
    rig = one.rig
    for number in range(10):
        rig.call(f"{rig.index}/_doc/k{number:04}", "DELETE")
    for number in range(5):
        rig.call(f"{rig.index}/_doc/orphan-{number}?{OLD}", "PUT", {"id": f"orphan-{number}"})
    for number in range(20, 24):
        document = {"id": f"k{number:04}", "number": number, "value": "another"}
        rig.call(
            f"{rig.index}/_doc/k{number:04}?version_type=external_gte&version={time.time_ns() // 1000}", "PUT", document
        )
    rig.call(f"{rig.index}/_refresh", "POST")


@pytest.mark.parametrize("partitions", [1, 7])
def test_differences_are_found_by_kind_and_mended_and_both_sides_are_equal_afterwards(
    reconciling: Make, partitions: int
) -> None:
    one = reconciling(partitions=partitions)
    spoil(one)

    before, after = one.compare_and_repair()

    assert (before.missing, before.orphaned, before.stale, before.in_motion) == (10, 5, 4, 0)
    assert before.differing_fields == {"value": 4}
    assert (before.table_count, before.index_count) == (ITEMS, ITEMS - 5)
    assert (after.differences, after.mended) == (0, 19)
    assert after.mended_kinds == {"missing": 10, "orphaned": 5, "stale": 4}
    assert one.rig.differences() == []


def test_the_list_names_each_difference_with_its_key_and_since_when(reconciling: Make) -> None:
    one = reconciling()
    spoil(one)
    one.since_us = {"k0003": 1_700_000_000_000_000}

    one.compare()

    lines = [json.loads(line) for line in one.list_file.read_text().splitlines()]
    by_id = {line["id"]: line for line in lines}
    assert len(lines) == len(by_id) == 19
    assert by_id["k0003"] == {
        "id": "k0003",
        "routing": None,
        "kind": "missing",
        "key": [{"S": "k0003"}],
        "field": None,
        "since": "2023-11-14T22:13:20+00:00",
        "is_settled": True,
    }
    assert by_id["k0020"]["field"] == "value"
    assert by_id["orphan-1"]["kind"] == "orphaned"
    assert "another" not in one.list_file.read_text()


def test_a_reading_task_that_is_run_again_changes_nothing(reconciling: Make) -> None:
    one = reconciling(partitions=3)
    spoil(one)
    plan = one.plan()
    reads = one.read_all(plan)
    assert one.read(plan, plan.parts[0]).rows == one.read(plan, plan.parts[0]).rows

    report = one.settle(plan, reads, one.join_all(plan)).comparison

    assert (report.missing, report.orphaned, report.stale) == (10, 5, 4)


def test_a_join_without_one_of_its_files_says_so(reconciling: Make) -> None:
    one = reconciling()
    plan = one.plan()
    one.read_all(plan)
    (one.files.folder / side_name("index", 0, 0)).unlink()

    with pytest.raises(WorkFileMissingError, match="Start this DAG again"):
        one.join_all(plan)


def test_a_repair_that_is_run_again_counts_as_the_first_did(reconciling: Make) -> None:
    one = reconciling()
    spoil(one)
    plan = one.plan("content", "apply")
    reads = one.read_all(plan)
    before = one.settle(plan, reads, one.join_all(plan)).comparison

    first = one.repair(plan, before)
    second = one.repair(plan, before)

    assert (first.mended, first.differences) == (second.mended, second.differences) == (19, 0)


def test_every_living_index_is_mended(reconciling: Make) -> None:
    one = reconciling()
    rig = one.rig
    kept = f"{rig.base}-v0"
    rig.call(kept, "PUT", {"aliases": {f"{rig.alias}-previous": {}}, "mappings": {"enabled": False}})
    spoil(one)
    rig.call(f"{kept}/_doc/orphan-1?{OLD}", "PUT", {"id": "orphan-1"})

    one.compare_and_repair()

    assert set(rig.documents(kept)) == {f"k{number:04}" for number in [*range(10), *range(20, 24)]}


def test_an_empty_table_and_an_empty_index_are_equal(reconciling: Make) -> None:
    report = reconciling(0).compare()

    assert (report.table_count, report.index_count, report.is_equal) == (0, 0, True)


def test_everything_in_an_index_of_another_table_is_an_orphan(reconciling: Make) -> None:
    one = reconciling(30)
    for number in range(30):
        one.rig.boto.delete_item(TableName=one.rig.table, Key={"id": {"S": f"k{number:04}"}})
    one.rig.put([small_item(number) for number in range(1000, 1020)])

    report = one.compare()

    assert (report.missing, report.orphaned, report.stale) == (20, 30, 0)


def test_an_item_that_the_rules_refuse_since_it_was_read_is_a_difference_before_and_after_the_repair(
    reconciling: Make,
) -> None:
    one = reconciling(rules={"flatten": {"address": "address_"}})
    spoil(one)
    plan = one.plan("content", "apply")
    reads, found = one.read_all(plan), one.join_all(plan)
    one.rig.put([small_item(3) | {"address": {"S": "no map"}}])

    before = one.settle(plan, reads, found).comparison
    after = one.repair(plan, before)

    assert (before.missing, before.refused, before.differences) == (9, 1, 19)
    assert (after.refused, after.differences, after.mended) == (1, 1, 18)
    (line,) = [json.loads(line) for line in one.list_file.read_text().splitlines()]
    assert (line["id"], line["kind"]) == ("k0003", "refused")
