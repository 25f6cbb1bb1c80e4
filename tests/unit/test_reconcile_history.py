"""Earlier runs: kept, ordered, compared with; what else seems wrong; and parked dead letters that a run has covered."""

from dataclasses import replace
from typing import Any

import pytest

from dynamo_opensearch.core.dead_letters.messages import Message
from dynamo_opensearch.core.dead_letters.parking import Kind, ParkedMessage
from dynamo_opensearch.core.reconcile.causes import LAGGING_S, Surroundings, find_causes
from dynamo_opensearch.core.reconcile.clearing import clear_parked
from dynamo_opensearch.core.reconcile.history import (
    KEPT_NIGHTS,
    drift_lines,
    keep_night,
    last_of,
    load_nights,
    runs_to_keep,
)
from dynamo_opensearch.core.reconcile.report import ReconcileReport
from dynamo_opensearch.core.stamps import StampRule
from tests.support.dead_letter_stores import MemoryParking
from tests.support.fakes import NOW_US, MemoryStore
from tests.support.followed import SharedState
from tests.support.reconciliations import comparison, counted, night, plan, report, subject

HOUR_US = 3_600_000_000
STAMPS = StampRule(stream_rounding_s=1, margin_s=6)


# Earlier runs


def test_runs_are_kept_in_the_order_in_which_they_began_each_once() -> None:
    store = MemoryStore()
    assert load_nights(store) == []
    for run_id, began_us in (("b", 20), ("a", 10), ("c", 30), ("b", 20)):
        keep_night(store, night(run_id=run_id, began_us=began_us))
    assert [one.run_id for one in load_nights(store)] == ["a", "b", "c"]


def test_a_run_that_is_reported_again_takes_the_place_of_its_first_report() -> None:
    store = MemoryStore()
    keep_night(store, night(run_id="a", comparison=comparison(missing=3)))
    keep_night(store, night(run_id="a", comparison=comparison(mended=3)))
    (kept,) = load_nights(store)
    assert (kept.differences, kept.mended) == (0, 3)


def test_no_more_than_the_newest_runs_are_kept() -> None:
    store = MemoryStore()
    for number in range(KEPT_NIGHTS + 3):
        keep_night(store, night(run_id=f"run-{number}", began_us=number))
    kept = load_nights(store)
    assert (len(kept), kept[0].run_id, kept[-1].run_id) == (KEPT_NIGHTS, "run-3", f"run-{KEPT_NIGHTS + 2}")


def test_a_run_that_another_one_writes_beside_is_not_lost() -> None:
    shared = SharedState()
    slow, quick = shared.handle(), shared.handle()
    loads = [lambda: keep_night(quick, night(run_id="quick"))]

    class Raced:
        def load(self) -> Any:
            value = slow.load()
            if loads:
                loads.pop()()
            return value

        def save(self, value: dict[str, Any]) -> None:
            slow.save(value)

    keep_night(Raced(), night(run_id="slow", began_us=NOW_US + 1))
    assert [one.run_id for one in load_nights(shared.handle())] == ["quick", "slow"]


def test_the_newest_run_of_a_depth_is_found() -> None:
    nights = [
        night(run_id="1", began_us=1),
        night(run_id="2", began_us=2, depth="keys"),
        night(run_id="3", began_us=3, depth="content"),
        replace(night(run_id="4", began_us=4), depth="count"),
    ]
    for depths, run_id in ((("keys",), "2"), (("keys", "content"), "3"), (("count",), "4")):
        found = last_of(nights, *depths)
        assert found is not None
        assert found.run_id == run_id
    assert last_of(nights, "approximate") is None


def test_drift_is_told_against_the_run_before_at_the_same_depth() -> None:
    now = counted(110, 100, run_id="now", began_us=NOW_US)
    nights = [
        night(run_id="old", began_us=NOW_US - 48 * HOUR_US, counts=counted(1, 1).counts),
        night(run_id="before", began_us=NOW_US - 24 * HOUR_US, counts=counted(1_100, 1_095).counts),
        night(run_id="other depth", began_us=NOW_US - HOUR_US),
        night(run_id="now", began_us=NOW_US, counts=now.counts),
        night(run_id="after", began_us=NOW_US + HOUR_US, counts=counted(5, 5).counts),
    ]
    assert drift_lines(now, nights) == [
        "since the last run at depth count, 24.0 h ago: items -990, documents -995, differences +5 (then different)"
    ]
    assert drift_lines(report(run_id="now"), nights[3:]) == []


# What else seems wrong


def causes(now: dict[str, Any] | None = None, before: dict[str, Any] | None = None, **seen: Any) -> list[str]:
    earlier = None if before is None else night(subject=subject(**before))
    return list(find_causes(plan(subject=subject(**(now or {}))), earlier, Surroundings(**seen)))


