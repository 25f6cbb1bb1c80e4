"""The charts over the nights: what is drawn where, for few and many nights, tiny and huge numbers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_opensearch.core.reconcile.charts import counts_chart, differences_chart, lag_chart
from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.reconcile.rendering.markup import Html
from dynamo_opensearch.core.reconcile.rendering.scales import Columns, Scale, count_scale, time_scale
from dynamo_opensearch.core.reconcile.rendering.words import axis_number, duration, listed, number, signed
from dynamo_opensearch.core.reconcile.report import Night
from tests.support.read_page import Element, read_page
from tools.reconciliation_samples import DAY_US, SUBJECT, TONIGHT_US, comparison, report

Drawing = Callable[[Sequence[Night], str], Html]
CHARTS: list[Drawing] = [counts_chart, differences_chart, lag_chart]
BOTTOM = 150
TOP = 12


def night(age: int = 0, **changes: Any) -> Night:
    """A night of a comparison that found nothing, so many days ago."""
    own: dict[str, Any] = {"run_id": f"run-{age}", "began_us": TONIGHT_US - age * DAY_US}
    return replace(Night.of(report(made=comparison(items=100)), None), **own | changes)


def kinds(**found: int) -> dict[str, Any]:
    by_kind = {"missing": 0, "orphaned": 0, "stale": 0, "refused": 0} | found
    return {"by_kind": by_kind, "differences": sum(by_kind.values())}


def counted(age: int, differences: int) -> Night:
    counts = SideCounts(table_count=100, index_count=100 - differences)
    one = Night.of(report("count", counts=counts), None)
    return replace(one, run_id=f"run-{age}", began_us=TONIGHT_US - age * DAY_US)


def approximate(age: int) -> Night:
    counts = SideCounts(table_count=100, index_count=40, table_age_s=9)
    one = Night.of(report("approximate", counts=counts), None)
    return replace(one, run_id=f"run-{age}", began_us=TONIGHT_US - age * DAY_US)


def drawn(chart: Drawing, nights: Sequence[Night]) -> Element:
    return read_page(str(chart(nights, nights[-1].run_id)))


def bars(figure: Element) -> list[tuple[str, float, float]]:
    """Kind, height and lower edge of each bar's part, in the order of drawing."""
    rectangles = figure.first("svg", "canvas").all("rect", "bar")
    return [
        (
            one.attributes["class"].split()[1],
            float(one.attributes["height"]),
            float(one.attributes["y"]) + float(one.attributes["height"]),
        )
        for one in rectangles
    ]


def axis_labels(figure: Element) -> list[str]:
    return [one.text for one in figure.first("svg", "axis").all("text")]


@pytest.mark.parametrize("count", [1, 2, 3, 31, 32, 120])
@pytest.mark.parametrize("chart", CHARTS)
def test_every_night_has_a_column_of_one_width_and_is_told_of(chart: Drawing, count: int) -> None:
    nights = [night(age, lag_s=float(age)) for age in range(count, 0, -1)]
    columns = drawn(chart, nights).first("svg", "canvas").all("rect", "hit")
    assert len(columns) == count
    assert {one.attributes["width"] for one in columns} == {f"{100 / count:g}%"}
    assert [float(one.attributes["x"].rstrip("%")) for one in columns] == pytest.approx(
        [100 * column / count for column in range(count)], abs=0.01
    )
    assert columns[-1].text.startswith("11 Mar 2026, 02:30 UTC, depth content\n")


@pytest.mark.parametrize("chart", CHARTS)
def test_this_run_stands_out_in_its_column_and_its_date(chart: Drawing) -> None:
    nights = [night(age, lag_s=1.0) for age in range(9, -1, -1)]
    canvas = drawn(chart, nights).first("svg", "canvas")
    assert [one.attributes["x"] for one in canvas.all("rect", "current")] == ["90%"]
    assert [one.text for one in canvas.all("text", "now")] == ["12 Mar"]
    assert not drawn(chart, nights[-1:]).all("rect", "current")


@pytest.mark.parametrize("chart", CHARTS)
def test_runs_of_one_day_are_told_apart_by_the_time(chart: Drawing) -> None:
    nights = [night(began_us=TONIGHT_US + hour * 3_600_000_000) for hour in range(3)]
    dates = [one.text for one in drawn(chart, nights).first("svg", "canvas").all("text")]
    assert dates == ["12 Mar, 02:30", "12 Mar, 03:30", "12 Mar, 04:30"]


def test_two_lines_that_are_one_are_both_drawn_the_narrow_one_on_top() -> None:
    canvas = drawn(counts_chart, [night(age) for age in range(50, 0, -1)]).first("svg", "canvas")
    broad, narrow = canvas.all("path", "trace")
    assert (broad.attributes["class"], narrow.attributes["class"]) == ("trace items", "trace documents")
    assert broad.attributes["d"] == narrow.attributes["d"]
    assert broad.attributes["vector-effect"] == narrow.attributes["vector-effect"] == "non-scaling-stroke"


