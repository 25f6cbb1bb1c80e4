"""Settling and mending with scripted looks: what counts as a difference, and what is only late."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dynamo_opensearch.core.compare import resolving
from dynamo_opensearch.core.compare.findings import SAMPLES, Findings
from dynamo_opensearch.core.compare.join import Found, Kind, Suspect
from dynamo_opensearch.core.compare.looking import Look
from dynamo_opensearch.core.compare.resolving import AT_ONCE, Resolver, most_suspects
from dynamo_opensearch.core.compare.settling import settle
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.reports import OfferReport
from tests.support.fakes import FakeClock

State = tuple[Kind, object, int | None]
"""What a look sees: kind, the item's state and the document's."""
EQUAL: State = (Kind.EQUAL, 1, 1)
MISSING: State = (Kind.MISSING, 1, None)
STALE: State = (Kind.STALE, 1, 5)
ORPHANED: State = (Kind.ORPHANED, False, 5)
REFUSED: State = (Kind.REFUSED, True, None)


class Looks:
    """For each id the states that its looks see, the last one for ever; an offer may mend it."""

    def __init__(self, **scripts: Sequence[State]) -> None:
        self.scripts = {name: list(states) for name, states in scripts.items()}
        self.seen: list[list[str]] = []
        self.offered: list[list[str]] = []
        self.mends_at_offer = 1
        self.unknown_keys: set[str] = set()

    def look(self, suspects: Sequence[Suspect]) -> Iterable[Look]:
        self.seen.append([suspect.id for suspect in suspects])
        for suspect in suspects:
            states = self.scripts[suspect.id]
            kind, item, document = states.pop(0) if len(states) > 1 else states[0]
            is_unknown = suspect.id in self.unknown_keys
            key = None if is_unknown else ({"S": suspect.id},)
            state = None if document is None else (document, 1)
            yield Look(suspect, kind, key, is_unknown, item, state, "name" if kind is Kind.STALE else None)

    def offer(self, keys: Sequence[KeyValues]) -> OfferReport:
        names = [key[0]["S"] for key in keys]
        self.offered.append(names)
        if len(self.offered) >= self.mends_at_offer:
            for name in names:
                self.scripts[name] = [EQUAL]
            return OfferReport(offered=len(keys), indexed=len(keys))
        return OfferReport(offered=len(keys), stale=len(keys))


def suspect(name: str, kind: Kind = Kind.MISSING) -> Suspect:
    return Suspect(name, None, kind, None)


def ends(looks: Looks, *waits_s: float) -> dict[str, tuple[Kind, bool]]:
    clock = FakeClock()
    settled = settle([suspect(name) for name in looks.scripts], looks.look, waits_s, clock)
    found = {one.look.suspect.id: (one.look.kind, one.is_in_motion) for one in settled}
    assert sorted(found) == sorted(looks.scripts)
    return found


def test_what_comes_right_at_any_look_is_in_motion_and_not_looked_at_again() -> None:
    looks = Looks(at_once=[EQUAL], later=[MISSING, EQUAL], last=[MISSING, MISSING, EQUAL])
    assert set(ends(looks, 3, 6).values()) == {(Kind.EQUAL, True)}
    assert looks.seen == [["at_once", "later", "last"], ["later", "last"], ["last"]]


def test_what_differs_at_every_look_and_stands_still_is_a_difference() -> None:
    looks = Looks(gone=[MISSING], old=[STALE])
    assert ends(looks, 3, 6) == {"gone": (Kind.MISSING, False), "old": (Kind.STALE, False)}


@pytest.mark.parametrize(
    "states",
    [
        [STALE, (Kind.STALE, 2, 5)],
        [STALE, (Kind.STALE, 1, 6)],
        [STALE, (Kind.STALE, 2, 5), (Kind.STALE, 2, 5)],
        [MISSING, (Kind.STALE, 1, 1)],
    ],
)
def test_what_is_written_on_either_side_between_two_looks_is_in_motion(states: list[State]) -> None:
    ((_, is_in_motion),) = ends(Looks(hot=states), 3, 6, 12).values()
    assert is_in_motion


def test_nothing_waits_when_nothing_is_left_to_look_at() -> None:
    clock = FakeClock()
    list(settle([suspect("a")], Looks(a=[EQUAL]).look, (3, 6), clock))
    assert clock.slept == []


def suspects_file(folder: Path, suspects: Iterable[Suspect], name: str = "suspects") -> Path:
    rows = [
        {"id": one.id, "routing": one.routing, "key": None, "has_document": True, "kind": one.kind.value}
        for one in suspects
    ]
    file = folder / f"{name}.parquet"
    schema = pa.schema([("id", pa.string()), ("routing", pa.string()), ("key", pa.string()), ("kind", pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    return file


def resolved(folder: Path, looks: Looks, max_mends: int | None, *more: Suspect) -> Findings:
    resolver = Resolver(looks.look, None if max_mends is None else looks.offer, max_mends, (3, 6), FakeClock())
    resolver.resolve([suspects_file(folder, [*map(suspect, looks.scripts), *more])], Found())
    return resolver.findings


def told(folder: Path, looks: Looks, max_mends: int | None, *more: Suspect) -> dict[str, Kind | None]:
    """The differences that are left, each with the kind that the last look at it saw."""
    found: dict[str, Kind | None] = {}

    def tell(one: Suspect, look: Look | None) -> None:
        assert one.id not in found, "each is told once"
        found[one.id] = None if look is None else look.kind

    resolver = Resolver(
        looks.look, None if max_mends is None else looks.offer, max_mends, (3, 6), FakeClock(), on_difference=tell
    )
    resolver.resolve([suspects_file(folder, [*map(suspect, looks.scripts), *more])], Found())
    assert resolver.findings.differences.total() == len(found) - sum(one.kind is Kind.REFUSED for one in more)
    return found


def test_each_difference_that_is_left_is_told_with_its_last_look(tmp_path: Path) -> None:
    looks = Looks(gone=[MISSING], old=[STALE], late=[MISSING, EQUAL], hot=[STALE, (Kind.STALE, 2, 5)], bad=[REFUSED])
    refused = suspect("refused", Kind.REFUSED)
    assert told(tmp_path, looks, None, refused) == {
        "gone": Kind.MISSING,
        "old": Kind.STALE,
        "bad": Kind.REFUSED,
        "refused": None,
    }


def test_what_is_mended_is_not_told_as_a_difference(tmp_path: Path) -> None:
    looks = Looks(a=[MISSING], b=[MISSING], c=[STALE])
    assert told(tmp_path, looks, 2) == {"c": Kind.STALE}


def test_what_no_offer_mends_is_told_once(tmp_path: Path) -> None:
    looks = Looks(a=[STALE])
    looks.mends_at_offer = 3
    assert told(tmp_path, looks, 10) == {"a": Kind.STALE}


def test_without_an_offer_nothing_is_mended(tmp_path: Path) -> None:
    findings = resolved(tmp_path, Looks(a=[MISSING], b=[STALE], c=[EQUAL]), None)
    assert (findings.differences[Kind.MISSING], findings.differences[Kind.STALE], findings.in_motion) == (1, 1, 1)
    assert findings.samples == {"missing": ("a",), "stale": ("b",)}
    assert findings.fields == {"name": 1}


def test_what_is_mended_is_counted_by_its_kind_and_still_named(tmp_path: Path) -> None:
    looks = Looks(a=[MISSING], b=[STALE], c=[EQUAL])
    findings = resolved(tmp_path, looks, 10)
    assert looks.offered == [["a", "b"]]
    assert findings.mended == {Kind.MISSING: 1, Kind.STALE: 1}
    assert findings.differences.total() == 0
    assert findings.samples == {"missing": ("a",), "stale": ("b",)}


def test_no_more_is_offered_than_allowed(tmp_path: Path) -> None:
    looks = Looks(a=[MISSING], b=[MISSING], c=[MISSING])
    findings = resolved(tmp_path, looks, 2)
    assert looks.offered == [["a", "b"]]
    assert (findings.mended.total(), findings.differences[Kind.MISSING]) == (2, 1)


def orphans_resolved(folder: Path, looks: Looks, max_mends: int, *files: str) -> Findings:
    """With a file for each word of ``files``, whose letters are orphaned documents; lower-case ones are missing."""
    found = Found(orphaned=sum(letter.isupper() for names in files for letter in names))
    resolver = Resolver(looks.look, looks.offer, max_mends, (3, 6), FakeClock())
    kinds = {True: Kind.ORPHANED, False: Kind.MISSING}
    paths = [
        suspects_file(folder, [suspect(letter, kinds[letter.isupper()]) for letter in names], names) for names in files
    ]
    resolver.resolve(paths, found)
    return resolver.findings


def test_as_many_orphans_as_may_be_mended_are_deleted(tmp_path: Path) -> None:
    looks = Looks(A=[ORPHANED], B=[ORPHANED])
    findings = orphans_resolved(tmp_path, looks, 2, "AB")
    assert looks.offered == [["A", "B"]]
    assert findings.mended == {Kind.ORPHANED: 2}


def test_of_more_orphans_none_is_deleted_and_what_is_missing_is_mended_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    looks = Looks(A=[ORPHANED], B=[ORPHANED], C=[ORPHANED], m=[MISSING])
    findings = orphans_resolved(tmp_path, looks, 2, "ABmC")
    assert looks.offered == [["m"]]
    assert (findings.mended, findings.differences) == ({Kind.MISSING: 1}, {Kind.ORPHANED: 3})
    assert "3 documents without an item" in caplog.text
    assert "at most 2 may be mended" in caplog.text


def test_orphans_of_later_files_count_before_the_first_is_deleted(tmp_path: Path) -> None:
    looks = Looks(A=[ORPHANED], B=[ORPHANED], C=[ORPHANED])
    findings = orphans_resolved(tmp_path, looks, 2, "AB", "C")
    assert looks.offered == []
    assert findings.differences == {Kind.ORPHANED: 3}


def test_where_the_first_orphans_were_left_no_later_ones_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "AT_ONCE", 2)
    looks = Looks(A=[ORPHANED], B=[ORPHANED, EQUAL], C=[ORPHANED], D=[ORPHANED, EQUAL])
    findings = orphans_resolved(tmp_path, looks, 2, "AB", "CD")
    assert looks.offered == []
    assert (findings.differences, findings.in_motion) == ({Kind.ORPHANED: 2}, 2)


def test_orphans_that_come_right_by_themselves_keep_no_other_from_being_deleted(tmp_path: Path) -> None:
    looks = Looks(A=[ORPHANED], B=[ORPHANED, EQUAL], C=[ORPHANED, EQUAL])
    findings = orphans_resolved(tmp_path, looks, 2, "ABC")
    assert looks.offered == [["A"]]
    assert (findings.mended, findings.in_motion) == ({Kind.ORPHANED: 1}, 2)


def test_what_a_first_offer_did_not_mend_gets_a_second_one(tmp_path: Path) -> None:
    looks = Looks(a=[STALE])
    looks.mends_at_offer = 2
    findings = resolved(tmp_path, looks, 10)
    assert looks.offered == [["a"], ["a"]]
    assert (findings.mended, findings.offers.stale, findings.offers.indexed) == ({Kind.STALE: 1}, 1, 1)


def test_what_no_offer_mends_stays_a_difference(tmp_path: Path) -> None:
    looks = Looks(a=[STALE])
    looks.mends_at_offer = 3
    findings = resolved(tmp_path, looks, 10)
    assert (findings.mended.total(), findings.differences[Kind.STALE]) == (0, 1)


def test_items_that_the_rules_refuse_are_named_and_not_offered(tmp_path: Path) -> None:
    looks = Looks(a=[REFUSED])
    findings = resolved(tmp_path, looks, 10, suspect("r", Kind.REFUSED))
    assert looks.offered == []
    assert looks.seen[0] == ["a"]
    assert findings.samples == {"refused": ("r", "a")}
    assert findings.differences == {Kind.REFUSED: 1}


def test_a_document_whose_key_nothing_tells_is_reported_and_not_settled(tmp_path: Path) -> None:
    looks = Looks(a=[ORPHANED])
    looks.unknown_keys = {"a"}
    findings = resolved(tmp_path, looks, 10)
    assert looks.offered == []
    assert (findings.differences[Kind.ORPHANED], findings.unsettled) == (1, 1)


def test_too_many_are_left_as_found_with_a_few_samples(tmp_path: Path) -> None:
    many = [suspect(f"k{number}") for number in range(3 * SAMPLES)]
    looks = Looks()
    told: list[tuple[str, Look | None]] = []
    resolver = Resolver(looks.look, looks.offer, 5, (3,), FakeClock(), lambda one, look: told.append((one.id, look)))
    resolver.leave([suspects_file(tmp_path, many)], Found(missing=len(many)))
    assert told == [(one.id, None) for one in many], "all of them are, though none was looked at"
    assert looks.seen == looks.offered == []
    assert (resolver.findings.unsettled, len(resolver.findings.samples["missing"])) == (len(many), SAMPLES)


@pytest.mark.parametrize(
    ("table_count", "max_mends", "most"),
    [(0, None, AT_ONCE), (200_000, None, AT_ONCE), (5_000_000, None, 50_000), (200_000, 150_000, 150_000)],
)
def test_so_many_suspects_are_looked_at(table_count: int, max_mends: int | None, most: int) -> None:
    assert most_suspects(table_count, max_mends) == most
