"""The dead-letter queue on scripted answers: what servers at hand do not do, and what takes hours."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from dynamo_opensearch.core.aws.sqs_errors import QueueKeyError, QueueMissingError, QueueRequestError
from dynamo_opensearch.core.aws.sqs_queue import SqsQueue
from dynamo_opensearch.core.dead_letters.messages import Depth, Message
from dynamo_opensearch.core.dead_letters.queue.dead_letter_queue import DeadLetterQueue
from dynamo_opensearch.core.dead_letters.queue.held import Held, HeldMessages
from dynamo_opensearch.core.dead_letters.queue.visibility import LONGEST_HOLD_S, VisibilityKeeper
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from tests.support.fakes import FakeClock, quick_retry
from tests.support.scripted_sqs import ScriptedSqs, error, failing, message, messages

VISIBILITY_S = 120


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Opened:
    """Queues that the test's end closes."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.queues: list[DeadLetterQueue] = []

    def __call__(self, client: Any, **settings: Any) -> DeadLetterQueue:
        self.queues.append(DeadLetterQueue(client, "letters", self.clock, quick_retry(), **settings))
        return self.queues[-1]


@pytest.fixture
def opened(clock: FakeClock) -> Iterator[Opened]:
    made = Opened(clock)
    yield made
    for queue in made.queues:
        queue.close()


def held_by(client: ScriptedSqs, *held: Held) -> tuple[VisibilityKeeper, HeldMessages]:
    """A keeper without its thread."""
    kept = HeldMessages()
    for one in held:
        kept.take(one)
    sqs = SqsQueue(client, "letters", client.clock, quick_retry())
    return VisibilityKeeper(sqs, kept, client.clock, VISIBILITY_S), kept


def received(name: str, at_s: float, receipt: str = "") -> Held:
    return Held(id=name, handle=receipt or f"receipt of {name}", since_s=at_s, until_s=at_s + VISIBILITY_S)


def test_a_message_tells_its_times_in_microseconds_and_how_often_it_came(clock: FakeClock, opened: Opened) -> None:
    attributes = {"SentTimestamp": "1700000000123", "ApproximateFirstReceiveTimestamp": "1700000001000"}
    client = ScriptedSqs(
        clock,
        receive_message=[{"Messages": [message("a", ApproximateReceiveCount="3", **attributes), message("b")]}],
    )
    assert opened(client).receive(2, 1.0) == [
        Message(
            id="a",
            body="a",
            receives=3,
            sent_us=1_700_000_000_123_000,
            first_received_us=1_700_000_001_000_000,
        ),
        Message(id="b", body="b"),
    ]


def test_a_long_wait_is_made_of_polls_as_long_as_the_service_allows(clock: FakeClock, opened: Opened) -> None:
    client = ScriptedSqs(clock)
    assert opened(client).receive(10, 45.0) == []
    assert [call["WaitTimeSeconds"] for call in client.made("receive_message")] == [20, 20, 5]


def test_nothing_asked_for_is_nothing_received(clock: FakeClock, opened: Opened) -> None:
    client = ScriptedSqs(clock)
    assert opened(client).receive(0, 45.0) == []
    assert client.calls == []


def test_once_something_is_found_several_receives_go_on_and_wait_little(clock: FakeClock, opened: Opened) -> None:
    together = threading.Barrier(4, timeout=5)

    def with_others(_: Any) -> dict[str, Any]:
        together.wait()
        return {}

    client = ScriptedSqs(clock, receive_message=[messages("a"), *[with_others] * 4])
    assert len(opened(client, parallel=4).receive(100, 20.0)) == 1
    assert [call["WaitTimeSeconds"] for call in client.made("receive_message")] == [20, 1, 1, 1, 1]


def test_a_queue_that_fills_by_one_message_a_second_does_not_keep_what_was_received_from_being_worked_on(
    clock: FakeClock, opened: Opened
) -> None:
    def one_a_second(asked: Any) -> Any:
        clock.pass_s(1)
        return messages(f"m{clock.steady_s}")

    queue = opened(ScriptedSqs(clock, receive_message=[one_a_second] * 1_000), parallel=1)
    began_s = clock.steady_s
    assert 2 <= len(queue.receive(1_000, 1.0)) <= 7
    assert clock.steady_s - began_s <= 7


