"""Repairs in memory: what is mended, what cannot be, what is let alone, and what a killed one leaves to the next."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.compare import resolving
from dynamo_opensearch.core.compare.join import Kind, read_suspects
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.reconcile import repairing, settling
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.repairing import repairable
from dynamo_opensearch.core.reconcile.work_files import FOUND, WorkFileMissingError
from tests.support.fakes import NOW_US
from tests.support.followed import NEXT, PREVIOUS
from tests.support.reconcile_rig import Reconciling
from tests.support.reconciled import INDEX, MemoryRig
from tests.support.reconciliations import comparison

LONG = "x" * 600
SHORTENED = document_id(({"S": LONG},))


class KilledError(BaseException):
    """The task's process is gone."""


@pytest.fixture
def rig() -> MemoryRig:
    made = MemoryRig()
    made.fill([f"k{number:02}" for number in range(40)])
    return made


@pytest.fixture
def one(rig: MemoryRig, tmp_path: Path) -> Reconciling:
    return of(rig, tmp_path)


def of(rig: MemoryRig, folder: Path) -> Reconciling:
    return Reconciling(rig, folder, partitions=3)  # type: ignore[arg-type]


def compared(one: Reconciling, depth: Any = "content") -> tuple[ReconcilePlan, ComparisonReport]:
    plan = one.plan(depth, "apply")
    reads = one.read_all(plan)
    return plan, one.settle(plan, reads, one.join_all(plan)).comparison


def spoil(rig: MemoryRig) -> None:
    rig.drop("k01", "k02", "k03")
    rig.hold("ghost")
    rig.hold("k99")
    rig.hold("k10", "another")


def listed(one: Reconciling) -> list[dict[str, Any]]:
    return [json.loads(line) for line in one.list_file.read_text().splitlines()]


def bulk_ids(rig: MemoryRig) -> set[str]:
    return {name for _, names in rig.cluster.bulks for name in names}


