"""Reports that add up, documents compared but for the order of sets, the join, and rows in files."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import orjson
import pytest

from dynamo_opensearch.core.compare.comparison import ComparisonSettings, key_kinds
from dynamo_opensearch.core.compare.differing import first_difference, is_same_document
from dynamo_opensearch.core.compare.digest import decode_exact
from dynamo_opensearch.core.compare.index_side import ShardsFailedError
from dynamo_opensearch.core.compare.join import Found, JoinSettings, Kind, join_partition, read_suspects
from dynamo_opensearch.core.compare.report import ComparisonCountError, ComparisonReport
from dynamo_opensearch.core.compare.rows import RowWriter
from dynamo_opensearch.core.compare.table_side import ItemRows
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.reports import OfferReport
from tests.support.rows import Row, row_list, rows_of

REPORT = ComparisonReport(
    index="members-v1",
    depth="content",
    table_count=110,
    index_count=107,
    skipped=4,
    found=Found(equal=90, missing=8, orphaned=5, stale=10, refused=2, refused_with_document=2),
    missing=5,
    orphaned=4,
    stale=6,
    refused_later=1,
    in_motion=4,
    mended=3,
    unsettled=0,
    rejected=1,
    offers=OfferReport(offered=4, indexed=2, deleted=1, rejected=1),
    read_units=12.5,
    seconds=1.0,
    samples={"missing": ("a", "b")},
    differing_fields={"address.city": 6},
    mended_kinds={"missing": 3},
)


def test_a_report_tells_what_follows_from_its_numbers() -> None:
    assert (REPORT.equal, REPORT.refused, REPORT.differences, REPORT.is_equal, REPORT.is_settled) == (
        90,
        3,
        18,
        False,
        True,
    )


@pytest.mark.parametrize(
    "name", ["table_count", "index_count", "missing", "orphaned", "stale", "refused_later", "in_motion", "mended"]
)
def test_a_report_that_does_not_add_up_is_refused(name: str) -> None:
    with pytest.raises(ComparisonCountError, match="accounted for"):
        dataclasses.replace(REPORT, **{name: getattr(REPORT, name) + 1})


def test_a_report_goes_through_json() -> None:
    assert ComparisonReport.from_json(orjson.loads(orjson.dumps(REPORT.to_json()))) == REPORT


def test_a_report_reads_as_a_table() -> None:
    text = str(REPORT)
    assert text.startswith("members-v1, content: 18 differences\n")
    assert "  missing in the index                             5\n" in text
    assert "address.city" in text
    assert "not looked at again" in str(dataclasses.replace(REPORT, unsettled=2))


def test_errors_survive_pickling() -> None:
    for error in (ShardsFailedError("i", "search", "1 shards failed"), ComparisonCountError("items", 2, 1)):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("settings", [{"total_segments": 0}, {"max_mends": -1}])
def test_settings_are_checked(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ComparisonSettings(index="i", depth="keys", **settings)  # type: ignore[arg-type]


def test_key_kinds_come_in_the_order_of_the_key() -> None:
    definitions = [
        {"AttributeName": name, "AttributeType": kind} for name, kind in (("SK", "N"), ("x", "B"), ("PK", "S"))
    ]
    assert key_kinds({"AttributeDefinitions": definitions}, ("PK", "SK")) == ("S", "N")


# Documents


def exact(value: Any) -> Any:
    return decode_exact(orjson.dumps(value).decode())


SETS: dict[str, dict[str, Any]] = {
    "id": {"S": "a"},
    "tags": {"SS": ["x", "y", "z"]},
    "inner": {"M": {"numbers": {"NS": ["1", "2.50"]}, "list": {"L": [{"S": "p"}, {"S": "q"}]}}},
    "deep": {"L": [{"M": {"binary": {"BS": ["AA==", "AQ=="]}}}]},
}


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({}, True),
        ({"tags": ["z", "x", "y"]}, True),
        ({"inner": {"numbers": [2.5, 1], "list": ["p", "q"]}}, True),
        ({"deep": [{"binary": ["AQ==", "AA=="]}]}, True),
        ({"inner": {"numbers": [1, 2.5], "list": ["q", "p"]}}, False),
        ({"tags": ["z", "x", "x"]}, False),
        ({"tags": ["x", "y"]}, False),
        ({"tags": "x"}, False),
        ({"inner": {"numbers": [1, "2.5"], "list": ["p", "q"]}}, False),
        ({"more": 1}, False),
    ],
)
def test_sets_may_come_in_any_order_and_lists_may_not(change: dict[str, Any], is_same: bool) -> None:
    builder = DocumentBuilder(("id",), FieldRules.model_validate({"renames": {"tags": "labels"}}))
    (document,) = builder.build([SETS]).documents
    expected = decode_exact((document.source or b"").decode())
    actual = orjson.loads(document.source or b"") | {
        ("labels" if name == "tags" else name): it for name, it in change.items()
    }
    assert is_same_document(builder, SETS, expected, exact(actual)) is is_same


@pytest.mark.parametrize(
    ("expected", "actual", "name"),
    [
        ({"a": 1, "b": 1}, {"a": 1, "b": 2}, "b"),
        ({"a": 1}, {"a": 1, "Z": 1}, "Z"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "a.b.c"),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, "a[].b"),
        ({"a": [1]}, {"a": [1, 2]}, "a"),
        ({"a": {}}, {"a": []}, "a"),
    ],
)
def test_the_first_difference_is_named_by_its_field(expected: Any, actual: Any, name: str) -> None:
    assert first_difference(exact(expected), exact(actual)) == name


def test_keys_alone_are_asked_for_when_only_keys_are_compared() -> None:
    rules = {"filter": {"all": [{"attribute": "status", "equals": "on"}, {"attribute": "PK", "exists": True}]}}
    rows = ItemRows(DocumentBuilder(("PK", "SK"), FieldRules.model_validate(rules)), "keys", None)
    names = rows.scan_arguments["ExpressionAttributeNames"]
    assert sorted(names.values()) == ["PK", "SK", "status"]
    assert rows.scan_arguments["ProjectionExpression"].split(",") == list(names)


def test_an_item_that_the_rules_refuse_has_a_row_of_its_own() -> None:
    rows = ItemRows(DocumentBuilder(("id",), FieldRules.model_validate({"flatten": {"a": "a_"}})), "content", "r")
    found = row_list(rows.of([{"id": {"S": "x"}, "a": {"S": "no map"}}, {"id": {"S": "y"}}]))
    assert [(row.id, row.routing, row.is_refused, row.digest is None) for row in found] == [
        ("y", "r", False, False),
        ("x", "r", True, True),
    ]


# The join


def joined(folder: Path, table: list[Row], index: list[Row], partitions: int) -> tuple[Found, dict[str, Kind]]:
    files = [folder / "it's a table.parquet", folder / "table2.parquet"], [folder / "index.parquet"]
    for rows, file in ((table[::2], files[0][0]), (table[1::2], files[0][1]), (index, files[1][0])):
        with RowWriter(file) as writer:
            writer.write(rows_of(rows))
    settings = JoinSettings(memory_bytes=100_000_000, scratch=folder)
    found = Found()
    suspects: dict[str, Kind] = {}
    for partition in range(partitions):
        found += join_partition(*files, partition, partitions, settings, folder / "suspects.parquet")
        for batch in read_suspects(folder / "suspects.parquet", 2):
            suspects |= {one.id + (one.routing or ""): one.kind for one in batch}
    return found, suspects


@pytest.mark.parametrize("partitions", [1, 3])
def test_each_kind_of_difference_is_found_once(tmp_path: Path, partitions: int) -> None:
    table = [
        Row("same", None, 2**64 - 1),
        Row("stale", None, 1),
        Row("missing", None, 3),
        Row("refused", None, None, None, True),
        Row("refused and there", None, None, None, True),
        Row("routed", "r1", 4),
    ]
    index = [
        Row("same", None, 2**64 - 1),
        Row("stale", None, 2),
        Row("orphaned", None, 5),
        Row("refused and there", None, 6),
        Row("routed", "r2", 4),
    ]
    found, suspects = joined(tmp_path, table, index, partitions)
    assert found == Found(equal=1, missing=2, orphaned=2, stale=1, refused=2, refused_with_document=1)
    assert suspects == {
        "stale": Kind.STALE,
        "missing": Kind.MISSING,
        "orphaned": Kind.ORPHANED,
        "refused": Kind.REFUSED,
        "refused and there": Kind.REFUSED,
        "routedr1": Kind.MISSING,
        "routedr2": Kind.ORPHANED,
    }


@pytest.mark.parametrize("count", [0, 1, 45_000])
def test_without_content_only_keys_count(tmp_path: Path, count: int) -> None:
    rows = [Row(f"k{number}", None, None) for number in range(count)]
    assert joined(tmp_path, rows, rows[::-1], 2) == (Found(equal=count), {})
