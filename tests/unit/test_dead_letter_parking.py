"""The parking place: what a reconciliation makes good leaves it, what is not understood never does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_opensearch.core.dead_letters.messages import Message
from dynamo_opensearch.core.dead_letters.parking import Kind, ParkedMessage, clear_covered
from dynamo_opensearch.core.dead_letters.replay.dry_receives import dry_receives, note_dry_receives
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.state.index_store import StateConflictError
from tests.support.dead_letter_stores import MemoryParking
from tests.support.fakes import NOW_US, FakeClock, MemoryStore
from tests.support.followed import SharedState

STAMPS = StampRule(stream_rounding_s=1.0, margin_s=6.0)
COVERED_US = NOW_US + 13_000_000
DAY_US = 86_400_000_000


def parked(kind: Kind = "lost by the stream", sent_us: int | None = NOW_US, parked_us: int = NOW_US) -> ParkedMessage:
    message = Message(id="m-1", body='{"a": 1}', receives=3, sent_us=sent_us, first_received_us=NOW_US + 1)
    return ParkedMessage(
        message=message, kind=kind, reason="trimmed", parked_us=parked_us, run_id="run", shape="on-failure", ids=("a",)
    )


@pytest.mark.parametrize("kind", ["lost by the stream", "received too often"])
def test_what_a_later_reconciliation_has_made_good_is_removed_and_not_before(kind: Kind) -> None:
    parking = MemoryParking()
    parking.put(parked(kind))
    assert clear_covered(parking, COVERED_US, STAMPS) == 0
    assert list(parking.names()) == ["m-1"]
    assert clear_covered(parking, COVERED_US + 1, STAMPS) == 1
    assert list(parking.names()) == []
    assert clear_covered(parking, COVERED_US + 1, STAMPS) == 0


def test_what_is_not_understood_is_never_removed() -> None:
    parking = MemoryParking()
    parking.put(parked("not understood"))
    assert clear_covered(parking, NOW_US + 365 * DAY_US, STAMPS) == 0
    assert list(parking.names()) == ["m-1"]


def test_a_message_without_a_time_may_be_about_a_change_up_to_its_parking() -> None:
    parking = MemoryParking()
    parking.put(parked(sent_us=None, parked_us=NOW_US + DAY_US))
    assert clear_covered(parking, COVERED_US + 1, STAMPS) == 0
    assert clear_covered(parking, COVERED_US + DAY_US + 1, STAMPS) == 1


def test_what_was_parked_long_after_it_was_sent_is_covered_by_what_began_in_between() -> None:
    parking = MemoryParking()
    parking.put(parked(parked_us=NOW_US + DAY_US))
    assert clear_covered(parking, COVERED_US + 1, STAMPS) == 1


def test_one_that_vanishes_meanwhile_is_no_concern() -> None:
    class Vanishing(MemoryParking):
        def get(self, name: str) -> ParkedMessage | None:
            return None

    parking = Vanishing()
    parking.put(parked())
    assert clear_covered(parking, COVERED_US + 1, STAMPS) == 0


texts = st.text(max_size=20)
times = st.none() | st.integers(0, 2**60)


@given(st.builds(Message, id=texts, body=texts, receives=st.integers(1), sent_us=times, first_received_us=times), texts)
def test_a_parked_message_comes_out_as_it_went_in(message: Message, text: str) -> None:
    one = ParkedMessage(message=message, kind="not understood", reason=text, parked_us=1, run_id=text, ids=(text,))
    assert ParkedMessage.from_json(one.to_json()) == one


# Receives of those who only look


def test_each_try_to_look_may_have_received_each_message_once() -> None:
    store, clock = MemoryStore(), FakeClock()
    assert dry_receives(store)(NOW_US) == 0
    note_dry_receives(store, clock)
    note_dry_receives(store, clock, receives=2)
    assert dry_receives(store)(NOW_US - DAY_US) == dry_receives(store)(None) == 3


def test_a_message_that_came_when_the_looking_was_surely_over_was_not_looked_at() -> None:
    store, clock = MemoryStore(), FakeClock()
    note_dry_receives(store, clock)
    assert dry_receives(store)(NOW_US + DAY_US // 2 - 1) == 1
    assert dry_receives(store)(NOW_US + DAY_US // 2) == 0


def test_what_sqs_has_forgotten_is_forgotten_here_too() -> None:
    store, clock = MemoryStore(), FakeClock()
    for _ in range(100):
        note_dry_receives(store, clock)
        clock.pass_s(86_400)
    assert store.value is not None
    assert len(store.value["tries"]) == 15


def test_two_that_begin_to_look_at_once_are_both_noted() -> None:
    shared, clock = SharedState(), FakeClock()

    class Raced:
        """Somebody else saves between the first load and save."""

        def __init__(self) -> None:
            self.handle, self.races = shared.handle(), 1

        def load(self) -> object:
            value = self.handle.load()
            if self.races:
                self.races -= 1
                note_dry_receives(shared.handle(), clock)
            return value

        def save(self, value: dict[str, object]) -> None:
            self.handle.save(value)

    note_dry_receives(Raced(), clock)  # type: ignore[arg-type]
    assert dry_receives(shared.handle())(NOW_US) == 2


def test_who_cannot_note_that_it_looks_does_not_look() -> None:
    class Lost(MemoryStore):
        def save(self, value: dict[str, object]) -> None:
            raise StateConflictError("dry_receives")

    with pytest.raises(StateConflictError):
        note_dry_receives(Lost(), FakeClock())
