"""Parked messages and reject files as sources of a replay."""

import orjson
import pytest

from dynamo_opensearch.core.dead_letters.messages import Depth, Message, NotUnderstoodError, TableIdentity
from dynamo_opensearch.core.dead_letters.parking import ParkedMessage
from dynamo_opensearch.core.dead_letters.stored_messages import ParkedMessages, RejectedDocuments, read_rejects
from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.opensearch.errors import ErrorSummary
from dynamo_opensearch.core.stamps import StampRule
from tests.support.dead_letter_stores import MemoryParking, MemoryRejectFiles
from tests.support.fakes import MemorySink

STAMPS = StampRule(stream_rounding_s=1.0, margin_s=6.0)
TABLE = TableIdentity(arn="arn", key=(("id", "S"),))
SORTED = TableIdentity(arn="arn", key=(("id", "S"), ("sort", "N")))
STAMP_US = 1_800_000_000_000_000


def parking_of(*bodies: str) -> MemoryParking:
    parking = MemoryParking()
    for number, body in enumerate(bodies):
        message = Message(id=f"m{number}", body=body, receives=7, sent_us=STAMP_US)
        parking.put(ParkedMessage(message=message, kind="not understood", reason="", parked_us=1, run_id="run"))
    return parking


def line(key: str, stamp_us: int = STAMP_US, source: str | None = "{}") -> bytes:
    values = ({"S": key}, {"N": "1.50"})
    document = Document(key, source, None, values)
    return Reject(values, document, "members-v1", stamp_us, ErrorSummary("x"), "why").line(("id", "sort"))


def files_of(*parts: bytes) -> MemoryRejectFiles:
    sink = MemorySink()
    for number, lines in enumerate(parts):
        sink.write(number, lines)
    return MemoryRejectFiles({"members-v1": sink})


def test_parked_messages_are_handed_over_once_with_their_history_and_removed() -> None:
    parking = parking_of("a", "b", "c")
    source = ParkedMessages(parking)
    assert source.depth() == Depth(visible=3, in_flight=0)
    first, second = source.receive(2, 0), source.receive(2, 0)
    assert [one.body for one in first + second] == ["a", "b", "c"]
    assert {(one.receives, one.sent_us) for one in first} == {(7, STAMP_US)}
    assert (source.receive(2, 0), source.depth().visible) == ([], 0)
    assert source.delete(first) == first
    assert list(parking.names()) == ["m2"]
    source.delete(first)
    source.release(second)
    assert list(parking.names()) == ["m2"]


def test_what_is_parked_later_is_for_the_next_run() -> None:
    parking = parking_of("a")
    source = ParkedMessages(parking)
    parking.put(parking_of("a", "b").parked["m1"])
    assert len(source.receive(10, 0)) == 1


def test_a_parked_message_that_vanishes_is_skipped() -> None:
    parking = parking_of("a", "b", "c")
    source = ParkedMessages(parking)
    parking.remove("m0")
    assert [one.body for one in source.receive(2, 0)] == ["b", "c"]


def test_reject_files_are_handed_over_once_and_removed() -> None:
    files = files_of(line("a"), line("b"), line("c"))
    source = RejectedDocuments(files)
    assert source.depth() == Depth(visible=3, in_flight=0)
    first = source.receive(2, 0)
    assert [one.id for one in first] == ["members-v1/0", "members-v1/1"]
    assert {one.sent_us for one in first} == {None}
    source.delete(first)
    assert list(files.names()) == ["members-v1/2"]
    assert len(source.receive(2, 0)) == 1
    assert (source.receive(2, 0), source.depth().visible) == ([], 0)
    source.release([])


def test_a_reject_file_that_vanishes_is_skipped() -> None:
    files = files_of(line("a"), line("b"))
    source = RejectedDocuments(files)
    files.remove("members-v1/0")
    assert [one.id for one in source.receive(1, 0) + source.receive(1, 0)] == ["members-v1/1"]


def test_the_keys_of_a_reject_file_are_read_with_the_time_of_the_read_that_made_the_document() -> None:
    contents = read_rejects(line("a") + line("b", 5, None) + b"\n", SORTED, STAMPS)
    assert contents.shape == "rejects"
    assert [one.key for one in contents.keys] == [({"S": "a"}, {"N": "1.5"}), ({"S": "b"}, {"N": "1.5"})]
    assert [one.event_us for one in contents.keys] == [STAMP_US + 6_000_000, 6_000_005]


@pytest.mark.parametrize("text", ["a", "\u2028", "\u0085", "\u2029", "\r\n", "\x0b"])
def test_a_document_may_hold_what_ends_a_line_elsewhere(text: str) -> None:
    lines = line(text, source=orjson.dumps({"value": text}).decode()) * 2
    wanted = [({"S": text},)] * 2
    assert [one.key for one in read_rejects(lines.decode(), TABLE, STAMPS).keys] == wanted
    assert [one.key for one in read_rejects(lines, TABLE, STAMPS).keys] == wanted


@pytest.mark.parametrize(
    "broken",
    [
        b"no JSON",
        b"[]",
        b"{}",
        orjson.dumps({"key": {"id": {"S": "secret"}}, "stamp_us": "soon"}),
        orjson.dumps({"key": {"other": {"S": "secret"}}, "stamp_us": 1}),
        orjson.dumps({"key": {"id": {"S": "secret"}}, "stamp_us": None}),
        b'{"key":{"id":{"S":"cut o',
    ],
)
def test_a_line_that_is_no_reject_is_not_understood_and_its_place_is_told_without_values(broken: bytes) -> None:
    with pytest.raises(NotUnderstoodError, match="line 2 of a reject file") as raised:
        read_rejects(line("a") + broken, TABLE, STAMPS)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("key", [None, 5, {}, {"S": 5}, {"S": "a", "N": "1"}, {"L": []}, {"N": "1"}, {"S": ""}])
def test_a_key_that_the_table_cannot_have_is_not_understood(key: object) -> None:
    with pytest.raises(NotUnderstoodError, match="line 1 of a reject file"):
        read_rejects(orjson.dumps({"key": {"id": key}, "stamp_us": 1}), TABLE, STAMPS)
