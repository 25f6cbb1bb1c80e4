"""The plan of a reconciliation: what is refused before anything is read, and how the rest is divided."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.compare.join import ROWS_IN_PARTITION
from dynamo_opensearch.core.dynamodb.table_description import TableKeyError, TableNotReadyError
from dynamo_opensearch.core.look.living import NoLivingIndexError
from dynamo_opensearch.core.opensearch.alias import AliasAmbiguousError
from dynamo_opensearch.core.reconcile import planning
from dynamo_opensearch.core.reconcile.depths import ReconcileDepth, Repair, RepairWithoutKeysError
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.planning import (
    MOST_PARTITIONS,
    ReconcilePlanPorts,
    ReconcileWishes,
    plan_reconciliation,
    reading_tasks_at_once,
)
from dynamo_opensearch.core.stamps import ForeignVersionError, StampRule
from dynamo_opensearch.core.targets.model import MAX_MAPPED_TASKS
from tests.support.fakes import NOW_US
from tests.support.followed import NEXT
from tests.support.reconcile_rig import Reconciling
from tests.support.reconciled import ALIAS, INDEX, MemoryRig

GIB = 2**30


@pytest.fixture
def rig() -> MemoryRig:
    made = MemoryRig()
    made.fill(["a", "b", "c"])
    return made


def plan(
    rig: MemoryRig,
    depth: ReconcileDepth = "content",
    repair: Repair = "none",
    lag_s: Callable[[], float | None] = lambda: None,
    **budgets: Any,
) -> ReconcilePlan:
    target = Reconciling(rig, Path(), budgets=budgets).target()  # type: ignore[arg-type]
    ports = ReconcilePlanPorts(table=rig.table_client, cluster=rig.patient, clock=rig.clock, lag_s=lag_s)
    return plan_reconciliation(target, StampRule(), ReconcileWishes(run_id="run", depth=depth, repair=repair), ports)


def test_the_plan_says_what_is_compared_as_it_is_now(rig: MemoryRig) -> None:
    rig.items.description |= {"ItemCount": 1_000, "TableSizeBytes": 8_192_000}
    made = plan(rig, "content", "plan", lambda: 42.5, tolerance=7)
    subject = made.subject
    assert (subject.target, subject.table, subject.table_id, subject.stream_arn) == (
        "members",
        "members",
        "table-1",
        "stream-1",
    )
    assert (subject.alias, subject.index, subject.index_uuid) == (ALIAS, INDEX, rig.cluster.uuids[INDEX])
    assert (made.run_id, made.depth, made.repair, made.began_us, made.tolerance) == (
        "run",
        "content",
        "plan",
        NOW_US,
        7,
    )
    assert (made.items_estimated, made.documents, made.lag_s) == (1_000, 3, 42.5)
    assert made.read_units_estimated == 1_000


def test_a_table_without_a_stream_is_planned_all_the_same(rig: MemoryRig) -> None:
    rig.items.description["StreamSpecification"] = {"StreamEnabled": False}
    assert plan(rig).subject.stream_arn is None


@pytest.mark.parametrize("depth", ["approximate", "count"])
def test_counts_alone_have_no_parts_and_no_joins(rig: MemoryRig, depth: ReconcileDepth) -> None:
    rig.items.description["TableSizeBytes"] = 8_192_000
    made = plan(rig, depth)
    assert (made.parts, made.partitions, made.joins) == ((), 0, ())
    assert not made.compares_keys
    assert made.read_units_estimated == (0 if depth == "approximate" else 1_000)


def test_planning_reads_no_item_and_writes_nothing(rig: MemoryRig) -> None:
    plan(rig, "content", "apply")
    assert rig.items.scans == []
    assert rig.cluster.bulks == []


# Refused


@pytest.mark.parametrize("depth", ["approximate", "count"])
def test_a_repair_that_could_name_no_key_is_refused_before_anything_is_asked(
    rig: MemoryRig, depth: ReconcileDepth
) -> None:
    with pytest.raises(RepairWithoutKeysError):
        plan(rig, depth, "apply")
    assert rig.cluster.requested == []


def test_without_an_index_behind_the_alias_there_is_nothing_to_compare(rig: MemoryRig) -> None:
    rig.cluster.aliases[INDEX] = {NEXT}
    with pytest.raises(NoLivingIndexError):
        plan(rig)


def test_two_indices_behind_the_alias_are_refused(rig: MemoryRig) -> None:
    rig.cluster.create("members-v2", ALIAS)
    with pytest.raises(AliasAmbiguousError):
        plan(rig)


def test_a_table_of_another_key_or_one_that_is_being_made_is_refused(rig: MemoryRig) -> None:
    rig.items.description["TableStatus"] = "CREATING"
    with pytest.raises(TableNotReadyError):
        plan(rig)
    rig.items.description |= {
        "TableStatus": "ACTIVE",
        "KeySchema": [{"AttributeName": "other", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "other", "AttributeType": "S"}],
    }
    with pytest.raises(TableKeyError):
        plan(rig)


def test_a_repair_refuses_versions_that_are_no_stamps_and_looking_does_not(rig: MemoryRig) -> None:
    rig.hold("a", version=1_800_000_000_000)  # milliseconds
    with pytest.raises(ForeignVersionError):
        plan(rig, "content", "apply")
    for repair in ("none", "plan"):
        assert plan(rig, "content", repair).documents == 3


def test_versions_are_not_asked_where_the_indexer_writes_none(rig: MemoryRig) -> None:
    rig.hold("a", version=1_800_000_000_000)
    rig.unversioned = True
    assert plan(rig, "content", "apply").repair == "apply"


# Divided


@settings(max_examples=150)
@given(
    st.integers(0, 2**46),
    st.one_of(st.none(), st.integers(1, 20_000)),
    st.integers(1, 600),
    st.integers(1, 700),
    st.one_of(st.none(), st.floats(0.5, 1e6)),
)
def test_each_piece_of_both_sides_is_in_exactly_one_part(
    size: int, segments: int | None, tasks: int, shards: int, units: float | None
) -> None:
    rig = MemoryRig(shards)
    rig.items.description["TableSizeBytes"] = size
    made = plan(rig, segments=segments, concurrent_tasks=tasks, read_units_per_s=units)
    pieces: dict[str, list[int]] = {"table": [], "index": []}
    for part in made.parts:
        pieces[part.side] += part.pieces
    assert pieces == {"table": list(range(made.total_segments)), "index": list(range(shards))}
    assert len(made.parts) <= MAX_MAPPED_TASKS
    for side in ("table", "index"):
        assert made.numbers_of(side) == list(range(len(made.numbers_of(side))))
    if units is not None:
        assert made.read_units_per_s_and_task is not None
        at_once = min(len(made.numbers_of("table")), 2 * tasks)
        assert made.read_units_per_s_and_task * at_once == pytest.approx(units)
    assert ReconcilePlan.from_json(made.to_json()) == made


def test_both_sides_are_read_side_by_side(rig: MemoryRig) -> None:
    made = plan(rig, segments=3, concurrent_tasks=3)
    assert [part.side for part in made.parts] == ["table", "index", "table", "index", "table"]
    assert reading_tasks_at_once(Reconciling(rig, Path(), budgets={"concurrent_tasks": 3}).target()) == 6  # type: ignore[arg-type]


@settings(max_examples=50)
@example(10**9, 2)
@given(st.integers(0, 10**9), st.integers(1, 100))
def test_every_partition_is_joined_once_by_few_at_a_time(rows: int, tasks: int) -> None:
    rig = MemoryRig()
    rig.items.description["ItemCount"] = rows
    made = plan(rig, concurrent_tasks=tasks)
    joined = [number for first, last in made.joins for number in range(first, last + 1)]
    assert joined == list(range(made.partitions))
    assert 1 <= made.partitions <= MOST_PARTITIONS
    assert made.partitions == MOST_PARTITIONS or rows <= made.partitions * ROWS_IN_PARTITION
    assert max(last - first + 1 for first, last in made.joins) <= 8


def test_a_table_that_dynamodb_has_not_counted_yet_is_divided_by_its_documents(
    rig: MemoryRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ItemCount of a new table is 0 for hours."""
    monkeypatch.setattr(planning, "count_documents", lambda *_: 2_500_000)
    assert plan(rig).partitions == 6


def test_an_empty_table_and_an_empty_index_have_a_part_each(rig: MemoryRig) -> None:
    rig = MemoryRig(shards=1)
    made = plan(rig)
    assert ([str(part) for part in made.parts], made.partitions) == (
        ["table, segments 0 to 0", "index, shards 0 to 0"],
        1,
    )