def test_a_single_night_is_a_dot_of_each_count() -> None:
    canvas = drawn(counts_chart, [night()]).first("svg", "canvas")
    items, documents = canvas.all("circle", "dot")
    assert items.attributes["cx"] == documents.attributes["cx"] == "50%"
    assert float(items.attributes["r"]) > float(documents.attributes["r"])


def test_more_documents_than_items_are_drawn_higher() -> None:
    nights = [night(age, table_count=100, index_count=150) for age in (2, 1)]
    items, documents = drawn(counts_chart, nights).first("svg", "canvas").all("path", "trace")
    heights = [[float(y) for y in re.findall(r" ([\d.]+)", one.attributes["d"])] for one in (items, documents)]
    assert all(above < below for below, above in zip(*heights, strict=True))


def test_another_index_and_a_restored_table_are_marked_where_they_begin() -> None:
    moved, restored = replace(SUBJECT, index="members-v4"), replace(SUBJECT, index="members-v4", table_id="other")
    subjects = [SUBJECT, SUBJECT, moved, moved, restored]
    figure = drawn(counts_chart, [night(5 - place, subject=one) for place, one in enumerate(subjects)])
    assert [one.attributes["x1"] for one in figure.all("line", "turn")] == ["40%", "80%"]
    notes = [one.text for one in figure.first("ul", "note").all("li")]
    assert notes[:2] == [
        "a: 9 Mar: members-live leads to members-v4 instead of members-v3",
        "b: 11 Mar: the table was made anew",
    ]


def test_the_kinds_of_a_night_stand_on_each_other_in_proportion() -> None:
    nights = [night(2, **kinds(missing=500, orphaned=300, stale=200)), night(1, **kinds(missing=1_000))]
    parts = bars(drawn(differences_chart, nights))
    assert [kind for kind, _, _ in parts] == ["missing", "orphaned", "stale", "missing"]
    heights = [height for _, height, _ in parts]
    assert heights[0] == pytest.approx(heights[3] / 2)
    assert sum(heights[:3]) == pytest.approx(heights[3])
    assert [lower for _, _, lower in parts[:3]] == pytest.approx([150, 150 - heights[0], 150 - sum(heights[:2])])


def test_one_difference_beside_many_thousands_is_still_seen() -> None:
    parts = bars(drawn(differences_chart, [night(2, **kinds(missing=500_000)), night(1, **kinds(stale=1))]))
    assert [height >= 3 for _, height, _ in parts] == [True, True]


def test_what_was_mended_stands_on_top_of_what_is_left() -> None:
    parts = bars(drawn(differences_chart, [night(1, **kinds(stale=10), mended=90)]))
    assert [kind for kind, _, _ in parts] == ["stale", "mended"]
    assert parts[1][2] == pytest.approx(parts[0][2] - parts[0][1])


def test_a_night_of_counts_has_its_difference_as_not_known_by_kind() -> None:
    figure = drawn(differences_chart, [counted(2, 7), night(1)])
    assert [kind for kind, _, _ in bars(figure)] == ["unknown"]
    assert "not known by kind" in figure.first("ul", "legend").text
    assert "not known by kind 7" in figure.first("svg", "canvas").all("rect", "hit")[0].text


def test_no_difference_is_seen_as_such_and_how_closely_it_was_looked_for() -> None:
    figure = drawn(differences_chart, [night(4), counted(3, 0), approximate(2), night(1, **kinds(stale=1))])
    marks = figure.first("svg", "canvas").everything()
    shown = [one.attributes["class"] for one in marks if "nothing" in one.attributes.get("class", "").split()]
    assert shown == ["nothing", "nothing by-counts", "nothing approximate"]
    told = [one.text.split("\n")[1] for one in figure.first("svg", "canvas").all("rect", "hit")]
    assert told == [
        "no difference",
        "no difference in the counts",
        "figures that may be hours old: proves nothing",
        "stale 1",
    ]


def test_the_legend_has_this_runs_numbers_and_no_kind_that_is_not_known() -> None:
    known = drawn(differences_chart, [counted(2, 7), night(1, **kinds(stale=3))]).first("ul", "legend")
    assert {"missing0", "stale3", "not known by kind0"} <= {one.text for one in known.all("li")}
    counts = drawn(differences_chart, [night(2), counted(1, 7)]).first("ul", "legend")
    assert {"missing", "stale", "not known by kind7"} <= {one.text for one in counts.all("li")}


def test_the_lags_line_has_a_gap_where_nothing_told_and_a_lone_night_is_a_dot() -> None:
    lags = [1.0, 2.0, None, 3.0, None, *[4.0] * 40]
    nights = [night(len(lags) - place, lag_s=lag) for place, lag in enumerate(lags)]
    canvas = drawn(lag_chart, nights).first("svg", "canvas")
    (path,) = canvas.all("path", "trace")
    assert re.sub(r"[^ML]", "", path.attributes["d"]) == "MLMM" + "L" * 39
    assert len(canvas.all("circle", "dot")) == 1
    assert "Known in 43 of 45 runs, at most 4 s" in canvas.first("desc").text
    assert [one.text.split("\n")[1] for one in canvas.all("rect", "hit")[:3]] == ["1 s", "2 s", "not known"]


