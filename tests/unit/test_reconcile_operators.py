"""The tasks of a reconciliation around the core: what they are asked for, hand on and skip, and how they fail."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.utils.types import DagRunType

from dynamo_opensearch.core.errors import AccessDeniedError, PassingError
from dynamo_opensearch.core.reconcile.causes import Surroundings
from dynamo_opensearch.core.reconcile.history import keep_night, load_nights
from dynamo_opensearch.core.stream.changes import StreamChanges
from dynamo_opensearch.core.targets.airflow_settings import AirflowSettings, Reconciliation
from dynamo_opensearch.core.targets.model import Budgets
from dynamo_opensearch.operators.reconcile import comparing
from dynamo_opensearch.wiring import reconciling
from tests.support.fakes import NOW_US
from tests.support.reconciled import INDEX, MemoryRig
from tests.support.reconciled_target import RigConnections, Run, connect_rig
from tests.support.reconciliations import comparison, night, plan, subject

SUNDAY, MONDAY = datetime(2026, 6, 7, 1, 30, tzinfo=UTC), datetime(2026, 6, 8, 0, 30, tzinfo=UTC)
BERLIN = "Europe/Berlin"
SCHEDULES = AirflowSettings(
    nightly=Reconciliation(cron="30 2 * * *", timezone=BERLIN, depth="keys", repair="plan"),
    weekly=Reconciliation(cron="30 3 * * 0", timezone=BERLIN, depth="content", repair="apply"),
)


@pytest.fixture
def rig() -> MemoryRig:
    made = MemoryRig()
    made.fill([f"k{number:02}" for number in range(40)])
    return made


@pytest.fixture
def connections(rig: MemoryRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RigConnections:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setattr(comparing, "look_around", lambda *_: Surroundings())
    monkeypatch.setattr(reconciling, "_changes_counter", lambda *_: lambda since_us: StreamChanges)
    return connect_rig(monkeypatch, rig)


def spoil(rig: MemoryRig) -> None:
    rig.drop("k01", "k02", "k03")
    rig.hold("ghost")
    rig.hold("k10", "another")


# The plan, and what it is asked for


@pytest.mark.parametrize(
    ("run", "depth", "repair", "planned"),
    [
        (Run(), None, None, ("keys", "plan")),
        (Run(), "content", None, ("content", "none")),
        (Run(), "count", None, ("count", "none")),
        (Run(), None, "none", ("keys", "none")),
        (Run(), None, "apply", ("keys", "apply")),
        (Run(), "content", "apply", ("content", "apply")),
        (Run(run_type="scheduled", logical_date=MONDAY), None, None, ("keys", "plan")),
        (Run(run_type="scheduled", logical_date=SUNDAY), None, None, ("content", "apply")),
        (Run(run_type="manual", logical_date=SUNDAY), None, None, ("keys", "plan")),
        (Run(run_type="scheduled", logical_date=SUNDAY), "keys", None, ("keys", "none")),
    ],
)
def test_a_run_does_what_its_form_says_and_for_the_rest_what_its_schedule_says(
    rig: MemoryRig,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    run: Run,
    depth: str | None,
    repair: str | None,
    planned: tuple[str, str],
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    connect_rig(monkeypatch, rig, {"airflow": SCHEDULES})
    made = run.start(depth, repair)
    assert (made.depth, made.repair) == planned


def test_the_run_type_is_understood_as_airflow_gives_it(connections: RigConnections) -> None:
    assert isinstance(DagRunType.SCHEDULED, str)
    run = Run(run_type=DagRunType.SCHEDULED, logical_date=MONDAY)
    assert run.start().depth == "count"


def test_the_parts_are_returned_for_mapping_and_the_plan_is_pushed(connections: RigConnections) -> None:
    run = Run()
    made = run.start("keys")
    assert run.returned["plan"] == run.plan["parts"]
    assert made.run_id == run.instance.run_id
    assert len(made.parts) == 3
    assert Run().start("count").parts == ()


def test_a_repair_that_could_name_no_key_fails_for_good(connections: RigConnections) -> None:
    with pytest.raises(AirflowFailException, match="start this DAG with depth keys or content"):
        Run().start("count", "apply")


def test_planning_removes_the_work_of_earlier_runs_and_not_its_own(connections: RigConnections, tmp_path: Path) -> None:
    for run_id in ("first", "second"):
        run = Run(run_id)
        run.start("keys")
        run.read_and_join()
    work = [path.parent.name for path in sorted(tmp_path.rglob("work"))]
    assert work == ["second"]
    run.start("keys")
    assert [path.parent.name for path in tmp_path.rglob("work")] == ["second"], "a plan that is made again"


# Counting


def test_counting_is_skipped_where_keys_are_compared_and_asks_nothing(
    connections: RigConnections, rig: MemoryRig
) -> None:
    run = Run()
    run.start("keys")
    rig.cluster.requested.clear()
    with pytest.raises(AirflowSkipException):
        comparing.CountSidesOperator(task_id="count", target="members", plan=run.plan).execute(run.context)
    assert (rig.items.scans, rig.cluster.requested) == ([], [])


def test_figures_are_taken_from_the_plan_and_nothing_is_scanned(connections: RigConnections, rig: MemoryRig) -> None:
    rig.items.description["ItemCount"] = 38
    run = Run()
    run.start("approximate")
    counted = run.count()
    assert (counted["counts"]["table_count"], counted["counts"]["index_count"]) == (38, 40)
    assert counted["counts"]["table_age_s"] == 21_600
    assert rig.items.scans == []


def test_equal_counts_have_no_causes(connections: RigConnections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "look_around", lambda *_: pytest.fail("nobody is to be asked"))
    run = Run()
    run.start("count")
    counted = run.count()
    assert (counted["counts"]["difference"], counted["causes"]) == (0, [])


def test_counts_that_differ_come_with_what_else_is_wrong(
    connections: RigConnections, rig: MemoryRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(rig)
    monkeypatch.setattr(comparing, "look_around", lambda *_: Surroundings(mapping_state="Disabled", dead_letters=5))
    keep_night(connections.state("reconciliations"), night(run_id="before", subject=subject(table_id="old")))
    run = Run()
    run.start("count")
    counted = run.count()
    assert counted["counts"]["unexplained"] == 2
    assert [word for word in ("restored", "Disabled", "dead-letter") if word in " ".join(counted["causes"])] == [
        "restored",
        "Disabled",
        "dead-letter",
    ]


def test_counts_that_differ_by_what_is_accepted_have_no_causes(
    rig: MemoryRig, monkeypatch: pytest.MonkeyPatch, connections: RigConnections
) -> None:
    spoil(rig)
    connect_rig(monkeypatch, rig, {"budgets": Budgets(tolerance=2)})
    monkeypatch.setattr(comparing, "look_around", lambda *_: pytest.fail("nobody is to be asked"))
    run = Run()
    run.start("count")
    assert run.count()["causes"] == []


# Reading, joining


def test_each_reading_task_says_which_side_it_read_and_the_sums_are_pushed(connections: RigConnections) -> None:
    run = Run()
    run.start("keys")
    run.read_and_join()
    assert run.instance.pushed["table"]["rows"] == run.instance.pushed["index"]["rows"] == 40
    assert run.returned["add_up"] == [list(join) for join in plan(joins=((0, 0),)).joins]
    assert sum(one["equal"] for one in run.returned["joined"]) == 40


def test_a_work_file_that_a_later_run_has_removed_fails_for_good_and_says_what_to_do(
    connections: RigConnections, tmp_path: Path
) -> None:
    run = Run("first")
    run.start("keys")
    run.read_and_join()
    Run("second").start("keys")
    with pytest.raises(AirflowFailException, match="Start this DAG again"):
        run.settle()


@pytest.mark.parametrize(
    ("error", "raised"),
    [(PassingError("away"), PassingError), (AccessDeniedError("s", "a", "r", "c"), AirflowFailException)],
)
def test_passing_errors_are_left_to_retries_and_permanent_ones_end_the_task(
    connections: RigConnections, rig: MemoryRig, error: Exception, raised: type[Exception]
) -> None:
    run = Run()
    run.start("keys")

    def fail(segment: int) -> None:
        raise error

    rig.items.on_scan = fail
    with pytest.raises(raised):
        run.read_and_join()


# Looking again


def settled(run: Run, depth: str = "content") -> Any:
    run.start(depth)
    run.read_and_join()
    return run.settle()


def test_what_stands_still_is_handed_on_in_numbers_with_what_may_be_mended_unasked(
    connections: RigConnections, rig: MemoryRig
) -> None:
    spoil(rig)
    result = settled(Run())
    assert (result["to_repair"], result["allowed"], result["known"], result["note"]) == (5, 1, 0, "")
    assert (result["comparison"]["missing"], result["comparison"]["orphaned"], result["comparison"]["stale"]) == (
        3,
        1,
        1,
    )
    assert result["causes"] == []


def test_the_text_for_the_question_has_comparison_and_causes(
    connections: RigConnections, rig: MemoryRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(rig)
    monkeypatch.setattr(comparing, "look_around", lambda *_: Surroundings(lag_s=999.0))
    run = Run()
    settled(run)
    text = run.instance.pushed["text"]
    assert "missing in the index                             3" in text
    assert "the indexer is 999 s behind" in text


def test_nobody_is_asked_for_causes_where_nothing_differs(
    connections: RigConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "look_around", lambda *_: pytest.fail("nobody is to be asked"))
    assert settled(Run())["to_repair"] == 0


@pytest.mark.parametrize("show_keys", [True, False])
def test_ids_are_handed_on_as_they_are_only_where_the_target_says_so(
    rig: MemoryRig, monkeypatch: pytest.MonkeyPatch, connections: RigConnections, show_keys: bool
) -> None:
    spoil(rig)
    connect_rig(monkeypatch, rig, {"show_keys": show_keys})
    run = Run()
    result = settled(run)
    assert ("ghost" in json.dumps(result)) is show_keys
    assert "ghost" not in run.instance.pushed["text"]


def test_ids_are_not_logged(connections: RigConnections, rig: MemoryRig, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(rig)
    run = Run()
    run.go("content", "plan")
    logged = capsys.readouterr().out
    assert "5 differences" in logged
    for name in ("ghost", "k01", "k10"):
        assert name not in logged


def test_the_list_of_the_run_before_tells_since_when(connections: RigConnections, rig: MemoryRig) -> None:
    spoil(rig)
    first = Run("first")
    first.go("content")
    (kept,) = load_nights(connections.state("reconciliations"))
    assert kept.differences_file is not None
    rig.clock.pass_s(86_400)
    rig.drop("k20")
    second = Run("second")
    result = settled(second)
    assert (result["known"], result["oldest_us"]) == (5, NOW_US)


def test_where_that_list_is_gone_all_is_new(connections: RigConnections, rig: MemoryRig, tmp_path: Path) -> None:
    spoil(rig)
    Run("first").go("content")
    for file in tmp_path.rglob("differences.ndjson"):
        file.unlink()
    rig.clock.pass_s(86_400)
    second = Run("second")
    result = settled(second)
    assert (result["known"], result["oldest_us"]) == (0, second.plan["began_us"])


def test_a_count_in_between_does_not_hide_the_list_of_keys(connections: RigConnections, rig: MemoryRig) -> None:
    spoil(rig)
    Run("first").go("content")
    rig.clock.pass_s(86_400)
    Run("count").go("count")
    assert settled(Run("second"))["known"] == 5


def test_everything_up_to_the_verdict_is_json_and_right(connections: RigConnections, rig: MemoryRig) -> None:
    spoil(rig)
    report = Run().go("content", "none")
    assert report["by_kind"] == {"missing": 3, "orphaned": 1, "stale": 1, "refused": 0}
    assert (report["verdict"], report["differences"], report["mended"]) == ("different", 5, 0)
    assert rig.cluster.documents(INDEX) != rig.expected()
    assert comparison(missing=3, orphaned=1, stale=1).differences == report["differences"]