def test_a_failed_receive_among_several_is_raised_and_what_the_others_got_is_given_back(
    clock: FakeClock, opened: Opened
) -> None:
    client = ScriptedSqs(clock, receive_message=[messages("a"), messages("b"), error("AccessDenied", 403)])
    queue = opened(client, parallel=1)
    with pytest.raises(AccessDeniedError):
        queue.receive(10, 1.0)
    queue.close()
    (given_back,) = client.made("change_message_visibility_batch")
    assert {one["ReceiptHandle"] for one in given_back["Entries"]} == {"receipt of a", "receipt of b"}
    assert {one["VisibilityTimeout"] for one in given_back["Entries"]} == {0}


def test_a_body_that_was_damaged_on_its_way_is_left_for_another_receive(
    clock: FakeClock, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = message("damaged") | {"MD5OfBody": "0" * 32}
    whole = message("whole") | {"MD5OfBody": "356c9ee60e9da05301adc3bd96f6b383"}
    client = ScriptedSqs(clock, receive_message=[{"Messages": [damaged, whole]}])
    assert [one.id for one in opened(client).receive(2, 1.0)] == ["whole"]
    assert "1 bodies do not match" in caplog.text


def test_what_the_service_itself_fails_to_delete_is_tried_again_and_only_that(clock: FakeClock, opened: Opened) -> None:
    fails = failing("InternalError", is_sender_fault=False, receipts=("receipt of b",))
    client = ScriptedSqs(clock, receive_message=[messages("a", "b", "c")], delete_message_batch=[fails, fails])
    queue = opened(client)
    letters = queue.receive(3, 1.0)
    assert queue.delete(letters) == letters
    sent = [[one["ReceiptHandle"] for one in call["Entries"]] for call in client.made("delete_message_batch")]
    assert sent == [["receipt of a", "receipt of b", "receipt of c"], ["receipt of b"], ["receipt of b"]]


def test_an_entry_that_the_answer_leaves_out_is_tried_again(clock: FakeClock, opened: Opened) -> None:
    client = ScriptedSqs(clock, receive_message=[messages("a")], delete_message_batch=[{}])
    queue = opened(client)
    letters = queue.receive(1, 1.0)
    assert queue.delete(letters) == letters
    assert len(client.made("delete_message_batch")) == 2


def test_what_the_service_goes_on_failing_to_delete_ends_the_patience(clock: FakeClock, opened: Opened) -> None:
    fails = failing("InternalError", is_sender_fault=False, receipts=("receipt of a",))
    client = ScriptedSqs(clock, receive_message=[messages("a", "b")], delete_message_batch=[fails] * 1_000)
    queue = opened(client)
    with pytest.raises(
        ServiceUnavailableError, match=r"DeleteMessageBatch on queue 'letters' for 1 messages.*Internal"
    ):
        queue.delete(queue.receive(2, 1.0))


def test_a_receipt_that_is_refused_is_not_tried_again_nor_told_as_deleted(clock: FakeClock, opened: Opened) -> None:
    refuses = failing("ReceiptHandleIsInvalid", is_sender_fault=True, receipts=("receipt of a",))
    client = ScriptedSqs(clock, receive_message=[messages("a", "b")], delete_message_batch=[refuses])
    queue = opened(client)
    a, b = queue.receive(2, 1.0)
    assert queue.delete([a, b]) == [b]
    assert queue.delete([a, b]) == [], "neither is held any more"
    assert len(client.made("delete_message_batch")) == 1


def test_a_release_that_fails_is_said_and_stops_nothing(
    clock: FakeClock, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    client = ScriptedSqs(
        clock,
        receive_message=[messages("a", "b")],
        change_message_visibility_batch=[EndpointConnectionError(endpoint_url="u")] * 10_000,
    )
    queue = opened(client)
    queue.release(queue.receive(2, 1.0))
    assert "2 of 2 messages could not be given back; each comes back by itself within 120 s" in caplog.text
    assert "SQS did not complete ChangeMessageVisibilityBatch" in caplog.text


def test_depth_counts_what_waits_and_what_somebody_holds(clock: FakeClock, opened: Opened) -> None:
    attributes = {"ApproximateNumberOfMessages": "17", "ApproximateNumberOfMessagesNotVisible": "4"}
    client = ScriptedSqs(clock, get_queue_attributes=[{"Attributes": attributes}])
    assert opened(client).depth() == Depth(visible=17, in_flight=4)


@pytest.mark.parametrize("visibility_s", [1, 3_601])
def test_a_visibility_out_of_bounds_is_told_with_the_rule(clock: FakeClock, visibility_s: int) -> None:
    with pytest.raises(ValueError, match=f"visibility_s must be 2 to 3,600, got {visibility_s}"):
        DeadLetterQueue(ScriptedSqs(clock), "letters", clock, quick_retry(), visibility_s=visibility_s)


@pytest.mark.parametrize(
    ("failure", "expected", "words"),
    [
        (
            error("AWS.SimpleQueueService.NonExistentQueue"),
            QueueMissingError,
            "'letters' does not exist in region 'eu-",
        ),
        (error("QueueDoesNotExist"), QueueMissingError, "dead_letters.queue"),
        (error("KmsAccessDenied"), QueueKeyError, "KmsAccessDenied.*allow kms:Decrypt"),
        (error("KMS.DisabledException"), QueueKeyError, "KMS.DisabledException"),
        (error("AccessDenied", 403), AccessDeniedError, "sqs:ReceiveMessage on 'letters in eu-central-1'"),
        (NoCredentialsError(), AccessDeniedError, "no credentials were found"),
        (error("InvalidAddress", 404), QueueRequestError, "InvalidAddress"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value))[:50],
)
def test_what_waiting_does_not_mend_is_told_at_once_without_the_services_text(
    clock: FakeClock, opened: Opened, failure: Exception, expected: type[Exception], words: str
) -> None:
    client = ScriptedSqs(clock, receive_message=[failure])
    with pytest.raises(expected, match=words) as raised:
        opened(client).receive(1, 1.0)
    assert "AQEB" not in str(raised.value)
    assert len(client.made("receive_message")) == 1


def test_a_batch_needs_no_right_of_its_own(clock: FakeClock, opened: Opened) -> None:
    denied = error("AccessDenied", 403)
    client = ScriptedSqs(clock, receive_message=[messages("a")], delete_message_batch=[denied])
    queue = opened(client)
    with pytest.raises(AccessDeniedError, match="refused sqs:DeleteMessage on"):
        queue.delete(queue.receive(1, 1.0))


@pytest.mark.parametrize("code", ["RequestThrottled", "KmsThrottled", "KMS.ThrottlingException", "OverLimit"])
def test_throttling_is_waited_out(clock: FakeClock, opened: Opened, code: str) -> None:
    client = ScriptedSqs(clock, receive_message=[error(code), messages("a")])
    assert len(opened(client).receive(1, 1.0)) == 1


def test_a_message_is_prolonged_when_a_third_of_its_visibility_has_gone_by(clock: FakeClock) -> None:
    client = ScriptedSqs(clock)
    keeper, held = held_by(client, *(received(f"m{number}", clock.monotonic_s()) for number in range(23)))
    clock.pass_s(VISIBILITY_S / 3)
    keeper.prolong_due()
    assert client.calls == []
    clock.pass_s(1)
    keeper.prolong_due()
    changes = client.made("change_message_visibility_batch")
    assert [len(one["Entries"]) for one in changes] == [10, 10, 3]
    assert {entry["VisibilityTimeout"] for one in changes for entry in one["Entries"]} == {VISIBILITY_S}
    assert held.ending_before(clock.monotonic_s() + VISIBILITY_S) == []


def test_no_message_is_held_for_longer_than_the_service_allows(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = ScriptedSqs(clock)
    began_s = clock.monotonic_s()
    keeper, held = held_by(client, received("old", began_s))
    invisible_until_s = 0.0
    for _ in range(13 * 3_600 * 6 // VISIBILITY_S):
        invisible_until_s = max((one.until_s for one in held.find(["old"])), default=invisible_until_s)
        clock.pass_s(VISIBILITY_S / 6)
        keeper.prolong_due()
    assert len(held) == 0
    assert 12 * 3_600 - 2 * VISIBILITY_S < invisible_until_s - began_s <= LONGEST_HOLD_S < 12 * 3_600
    assert "1 messages were held for 12 h" in caplog.text


def test_a_receipt_that_is_good_no_more_is_dropped_and_the_others_are_kept(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    refuses = failing("ReceiptHandleIsInvalid", is_sender_fault=True, receipts=("receipt of b",))
    client = ScriptedSqs(clock, change_message_visibility_batch=[refuses])
    keeper, held = held_by(client, *(received(name, clock.monotonic_s()) for name in "abc"))
    clock.pass_s(VISIBILITY_S / 2)
    keeper.prolong_due()
    assert [one.id for one in held.find("abc")] == ["a", "c"]
    assert "1 messages were lost to another receive" in caplog.text


def test_a_refused_receipt_does_not_drop_a_message_that_was_received_again_meanwhile(clock: FakeClock) -> None:
    refuses = failing("ReceiptHandleIsInvalid", is_sender_fault=True, receipts=("first",))

    def received_again(asked: dict[str, Any]) -> dict[str, Any]:
        held.take(received("a", clock.monotonic_s(), "second"))
        return refuses(asked)

    client = ScriptedSqs(clock, change_message_visibility_batch=[received_again])
    keeper, held = held_by(client, received("a", clock.monotonic_s(), "first"))
    clock.pass_s(VISIBILITY_S / 2)
    keeper.prolong_due()
    assert [one.handle for one in held.find(["a"])] == ["second"]


def test_what_is_released_is_not_prolonged_by_a_request_that_was_on_its_way(clock: FakeClock, opened: Opened) -> None:
    """The keeper's thread is in the middle of a request when the message is given back."""
    asked, may_go = threading.Event(), threading.Event()
    order: list[int] = []

    def slow(asked_for: dict[str, Any]) -> dict[str, Any]:
        asked.set()
        assert may_go.wait(5)
        return noted(asked_for)

    def noted(asked_for: dict[str, Any]) -> dict[str, Any]:
        order.append(asked_for["Entries"][0]["VisibilityTimeout"])
        return {"Successful": [{"Id": "0"}]}

    client = ScriptedSqs(clock, receive_message=[messages("a")], change_message_visibility_batch=[slow, noted, noted])
    queue = opened(client, visibility_s=2)
    letters = queue.receive(1, 1.0)
    clock.pass_s(1.0)
    assert asked.wait(5)
    releasing = threading.Thread(target=queue.release, args=(letters,))
    releasing.start()
    releasing.join(0.2)
    assert releasing.is_alive(), "it waits for the request that is on its way"
    may_go.set()
    releasing.join(5)
    assert order == [2, 0]


def test_what_the_keeper_fails_of_is_raised_where_the_messages_are_worked_on(clock: FakeClock, opened: Opened) -> None:
    client = ScriptedSqs(
        clock, receive_message=[messages("a")], change_message_visibility_batch=[error("AccessDenied", 403)]
    )
    queue = opened(client, visibility_s=2)
    letters = queue.receive(1, 1.0)
    clock.pass_s(1.0)
    (keeper,) = [thread for thread in threading.enumerate() if thread.name == "message-visibility"]
    keeper.join(5)
    with pytest.raises(AccessDeniedError, match="sqs:ChangeMessageVisibility"):
        queue.receive(1, 1.0)
    with pytest.raises(AccessDeniedError, match="sqs:ChangeMessageVisibility"):
        queue.delete(letters)
    assert client.made("delete_message_batch") == []
    queue.close()
    assert client.made("change_message_visibility_batch")[-1]["Entries"][0]["VisibilityTimeout"] == 0


def test_closing_twice_releases_once(clock: FakeClock) -> None:
    client = ScriptedSqs(clock, receive_message=[messages("a")])
    with DeadLetterQueue(client, "letters", clock, quick_retry()) as queue:
        queue.receive(1, 1.0)
    queue.close()
    assert len(client.made("change_message_visibility_batch")) == 1
