"""Reports of reconciliations: numbers that add up, their verdict, their way through JSON, and the gate's words."""

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.compare.join import Found
from dynamo_opensearch.core.compare.report import ComparisonCountError, ComparisonReport
from dynamo_opensearch.core.reconcile.counting import approximate_counts
from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.reconcile.gate import SidesDifferError, check_reconciled
from dynamo_opensearch.core.reconcile.report import Night, ReconcileReport
from dynamo_opensearch.core.reports import OfferReport
from dynamo_opensearch.operators.reconcile.results import SettledResult
from tests.support.fakes import NOW_US
from tests.support.reconciliations import comparison, counted, night, plan, report, subject

SECRET = "ada@example.org"


def through_json(value: Any) -> Any:
    """As XCom and files have it; what is no JSON by itself (a tuple becomes a list) is not the same afterwards."""
    came_back = json.loads(json.dumps(value))
    assert came_back == value
    return came_back


# The verdict


@pytest.mark.parametrize(
    ("one", "verdict", "differences"),
    [
        (report(), "equal", 0),
        (report(comparison=comparison(missing=1)), "different", 1),
        (report(comparison=comparison(orphaned=1, stale=2, refused=3)), "different", 6),
        (report(comparison=comparison(in_motion=5, mended=4)), "equal", 0),
        (report(comparison=comparison(missing=2), tolerance=2), "equal", 2),
        (report(comparison=comparison(missing=3), tolerance=2), "different", 3),
        (counted(100, 100), "equal", 0),
        (counted(100, 100, 7), "equal", 0),
        (counted(100, 97), "different", 3),
        (counted(97, 100), "different", 3),
        (counted(100, 97, 3), "in motion", 0),
        (counted(100, 97, 2), "different", 1),
        (counted(100, 97, tolerance=3), "equal", 3),
        (counted(100, 97, 1, tolerance=2), "in motion", 2),
        (counted(100, 97, tolerance=2), "different", 3),
        (report(moved_to="members-v2"), "in motion", 0),
        (report(moved_to="members-v2", comparison=comparison(missing=9)), "in motion", 9),
    ],
)
def test_the_verdict_follows_from_the_numbers(one: ReconcileReport, verdict: str, differences: int) -> None:
    assert (one.verdict, one.differences) == (verdict, differences)


def test_figures_of_hours_ago_are_no_verdict() -> None:
    counts = approximate_counts(1_000_000, 3, is_filtered=False)
    assert report(counts=counts, depth="approximate").verdict == "approximate"
    assert report(counts=counts, depth="approximate", moved_to="x").verdict == "approximate"


def test_a_report_tells_what_follows_from_its_numbers() -> None:
    one = report(comparison=comparison(missing=5, orphaned=4, stale=3, refused=2, mended=7, in_motion=1))
    assert (one.table_count, one.index_count, one.mended) == (118, 107, 7)
    assert one.by_kind == {"missing": 5, "orphaned": 4, "stale": 3, "refused": 2}
    assert (one.read_units, one.seconds) == (12.5, 90.0)
    of_counts = counted(10, 8)
    assert (of_counts.table_count, of_counts.index_count, of_counts.mended, of_counts.by_kind) == (10, 8, 0, {})
    with pytest.raises(ValueError, match="depth count compares no keys"):
        _ = of_counts.comparison_made


@pytest.mark.parametrize("both", [True, False])
def test_a_report_has_either_counts_or_a_comparison(both: bool) -> None:
    counts = SideCounts(table_count=1, index_count=1) if both else None
    with pytest.raises(ValueError, match="either counts or a comparison"):
        replace(report(), counts=counts, comparison=comparison() if both else None)


# Through JSON


@st.composite
def comparisons(draw: st.DrawFn) -> ComparisonReport:
    number = st.integers(0, 10**7)
    kinds = ("missing", "orphaned", "stale")
    left = {kind: draw(number) for kind in kinds}
    refused_later, in_motion, mended = draw(number), draw(number), draw(number)
    suspects = sum(left.values()) + refused_later + in_motion + mended
    missing = draw(st.integers(0, suspects))
    orphaned = draw(st.integers(0, suspects - missing))
    refused = draw(number)
    found = Found(
        equal=draw(number),
        missing=missing,
        orphaned=orphaned,
        stale=suspects - missing - orphaned,
        refused=refused,
        refused_with_document=draw(st.integers(0, refused)),
    )
    ids = st.lists(st.text(), max_size=3).map(tuple)
    return ComparisonReport(
        index=draw(st.text()),
        depth=draw(st.sampled_from(["keys", "content"])),
        table_count=found.equal + found.missing + found.stale + found.refused,
        index_count=found.equal + found.orphaned + found.stale + found.refused_with_document,
        skipped=draw(number),
        found=found,
        **left,
        refused_later=refused_later,
        in_motion=in_motion,
        mended=mended,
        unsettled=draw(number),
        rejected=draw(number),
        offers=OfferReport(offered=mended, indexed=mended),
        read_units=draw(st.floats(0, 1e9)),
        seconds=draw(st.floats(0, 1e6)),
        samples=draw(st.dictionaries(st.sampled_from(kinds), ids)),
        differing_fields=draw(st.dictionaries(st.text(), number, max_size=3)),
        mended_kinds=draw(st.dictionaries(st.sampled_from(kinds), number)),
    )


