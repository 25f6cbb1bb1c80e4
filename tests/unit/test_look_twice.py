"""Keys without a time, in every living index: offered now, and once more when nothing older can be younger."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.look import twice
from dynamo_opensearch.core.look.living import LivingIndices, NoLivingIndexError
from dynamo_opensearch.core.look.reject_log import RejectLog
from dynamo_opensearch.core.look.twice import TwiceLooker
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.reports import OfferReport
from tests.support.fakes import NOW_US, MemorySink, quick_retry
from tests.support.followed import ALIAS, NEXT, PREVIOUS, Document, Followed
from tests.support.readings import item

LIVE, COMING, KEPT = "members-v2", "members-v3", "members-v1"
MARGIN_US = 6_000_000
WRONG: Document = {"id": "a", "value": "wrong"}


class Twice(Followed):
    """A target in memory whose index holds anything; ``looks``: when each read began, in seconds from the start."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster.create(LIVE, ALIAS)
        self.rejects = RejectLog(lambda index: self.sinks.setdefault(index, MemorySink()), {}, {})
        self.looks: list[float] = []
        self.before_look: dict[int, Callable[[], object]] = {}
        self.after_look: dict[int, Callable[[], object]] = {}
        read = self.table.read

        def watched(keys: Any) -> Any:
            self.before_look.pop(len(self.looks) + 1, lambda: None)()
            self.looks.append((self.clock.time_us() - NOW_US) / 1e6)
            yield from read(keys)
            self.after_look.pop(len(self.looks), lambda: None)()

        self.table.read = watched  # type: ignore[method-assign]

    def hold(self, index: str, key: str, version: int, document: Document = WRONG) -> None:
        self.cluster.indices[index][key] = (version, document)

    def offer(self, *names: str) -> OfferReport:
        looker = TwiceLooker(
            self.table,  # type: ignore[arg-type]
            LivingIndices(
                PatientCluster(self.cluster, self.clock, quick_retry()),
                ALIAS,
                self.builder_for,
                self.sender_for,
                self.clock,
            ),
            self.rejects,
            self.stamps,
            self.clock,
            key_attributes=("id",),
            bulk_bytes=self.settings.bulk_bytes,
            requests_in_flight=1,
        )
        return looker.offer([self.key(name) for name in names])

    def put_clock_back(self, seconds: float) -> None:
        self.clock.now_us -= round(seconds * 1e6)

    def key(self, name: str) -> KeyValues:
        return ({"S": name},)

    def keep(self, *names: str, value: str = "right") -> None:
        self.table.items |= {name: item(name, value) for name in names}


@pytest.fixture
def target() -> Twice:
    return Twice()


def test_what_the_table_has_is_in_every_living_index_and_what_it_has_not_is_in_none(target: Twice) -> None:
    target.cluster.create(COMING, NEXT)
    target.cluster.create(KEPT, PREVIOUS)
    target.keep("a", "b")
    for index in (LIVE, COMING, KEPT):
        target.hold(index, "gone", 5)
        target.hold(index, "other", 5)
    report = target.offer("a", "b", "gone")
    for index in (LIVE, COMING, KEPT):
        assert target.cluster.documents(index) == target.expected() | {"other": WRONG}
    assert (report.offered, report.indexed, report.deleted, report.rejected) == (18, 12, 6, 0)


def test_a_young_version_refuses_the_first_look_and_meets_the_second_one(target: Twice) -> None:
    target.keep("a")
    target.hold(LIVE, "a", NOW_US - 1_000_000)
    target.hold(LIVE, "b", NOW_US - 1_000_000)
    report = target.offer("a", "b")
    assert target.cluster.documents(LIVE) == target.expected()
    assert (report.offered, report.indexed, report.deleted, report.stale) == (4, 1, 1, 2)


def test_the_second_look_begins_two_margins_after_the_first(target: Twice) -> None:
    target.keep("a")
    target.offer("a")
    first, second = target.looks
    assert first == 0
    assert 12 < second < 12.1