def test_where_nothing_has_changed_nothing_is_said() -> None:
    assert causes(before={}) == []
    assert causes(before={}, lag_s=LAGGING_S, mapping_state="Enabled", dead_letters=0) == []
    assert causes() == []


@pytest.mark.parametrize(
    ("now", "before", "seen", "words"),
    [
        ({"index": "members-v2", "index_uuid": "u2"}, {}, {}, "alias 'members-live' leads to 'members-v2', in the run"),
        ({"index_uuid": "u2"}, {}, {}, "index 'members-v1' is another one than in the run before (deleted, and made"),
        ({"table_id": "table-2"}, {}, {}, "table 'members' is another one than in the run before (restored, or"),
        ({"stream_arn": None}, {}, {}, "the stream of table 'members' is off"),
        ({"stream_arn": None}, None, {}, "the stream of table 'members' is off"),
        ({"stream_arn": "stream-2"}, {}, {}, "table 'members' has another stream than in the run before"),
        ({}, {}, {"mapping_state": "Disabled"}, "event source mapping is Disabled, not Enabled"),
        ({}, {}, {"lag_s": 3_700.0}, "the indexer is 3,700 s behind"),
        ({}, {}, {"dead_letters": 1_234}, "about 1,234 messages are in the dead-letter queue"),
        ({}, {}, {"problems": ("the queue could not be asked: no",)}, "the queue could not be asked: no"),
    ],
)
def test_each_cause_is_told_by_itself_and_says_what_to_do(
    now: dict[str, Any], before: dict[str, Any] | None, seen: dict[str, Any], words: str
) -> None:
    (cause,) = causes(now, before, **seen)
    assert words in cause
    assert cause[0].islower()
    assert not cause.endswith("."), "it is put into sentences"


def test_a_stream_that_was_off_before_and_is_on_now_is_no_cause() -> None:
    assert causes(before={"stream_arn": None}) == []


def test_a_restored_table_comes_first_and_each_further_cause_once() -> None:
    found = causes(
        {"table_id": "t2", "index": "members-v2", "index_uuid": "u2", "stream_arn": "s2"},
        {},
        mapping_state="Disabled",
        lag_s=500.0,
        dead_letters=1,
        problems=("p", "q"),
    )
    words = ("restored", "leads to", "another stream", "Disabled", "behind", "dead-letter", "p", "q")
    assert len(found) == len(words)
    for cause, word in zip(found, words, strict=True):
        assert word in cause


# Parked dead letters


def parked(name: str, kind: Kind = "lost by the stream", sent_us: int = NOW_US - HOUR_US) -> ParkedMessage:
    message = Message(id=name, body="b", receives=1, sent_us=sent_us, first_received_us=sent_us)
    return ParkedMessage(message=message, kind=kind, reason="r", parked_us=sent_us, run_id="old")


def cleared(one: ReconcileReport, living: int = 1) -> tuple[int, list[str]]:
    """How many, and what is left."""
    parking = MemoryParking()
    for letter in (parked("old"), parked("new", sent_us=NOW_US - 5_000_000), parked("garbage", "not understood")):
        parking.put(letter)
    count = clear_parked(one, living, parking, STAMPS)
    assert count == 3 - len(parking.parked)
    return count, list(parking.names())


PROOF = report(repair="apply", comparison=comparison(mended=4, in_motion=2))


def test_a_content_run_with_repair_that_leaves_nothing_clears_what_is_older() -> None:
    assert cleared(PROOF) == (1, ["garbage", "new"])


@pytest.mark.parametrize(
    ("one", "living"),
    [
        (replace(PROOF, depth="keys"), 1),
        (replace(PROOF, repair="none"), 1),
        (replace(PROOF, repair="plan"), 1),
        (replace(PROOF, comparison=comparison(missing=1)), 1),
        (replace(PROOF, comparison=comparison(refused=1)), 1),
        (replace(PROOF, comparison=comparison(stale=1), tolerance=5), 1),
        (replace(PROOF, moved_to="members-v2"), 1),
        (PROOF, 2),
        (PROOF, 0),
        (counted(5, 5, repair="apply"), 1),
    ],
    ids=["keys", "no repair", "plan", "missing", "refused", "tolerated", "moved", "two", "none", "counts"],
)
def test_whatever_else_it_was_clears_nothing(one: ReconcileReport, living: int) -> None:
    assert cleared(one, living) == (0, ["garbage", "new", "old"])


def test_clearing_again_finds_nothing_more() -> None:
    parking = MemoryParking()
    parking.put(parked("old"))
    assert [clear_parked(PROOF, 1, parking, STAMPS) for _ in range(2)] == [1, 0]


def test_files_go_by_the_history_only_once_it_is_full() -> None:
    nights = [night(run_id=f"manual__{number}") for number in range(KEPT_NIGHTS)]

    assert runs_to_keep(nights[1:]) is None
    assert runs_to_keep(nights) == {one.run_id for one in nights}
