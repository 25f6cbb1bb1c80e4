"""The generated members are always the same, and of the shape that the documents expect."""

import json
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from tools.local import members


def test_a_member_depends_on_its_number_only() -> None:
    assert [members.member(number) for number in (7, 3)] == [members.member(number) for number in (7, 3)]
    assert len({members.member(number)["memberId"] for number in range(1_000)}) == 1_000


def test_typed_json_says_the_same_as_the_plain_member() -> None:
    plain = members.member(11)
    deserializer = TypeDeserializer()
    item = members.typed(plain)
    assert {attribute: deserializer.deserialize(value) for attribute, value in item.items()} == plain
    kinds = {attribute: next(iter(value)) for attribute, value in item.items()}
    assert kinds["address"] == "M"
    assert kinds["tags"] == "SS"
    assert kinds["newsletter"] == "BOOL"
    assert kinds["points"] == kinds["balance"] == "N"


def test_a_member_is_about_600_bytes_of_typed_json() -> None:
    sizes = [len(json.dumps(members.typed(members.member(number)))) for number in range(200)]
    assert 550 < sum(sizes) / len(sizes) < 680


class Table:
    """Takes a few items of each batch, then none."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.kept: list[Any] = []

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:  # noqa: N803, boto3's name
        ((table, requests),) = RequestItems.items()
        self.kept += requests[: self.takes]
        left = requests[self.takes :]
        return {"UnprocessedItems": {table: left} if left else {}}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.local.members.time.sleep", lambda _seconds: None)


def test_items_left_unprocessed_are_sent_again() -> None:
    table = Table(takes=4)
    members.load(table, "some", 60)
    assert len({request["PutRequest"]["Item"]["memberId"]["S"] for request in table.kept}) == 60


def test_a_table_that_takes_nothing_is_an_error() -> None:
    with pytest.raises(members.LoadError, match="25 items of a batch for table 'some' were not taken"):
        members.load(Table(takes=0), "some", 50)
