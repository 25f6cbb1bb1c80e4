"""Rows divided by their ids, the same on both sides and on every machine; and the report that holds them together."""

import dataclasses
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_opensearch.core.compare import rows as module
from dynamo_opensearch.core.compare.comparison import conclude
from dynamo_opensearch.core.compare.findings import Findings
from dynamo_opensearch.core.compare.join import Found, JoinSettings, Kind, join_partition
from dynamo_opensearch.core.compare.report import ComparisonCountError, ComparisonReport
from dynamo_opensearch.core.compare.rows import PartitionedRowWriter, SideRead, make_rows, partition_of, read_rows
from dynamo_opensearch.core.compare.table_side import ItemRows
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.documents.field_rules import FieldRules
from tests.support.rows import Row, row_list, rows_of

GOLDEN = {
    "": (0, 0, 0),
    "123456789": (2, 5, 38),
    "k0001": (0, 4, 57),
    "a|b": (0, 6, 11),
    "%7C%25": (0, 4, 58),
    "member-7": (1, 6, 7),
    "\N{SNOWMAN} é": (1, 6, 15),
    "x" * 512: (2, 1, 29),
}
"""Of 3, 7 and 64 partitions. Tasks of one run may be on workers of two releases: these do not change.

CRC-32 as everywhere: that of 123456789 is 0xCBF43926.
"""


def test_an_id_has_the_partition_that_it_always_had() -> None:
    assert {name: tuple(partition_of(name, count) for count in (3, 7, 64)) for name in GOLDEN} == GOLDEN


def test_another_process_divides_in_the_same_way() -> None:
    """Python's own hash of a text is another one in each process."""
    code = (
        "import sys; sys.path.insert(0, 'plugins')\n"
        "from dynamo_opensearch.core.compare.rows import partition_of\n"
        "print([partition_of(f'k{number}', 64) for number in range(50)])"
    )
    root = Path(__file__).parents[2]
    told = {
        subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    }
    assert told == {str([partition_of(f"k{number}", 64) for number in range(50)]) + "\n"}


@given(st.text(), st.integers(1, 64))
def test_every_id_has_a_partition(name: str, partitions: int) -> None:
    assert 0 <= partition_of(name, partitions) < partitions


def test_ids_are_spread_evenly() -> None:
    counts = Counter(partition_of(f"member-{number}", 16) for number in range(16_000))
    assert len(counts) == 16
    assert max(counts.values()) < 1.2 * min(counts.values())


def divided(folder: Path, side: str, rows: list[Row], partitions: int) -> list[Path]:
    files = [folder / f"{side}-{number}.parquet" for number in range(partitions)]
    with PartitionedRowWriter(files) as writer:
        for start in range(0, len(rows), 7):
            writer.write(rows_of(rows[start : start + 7]))
    return files


def ids(file: Path) -> list[str]:
    return [row["id"] for batch in read_rows(file, 1_000) for row in batch]


@pytest.mark.parametrize("partitions", [1, 2, 7, 64])
def test_a_row_of_the_table_and_its_document_are_in_files_of_one_number(tmp_path: Path, partitions: int) -> None:
    builder = DocumentBuilder(("a", "b"), FieldRules.model_validate({"routing": "a"}))
    items: list[Item] = [
        {"a": {"S": f"t|{number % 5}"}, "b": {"S": f"%{number}" * (1 + 40 * (number % 7))}} for number in range(200)
    ]
    table = row_list(ItemRows(builder, "content", None).of(items))
    assert len(table) == len(items)
    assert any(row.key is not None for row in table), "some ids are shortened"
    index = [Row(row.id, row.routing, row.digest) for row in reversed(table)]
    sides = [divided(tmp_path, side, rows, partitions) for side, rows in (("table", table), ("index", index))]
    for number, (one, other) in enumerate(zip(*sides, strict=True)):
        assert sorted(ids(one)) == sorted(ids(other))
        assert {partition_of(name, partitions) for name in ids(one)} <= {number}, "the id alone decides"
    assert sum(len(ids(file)) for file in sides[0]) == 200