def test_what_differs_is_mended_and_counted_by_its_kind_and_the_list_is_empty(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan, before = compared(one)
    assert repairable(before) == before.differences == 6
    after = one.repair(plan, before)
    assert rig.cluster.documents(INDEX) == rig.expected()
    assert (after.differences, after.mended, after.unsettled, after.rejected) == (0, 6, 0, 0)
    assert after.mended_kinds == {"missing": 3, "orphaned": 2, "stale": 1}
    assert (after.found, after.table_count, after.samples) == (before.found, before.table_count, before.samples)
    assert after.offers.offered == 12
    assert after.read_units > before.read_units
    assert listed(one) == []


def test_only_what_differs_is_written_to(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan, before = compared(one)
    one.repair(plan, before)
    assert bulk_ids(rig) == {"k01", "k02", "k03", "ghost", "k99", "k10"}


def test_a_young_version_of_the_wrong_document_is_mended_by_the_second_look(one: Reconciling, rig: MemoryRig) -> None:
    rig.hold("k10", "another", version=rig.clock.time_us())
    rig.hold("ghost", version=rig.clock.time_us())
    plan, before = compared(one)
    assert one.repair(plan, before).mended == 2
    assert rig.cluster.documents(INDEX) == rig.expected()


def test_every_living_index_is_mended(one: Reconciling, rig: MemoryRig) -> None:
    rig.cluster.create("members-v2", NEXT)
    rig.cluster.create("members-v0", PREVIOUS)
    for index in ("members-v2", "members-v0"):
        rig.hold("ghost", index=index)
    spoil(rig)
    plan, before = compared(one)
    one.repair(plan, before)
    expected = {name: document for name, document in rig.expected().items() if name in ("k01", "k02", "k03", "k10")}
    assert rig.cluster.documents("members-v2") == rig.cluster.documents("members-v0") == expected


def test_a_document_that_opensearch_refuses_stays_a_difference_with_its_reason_stored(
    one: Reconciling, rig: MemoryRig
) -> None:
    spoil(rig)
    rig.cluster.refused = {INDEX: {"k01", "k10"}}
    plan, before = compared(one)
    after = one.repair(plan, before)
    assert (after.missing, after.stale, after.mended, after.rejected) == (1, 1, 4, 2)
    assert {line["id"]: line["kind"] for line in listed(one)} == {"k01": "missing", "k10": "stale"}
    (lines,) = one.sinks[INDEX].parts.values()
    assert sorted(json.loads(line)["id"] for line in lines.splitlines()) == ["k01", "k10"]


def test_a_document_whose_key_nothing_tells_is_not_offered_and_stays_on_the_list(
    one: Reconciling, rig: MemoryRig
) -> None:
    rig.cluster.indices[INDEX][SHORTENED] = (5, {"value": "no key in it"})
    spoil(rig)
    plan, before = compared(one)
    after = one.repair(plan, before)
    assert (after.orphaned, after.unsettled, after.mended) == (1, 1, 6)
    ((line),) = listed(one)
    assert (line["id"], line["key"], line["is_settled"]) == (SHORTENED, None, False)
    assert SHORTENED not in bulk_ids(rig)


def test_a_shortened_id_whose_key_is_in_the_document_or_the_table_is_mended(one: Reconciling, rig: MemoryRig) -> None:
    gone = "y" * 600
    rig.items.put(LONG)
    rig.cluster.indices[INDEX][document_id(({"S": gone},))] = (5, {"id": gone})
    plan, before = compared(one)
    assert (before.missing, before.orphaned, before.unsettled) == (1, 1, 0)
    assert one.repair(plan, before).mended == 2
    assert rig.cluster.documents(INDEX).keys() == rig.expected().keys() - {LONG} | {SHORTENED}


@pytest.mark.parametrize("depth", ["content", "keys"])
def test_items_that_the_rules_refuse_are_left_and_go_on_counting(tmp_path: Path, depth: Any) -> None:
    """At depth keys, nothing but the look at the item tells that no document can be made of it."""
    rig = MemoryRig(flatten={"value": "v_"})
    rig.items.put("bad")
    rig.items.items["good"] = {"id": {"S": "good"}}
    one = of(rig, tmp_path)
    plan, before = compared(one, depth)
    assert (before.refused, before.missing, repairable(before)) == (1, 1, 1)
    for _ in range(2):
        after = one.repair(plan, before)
        assert (after.refused, after.differences, after.mended) == (1, 1, 1)
        assert [(line["id"], line["kind"]) for line in listed(one)] == [("bad", "refused")]
    assert bulk_ids(rig) == {"good"}


def test_where_only_refused_items_are_found_nothing_is_offered(tmp_path: Path) -> None:
    rig = MemoryRig(flatten={"value": "v_"})
    rig.items.put("bad")
    one = of(rig, tmp_path)
    plan, before = compared(one)
    after = one.repair(plan, before)
    assert (after.differences, after.offers.offered, rig.cluster.bulks) == (1, 0, [])


def test_what_is_written_while_it_is_mended_is_in_motion(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan, before = compared(one)
    written = 0

    def write() -> None:
        nonlocal written
        written += 1
        rig.items.put("k10", value=f"written {written}")

    rig.cluster.before_mget = write
    after = one.repair(plan, before)
    assert (after.differences, after.mended, after.in_motion) == (0, 5, 1)
    assert listed(one) == []


def test_what_was_in_motion_before_the_repair_is_counted_with_what_is_in_motion_after_it(
    one: Reconciling, rig: MemoryRig
) -> None:
    spoil(rig)
    plan = one.plan("content", "apply")
    reads, found = one.read_all(plan), one.join_all(plan)
    rig.fill(["k01", "k02"])  # the indexer has caught up
    before = one.settle(plan, reads, found).comparison
    assert (before.in_motion, before.differences) == (2, 4)
    after = one.repair(plan, before)
    assert (after.in_motion, after.mended, after.differences) == (2, 4, 0)


def test_what_came_right_before_the_repair_counts_as_mended(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan, before = compared(one)
    rig.fill(["k01"])
    rig.drop("ghost")
    after = one.repair(plan, before)
    assert (after.mended, after.differences) == (6, 0)


def test_an_item_that_is_deleted_before_the_repair_is_not_brought_back(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan, before = compared(one)
    del rig.items.items["k01"]
    one.repair(plan, before)
    assert rig.cluster.documents(INDEX) == rig.expected()


def test_what_was_left_as_found_is_looked_at_when_it_is_repaired(
    one: Reconciling, rig: MemoryRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has approved of mending so much."""
    spoil(rig)
    monkeypatch.setattr(settling, "most_suspects", lambda *_: 1)
    plan, before = compared(one)
    assert before.unsettled == 6
    rig.hold("k01")
    after = one.repair(plan, before)
    assert (after.mended, after.unsettled, after.differences) == (6, 0, 0)
    assert rig.cluster.documents(INDEX) == rig.expected()


def test_what_is_left_is_known_since_an_earlier_run(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    rig.cluster.refused = {INDEX: {"k01", "k02"}}
    one.since_us = {"k01": NOW_US - 86_400_000_000, "ghost": 1}
    plan, before = compared(one)
    one.repair(plan, before)
    assert {line["id"]: line["since"][:10] for line in listed(one)} == {"k01": "2027-01-14", "k02": "2027-01-15"}


def test_the_list_that_a_repair_works_off_stays_as_it_was(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan, before = compared(one)
    stored = (one.files.folder / FOUND).read_bytes()
    one.repair(plan, before)
    assert (one.files.folder / FOUND).read_bytes() == stored


def test_without_its_list_a_repair_says_so_and_offers_nothing(one: Reconciling, rig: MemoryRig) -> None:
    spoil(rig)
    plan, before = compared(one)
    (one.files.folder / FOUND).unlink()
    with pytest.raises(WorkFileMissingError):
        one.repair(plan, before)
    assert rig.cluster.bulks == []


# Killed


Death = Callable[[MemoryRig, Reconciling, int], None]


def die_at_bulk(rig: MemoryRig, one: Reconciling, number: int) -> None:
    def die(alias: str, names: list[str]) -> None:
        if len(rig.cluster.bulks) >= number:
            raise KilledError

    rig.cluster.before_bulk = die


def die_at_look(rig: MemoryRig, one: Reconciling, number: int) -> None:
    looks = 0

    def die() -> None:
        nonlocal looks
        looks += 1
        if looks > number:
            raise KilledError

    rig.cluster.before_mget = die


@pytest.mark.parametrize("death", [die_at_bulk, die_at_look])
@pytest.mark.parametrize("number", range(6))
def test_a_repair_that_is_killed_and_run_again_counts_as_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: Death, number: int
) -> None:
    for module in (repairing, resolving):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    monkeypatch.setattr(settling, "most_suspects", lambda *_: 100)
    reports = []
    for is_killed in (False, True):
        rig = MemoryRig()
        rig.fill([f"k{number:02}" for number in range(40)])
        spoil(rig)
        rig.cluster.refused = {INDEX: {"k02"}}
        folder = tmp_path / str(is_killed)
        folder.mkdir()
        one = of(rig, folder)
        plan, before = compared(one)
        if is_killed:
            death(rig, one, number)
            with pytest.raises(KilledError):
                one.repair(plan, before)
            rig.cluster.before_bulk, rig.cluster.before_mget = lambda alias, names: None, lambda: None
        reports.append(one.repair(plan, before))
        assert rig.cluster.documents(INDEX).items() <= rig.expected().items()
        assert [line["id"] for line in listed(one)] == ["k02"]
    counted = [replace(report, read_units=0, seconds=0, offers=comparison().offers) for report in reports]
    assert counted[0] == counted[1]
    assert (counted[0].mended, counted[0].missing, counted[0].rejected) == (5, 1, 1)


def test_batches_are_worked_through_one_after_the_other(
    one: Reconciling, rig: MemoryRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(rig)
    plan, before = compared(one)
    batches = [len(batch) for batch in read_suspects(one.files.folder / FOUND, 4)]
    assert batches == [4, 2]
    monkeypatch.setattr(repairing, "AT_ONCE", 4)
    after = one.repair(plan, before)
    assert [len(set(names)) for _, names in rig.cluster.bulks] == [4, 4, 2, 2]
    assert after.mended == 6


def test_a_repair_mends_kinds_that_are_no_refusal() -> None:
    assert repairable(comparison(missing=1, orphaned=2, stale=3, refused=10)) == 6
    assert Kind.REFUSED.value not in comparison(refused=1).mended_kinds
