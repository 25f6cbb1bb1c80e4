"""`members_reconcile`: order, schedule, parameters, people, and who is told of a run that did not pass."""

import copy
import runpy
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction

ROOT = Path(__file__).resolve().parents[2]
BERLIN = "Europe/Berlin"
Make = Callable[..., DAG]


@pytest.fixture(scope="module")
def reconcile(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["members_reconcile"]
    return dag


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """The DAG of the sample target with other settings."""

    def made(airflow: dict[str, Any] | None = None, budgets: dict[str, Any] | None = None) -> DAG:
        for folder in ("targets", "mappings"):
            (tmp_path / folder).mkdir(exist_ok=True)
        content = yaml.safe_load((ROOT / "include" / "targets" / "members.yaml").read_text())
        content["airflow"] |= airflow or {}
        content["budgets"] |= budgets or {}
        (tmp_path / "targets" / "members.yaml").write_text(yaml.safe_dump(content))
        mapping = ROOT / "include" / "mappings" / "members.json"
        (tmp_path / "mappings" / "members.json").write_bytes(mapping.read_bytes())
        monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path))
        dag: DAG = runpy.run_path(str(ROOT / "dags" / "reconcile.py"))["members_reconcile"]
        return dag

    return made


# Order


def test_the_order_of_a_reconciliation(reconcile: DAG) -> None:
    assert {task.task_id: set(task.upstream_task_ids) for task in reconcile.tasks} == {
        "plan": set(),
        "count": {"plan"},
        "read": {"plan"},
        "add_up": {"plan", "read"},
        "join": {"plan", "add_up"},
        "settle": {"plan", "add_up", "join"},
        "approve": {"plan", "settle"},
        "repair": {"plan", "settle", "approve"},
        "report": {"plan", "count", "repair"},
        "gate": {"report"},
        "confirm": {"gate"},
    }


def all_before(dag: DAG, task_id: str) -> set[str]:
    return {task.task_id for task in dag.get_task(task_id).get_flat_relatives(upstream=True)}


def test_nothing_is_mended_before_all_was_looked_at_and_somebody_could_say_no(reconcile: DAG) -> None:
    assert {"plan", "read", "join", "settle", "approve"} <= all_before(reconcile, "repair")


def test_the_gate_is_behind_the_report_so_that_there_is_one_of_a_run_that_fails(reconcile: DAG) -> None:
    assert {"count", "repair", "report"} <= all_before(reconcile, "gate")
    assert "gate" not in all_before(reconcile, "report")


def test_the_report_needs_either_the_counts_or_the_comparison_and_no_failure(reconcile: DAG) -> None:
    rules = {task.task_id: task.trigger_rule for task in reconcile.tasks if not task.is_teardown}
    assert rules.pop("report") == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
    assert set(rules.values()) == {TriggerRule.ALL_SUCCESS}


def test_parts_and_partitions_are_mapped_as_many_at_a_time_as_the_target_allows(make: Make) -> None:
    dag = make(budgets={"concurrent_tasks": 3})
    assert {task.task_id for task in dag.tasks if task.is_mapped} == {"read", "join"}
    assert dag.get_task("read").max_active_tis_per_dagrun == 6, "both sides at once"
    assert dag.get_task("join").max_active_tis_per_dagrun == 3


def test_mapped_tasks_are_named_by_what_they_read(reconcile: DAG) -> None:
    part = SimpleNamespace(part={"side": "table", "first": 4, "last": 7}, partitions=[2, 3])
    for task_id, name in (("read", "table 4 to 7"), ("join", "partitions 2 to 3")):
        task: Any = reconcile.get_task(task_id)
        template = task.partial_kwargs["map_index_template"]
        assert reconcile.get_template_env().from_string(template).render(task=part) == name


@pytest.mark.parametrize(
    ("report", "needed"),
    [
        ({"verdict": "equal"}, "gate"),
        ({"verdict": "different"}, "gate"),
        ({"verdict": "in motion"}, "report"),
        ({"verdict": "approximate"}, "report"),
        (None, "gate"),
        ({}, "gate"),
    ],
)
def test_a_run_whose_gate_cannot_tell_passes_without_it(reconcile: DAG, report: Any, needed: str) -> None:
    confirm: Any = reconcile.get_task("confirm")
    always, decided = confirm.needs
    assert always == "report"
    instance = SimpleNamespace(xcom_pull=lambda task_ids: report if task_ids == "report" else None)
    assert reconcile.get_template_env().from_string(decided).render(ti=instance) == needed


