"""The page of a reconciliation: what it says, and that nobody's data or names can make it do anything."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.reconcile.page import render_page
from dynamo_opensearch.core.reconcile.rendering.style import DARK, LIGHT
from dynamo_opensearch.core.reconcile.report import Night, ReconcileReport, Subject
from dynamo_opensearch.core.reports import OfferReport
from tests.support.read_page import Element, read_page
from tools.reconciliation_samples import LIST, SUBJECT, TONIGHT_US, comparison, nights, report, situations

SITUATIONS = {name: (one, earlier, differences_file) for name, one, earlier, differences_file in situations()}
HOSTILE = "</style></title></svg><script>alert('x')</script>\"'><img src=x onerror=alert(1)>&lt;"
KINDS = ("missing", "orphaned", "stale", "refused")


def page_of(one: ReconcileReport, earlier: Sequence[Night] = (), differences_file: str | None = None) -> Element:
    return read_page(render_page(one, earlier, differences_file=differences_file))


def counted(table: int, index: int, written: int = 0, **changes: Any) -> ReconcileReport:
    counts = SideCounts(table_count=table, index_count=index, written=written, **changes)
    return report("count", counts=counts)


@pytest.mark.parametrize("name", SITUATIONS)
def test_it_is_one_well_formed_page_that_needs_nothing_from_elsewhere(name: str) -> None:
    one, earlier, differences_file = SITUATIONS[name]
    text = render_page(one, earlier, differences_file=differences_file)
    page = read_page(text)
    elements = page.everything()
    assert text.startswith("<!doctype html>\n")
    assert not {each.name for each in elements} & {"script", "link", "img", "iframe", "object", "embed", "a", "form"}
    ids = [each.attributes["id"] for each in elements if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    for each in elements:
        assert not {key for key in each.attributes if key.startswith("on")} | (
            {"src", "href", "style"} & set(each.attributes)
        )
        for value in each.attributes.values():
            assert all(used in ids for used in re.findall(r"url\(#([\w-]+)\)", value))
            assert value.count("url(") == value.count("url(#")
    (style,) = page.all("style")
    assert not re.search(r"url\(|@import|@font-face|expression", style.text)


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_chart_has_a_title_and_a_text_and_all_its_numbers_stand_in_a_table(name: str) -> None:
    one, earlier, differences_file = SITUATIONS[name]
    page = page_of(one, earlier, differences_file)
    for canvas in page.all("svg", "canvas"):
        assert canvas.attributes["role"] == "img"
        assert [each.name for each in canvas.inner[:2]] == ["title", "desc"]
        assert canvas.attributes["aria-labelledby"].split() == [each.attributes["id"] for each in canvas.inner[:2]]
        assert all(each.text for each in canvas.inner[:2])
    rows = page.first("table", "runs").first("tbody").all("tr")
    assert len(rows) == len({*(night.run_id for night in earlier), one.run_id})
    assert f"{one.table_count:,}" in rows[0].text
    assert [row.attributes.get("class") for row in rows] == ["this"] + [None] * (len(rows) - 1)


def hostile_report(text: str) -> tuple[ReconcileReport, list[Night], str]:
    """A report and a night with that text wherever there is text."""
    subject = Subject(**dict.fromkeys((one.name for one in fields(Subject)), text))
    one_each: dict[str, Any] = dict.fromkeys(KINDS, 1)
    made = comparison(
        **one_each,
        samples=dict.fromkeys(KINDS, (text, text)),
        differing_fields={text: 1, f"{text}.b": 2},
    )
    one = report(made=made, subject=subject, run_id=text, causes=(text,), repair_note=text, cleared=1, repair="plan")
    other = replace(subject, index=f"other {text}", table=f"other {text}")
    earlier = [replace(Night.of(one, text), run_id="earlier", began_us=TONIGHT_US - 1, subject=other)]
    return one, earlier, text


def test_hostile_names_are_text_everywhere() -> None:
    hostile = page_of(*hostile_report(HOSTILE))
    harmless = page_of(*hostile_report("Harmless"))
    assert [one.name for one in hostile.everything()] == [one.name for one in harmless.everything()]
    for one, other in zip(hostile.everything(), harmless.everything(), strict=True):
        assert one.attributes.keys() == other.attributes.keys()
    about = {one.text for one in hostile.first("dl", "about").all("dd")}
    assert {HOSTILE} <= about
    assert hostile.text.count(HOSTILE) == harmless.text.count("Harmless")
    assert HOSTILE in hostile.first("title").text


def test_hostile_names_are_text_where_only_counts_are_known() -> None:
    counts = SideCounts(table_count=1, index_count=2, remarks=(HOSTILE,))
    page = page_of(report("count", counts=counts, causes=(HOSTILE,)))
    assert not page.all("script")
    assert page.text.count(HOSTILE) == 2
    moved = page_of(report(moved_to=HOSTILE, subject=replace(SUBJECT, alias=HOSTILE)))
    assert HOSTILE in moved.first("h1").text
    assert HOSTILE in moved.first("p", "caveat").text


@pytest.mark.parametrize("text", ["a\ud800b", "a\x00b", "a\u202eb", "a\x1bb", "a\x85b"])
def test_what_cannot_be_printed_or_turns_the_text_is_replaced(text: str) -> None:
    content = render_page(*hostile_report(text)[:2], differences_file=text).encode()
    assert text.encode("utf-8", "surrogatepass") not in content
    assert "a\ufffdb".encode() in content


def test_a_very_long_name_is_cut() -> None:
    made = comparison(stale=1, differing_fields={"f" * 10_000: 1}, samples={"stale": ("i" * 512,)})
    text = render_page(report(made=made), [], differences_file=None)
    assert ("f" * 200 + "…" in text, "f" * 201 in text) == (True, False)
    assert ("i" * 200 + "…" in text, "i" * 201 in text) == (True, False)


VERDICTS = {
    "equal": (report(), "Equal", "All 1,204,817 items are in the index with the right content, and nothing else is."),
    "one item": (
        report("keys", made=comparison("keys", items=1)),
        "Equal",
        "The one item is in the index, and nothing else is.",
    ),
    "nothing": (
        report(made=comparison(items=0)),
        "Equal",
        "The table has no item that belongs, and the index has no document.",
    ),
    "mended": (
        report(made=comparison(items=9, mended={"stale": 1}), repair="apply"),
        "Equal after repair",
        "All 9 items are in the index with the right content, and nothing else is; 1 difference was found and mended.",
    ),
    "different": (
        report(made=comparison(missing=1, orphaned=2, stale=1_003)),
        "Different",
        "1,006 differences: 1 document missing in the index, 2 orphaned documents and 1,003 stale documents.",
    ),
    "refused": (
        report(made=comparison(missing=2, refused=1)),
        "Different",
        "3 differences: 2 documents missing in the index and 1 item refused by the field rules.",
    ),
    "tolerated": (
        report(made=comparison(orphaned=3), tolerance=5),
        "Equal within the tolerance",
        "3 differences, within the tolerance of 5: 3 orphaned documents.",
    ),
    "equal counts": (counted(70, 70), "Equal", "As many documents as items: 70 each."),
    "in motion": (
        counted(70, 72, written=4),
        "In motion",
        "2 more documents than items, which the 4 changes written meanwhile can explain.",
    ),
    "fewer": (
        counted(70, 60, written=1),
        "Different",
        "10 fewer documents than items, though only 1 change was written meanwhile.",
    ),
    "still": (counted(0, 60), "Different", "60 more documents than items, though nothing was written meanwhile."),
    "moved": (
        report(made=comparison(stale=1), moved_to="members-v4"),
        "No verdict",
        "Alias members-live was moved while members-v3 was compared.",
    ),
    "approximate": (
        report("approximate", counts=SideCounts(table_count=5, index_count=60, table_age_s=21_600)),
        "Approximate",
        "About 5 items and 60 documents.",
    ),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_is_the_first_thing_in_one_sentence(name: str) -> None:
    one, label, sentence = VERDICTS[name]
    page = page_of(one)
    card = page.first("header", "verdict")
    assert page.first("main").inner[0] is card
    assert (card.first("p", "label").text, card.first("h1").text) == (label, sentence)
    assert one.verdict.replace(" ", "-") in card.attributes["class"].split()
    assert page.first("title").text == f"members: {label}, 12 Mar 2026, 02:30 UTC"


@pytest.mark.parametrize(
    ("one", "caveat"),
    [
        (report("keys", made=comparison("keys")), "What the documents say was not compared at this depth."),
        (counted(7, 7), "Whether they are the right ones cannot be told at this depth."),
        (counted(7, 9), "Which ones cannot be told at this depth."),
        (counted(7, 9, written=9), "Whether anything is wrong cannot be told at this depth."),
        (VERDICTS["approximate"][0], "The table's figure may be 6 h old: this proves nothing."),
        (
            VERDICTS["moved"][0],
            "It leads to members-v4 now; what stands below is about the index that it led to before.",
        ),
        (
            report(made=comparison(missing=9, unsettled=4)),
            "4 of them were not looked at again, so some may only be late.",
        ),
    ],
    ids=["keys", "equal counts", "counts", "in motion", "approximate", "moved", "unsettled"],
)
def test_it_says_what_it_does_not_know(one: ReconcileReport, caveat: str) -> None:
    card = page_of(one).first("header", "verdict")
    assert card.first("p", "caveat").text == caveat
    assert ("members-live led to members-v3" in card.text) == (one.moved_to is not None)


def commands(page: Element) -> list[tuple[str, dict[str, str]]]:
    """DAGs with their parameters, as a shell takes them."""
    found = []
    for one in page.all("code", "command"):
        words = shlex.split(one.text)
        assert words[:3] == ["airflow", "dags", "trigger"]
        found.append((words[3], json.loads(words[5]) if len(words) > 4 else {}))
    return found


def mend(depth: str, repair: str) -> tuple[str, dict[str, str]]:
    return "members_reconcile", {"depth": depth, "repair": repair}


REBUILD = ("members_reindex", {"mapping": "<file below include/mappings>"})
STEPS: dict[str, tuple[ReconcileReport, list[tuple[str, dict[str, str]]]]] = {
    "equal": (report(), []),
    "in motion": (counted(7, 9, written=9), []),
    "moved": (VERDICTS["moved"][0], [("members_reconcile", {"depth": "content"})]),
    "approximate": (VERDICTS["approximate"][0], [("members_reconcile", {"depth": "count"})]),
    "counts": (counted(7, 9), [("members_reconcile", {"depth": "content"})]),
    "found": (report(made=comparison(stale=1)), [mend("content", "plan"), mend("content", "apply")]),
    "planned": (report("keys", made=comparison("keys", orphaned=1), repair="plan"), [mend("keys", "apply")]),
    "left": (report(made=comparison(stale=1), repair="apply"), [mend("content", "apply")]),
    "much": (
        report(made=comparison(items=90, missing=30), repair="plan"),
        [("members_backfill", {}), mend("content", "apply")],
    ),
    "rules": (report(made=comparison(refused=2)), []),
    "mapping": (
        report(made=comparison(missing=3, rejected=3, offers=OfferReport(offered=3, rejected=3)), repair="apply"),
        [REBUILD],
    ),
    "tolerated": (report(made=comparison(orphaned=3), tolerance=5), []),
}


@pytest.mark.parametrize("name", STEPS)
def test_what_to_do_next_names_the_dag_and_its_parameters(name: str) -> None:
    one, expected = STEPS[name]
    assert commands(page_of(one)) == expected


def test_what_no_dag_can_mend_is_said_and_causes_come_first() -> None:
    one = report(made=comparison(missing=1, refused=2), causes=("the indexer is stopped",))
    steps = [each.text for each in page_of(one).first("ol", "steps").all("li")]
    assert steps[0] == "See first to what else is wrong; it is listed below."
    assert steps[-1].startswith("The field rules make no document of 2 items")
    assert "The indexer is stopped." in page_of(one).text


def test_the_kinds_add_up_and_mended_ones_stand_beside_what_is_left() -> None:
    mended = {"missing": 400, "stale": 21}
    made = comparison(missing=100, orphaned=300, stale=200, refused=3, mended=mended, in_motion=12)
    page = page_of(report(made=made, repair="apply"))
    table = page.first("table", "kinds")
    rows = {row.first("th").text: row.all("td", "number") for row in table.first("tbody").all("tr")}
    numbers = [[int(cell.text.replace(",", "")) for cell in cells] for cells in rows.values()]
    assert numbers == [[500, 400, 100], [300, 0, 300], [233, 21, 200], [3, 0, 3]]
    assert [cell.text for cell in table.first("tfoot").all("td", "number")] == ["1,036", "421", "603"]
    assert "1,036 differences then = 603 left + 421 mended + 12 in motion" in page.text


def test_samples_and_first_fields_stand_by_kind_and_number() -> None:
    made = comparison(
        missing=2, stale=5, samples={"missing": ("m1", "m2"), "stale": ("s1",)}, differing_fields={"b": 2, "a.c": 3}
    )
    page = page_of(report(made=made))
    groups = next(one for one in page.all("div", "samples") if one.all("ul", "ids"))
    heads = [one.text for one in groups.all("h4")]
    ids = [[each.text for each in one.all("code")] for one in groups.all("ul", "ids")]
    assert dict(zip(heads, ids, strict=True)) == {"missing": ["m1", "m2"], "stale": ["s1"]}
    assert [one.text for one in page.first("ul", "fields").all("li")] == ["a.c3", "b2"]


def test_many_fields_are_counted_together_and_a_whole_document_is_named() -> None:
    differing = {f"field{number:03d}": 200 - number for number in range(40)} | {"": 1_000}
    page = page_of(report(made=comparison(stale=5_000, differing_fields=differing)))
    shown = [one.text for one in page.first("ul", "fields").all("li")]
    assert shown[0] == "(the document as a whole)1,000"
    assert len(shown) == 12
    rest = sorted(differing.values(), reverse=True)[12:]
    assert f"And {len(rest)} fields more, in {sum(rest):,} documents." in page.text


def test_stale_is_not_claimed_to_be_none_where_it_was_not_compared() -> None:
    page = page_of(report("keys", made=comparison("keys", missing=1)))
    assert "not compared at this depth" in page.first("table", "kinds").text


def test_movement_refusals_cost_and_lag_are_told() -> None:
    made = comparison(
        missing=118,
        in_motion=7,
        refused=2,
        unsettled=40,
        rejected=118,
        skipped=88_120,
        mended={"missing": 80},
        offers=OfferReport(offered=208, indexed=80, deleted=6, stale=4, rejected=118),
        read_units=12_345.5,
    )
    changes: dict[str, Any] = {
        "repair": "apply",
        "repair_note": "no more than 1 %",
        "cleared": 21,
        "lag_s": 95,
        "causes": ("it is off",),
    }
    text = page_of(report(made=made, **changes)).text
    for told in (
        "No more than 1 %.",
        "It is off.",
        "40 differences not looked at again",
        "7 differences in motion",
        "2 items of which the field rules make no document",
        "118 documents refused by OpenSearch when offered",
        "208 documents offered = 80 indexed + 6 deleted + 4 that the index had newer + 118 refused",
        "88,120 items of the table do not belong",
        "21 parked dead letters made needless",
        "12,345.5",
        "1 min 35 s",
        "in 10 min 52 s",
    ):
        assert told in text


def test_the_subject_the_times_and_the_list_of_keys_are_told() -> None:
    page = page_of(report(made=comparison(missing=1)), differences_file=LIST)
    names = [one.text for one in page.first("dl", "about").all("dt")]
    told = dict(zip(names, (one.text for one in page.first("dl", "about").all("dd")), strict=True))
    assert told["List of keys"] == LIST
    assert [told[name] for name in ("Target", "Table", "Table id", "Alias", "Index", "Index UUID")] == [
        SUBJECT.target,
        SUBJECT.table,
        SUBJECT.table_id,
        SUBJECT.alias,
        SUBJECT.index,
        SUBJECT.index_uuid,
    ]
    assert (told["Run"], told["Began"]) == ("scheduled__2026-03-12T02:30:00+00:00", "2026-03-12 02:30:00 UTC")
    assert told["Ended"] == "2026-03-12 02:40:52 UTC, 10 min 52 s later"


def test_no_list_and_no_stream_are_told_as_such() -> None:
    page = page_of(report(subject=replace(SUBJECT, stream_arn=None), lag_s=None))
    about = page.first("dl", "about").text
    assert "none was written" in about
    assert "Streamoff" in about
    assert "Indexer behindnot known" in page.first("dl", "tiles").text


def test_drift_and_the_last_equal_run_are_those_of_this_depth_or_closer() -> None:
    history = nights(8)
    history[-1] = replace(history[-1], verdict="equal", depth="count")
    assert (history[3].depth, history[3].verdict) == ("content", "equal")
    one = report(made=comparison(stale=9))
    page = page_of(one, history)
    assert "last equal, at this depth or closer: 7 Mar 2026" in page.first("header", "verdict").text
    assert "Since the last run at depth content, 120.0 h ago: items" in page.text
    assert "in none of the runs that are kept" in page_of(one, history[:3]).text


@pytest.mark.parametrize(
    ("known", "told"), [(0, "all of them"), (4, "5, the others since 9 Mar 2026, 02:30 UTC")], ids=["new", "known"]
)
def test_it_says_since_when_a_difference_is_known(known: int, told: str) -> None:
    since_us = TONIGHT_US - (3 * 86_400_000_000 if known else 0)
    page = page_of(report(made=comparison(stale=9), known=known, oldest_us=since_us))
    assert f"found for the first time: {told}" in page.first("header", "verdict").text


@pytest.mark.parametrize("earlier", [nights(4), nights(4)[::-1]], ids=["in order", "turned"])
def test_this_run_stands_once_among_the_nights_and_later_ones_do_not(earlier: list[Night]) -> None:
    one = report()
    own = replace(Night.of(one, None), differences=77)
    later = replace(earlier[0], run_id="later", began_us=one.began_us + 1)
    rows = page_of(one, [later, own, *earlier]).first("table", "runs").first("tbody").all("tr")
    began = [row.first("th").text for row in rows]
    assert began == sorted(began, reverse=True)
    assert len(rows) == 5
    assert "77" not in rows[0].text


def test_no_more_than_120_nights_are_shown_and_the_newest_are() -> None:
    rows = page_of(report(), nights(200)).first("table", "runs").first("tbody").all("tr")
    assert len(rows) == 120
    assert rows[0].first("th").text.startswith("2026-03-12")


def test_the_same_run_gives_the_same_page() -> None:
    one, earlier, differences_file = SITUATIONS["different"]
    assert render_page(one, earlier, differences_file=differences_file) == render_page(
        ReconcileReport.from_json(json.loads(json.dumps(one.to_json()))),
        [Night.from_json(json.loads(json.dumps(night.to_json()))) for night in earlier],
        differences_file=differences_file,
    )


def luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_shapes_stand_out_from_what_is_behind_them(palette: dict[str, str]) -> None:
    for ground in (
        "page",
        "card",
        "sunk",
        "current",
        *(f"{name}-tint" for name in ("equal", "different", "in-motion")),
    ):
        for ink in ("ink", "muted"):
            assert contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)
    for verdict in ("equal", "different", "in-motion", "approximate"):
        assert contrast(palette[verdict], palette[f"{verdict}-tint"]) >= 4.5, verdict
    for shape in (*KINDS, "unknown", "mended", "items", "documents", "lag"):
        for ground in ("card", "current"):
            assert contrast(palette[shape], palette[ground]) >= 3, (shape, ground)
    assert contrast(palette["items"], palette["documents"]) >= 3
    assert LIGHT.keys() == DARK.keys()