@settings(max_examples=50)
@given(comparisons(), st.sampled_from(["none", "plan", "apply"]), st.lists(st.text(), max_size=2), st.data())
def test_every_comparison_goes_through_json_on_all_its_ways(
    made: ComparisonReport, repair: Any, causes: list[str], data: st.DataObject
) -> None:
    one = report(
        comparison=made,
        repair=repair,
        causes=tuple(causes),
        lag_s=data.draw(st.one_of(st.none(), st.floats(0, 1e6))),
        oldest_us=data.draw(st.one_of(st.none(), st.integers(0, 2 * NOW_US))),
        known=data.draw(st.integers(0, 10)),
        repair_note=data.draw(st.text()),
    )
    assert ReconcileReport.from_json(through_json(one.to_json())) == one
    kept = Night.of(one, data.draw(st.one_of(st.none(), st.text())))
    assert Night.from_json(through_json(kept.to_json())) == kept
    settled = SettledResult(
        comparison=made, known=1, oldest_us=None, to_repair=3, allowed=2, causes=tuple(causes), note="n"
    )
    assert SettledResult.from_json(through_json(settled.to_json(show_keys=True))) == settled


def test_counts_go_through_json_with_what_follows_from_them() -> None:
    one = counted(100, 97, 2, causes=("a", "b"), cleared=3, moved_to="members-v2")
    value = through_json(one.to_json())
    assert ReconcileReport.from_json(value) == one
    assert (value["verdict"], value["differences"], value["table_count"], value["index_count"]) == (
        "in motion",
        1,
        100,
        97,
    )
    assert Night.from_json(through_json(Night.of(one, None).to_json())) == Night.of(one, None)


@pytest.mark.parametrize("name", ["missing", "orphaned", "stale", "in_motion", "mended", "table_count", "index_count"])
def test_numbers_that_do_not_add_up_any_more_are_refused_wherever_they_come_from(name: str) -> None:
    value = report(comparison=comparison(missing=2, mended=1)).to_json()
    value["comparison"][name] += 1
    with pytest.raises(ComparisonCountError, match="accounted for"):
        ReconcileReport.from_json(value)
    settled = SettledResult(comparison=comparison(), known=0, oldest_us=None, to_repair=0, allowed=0)
    broken = settled.to_json(show_keys=False)
    broken["comparison"][name] += 1
    with pytest.raises(ComparisonCountError):
        SettledResult.from_json(broken)


def test_what_tasks_hand_on_shows_ids_where_the_target_says_so() -> None:
    settled = SettledResult(comparison=comparison(missing=1), known=0, oldest_us=None, to_repair=1, allowed=1)
    assert SECRET in json.dumps(settled.to_json(show_keys=True))
    assert SECRET not in json.dumps(settled.to_json(show_keys=False))


def test_what_a_later_version_keeps_of_a_run_can_be_read() -> None:
    kept = night(comparison=comparison(missing=2, in_motion=3), differences_file="file:///a")
    assert (kept.in_motion, kept.by_kind["missing"], kept.differences_file) == (3, 2, "file:///a")
    assert Night.from_json(kept.to_json() | {"weather": "fine"}) == kept


def test_a_plan_goes_through_json() -> None:
    for one in (plan(lag_s=1.5), plan(depth="count", parts=(), partitions=0, joins=())):
        assert type(one).from_json(through_json(one.to_json())) == one


def test_a_plan_reads_as_a_few_lines() -> None:
    text = str(plan(lag_s=75.4))
    assert "table 'members' and 'members-v1' behind 'members-live'" in text
    assert "the indexer's lag is 75 s" in text
    assert "3 reading tasks: 3 segments, 1 parts of the index; 3 partitions" in text
    assert "read units" not in str(plan(depth="approximate", parts=()))
    assert "lag is not known" in str(plan())
    assert [str(part) for part in plan().parts][:2] == ["table, segments 0 to 1", "index, shards 0 to 0"]


# The gate


@pytest.mark.parametrize("passing", [report(), counted(100, 97, 3), report(moved_to="members-v2")])
def test_the_gate_is_open_unless_both_sides_differ(passing: ReconcileReport) -> None:
    check_reconciled(passing, "page.html")


def test_the_gate_says_how_much_of_which_kind_what_else_is_wrong_and_what_to_do() -> None:
    one = report(
        comparison=comparison(missing=1_200, stale=3),
        tolerance=2,
        repair_note="12 of 1,215 differences were mended",
        causes=("the stream is off", "the queue could not be asked: no."),
    )
    with pytest.raises(SidesDifferError) as raised:
        check_reconciled(one, "s3://bucket/page.html")
    assert str(raised.value) == (
        "index 'members-v1' and the table differ by 1,203 (1,200 missing, 3 stale; 12 of 1,215 differences were "
        "mended); 2 are accepted (budgets.tolerance). Next: see why, then start members_reconcile with depth `keys` or "
        "`content` and repair `plan` to list the keys, or `apply` to mend them. The page: s3://bucket/page.html. More: "
        "docs/runbook.md#index-and-table-differ\n"
        "Also seen: the stream is off.\n"
        "Also seen: the queue could not be asked: no."
    )
    assert raised.value.is_permanent
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_the_gate_tells_counts_where_nothing_else_is_known() -> None:
    with pytest.raises(SidesDifferError, match=r"93 \(1,100 items that belong, 1,000 documents, 7 written meanw"):
        check_reconciled(counted(1_100, 1_000, 7), "page.html")


def test_the_gate_shows_no_key() -> None:
    with pytest.raises(SidesDifferError) as raised:
        check_reconciled(report(comparison=comparison(missing=1), subject=subject(target="orders")), "page.html")
    assert SECRET not in str(raised.value)
    assert "start orders_reconcile" in str(raised.value)