def test_equal_sides_are_an_event_of_one_asset_and_only_the_gate_makes_it(reconcile: DAG) -> None:
    outlets = {task.task_id: [asset.name for asset in task.outlets] for task in reconcile.tasks if task.outlets}
    assert outlets == {"gate": ["members_reconciled"]}


# Schedule


def runs(dag: DAG, start: datetime, days: int) -> list[datetime]:
    """When the scheduler would start it, from the DAG as it is handed to it."""
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    first = pendulum.instance(start)
    restriction = TimeRestriction(earliest=first, latest=first.add(days=days), catchup=True)
    found: list[datetime] = []
    last: DataInterval | None = None
    while (info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)) is not None:
        assert info.logical_date is not None
        found.append(info.logical_date)
        last = info.data_interval
    return found


def local_times(found: list[datetime], timezone: str) -> list[str]:
    return [pendulum.instance(one).in_timezone(timezone).format("ddd HH:mm") for one in found]


MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def test_a_target_that_says_nothing_is_counted_each_night_at_half_past_two(reconcile: DAG) -> None:
    assert local_times(runs(reconcile, MONDAY, 7), "UTC") == [f"{day} 02:30" for day in DAYS]


def test_nights_and_weeks_are_those_of_the_target_file_in_its_time_zone(make: Make) -> None:
    dag = make({"nightly": {"cron": "15 1 * * *", "timezone": BERLIN}, "weekly": {"cron": "0 4 * * 0"}})
    nights = [f"{day} 01:15" for day in ("Tue", "Wed", "Thu", "Fri", "Sat", "Sun")]
    assert local_times(runs(dag, MONDAY, 7), BERLIN) == [*nights, "Sun 04:00", "Mon 01:15"]


def test_two_lines_for_one_moment_are_one_run(make: Make) -> None:
    for weekly in ("30 2 * * 0", "30 2 * * *"):
        dag = make({"nightly": {"cron": "30 2 * * *", "timezone": BERLIN}, "weekly": {"cron": weekly}})
        found = runs(dag, MONDAY, 7)
        assert len(found) == len(set(found)) == 7


def test_it_runs_by_itself_one_at_a_time_and_never_for_the_past(reconcile: DAG) -> None:
    assert (reconcile.catchup, reconcile.max_active_runs) == (False, 1)
    assert not reconcile.allowed_run_types or "scheduled" in {
        str(getattr(one, "value", one)) for one in reconcile.allowed_run_types
    }


def test_the_documentation_tells_the_schedule_of_the_target(make: Make, reconcile: DAG) -> None:
    assert "At `30 2 * * *` (UTC) with depth `count`, repair `none`; and by hand." in (reconcile.doc_md or "")
    dag = make(
        {"nightly": {"cron": "15 1 * * *", "timezone": BERLIN}, "weekly": {"cron": "0 4 * * 0", "repair": "plan"}}
    )
    told = (
        "At `15 1 * * *` (Europe/Berlin) with depth `count`, repair `none`; at `0 4 * * 0` with depth `content`, repair"
    )
    assert f"{told} `plan`; and by hand." in (dag.doc_md or "")
    for name in ("members-live", "members"):
        assert f"`{name}`" in (dag.doc_md or "")


# Parameters


def validated(dag: DAG, name: str, value: Any) -> Any:
    """What a run would get; the DAG itself stays as it is."""
    return copy.deepcopy(dag.params.get_param(name)).resolve(value)


def test_left_empty_the_parameters_are_what_the_schedule_says(reconcile: DAG) -> None:
    assert {name: reconcile.params[name] for name in reconcile.params} == {"depth": None, "repair": None}
    plan: Any = reconcile.get_task("plan")
    environment = reconcile.get_template_env()
    for value in (None, "keys"):
        params = {"depth": value, "repair": value}
        assert environment.from_string(plan.depth).render(params=params) == value
        assert environment.from_string(plan.repair).render(params=params) == value


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("depth", [None, "approximate", "count", "keys", "content"]),
        ("repair", [None, "none", "plan", "apply"]),
    ],
)
def test_a_parameter_takes_these_values_and_no_other(reconcile: DAG, name: str, values: list[Any]) -> None:
    assert reconcile.params.get_param(name).schema["enum"] == values
    for value in values:
        assert validated(reconcile, name, value) == value
    for refused in ("", "all", 1, True, "Keys", ["keys"]):
        with pytest.raises(ParamValidationError):
            validated(reconcile, name, refused)


# People


