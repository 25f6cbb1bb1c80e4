"""The gate at the end of a backfill: counts that agree, differ in motion, or differ for no reason."""

import pytest

from dynamo_opensearch.core.backfill.verify import SETTLE_S, CountMismatchError, CountPorts, check_counts
from dynamo_opensearch.core.dynamodb.stream_changes import StreamChanges
from dynamo_opensearch.core.reports import CopyReport, OfferReport
from tests.support.fakes import FakeClock


def copy(indexed: int = 10, rejected: int = 0, stale: int = 0, deleted: int = 0) -> CopyReport:
    offered = indexed + rejected + stale + deleted
    offer = OfferReport(offered=offered, indexed=indexed, rejected=rejected, stale=stale, deleted=deleted)
    return CopyReport(scanned=offered, offer=offer)


class Sides:
    """Counts as they are asked for, one after the other; the last one stays."""

    def __init__(self, table: list[int], index: list[int], changes: StreamChanges | None = None) -> None:
        self.table, self.index, self.changes = table, index, changes
        self.clock = FakeClock()

    @property
    def ports(self) -> CountPorts:
        return CountPorts(
            count_table=lambda: (self._next(self.table), 2.5),
            count_index=lambda: self._next(self.index),
            count_changes=None if self.changes is None else lambda: self.changes or StreamChanges(),
            clock=self.clock,
        )

    @staticmethod
    def _next(counts: list[int]) -> int:
        return counts.pop(0) if len(counts) > 1 else counts[0]


def test_equal_counts_pass_at_once() -> None:
    sides = Sides([10], [10])
    check = check_counts("members-v1", copy(), sides.ports)
    assert (check.difference, check.in_motion, check.read_units, sides.clock.slept) == (0, (), 2.5, [])


def test_a_difference_on_a_quiet_table_fails_after_a_second_look() -> None:
    sides = Sides([10], [9], StreamChanges())
    with pytest.raises(CountMismatchError, match="1 documents fewer than the table has items"):
        check_counts("members-v1", copy(), sides.ports)
    assert sides.clock.slept == [SETTLE_S]


def test_documents_too_many_on_a_quiet_table_fail_too() -> None:
    with pytest.raises(CountMismatchError, match="2 documents more than the table has items"):
        check_counts("members-v1", copy(), Sides([10], [12]).ports)


def test_a_count_that_settles_passes() -> None:
    assert check_counts("members-v1", copy(), Sides([10], [9, 9, 10]).ports).difference == 0


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_refused_documents_explain_as_many_missing_ones(missing: int) -> None:
    assert check_counts("members-v1", copy(8, rejected=2), Sides([10], [10 - missing]).ports).in_motion == ()


def test_refused_documents_explain_no_more_than_that() -> None:
    with pytest.raises(CountMismatchError, match=r"3 documents fewer than the table has items \(2 were refused\)"):
        check_counts("members-v1", copy(8, rejected=2), Sides([10], [7]).ports)


@pytest.mark.parametrize(
    ("sides", "report", "sign"),
    [
        (Sides([10], [8, 9]), copy(), "the index went from 8 to 9 documents during the count"),
        (Sides([11], [10]), copy(), "the copy read 10 items that belong, 11 were counted afterwards"),
        (Sides([10], [9]), copy(9, stale=1), "1 documents were newer in the index than in the copy"),
        (
            Sides([10], [9], StreamChanges(inserted=1, modified=2)),
            copy(),
            "the stream has 1 inserted, 2 modified, 0 removed",
        ),
        (Sides([10], [9], StreamChanges(is_complete=False)), copy(), "the stream has at least 0 inserted"),
    ],
)
def test_a_difference_in_motion_is_reported_with_what_changed_and_does_not_fail(
    sides: Sides, report: CopyReport, sign: str
) -> None:
    check = check_counts("members-v1", report, sides.ports)
    assert check.difference != 0
    assert any(sign in one for one in check.in_motion)


def test_counts_that_move_between_two_looks_are_in_motion() -> None:
    check = check_counts("members-v1", copy(), Sides([10, 10], [9, 9, 8, 8]).ports)
    assert check.in_motion == ("a moment ago the counts were 10 and 9",)


def test_items_deleted_before_they_were_written_are_not_missing() -> None:
    assert check_counts("members-v1", copy(9, deleted=1), Sides([9], [9]).ports).in_motion == ()