def test_partitions_joined_one_by_one_find_what_one_join_finds(tmp_path: Path) -> None:
    table = [Row(f"k{number}", None, number) for number in range(300)]
    index = [Row(f"k{number}", None, number + (number % 50 == 0)) for number in range(10, 310)]
    settings = JoinSettings(memory_bytes=100_000_000, scratch=tmp_path)
    totals = []
    for partitions in (1, 7):
        files = zip(
            *(divided(tmp_path, side, rows, partitions) for side, rows in (("t", table), ("i", index))), strict=True
        )
        found = Found()
        for one, other in files:
            found += join_partition([one], [other], 0, 1, settings, tmp_path / "suspects.parquet")
        totals.append(found)
    assert totals == [Found(equal=285, missing=10, orphaned=10, stale=5)] * 2


@pytest.mark.parametrize(("partitions", "held"), [(1, 10_000), (4, 4 * 2_500), (64, 64 * 500)])
def test_few_rows_are_in_memory_whatever_the_number_of_partitions(tmp_path: Path, partitions: int, held: int) -> None:
    most = 0
    files = [tmp_path / f"{number}.parquet" for number in range(partitions)]
    with PartitionedRowWriter(files) as writer:
        for start in range(0, 60_000, 1_000):
            writer.write(make_rows([f"k{number}" for number in range(start, start + 1_000)]))
            most = max(most, sum(one.held for one in writer._writers))
    assert most <= held
    assert sum(pq.read_metadata(file).num_rows for file in files) == 60_000


def test_a_second_run_replaces_the_files(tmp_path: Path) -> None:
    divided(tmp_path, "t", [Row(f"k{number}", None, 1) for number in range(50)], 3)
    files = divided(tmp_path, "t", [Row("only", None, 1)], 3)
    assert [name for file in files for name in ids(file)] == ["only"]


def test_all_files_are_closed_though_one_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def leave(self: module.RowWriter, *_: object) -> None:
        closed.append(self)
        self._writer.close()
        if len(closed) == 2:
            raise OSError("disk is full")

    monkeypatch.setattr(module.RowWriter, "__exit__", leave)
    with pytest.raises(OSError, match="full"):
        divided(tmp_path, "t", [Row("a", None, 1)], 4)
    assert len(closed) == 4


# The report of both readings, their join, and what became of the suspects


def concluded(table: int, index: int, found: Found, findings: Findings) -> ComparisonReport:
    return conclude(
        "members-v1",
        "keys",
        SideRead(rows=table, skipped=4, read_units=8.0),
        SideRead(rows=index),
        found,
        findings,
        9.5,
        2.0,
    )


def findings() -> Findings:
    one = Findings()
    one.differences[Kind.MISSING] = 2
    one.differences[Kind.REFUSED] = 1
    one.mended[Kind.STALE] = 3
    one.in_motion = 4
    one.sample(Kind.MISSING, "a")
    return one


FOUND = Found(equal=90, missing=5, orphaned=2, stale=3, refused=1)


def test_what_was_read_joined_and_looked_at_makes_one_report() -> None:
    report = concluded(99, 95, FOUND, findings())
    assert (report.table_count, report.index_count, report.skipped) == (99, 95, 4)
    assert (report.missing, report.refused, report.mended, report.in_motion) == (2, 2, 3, 4)
    assert report.mended_kinds == {"stale": 3}
    assert (report.read_units, report.seconds, report.samples) == (9.5, 2.0, {"missing": ("a",)})


@pytest.mark.parametrize(
    ("table", "index", "found", "what"),
    [
        (100, 95, FOUND, "items"),
        (98, 95, FOUND, "items"),
        (99, 96, FOUND, "documents"),
        (99, 94, FOUND, "documents"),
        (99, 95, dataclasses.replace(FOUND, missing=4, refused=2), "suspects"),
    ],
)
def test_rows_that_the_join_has_not_seen_are_a_fault_and_no_report(
    table: int, index: int, found: Found, what: str
) -> None:
    with pytest.raises(ComparisonCountError, match="are accounted for") as raised:
        concluded(table, index, found, findings())
    assert raised.value.what == what