def test_people_and_limits_of_the_target_reach_the_tasks(make: Make) -> None:
    dag = make(
        {
            "owner": "search",
            "approvers": ["ada", "bob"],
            "approval_timeout_h": 2.5,
            "task_timeout_h": 3,
            "retries": 7,
            "pool": "search_pool",
            "queue": "search_queue",
        }
    )
    approve: Any = dag.get_task("approve")
    assert approve.assigned_users == [{"id": "ada", "name": "ada"}, {"id": "bob", "name": "bob"}]
    assert approve.response_timeout == timedelta(hours=2.5)
    for task in dag.tasks:
        assert (task.owner, task.pool, task.queue, task.retries) == ("search", "search_pool", "search_queue", 7)
        assert task.execution_timeout == (None if task is approve else timedelta(hours=3))


def test_whoever_may_edit_the_run_approves_where_the_target_names_nobody(reconcile: DAG) -> None:
    approve: Any = reconcile.get_task("approve")
    assert approve.assigned_users is None
    assert approve.defaults is None, "no answer must not count as one"


def test_numbers_comparison_and_causes_stand_in_the_question(reconcile: DAG) -> None:
    approve: Any = reconcile.get_task("approve")
    settled = {"to_repair": 4_711, "allowed": 12}
    pulled = {("settle", "return_value"): settled, ("settle", "text"): "the comparison\nthe causes"}
    instance = SimpleNamespace(xcom_pull=lambda task_ids, key="return_value": pulled[task_ids, key])
    text = reconcile.get_template_env().from_string(approve.body).render(ti=instance)
    assert "(4711 keys, 12 allowed)" in text
    assert "the comparison\nthe causes" in text
    assert {"body", "plan", "settled"} <= set(approve.template_fields)


# Who is told


def callbacks(dag: DAG) -> dict[str, int]:
    """Tasks that call somebody when they fail."""
    found: dict[str, int] = {}
    for task in dag.tasks:
        any_task: Any = task
        on_failure = (any_task.partial_kwargs if task.is_mapped else vars(task)).get("on_failure_callback")
        if on_failure:
            found[task.task_id] = len(on_failure)
    return found


NOTIFIER = {"notifier": "tests.unit.test_reconcile_report_operators.Told", "arguments": {"message": "m"}}


@pytest.mark.parametrize("count", [1, 3])
def test_notifiers_are_called_by_the_last_task_alone_and_once(make: Make, count: int) -> None:
    dag = make({"notifiers": [NOTIFIER] * count})
    assert dag.on_failure_callback is None, "it would call them a second time, without the figures"
    assert callbacks(dag) == {"confirm": 1}
    for task in dag.tasks:
        if not task.is_mapped:
            assert not task.on_retry_callback
            assert not task.on_success_callback


def test_without_notifiers_nobody_is_called(reconcile: DAG) -> None:
    assert (reconcile.on_failure_callback, callbacks(reconcile)) == (None, {})


def test_the_last_task_runs_whatever_happened(reconcile: DAG) -> None:
    confirm = reconcile.get_task("confirm")
    assert confirm.is_teardown
    assert confirm.on_failure_fail_dagrun
    assert [task.task_id for task in reconcile.leaves] == ["confirm"]


def test_a_run_that_is_late_is_told_to_the_first_notifier(make: Make) -> None:
    dag: Any = make({"notifiers": [NOTIFIER], "deadline_h": 2})
    deadlines = dag.deadline if isinstance(dag.deadline, list) else [dag.deadline]
    assert [one.interval for one in deadlines] == [timedelta(hours=2)]


# Reading the file


def test_fifty_targets_are_read_in_under_five_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this process: what else the machine does is not counted."""
    text = (ROOT / "include" / "targets" / "members.yaml").read_text()
    schedule = "airflow:\n  weekly: {cron: '0 3 * * 0'}\n"
    for folder in ("targets", "mappings"):
        (tmp_path / folder).mkdir()
    mapping = ROOT / "include" / "mappings" / "members.json"
    (tmp_path / "mappings" / "members.json").write_bytes(mapping.read_bytes())
    for number in range(50):
        written = text.replace("name: members", f"name: t{number}").replace("members-live", f"t{number}-live")
        (tmp_path / "targets" / f"t{number}.yaml").write_text(written.replace("airflow:\n", schedule))
    monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path))
    began = time.process_time()
    found = {name for name in runpy.run_path(str(ROOT / "dags" / "reconcile.py")) if name.endswith("_reconcile")}
    assert found == {f"t{number}_reconcile" for number in range(50)}
    assert time.process_time() - began < 5
