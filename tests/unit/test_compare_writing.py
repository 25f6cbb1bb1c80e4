"""Items to rows, and rows to the files of their partitions."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dynamo_opensearch.core.compare.rows import (
    ROWS_IN_GROUP,
    PartitionedRowWriter,
    RowWriter,
    make_rows,
    partition_of,
    read_rows,
)
from dynamo_opensearch.core.compare.table_side import Depth, ItemRows
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.documents.field_rules import FieldRules
from tests.support.rows import Row, row_list, rows_of

LONG = "x" * 600


def item_rows(rules: dict[str, Any], depth: Depth, index_routing: str | None = None) -> ItemRows:
    return ItemRows(DocumentBuilder(("tenant", "id"), FieldRules.model_validate(rules)), depth, index_routing)


def item(tenant: str, number: str) -> dict[str, Any]:
    return {"tenant": {"S": tenant}, "id": {"N": number}}


@pytest.mark.parametrize("depth", ["keys", "content"])
@pytest.mark.parametrize(
    ("rules", "index_routing", "routings"),
    [
        ({}, None, [None, None]),
        ({}, "alias", ["alias", "alias"]),
        ({"routing": "tenant"}, None, ["a", "b|"]),
        ({"routing": "tenant"}, "alias", ["a", "b|"]),
    ],
)
def test_a_rows_routing_is_that_of_the_rules_or_of_the_alias(
    depth: Depth, rules: dict[str, Any], index_routing: str | None, routings: list[str | None]
) -> None:
    rows = item_rows(rules, depth, index_routing).of([item("a", "1.0"), item("b|", "2")])
    assert [(row.id, row.routing) for row in row_list(rows)] == list(zip(["a|1", "b%7C|2"], routings, strict=True))


@pytest.mark.parametrize("depth", ["keys", "content"])
def test_only_a_row_whose_id_is_shortened_has_its_key(depth: Depth) -> None:
    short, long = row_list(item_rows({}, depth).of([item("a", "1"), item(LONG, "2")]))
    assert short.key is None
    assert long.key == f'[{{"S":"{LONG}"}},{{"N":"2"}}]'


@pytest.mark.parametrize("depth", ["keys", "content"])
def test_items_that_do_not_belong_have_no_row(depth: Depth) -> None:
    rows = item_rows({"filter": {"all": [{"attribute": "tenant", "equals": "a"}]}}, depth)
    assert [row.id for row in row_list(rows.of([item("a", "1"), item("b", "1")]))] == ["a|1"]
    assert rows.of([]).num_rows == 0


ROWS = [
    Row(
        f"k{number}",
        f"r{number}" if number % 3 else None,
        number or None,
        "[]" if number % 5 else None,
        number % 7 == 0,
    )
    for number in range(1_000)
]


@pytest.mark.parametrize("partitions", [1, 2, 7])
@pytest.mark.parametrize("page", [1, 333])
def test_a_row_is_in_the_file_of_its_partition_as_it_was(tmp_path: Path, partitions: int, page: int) -> None:
    files = [tmp_path / f"{number}.parquet" for number in range(partitions)]
    with PartitionedRowWriter(files) as writer:
        for start in range(0, len(ROWS), page):
            writer.write(rows_of(ROWS[start : start + page]))
    for number, file in enumerate(files):
        expected = [row for row in ROWS if partition_of(row.id, partitions) == number]
        assert [Row(**row) for batch in read_rows(file, 300) for row in batch] == expected


def test_what_no_row_has_need_not_be_given() -> None:
    assert row_list(make_rows(["a", "b"])) == [Row("a", None, None), Row("b", None, None)]


def test_columns_of_different_lengths_are_no_rows() -> None:
    with pytest.raises(ValueError, match="length"):
        make_rows(["a", "b"], routings=["r"])


def test_a_group_is_written_as_soon_as_its_rows_are_there(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    with RowWriter(file) as writer:
        writer.write(make_rows([f"k{number}" for number in range(ROWS_IN_GROUP - 1)]))
        assert writer.held == ROWS_IN_GROUP - 1
        writer.write(make_rows(["one", "two"]))
        assert writer.held == 0
        writer.write(make_rows(["last"]))
    metadata = pq.read_metadata(file)
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [ROWS_IN_GROUP + 1, 1]
