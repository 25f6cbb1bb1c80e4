"""Counts of both sides, with writers and an indexer beside them: no false alarm, and no difference that goes unseen."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.reconcile.counting import CountPorts, approximate_counts, count_sides
from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.stream.changes import StreamChanges
from tests.support.fakes import NOW_US, FakeClock

WAITS_S = (3.0, 6.0, 12.0, 24.0)


# Scripted counts


@dataclass
class Script:
    """What each count gives, the last one for ever; ``changes`` by how often the stream was read before."""

    tables: list[int]
    indices: list[int]
    changes: list[StreamChanges] | None = field(default_factory=lambda: [StreamChanges()])
    lag_s: float | None = None
    is_filtered: bool = False
    waits_s: tuple[float, ...] = WAITS_S
    clock: FakeClock = field(default_factory=FakeClock)
    asked_us: list[int] = field(default_factory=list)
    counted: int = 0

    def count(self) -> SideCounts:
        return count_sides(
            CountPorts(
                count_table=lambda: (_next(self.tables), 2.5),
                count_index=lambda: _next(self.indices),
                changes_since=None if self.changes is None else self._since,
                lag_s=self.lag_s,
                is_filtered=self.is_filtered,
                waits_s=self.waits_s,
                clock=self.clock,
            )
        )

    def _since(self, since_us: int) -> Callable[[], StreamChanges]:
        self.asked_us.append(since_us)
        return self._changes

    def _changes(self) -> StreamChanges:
        assert self.changes is not None
        self.counted += 1
        return _next(self.changes)


T = TypeVar("T")


def _next(values: list[T]) -> T:
    return values.pop(0) if len(values) > 1 else values[0]


def test_equal_counts_ask_nothing_and_wait_for_nothing() -> None:
    script = Script([100], [100])
    counts = script.count()
    assert (counts.difference, counts.unexplained, counts.written, counts.read_units) == (0, 0, 0, 2.5)
    assert (script.asked_us, script.clock.slept) == ([], [])


def test_a_difference_on_a_quiet_table_is_looked_at_again_and_then_told() -> None:
    script = Script([100], [97])
    counts = script.count()
    assert (counts.table_count, counts.index_count, counts.difference, counts.unexplained) == (100, 97, -3, 3)
    assert script.clock.slept == list(WAITS_S)


@pytest.mark.parametrize("index", [97, 103])
def test_counts_that_are_apart_by_what_was_written_are_explained_at_once(index: int) -> None:
    script = Script([100], [index], [StreamChanges(inserted=2, removed=1, modified=50)])
    counts = script.count()
    assert (counts.written, counts.unexplained) == (3, 0)
    assert script.clock.slept == []


def test_what_is_more_than_was_written_is_told_and_by_how_much() -> None:
    counts = Script([100], [90], [StreamChanges(inserted=2, removed=1)]).count()
    assert (counts.difference, counts.written, counts.unexplained) == (-10, 3, 7)


def test_an_index_that_catches_up_is_no_difference() -> None:
    script = Script([100], [90, 95, 100])
    counts = script.count()
    assert (counts.index_count, counts.difference) == (100, 0)
    assert script.clock.slept == [3, 6]


def test_an_index_that_catches_up_at_the_last_wait_is_no_difference() -> None:
    counts = Script([100], [90, 90, 90, 90, 100]).count()
    assert counts.unexplained == 0


def test_the_stream_is_asked_since_where_the_indexer_stood_when_the_counting_began() -> None:
    script = Script([100], [99], lag_s=40.0)
    script.count()
    assert script.asked_us == [NOW_US - 40_000_000]
    assert script.counted == len(WAITS_S) + 1
    unknown = Script([100], [99])
    unknown.count()
    assert unknown.asked_us == [NOW_US]


def test_the_time_that_counting_the_table_takes_is_part_of_meanwhile() -> None:
    script = Script([100], [99])

    def slowly() -> tuple[int, float]:
        script.clock.pass_s(600)
        return 100, 1.0

    ports = CountPorts(
        count_table=slowly,
        count_index=lambda: 99,
        changes_since=script._since,
        lag_s=None,
        is_filtered=False,
        waits_s=(),
        clock=script.clock,
    )
    count_sides(ports)
    assert script.asked_us == [NOW_US]


@pytest.mark.parametrize(("is_filtered", "unexplained"), [(True, 0), (False, 4)])
def test_a_change_may_move_the_count_of_a_filtered_target_only(is_filtered: bool, unexplained: int) -> None:
    counts = Script([100], [96], [StreamChanges(modified=4)], is_filtered=is_filtered).count()
    assert counts.unexplained == unexplained


def test_a_stream_that_is_too_long_to_read_explains_any_difference_and_says_so() -> None:
    counts = Script([100], [40], [StreamChanges(inserted=5, is_complete=False)]).count()
    assert (counts.written, counts.unexplained) == (60, 0)
    (remark,) = counts.remarks
    assert "too long to read" in remark


def test_a_stream_that_is_too_long_and_has_more_than_the_difference_is_counted_as_it_is() -> None:
    counts = Script([100], [98], [StreamChanges(inserted=5, is_complete=False)]).count()
    assert (counts.written, counts.unexplained) == (5, 0)


def test_without_a_stream_counts_that_stand_still_differ() -> None:
    counts = Script([100], [97], None).count()
    assert (counts.unexplained, counts.read_units) == (3, 5.0)
    (remark,) = counts.remarks
    assert "no stream" in remark


@pytest.mark.parametrize(
    ("tables", "indices"), [([100, 101], [97]), ([100], [97, 97, 97, 97, 97, 98]), ([100, 99], [97])]
)
def test_without_a_stream_counts_that_move_do_not(tables: list[int], indices: list[int]) -> None:
    counts = Script(tables, indices, None).count()
    assert counts.unexplained == 0
    assert counts.written == abs(counts.difference) > 0
    assert counts.remarks


def test_without_a_stream_an_index_that_catches_up_is_not_counted_again() -> None:
    counts = Script([100], [97, 100], None).count()
    assert (counts.difference, counts.read_units) == (0, 2.5)


def test_what_dynamodb_says_of_itself_is_six_hours_old_and_of_all_items() -> None:
    plain = approximate_counts(1_000, 700, is_filtered=False)
    assert (plain.table_count, plain.index_count, plain.table_age_s, plain.read_units) == (1_000, 700, 21_600, 0)
    assert len(plain.remarks) == 1
    assert "that belong" in approximate_counts(1_000, 700, is_filtered=True).remarks[1]


@settings(max_examples=30)
@given(
    st.builds(
        SideCounts,
        table_count=st.integers(0, 10**9),
        index_count=st.integers(0, 10**9),
        written=st.integers(0, 10**9),
        table_age_s=st.floats(0, 1e6),
        read_units=st.floats(0, 1e9),
        remarks=st.tuples(st.text()),
    )
)
def test_counts_go_through_json_and_tell_what_follows_from_them(counts: SideCounts) -> None:
    value = counts.to_json()
    assert SideCounts.from_json(json.loads(json.dumps(value))) == counts
    assert value["difference"] == counts.index_count - counts.table_count
    assert value["unexplained"] == max(0, abs(value["difference"]) - counts.written)


# Random histories


class Write(NamedTuple):
    """One record of the stream: what it does to an item, in the end to the number of items that belong."""

    at_s: float
    kind: str
    by: int


@dataclass
class World:
    """A table that is counted while it is written, and an index that follows it by ``lag_s`` at each moment.

    Second 0 is when the counting begins. ``scan_s``: how long counting the table takes; each write in that time is
    seen or not, by ``sees``. ``lost``: writes (by their number) that never reach the index.
    """

    before: int
    writes: list[Write]
    lag_s: Callable[[float], float]
    scan_s: float
    sees: list[bool]
    lost: set[int] = field(default_factory=set)
    readable_s: float = 0.0
    clock: FakeClock = field(default_factory=FakeClock)

    def now_s(self) -> float:
        return (self.clock.time_us() - NOW_US) / 1e6

    def count_table(self) -> tuple[int, float]:
        begin_s, end_s = self.now_s(), self.now_s() + self.scan_s
        count = self.before
        for number, write in enumerate(self.writes):
            is_during = begin_s < write.at_s <= end_s
            if write.at_s <= begin_s or (is_during and self.sees[number % len(self.sees)]):
                count += write.by
        self.clock.pass_s(self.scan_s)
        return count, 1.0

    def count_index(self) -> int:
        reached_s = self.now_s() - self.lag_s(self.now_s())
        self.clock.pass_s(0.05)
        return self.before + sum(
            write.by for number, write in enumerate(self.writes) if write.at_s <= reached_s and number not in self.lost
        )

    def count_changes(self, since_us: int) -> StreamChanges:
        """Times of records are rounded down to the second; the wiring asks for as much more."""
        since_s, now_s = (since_us - NOW_US) / 1e6 - 1, self.now_s()
        kinds = [
            one.kind for one in self.writes if math.floor(one.at_s) >= since_s and one.at_s + self.readable_s <= now_s
        ]
        self.clock.pass_s(0.05)
        return StreamChanges(
            inserted=kinds.count("INSERT"), removed=kinds.count("REMOVE"), modified=kinds.count("MODIFY")
        )

    def count(self, lag_s: float | None, *, is_filtered: bool) -> SideCounts:
        return count_sides(
            CountPorts(
                count_table=self.count_table,
                count_index=self.count_index,
                changes_since=lambda since_us: lambda: self.count_changes(since_us),
                lag_s=lag_s,
                is_filtered=is_filtered,
                waits_s=WAITS_S,
                clock=self.clock,
            )
        )


def stuck_between(looks: list[tuple[float, float]]) -> Callable[[float], float]:
    """A lag: how far the indexer was behind at some moments; between them it stands still, and it never goes back."""

    def lag_s(now_s: float) -> float:
        return now_s - max(at_s - behind_s for at_s, behind_s in looks if at_s <= now_s)

    return lag_s


def writes(is_filtered: bool) -> st.SearchStrategy[list[Write]]:
    """Inserts and removes; of a filtered target some of them do not belong, and changes may move an item in or out."""
    kinds = [("INSERT", 1), ("REMOVE", -1), ("MODIFY", 0)]
    if is_filtered:
        kinds += [("INSERT", 0), ("REMOVE", 0), ("MODIFY", 1), ("MODIFY", -1)]
    one = st.tuples(st.floats(-90, 120), st.sampled_from(kinds))
    return st.lists(one, max_size=60).map(lambda found: sorted(Write(at_s, *what) for at_s, what in found))


LAGS = st.lists(st.floats(0, 60), min_size=6, max_size=6).map(
    lambda found: list(zip((-200.0, 0.0, 5.0, 15.0, 40.0, 70.0), found, strict=True))
)
SEES = st.lists(st.booleans(), min_size=1, max_size=12)


@pytest.mark.parametrize("is_filtered", [False, True])
@settings(max_examples=500)
@given(data=st.data())
def test_writes_and_an_indexer_behind_are_never_a_difference(is_filtered: bool, data: st.DataObject) -> None:
    """The true difference is zero. The lag that planning has told may have changed since, and is at most behind."""
    world = World(
        before=1_000,
        writes=data.draw(writes(is_filtered)),
        lag_s=stuck_between(data.draw(LAGS)),
        scan_s=data.draw(st.floats(0, 30)),
        sees=data.draw(SEES),
        readable_s=data.draw(st.floats(0, 0.5)),
    )
    told_s = world.lag_s(0.0) + data.draw(st.floats(0, 20))
    counts = world.count(told_s, is_filtered=is_filtered)
    assert counts.unexplained == 0


@pytest.mark.parametrize("is_filtered", [False, True])
@settings(max_examples=200)
@given(data=st.data())
def test_a_lag_that_nothing_tells_is_no_difference_while_it_is_shorter_than_the_waits(
    is_filtered: bool, data: st.DataObject
) -> None:
    behind_s = data.draw(st.floats(0, 40))
    world = World(
        before=1_000,
        writes=data.draw(writes(is_filtered)),
        lag_s=lambda _: behind_s,
        scan_s=data.draw(st.floats(0, 10)),
        sees=data.draw(SEES),
    )
    assert world.count(None, is_filtered=is_filtered).unexplained == 0


@settings(max_examples=200)
@given(
    st.lists(st.floats(-3_000, -100), min_size=1, max_size=30, unique=True),
    st.data(),
    st.floats(0, 40),
    st.one_of(st.none(), st.floats(0, 60)),
)
def test_what_was_lost_before_is_always_found_on_a_quiet_table(
    times: list[float], data: st.DataObject, behind_s: float, told_s: float | None
) -> None:
    kinds = data.draw(st.lists(st.sampled_from([1, -1]), min_size=len(times), max_size=len(times)))
    history = sorted(Write(at_s, "INSERT" if by > 0 else "REMOVE", by) for at_s, by in zip(times, kinds, strict=True))
    lost = data.draw(st.sets(st.integers(0, len(history) - 1)))
    world = World(before=1_000, writes=history, lag_s=lambda _: behind_s, scan_s=5.0, sees=[True], lost=lost)
    counts = world.count(told_s, is_filtered=False)
    assert counts.unexplained == abs(sum(history[number].by for number in lost))


@settings(max_examples=200)
@given(st.integers(1, 200), st.lists(st.floats(-30, 30), max_size=40), st.data(), st.floats(0, 20))
def test_what_was_lost_is_found_beside_writers_where_it_is_more_than_they_explain(
    missing: int, times: list[float], data: st.DataObject, behind_s: float
) -> None:
    history = sorted(Write(at_s, "INSERT", 1) for at_s in times)
    lost = [Write(-500.0, "INSERT", 1)] * missing
    world = World(
        before=1_000,
        writes=lost + history,
        lag_s=lambda _: behind_s,
        scan_s=3.0,
        sees=data.draw(SEES),
        lost=set(range(missing)),
    )
    counts = world.count(behind_s, is_filtered=False)
    assert counts.written <= len(times)
    if missing > 2 * len(times):
        assert counts.unexplained > 0
    assert counts.unexplained <= missing