def test_without_any_known_lag_it_is_said() -> None:
    figure = drawn(lag_chart, [night(age, lag_s=None) for age in (2, 1)])
    assert "In none of these runs" in figure.text
    assert not figure.all("svg")


def test_an_hour_does_not_hide_the_seconds() -> None:
    figure = drawn(lag_chart, [night(3, lag_s=2.0), night(2, lag_s=5.0), night(1, lag_s=4_000.0)])
    assert axis_labels(figure) == ["0 s", "10 s", "1 min", "10 min", "1 h", "6 h"]
    assert "The axis is logarithmic." in figure.text
    heights = [
        float(y) for y in re.findall(r" ([\d.]+)", figure.first("svg", "canvas").first("path", "trace").attributes["d"])
    ]
    assert heights[0] - heights[1] > 4


def test_texts_sum_up_what_a_chart_shows() -> None:
    nights = [night(3, **kinds(missing=2, stale=1)), counted(2, 0), night(1)]
    text = drawn(differences_chart, nights).first("desc").text
    assert text == (
        "3 runs, 2 of them without differences. The most on 9 Mar 2026, 02:30 UTC: missing 2, stale 1. "
        "The last run: no difference."
    )
    counts = drawn(counts_chart, [night(2, table_count=5, index_count=9), night(1)]).first("desc").text
    assert counts == (
        "2 runs. Items from 5 to 100, documents from 9 to 100. Farthest apart on 10 Mar 2026, 02:30 UTC: +4."
    )


def check(scale: Scale, values: Sequence[float]) -> None:
    heights = [y for y, _ in scale.ticks]
    labels = [text for _, text in scale.ticks]
    assert heights == sorted(heights, reverse=True)
    assert len(set(labels)) == len(labels) >= 2
    assert len(labels) <= 10
    assert all(scale.top - 0.01 <= scale.y(value) <= scale.bottom + 0.01 for value in values)


@given(counts=st.lists(st.integers(0, 10**14), min_size=1, max_size=120), from_zero=st.booleans())
def test_an_axis_of_counts_holds_all_of_them_with_labels_that_differ(counts: list[int], from_zero: bool) -> None:
    scale = count_scale(counts, TOP, BOTTOM, from_zero=from_zero)
    check(scale, counts)
    assert scale.low >= 0
    assert all(float(value).is_integer() for value in scale.values)


@given(base=st.integers(0, 10**13), apart=st.lists(st.integers(0, 12), min_size=1, max_size=9))
def test_counts_close_to_each_other_are_drawn_apart(base: int, apart: list[int]) -> None:
    counts = [base + one for one in apart]
    scale = count_scale(counts, TOP, BOTTOM, from_zero=False)
    check(scale, counts)
    if base > 100:
        assert all(abs(scale.y(one) - scale.y(other)) > 4 for one in counts for other in counts if one != other)


@given(seconds=st.lists(st.floats(0, 10**8), min_size=1, max_size=120))
def test_an_axis_of_durations_holds_all_of_them_with_labels_that_differ(seconds: list[float]) -> None:
    check(time_scale(seconds, TOP, BOTTOM), seconds)


@pytest.mark.parametrize("count", [1, 2, 7, 61, 120])
@pytest.mark.parametrize("most", [3, 8])
def test_dates_stand_at_one_distance_and_the_last_is_there(count: int, most: int) -> None:
    labelled = Columns(count).labelled(most)
    assert labelled[-1] == count - 1
    assert 1 <= len(labelled) <= most
    assert len({later - earlier for earlier, later in pairwise(labelled)}) <= 1


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0, 1, "0"),
        (999, 1, "999"),
        (1_500, 500, "1.5 k"),
        (2_000, 1_000, "2 k"),
        (1_204_817, 1, "1,204,817"),
        (1_250_000, 50_000, "1.25 M"),
        (3_000_000_000, 1_000_000_000, "3 G"),
        (8_400_000_000_000, 200_000_000_000, "8.4 T"),
    ],
)
def test_labels_are_short_where_that_tells_them_apart(value: float, step: float, text: str) -> None:
    assert axis_number(value, step) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.44, "0.4 s"),
        (59.6, "1 min"),
        (95, "1 min 35 s"),
        (3_600, "1 h"),
        (15_420, "4 h 17 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_and_lists_are_written_for_people() -> None:
    assert (number(1_234), number(1_234.56), signed(-3), signed(3), signed(0)) == (
        "1,234",
        "1,234.6",
        "\u22123",
        "+3",
        "0",
    )
    assert [listed(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
