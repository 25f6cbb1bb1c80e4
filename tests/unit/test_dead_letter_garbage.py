"""Whatever lies in a queue is read or refused: one kind of error, without a word of what was there."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.dead_letters.messages import KeyType, NotUnderstoodError, TableIdentity
from dynamo_opensearch.core.dead_letters.shapes.bodies import read_contents
from dynamo_opensearch.core.dead_letters.shapes.records import KEY_MEMBERS
from dynamo_opensearch.core.documents.ids import document_id
from tests.support.dead_letter_bodies import ALL, STREAM_ARN, TABLE

SECRET_TEXT, SECRET_NUMBER = "sEcReT", 7_654_321
KINDS: list[KeyType] = ["S", "N", "B"]
TABLES = st.lists(st.sampled_from(KINDS), min_size=1, max_size=2).map(
    lambda kinds: TableIdentity(arn=TABLE.arn, key=tuple(zip(("id", "sort"), kinds, strict=False)))
)
MEMBERS = [
    *("DDBStreamBatchInfo", "payload", "requestPayload", "context", "Event", "source", "detail-type", "detail", "s3"),
    *("Records", "dynamodb", "NewImage", "OldImage", "ApproximateCreationDateTime", "eventSourceARN", "table"),
    *("eventSource", "eventName", "bucket", "object", "name", "versionId", "Type", "Message", "batchSize", "streamArn"),
    *("shardId", "startSequenceNumber", "endSequenceNumber", "id", "sort", "S", "N", "B", *KEY_MEMBERS),
]
TELLING = ["aws:s3", "aws.s3", "Notification", "Object Created", "ObjectCreated:Put", "s3:TestEvent", STREAM_ARN, "12"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers().map(lambda number: number * 10**7 + SECRET_NUMBER),
    st.floats(),
    st.text(st.characters()).map(lambda text: SECRET_TEXT + text),
    st.just("\ud800"),
    st.sampled_from(TELLING),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(MEMBERS), st.just(SECRET_TEXT)), inner, max_size=5),
        inner.map(json.dumps),
    ),
    max_leaves=25,
)


def is_read_or_refused(body: str | bytes, table: TableIdentity = TABLE) -> bool:
    """Whether it was read; fails on any other error, on a telling one, and on a key that DynamoDB would not take."""
    try:
        contents = read_contents(body, table)
    except NotUnderstoodError as error:
        told = str(error) + repr(error)
        assert SECRET_TEXT not in told
        assert str(SECRET_NUMBER) not in told
        return False
    for one in contents.keys:
        assert [list(value) for value in one.key] == [[kind] for _, kind in table.key]
        assert document_id(one.key).encode()
    assert json.dumps([(one.key, one.event_us) for one in contents.keys])
    return True


@given(st.one_of(st.binary(), st.text(), st.text(st.characters())))
def test_bytes_and_text_are_read_or_refused(body: str | bytes) -> None:
    is_read_or_refused(body)


@settings(max_examples=500)
@given(VALUES, TABLES)
def test_json_of_any_kind_is_read_or_refused(value: Any, table: TableIdentity) -> None:
    is_read_or_refused(json.dumps(value), table)


KEYS = st.one_of(SCALARS, st.dictionaries(st.sampled_from(KINDS), SCALARS, min_size=1, max_size=2))


@settings(max_examples=500)
@given(st.fixed_dictionaries({"id": KEYS, "sort": KEYS}), SCALARS, TABLES)
def test_anything_in_place_of_a_key_or_a_time_is_read_or_refused(keys: Any, time: Any, table: TableIdentity) -> None:
    is_read_or_refused(json.dumps({"dynamodb": {"Keys": keys, "ApproximateCreationDateTime": time}}), table)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with every member's name or position in it, at any depth."""
    members: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(value, name) for name, _ in members] + [place for _, member in members for place in _places(member)]


@settings(max_examples=500)
@given(st.data(), st.sampled_from(sorted(ALL)), st.integers(1, 3))
def test_a_good_message_with_anything_in_any_place_is_read_or_refused(data: Any, name: str, changes: int) -> None:
    message = copy.deepcopy(ALL[name])
    for _ in range(changes):
        if not (places := _places(message)):
            break
        container, member = data.draw(st.sampled_from(places), label="place")
        if data.draw(st.booleans(), label="taken out"):
            del container[member]
        else:
            container[member] = data.draw(VALUES, label="put in")
    is_read_or_refused(json.dumps(message))


@given(st.sampled_from(sorted(ALL)), st.data())
def test_a_message_that_was_cut_off_is_refused(name: str, data: Any) -> None:
    body = json.dumps(ALL[name])
    assert not is_read_or_refused(body[: data.draw(st.integers(0, len(body) - 1))])
