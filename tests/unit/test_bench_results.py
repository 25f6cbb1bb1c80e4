"""The benchmark's arithmetic and its tables."""

from pathlib import Path

import pytest

from tools.bench import parts
from tools.bench.__main__ import main
from tools.bench.course import Measured
from tools.bench.readme import README, marks, with_results
from tools.bench.results import Aim, aims, ratio
from tools.bench.runs import Run
from tools.bench.settings import Settings


def run(contender: str, rate: float, *, cpu_s: float = 1.0, peak_mb: float = 100.0, documents: int = 1000) -> Run:
    return Run(contender=contender, seconds=documents / rate, cpu_s=cpu_s, peak_mb=peak_mb, documents=documents)


def test_a_ratio_is_the_median_of_the_ratios_within_the_rounds() -> None:
    disturbed = [run("a", 100), run("b", 80), run("a", 10), run("b", 7), run("a", 200), run("b", 180)]
    assert ratio(disturbed, "b", "a", lambda one: one.documents_per_s) == pytest.approx(0.8)


def test_cpu_is_counted_per_100_000_documents() -> None:
    assert run("b", 1.0, cpu_s=0.5, documents=20_000).cpu_s_per_100k == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("at_least", "value", "is_met"), [(True, 0.7, True), (True, 0.69, False), (False, 250, True), (False, 251, False)]
)
def test_an_aim_is_a_lower_or_an_upper_bound(at_least: bool, value: float, is_met: bool) -> None:
    assert Aim(aim="", value=value, bound=0.7 if at_least else 250, at_least=at_least).is_met is is_met


def test_aims_come_from_the_runs_and_the_first_round_of_an_emulator_does_not_count() -> None:
    measured = Measured(
        light=[run("a", 100), run("b", 70, cpu_s=1), run("c", 30, cpu_s=5), run("d", 10, cpu_s=9, peak_mb=400)],
        emulators={"MiniStack": [run("scan", 50), run("b", 1), run("scan", 50), run("b", 49)]},
        memory=[run("task", 1, peak_mb=100, documents=0), run("task", 1, peak_mb=200), run("task", 1, peak_mb=210)],
    )
    values = [aim.value for aim in aims(measured)]
    assert values == pytest.approx([0.7, 5.0, 4.0, 0.98, 110, 1.05])


def test_quick_measures_little_and_the_environment_may_say_otherwise() -> None:
    assert Settings.from_environment({"BENCH_QUICK": "1"}).items < Settings.from_environment({}).items
    assert Settings.from_environment({"BENCH_ITEMS": "500", "BENCH_ROUNDS": "2"}).rounds == 2
    assert Settings.from_environment({"BENCH_ITEMS": "500"}).emulator_items == 500


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Settings.from_environment({"BENCH_ITEMS": "0"})


def test_results_replace_what_stands_between_the_marks_of_their_part() -> None:
    begin, end = marks("fill")
    other = "".join(marks("rebuild"))
    text = f"before\n{other}{begin}old\n{end}after\n"
    assert with_results(text, "fill", "new\n") == f"before\n{other}{begin}new\n{end}after\n"


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="needed"):
        with_results("nothing here", "fill", "new\n")


def test_the_page_has_a_place_for_each_part() -> None:
    for part in parts.PARTS:
        with_results(README.read_text(), part, "new\n")


def test_what_one_part_measured_stays_when_another_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "RESULTS", tmp_path / "bench.json")
    parts.keep_results("fill", {"a": 1})
    parts.keep_results("rebuild", {"b": 1})
    parts.keep_results("rebuild", {"b": 2})
    assert parts.read_results() == {"fill": {"a": 1}, "rebuild": {"b": 2}}


def test_a_part_that_is_not_known_is_refused() -> None:
    with pytest.raises(SystemExit, match="rebuilt; the parts are fill, rebuild"):
        main(["rebuild", "rebuilt"])
