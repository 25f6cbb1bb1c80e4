"""The list of what differs: a line for each, for people and for the next run; and the file that a repair works off."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.compare.join import Kind, Suspect, read_suspects
from dynamo_opensearch.core.compare.looking import Look
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.reconcile import found
from dynamo_opensearch.core.reconcile.found import FoundWriter, read_since
from tests.support.fakes import NOW_US

SECRET = "what the document holds"
AWKWARD = [
    "plain",
    "a|b%c",
    "%7C%25",
    'quote " and \\ backslash',
    "line\nbreak\r\nand\ttab",
    "line\u2028separator\u2029and\x85more",
    "zero\x00byte",
    "emoji \N{SNOWMAN} \N{GRINNING FACE}",
    "'; DROP TABLE members; --",
    " leading and trailing ",
    "é" * 256,
    "~sha256~" + "0" * 64,
]


class Lists:
    """One run after the other, each with the list of the one before."""

    def __init__(self, folder: Path) -> None:
        self.parquet, self.lines = folder / "found.parquet", folder / "differences.ndjson"

    def write(
        self,
        *differences: tuple[Suspect, Look | None],
        since_us: Mapping[str, int] | None = None,
        now_us: int = NOW_US,
    ) -> FoundWriter:
        with FoundWriter(self.parquet, self.lines, since_us or {}, now_us) as writer:
            for suspect, look in differences:
                writer.add(suspect, look)
        return writer

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines.read_bytes().split(b"\n") if line]

    def since(self) -> dict[str, int]:
        with self.lines.open("rb") as lines:
            return read_since(lines)


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    return Lists(tmp_path)


def suspect(name: str, kind: Kind = Kind.MISSING, key: KeyValues | None = None) -> Suspect:
    return Suspect(name, None, kind, key)


def looked(one: Suspect, kind: Kind, *, is_key_unknown: bool = False, field: str | None = None) -> Look:
    key = None if is_key_unknown else ({"S": one.id},)
    return Look(one, kind, key, is_key_unknown, SECRET, (7, 1), field)


def test_a_difference_has_a_line_with_what_the_last_look_saw(lists: Lists) -> None:
    one = Suspect("a", "tenant", Kind.MISSING, None)
    lists.write((one, looked(one, Kind.STALE, field="address.city")))
    assert lists.read() == [
        {
            "id": "a",
            "routing": "tenant",
            "kind": "stale",
            "key": [{"S": "a"}],
            "field": "address.city",
            "since": "2027-01-15T08:00:00+00:00",
            "is_settled": True,
        }
    ]


@pytest.mark.parametrize(
    ("one", "look", "line"),
    [
        (suspect("a", Kind.STALE), None, {"kind": "stale", "key": None, "field": None, "is_settled": False}),
        (
            suspect("a", Kind.MISSING, ({"N": "1"}, {"B": "AA=="})),
            None,
            {"kind": "missing", "key": [{"N": "1"}, {"B": "AA=="}], "is_settled": False},
        ),
        (suspect("a", Kind.REFUSED), None, {"kind": "refused", "is_settled": True}),
        (
            suspect("a", Kind.ORPHANED),
            looked(suspect("a"), Kind.ORPHANED, is_key_unknown=True),
            {"kind": "orphaned", "key": None, "is_settled": False},
        ),
    ],
    ids=["not looked at", "with its key", "refused", "key unknown"],
)
def test_what_could_not_be_looked_at_again_says_so(
    lists: Lists, one: Suspect, look: Look | None, line: dict[str, Any]
) -> None:
    lists.write((one, look))
    (written,) = lists.read()
    assert written | line == written


def test_no_value_of_either_side_is_in_either_file(lists: Lists) -> None:
    one = suspect("a")
    lists.write((one, looked(one, Kind.STALE, field="name")))
    for file in (lists.parquet, lists.lines):
        assert SECRET.encode() not in file.read_bytes()
    assert SECRET not in str(pq.read_table(lists.parquet).to_pylist())


def test_ids_with_every_escape_are_one_line_each_and_come_back_as_they_were(lists: Lists) -> None:
    lists.write(*((suspect(name, key=({"S": name},)), None) for name in AWKWARD))
    assert [line["id"] for line in lists.read()] == AWKWARD
    assert lists.since() == dict.fromkeys(AWKWARD, NOW_US)
    assert [one.id for batch in read_suspects(lists.parquet, 5) for one in batch] == AWKWARD
    assert [one.key for batch in read_suspects(lists.parquet, 5) for one in batch] == [({"S": n},) for n in AWKWARD]


@settings(max_examples=30)
@given(st.lists(st.text(), unique=True, max_size=30))
def test_any_id_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    lists = Lists(tmp_path_factory.mktemp("found"))
    lists.write(*((suspect(name), None) for name in names))
    assert len(lists.lines.read_bytes().splitlines()) == len(names)
    assert [line["id"] for line in lists.read()] == names
    assert list(lists.since()) == names
    assert [one.id for batch in read_suspects(lists.parquet, 7) for one in batch] == names


def test_a_difference_keeps_the_moment_at_which_a_run_first_found_it(lists: Lists) -> None:
    day_us = 86_400_000_000
    lists.write((suspect("old"), None), (suspect("mended"), None), now_us=NOW_US + 123_456)
    for night in range(1, 4):
        writer = lists.write(
            (suspect("old"), None),
            (suspect(f"new {night}"), None),
            since_us=lists.since(),
            now_us=NOW_US + night * day_us,
        )
        assert (writer.known, writer.oldest_us) == (1, NOW_US)
    since = {line["id"]: line["since"] for line in lists.read()}
    assert since == {"old": "2027-01-15T08:00:00+00:00", "new 3": "2027-01-18T08:00:00+00:00"}


def test_of_a_list_that_is_too_long_the_first_ids_are_remembered(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "MOST_KNOWN", 5)
    lists.write(*((suspect(f"k{number}"), None) for number in range(9)))
    assert list(lists.since()) == ["k0", "k1", "k2", "k3", "k4"]


def test_many_differences_are_written_in_groups_and_all_of_them_are_there(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found, "_ROWS_IN_GROUP", 10)
    writer = FoundWriter(lists.parquet, lists.lines, {}, NOW_US)
    held = []
    with writer:
        for number in range(35):
            writer.add(suspect(f"k{number}"), None)
            held.append(len(writer._rows))
    assert max(held) < 10
    assert pq.ParquetFile(lists.parquet).num_row_groups == 4
    assert len(lists.read()) == pq.read_metadata(lists.parquet).num_rows == 35


def test_nothing_that_differs_is_an_empty_list(lists: Lists) -> None:
    writer = lists.write()
    assert (writer.known, writer.oldest_us) == (0, None)
    assert (lists.read(), lists.since(), list(read_suspects(lists.parquet, 10))) == ([], {}, [])


def test_a_second_run_replaces_both_files(lists: Lists) -> None:
    lists.write((suspect("a"), None), (suspect("b"), None))
    lists.write((suspect("c"), None))
    assert [line["id"] for line in lists.read()] == ["c"]
    assert [one.id for batch in read_suspects(lists.parquet, 10) for one in batch] == ["c"]


def test_the_kind_that_a_repair_reads_is_that_of_the_last_look(lists: Lists) -> None:
    one = suspect("a", Kind.MISSING)
    lists.write((one, looked(one, Kind.REFUSED)))
    ((stored,),) = read_suspects(lists.parquet, 10)
    assert stored.kind is Kind.REFUSED