def test_what_is_written_between_the_looks_is_not_overwritten(target: Twice) -> None:
    target.keep("a", value="before")
    stamp_us = NOW_US + 3_000_000

    def write() -> None:
        target.keep("a", value="after")
        target.clock.pass_s(3)
        target.hold(LIVE, "a", stamp_us, {"id": "a", "value": "after"})

    target.after_look[1] = write
    target.offer("a")
    assert target.cluster.documents(LIVE) == target.expected()
    assert target.expected()["a"]["value"] == "after"


STATES = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.integers(NOW_US - 30_000_000, NOW_US), st.sampled_from([None, WRONG])),
)


@settings(max_examples=100)
@given(st.sets(st.sampled_from("abcdef")), STATES, STATES)
def test_whatever_stood_there_before_the_table_has_the_last_word(
    there: set[str], live: dict[str, tuple[int, Document]], coming: dict[str, tuple[int, Document]]
) -> None:
    target = Twice()
    target.cluster.create(COMING, NEXT)
    target.keep(*there)
    for index, state in ((LIVE, live), (COMING, coming)):
        target.cluster.indices[index] |= state
    target.offer(*"abcdef")
    assert target.cluster.documents(LIVE) == target.cluster.documents(COMING) == target.expected()


def test_a_key_that_comes_twice_is_looked_at_as_one(target: Twice) -> None:
    target.keep("a")
    assert target.offer("a", "a").offered == 2
    assert target.table.reads == [["a"], ["a"]]


def test_without_keys_nothing_is_asked(target: Twice) -> None:
    assert target.offer() == OfferReport()
    assert (target.looks, target.clock.slept) == ([], [])


def test_more_keys_than_a_pass_takes_are_all_looked_at_twice(target: Twice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twice, "_KEYS_PER_PASS", 150)
    names = [f"k{number}" for number in range(400)]
    target.keep(*names)
    for name in names:
        target.hold(LIVE, name, NOW_US)
    report = target.offer(*names)
    assert target.cluster.documents(LIVE) == target.expected()
    assert report.offered == 800


def test_a_first_look_that_comes_late_enough_is_the_only_one(target: Twice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twice, "_KEYS_PER_PASS", 1)
    target.keep("a", "b")
    target.after_look[1] = lambda: target.clock.pass_s(20)
    target.offer("a", "b")
    assert sorted(name for names in target.table.reads for name in names) == ["a", "a", "b"]


# Aliases that move


def test_an_index_that_the_alias_moves_to_gets_what_the_table_has(target: Twice) -> None:
    target.cluster.create(COMING, NEXT)
    target.keep("a")
    for index in (LIVE, COMING):
        target.hold(index, "a", NOW_US)

    def swap() -> None:
        target.cluster.aliases[LIVE], target.cluster.aliases[COMING] = {PREVIOUS}, {ALIAS}

    target.after_look[1] = swap
    target.offer("a")
    assert target.cluster.documents(LIVE) == target.cluster.documents(COMING) == target.expected()


def test_an_index_that_is_made_between_the_looks_gets_the_second_one(target: Twice) -> None:
    target.keep("a")
    target.after_look[1] = lambda: target.cluster.create(COMING, NEXT)
    target.offer("a")
    assert target.cluster.documents(COMING) == target.expected()


def test_an_index_that_goes_away_is_owed_nothing(target: Twice) -> None:
    target.cluster.create(KEPT, PREVIOUS)
    target.keep("a")

    def clean_up() -> None:
        if KEPT in target.cluster.indices:
            target.cluster.delete(KEPT)

    target.cluster.before_bulk = lambda alias, ids: clean_up()
    target.offer("a")
    assert target.cluster.documents(LIVE) == target.expected()
    assert KEPT not in target.cluster.indices


def test_a_look_that_an_index_missed_does_not_count(target: Twice) -> None:
    """The alias moves while the bulk is on its way: documents of one index's rules came to another one."""
    target.cluster.create(COMING, NEXT)
    target.rules = {COMING: {"renames": {"value": "text"}}}
    target.keep("a")
    moves = [lambda: target.cluster.aliases.update({LIVE: {PREVIOUS}, COMING: {ALIAS}})]

    def move(alias: str, ids: list[str]) -> None:
        if moves:
            moves.pop()()

    target.cluster.before_bulk = move
    target.offer("a")
    assert target.cluster.documents(LIVE) == {"a": {"id": "a", "value": "right"}}
    assert target.cluster.documents(COMING) == {"a": {"id": "a", "text": "right"}}
    assert len(target.looks) >= 3, "the first look was made again"


def test_a_second_look_that_an_index_missed_is_made_again_at_once(target: Twice) -> None:
    target.cluster.create(COMING, NEXT)
    target.keep("a")
    target.hold(LIVE, "a", NOW_US)

    def move(alias: str, ids: list[str]) -> None:
        if len(target.looks) == 2 and target.cluster.aliases[LIVE] == {ALIAS}:
            target.cluster.aliases.update({LIVE: {PREVIOUS}, COMING: {ALIAS}})

    target.cluster.before_bulk = move
    target.offer("a")
    assert target.cluster.documents(LIVE) == target.cluster.documents(COMING) == target.expected()
    reads = [round(at_s, 2) for at_s in target.looks]
    assert reads == [0.0, 12.0, 12.0, 12.25], "the strayed document was read by the other index's rules, then all of it"


def test_without_a_living_index_nothing_is_read(target: Twice) -> None:
    target.cluster.delete(LIVE)
    with pytest.raises(NoLivingIndexError):
        target.offer("a")
    assert target.looks == []


# Clocks


@pytest.mark.parametrize("back_s", [0.5, 2.0, 11.0])
def test_a_clock_that_is_put_back_delays_the_second_look_and_does_not_spare_it(target: Twice, back_s: float) -> None:
    target.keep("a")
    target.hold(LIVE, "a", NOW_US)
    target.after_look[1] = lambda: target.put_clock_back(back_s)
    target.offer("a")
    assert target.cluster.documents(LIVE) == target.expected()
    assert len(target.looks) == 2
    assert target.looks[-1] > 12


def test_a_second_look_that_reads_before_it_is_due_does_not_count(target: Twice) -> None:
    """The clock is put back between the decision to look and the read."""
    target.keep("a")
    target.before_look[2] = lambda: target.put_clock_back(1.0)
    target.offer("a")
    assert [round(at_s, 1) for at_s in target.looks] == [0.0, 11.0, 12.0]
    assert target.looks[-1] > 12


# What an index refuses


def stored(target: Twice, index: str) -> list[str]:
    parts = target.sinks[index].parts if index in target.sinks else {}
    return sorted(orjson.loads(line)["id"] for lines in parts.values() for line in lines.splitlines())


def test_what_an_index_refuses_is_stored_once_and_told_at_each_look(target: Twice) -> None:
    target.cluster.create(COMING, NEXT)
    target.cluster.refused = {COMING: {"bad"}}
    target.keep("a", "bad")
    report = target.offer("a", "bad")
    assert (report.offered, report.indexed, report.rejected) == (8, 6, 2)
    assert stored(target, COMING) == ["bad"]
    assert stored(target, LIVE) == []
    assert {index: sum(reasons.values()) for index, reasons in target.rejects.counts.items()} == {COMING: 1}


def test_what_the_rules_of_an_index_refuse_is_stored_as_well(target: Twice) -> None:
    target.rules = {LIVE: {"flatten": {"value": "v_"}}}
    target.keep("a")
    report = target.offer("a")
    assert (report.offered, report.rejected) == (2, 2)
    assert stored(target, LIVE) == ["a"]


def test_a_run_that_fails_is_run_again_and_stores_the_same(target: Twice) -> None:
    target.cluster.refused = {LIVE: {"bad"}}
    target.keep("a", "bad")

    def away() -> None:
        raise PassingError("away")

    target.after_look[2] = away
    with pytest.raises(PassingError):
        target.offer("a", "bad")
    target.rejects = RejectLog(lambda index: target.sinks.setdefault(index, MemorySink()), {}, {})
    report = target.offer("a", "bad")
    assert (report.offered, report.rejected) == (4, 2)
    assert stored(target, LIVE) == ["bad"]
    assert target.cluster.documents(LIVE) == {"a": {"id": "a", "value": "right"}}
