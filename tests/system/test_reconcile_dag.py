"""Reconciliations from end to end in a running Airflow, judged by what the servers hold."""

import time
import urllib.error
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.harm import delete_documents, write_documents
from tests.support.live_traffic import TableTraffic
from tests.system.airflow_deployment import Deployment, deployed, wait_for
from tests.system.live_members import indexed
from tests.system.reconciliations import (
    FIELDS,
    HARM,
    INDEX,
    LONG,
    RECONCILE,
    answer_when_asked,
    change_airflow,
    differences,
    document_of,
    ended,
    fill,
    kill_each_task,
    listed,
    numbers,
    park,
    reconcile,
    scheduled_run,
    spoil,
    writes,
)
from tools.local import members, paths

ITEMS = 3_000
OTHERS = range(10_000, 10_300)
"""Members of another table of that name."""
ZONE = "Europe/Berlin"
NIGHT = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=3)
"""Lately, so that the schedule starts a run as soon as the DAG is not paused; a minute later is the weekly one."""
WEEKLY_NIGHT = NIGHT + timedelta(minutes=1)
NIGHTLY = {"cron": "{0.minute} {0.hour} * * *".format(NIGHT.astimezone(ZoneInfo(ZONE))), "timezone": ZONE}
MENDED: dict[str, Any] = {
    "verdict": "equal",
    "by_kind": {"missing": 0, "orphaned": 0, "stale": 0, "refused": 0},
    "to_repair": 27,
    "mended": 27,
    "table_count": ITEMS,
    "index_count": ITEMS - 5,
    "found": {"equal": ITEMS - 20, **HARM, "refused": 0, "refused_with_document": 0},
    "in_motion": 0,
    "unsettled": 0,
    "rejected": 0,
    "mended_kinds": HARM,
    "differing_fields": FIELDS,
}
"""What a run with depth content and repair says of what ``spoil`` has done."""
TOLD = "told.txt"
MESSAGE = (
    "{{ reconciliation.target }} is {{ reconciliation.verdict }} at depth {{ reconciliation.depth }}: "
    "{{ reconciliation.differences }} differences, {{ reconciliation.table_count }} items, "
    "{{ reconciliation.index_count }} documents"
)
LAG_S, LEAST_RATE = 3.0, 100


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """With a short settling time, a notifier that can be read, and a DAG that is paused."""
    with deployed(
        tmp_path_factory.mktemp("reconcile"), {"PYTHONPATH": f"{paths.ROOT / 'plugins'}:{paths.ROOT}"}
    ) as started:
        started.change_target(lambda text: text.replace("max_rejects: 0", "max_rejects: 0\n  settle_s: 1"))
        arguments = {"file": str(started.airflow_home / TOLD), "message": MESSAGE}
        notifier = {"notifier": "tests.support.file_notifier.FileNotifier", "arguments": arguments}
        change_airflow(started, notifiers=[notifier], nightly=NIGHTLY | {"depth": "keys"})
        started.airflow.wait_for_dag(RECONCILE)
        wait_for(lambda: _knows(started, NIGHTLY["cron"]) or None, 120, "Airflow to know the schedule")
        yield started


def _knows(deployment: Deployment, cron: str) -> bool:
    """Whether Airflow has read the schedule."""
    return cron in deployment.airflow.call(f"/dags/{RECONCILE}")["timetable_summary"]


@pytest.fixture
def equal(deployment: Deployment) -> None:
    """Both sides as they are at first."""
    try:
        is_as_it_was = len(writes(deployment)) == ITEMS and not differences(deployment)
    except urllib.error.HTTPError:
        is_as_it_was = False
    if not is_as_it_was:
        fill(deployment, ITEMS)


@pytest.fixture
def ready(deployment: Deployment, equal: None) -> None:
    """Runs start."""
    deployment.airflow.unpause(RECONCILE)


def told(deployment: Deployment) -> list[str]:
    """What the notifier has written."""
    file = deployment.airflow_home / TOLD
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.usefixtures("equal")
def test_the_schedule_looks_closely_each_night_more_closely_once_a_week_and_tells_only_of_failures(
    deployment: Deployment,
) -> None:
    spoil(deployment)
    hour_us = 3_600_000_000
    now_us = time.time_ns() // 1_000
    older = [park(deployment, kind, now_us - hour_us) for kind in ("lost by the stream", "received too often")]
    not_understood = park(deployment, "not understood", now_us - hour_us)
    younger = park(deployment, "lost by the stream", now_us + hour_us)
    deployment.airflow.unpause(RECONCILE)

    _, state, report = ended(deployment, scheduled_run(deployment, NIGHT))
    assert (state, report["depth"], report["repair"], report["differences"]) == ("failed", "keys", "none", 19)
    assert told(deployment) == [
        f"members is different at depth keys: 19 differences, {ITEMS} items, {ITEMS - 5} documents"
    ]

    weekly = "{0.minute} {0.hour} * * {0:%w}".format(WEEKLY_NIGHT.astimezone(ZoneInfo(ZONE)))
    change_airflow(deployment, weekly={"cron": weekly, "timezone": ZONE, "repair": "apply"})
    run_id, state, report = ended(deployment, scheduled_run(deployment, WEEKLY_NIGHT))
    assert (state, report["depth"], report["repair"], report["mended"]) == ("success", "content", "apply", 27)
    assert len(told(deployment)) == 1, "nobody is told of a run that has passed"
    events = deployment.airflow.call("/assets/events?name_pattern=members_reconciled")["asset_events"]
    assert [one["extra"]["mended"] for one in events if one["source_run_id"] == run_id] == [27]
    assert (report["cleared"], [one.exists() for one in older]) == (2, [False, False])
    assert (not_understood.exists(), younger.exists()) == (True, True)


@pytest.mark.usefixtures("ready")
def test_equal_sides_are_green_at_every_depth_and_say_so(deployment: Deployment) -> None:
    for depth, gate in (("approximate", "skipped"), ("count", "success"), ("keys", "success"), ("content", "success")):
        run_id, state, report = reconcile(deployment, depth=depth)
        assert state == "success", depth
        assert deployment.states(run_id, RECONCILE)["gate"] == {gate}
        assert report["verdict"] == ("approximate" if depth == "approximate" else "equal")
        assert report["index_count"] == ITEMS


@pytest.mark.usefixtures("ready")
def test_differences_are_red_with_their_numbers_then_planned_then_mended(deployment: Deployment) -> None:
    before, named = writes(deployment), spoil(deployment)
    spoilt = writes(deployment)
    assert len(differences(deployment)) == len(named) == 27

    run_id, state, report = reconcile(deployment, depth="count")
    assert (state, report["differences"]) == ("failed", 5)
    run_id, state, report = reconcile(deployment, depth="content", repair="plan")
    assert state == "failed"
    assert (report["by_kind"], report["comparison"]["differing_fields"]) == (HARM | {"refused": 0}, FIELDS)
    gate = deployment.log(run_id, "gate", RECONCILE)
    assert "12 missing, 7 orphaned, 8 stale" in gate
    assert "apply" in gate
    assert listed(deployment, run_id) == named
    assert writes(deployment) == spoilt, "whatever was found, nothing was written"

    _, state, report = reconcile(deployment, depth="content", repair="apply")
    assert (state, numbers(report)) == ("success", MENDED)
    assert differences(deployment) == []
    after = writes(deployment)
    assert {one: after[one] for one in after.keys() - named} == {one: before[one] for one in before.keys() - named}


@pytest.mark.usefixtures("ready")
def test_every_task_may_be_killed_once_and_the_numbers_are_those_of_an_undisturbed_run(deployment: Deployment) -> None:
    spoil(deployment)
    state, report = killed(deployment, ("plan", "count", "report", "gate", "confirm"), {}, depth="count")
    assert (state, report["differences"], report["counts"]["index_count"]) == ("failed", 5, ITEMS - 5)

    body = {"aliases": {"members-live-previous": {}}, "mappings": {"enabled": False}}
    deployment.search_call("/members-v0", method="PUT", body=body)
    parked = park(deployment, "lost by the stream", 1_700_000_000_000_000)
    tasks = ("plan", "read", "add_up", "join", "settle", "repair", "report", "gate", "confirm")
    settling: list[float] = []
    written = _written(deployment)
    when = {"settle": lambda: _is_later(settling, 3), "repair": lambda: _written(deployment) > written}
    state, report = killed(deployment, tasks, when, depth="content", repair="apply")

    assert (state, numbers(report)) == ("success", MENDED)
    assert differences(deployment) == []
    assert (report["cleared"], parked.exists()) == (0, True), "what is kept may lack what a message is about"
    deployment.search_call("/members-v0", method="DELETE")


def killed(
    deployment: Deployment, tasks: tuple[str, ...], when: dict[str, Callable[[], bool]], **conf: object
) -> tuple[str, dict[str, Any]]:
    """State and report of a run whose tasks were killed once each."""
    run_id = deployment.airflow.trigger(RECONCILE, conf)
    assert kill_each_task(deployment, run_id, tasks, when) == set(tasks)
    instances = deployment.airflow.task_instances(RECONCILE, run_id)
    assert {one["task_id"]: one["try_number"] for one in instances if one["task_id"] in tasks} == dict.fromkeys(
        tasks, 2
    )
    _, state, report = ended(deployment, run_id)
    return state, report


def _written(deployment: Deployment) -> int:
    """Writes that the index has had; nobody but the repair makes any."""
    stats = deployment.search_call(f"/{INDEX}/_stats/indexing")["_all"]["total"]["indexing"]
    return int(stats["index_total"] + stats["delete_total"])


def _is_later(began: list[float], seconds: float) -> bool:
    """Whether it is so long since this was first asked."""
    began.append(time.monotonic())
    return began[-1] - began[0] > seconds


@pytest.mark.usefixtures("ready")
def test_a_run_that_a_person_stops_in_mid_way_is_red(deployment: Deployment) -> None:
    known = len(told(deployment))
    run_id = deployment.airflow.trigger(RECONCILE, {"depth": "content"})
    wait_for(lambda: deployment.states(run_id, RECONCILE).get("plan") == {"success"} or None, 120, "the plan")

    deployment.airflow.call(f"/dags/{RECONCILE}/dagRuns/{run_id}", method="PATCH", body={"state": "failed"})

    wait_for(lambda: deployment.states(run_id, RECONCILE)["confirm"] & {"failed"} or None, 120, "the last task")
    assert deployment.finish(run_id, 60, RECONCILE) == "failed"
    assert told(deployment)[known:] == [
        "members is unknown at depth None: None differences, None items, None documents"
    ]


@pytest.mark.usefixtures("ready")
def test_an_index_of_another_table_is_mended_only_when_somebody_approves(deployment: Deployment) -> None:
    before = writes(deployment)
    deployment.dynamodb.delete_table(TableName=members.TABLE)
    members.create_table(deployment.dynamodb)
    members.load(deployment.dynamodb, members.TABLE, len(OTHERS), first=OTHERS.start)
    run_id = deployment.airflow.trigger(RECONCILE, {"depth": "content", "repair": "apply"})

    def nothing_is_written() -> None:
        assert writes(deployment) == before

    question = answer_when_asked(deployment, run_id, "Approve", nothing_is_written)
    _, state, report = ended(deployment, run_id)

    assert "3300 keys, 3 allowed" in question
    assert (state, report["mended"], report["differences"]) == ("success", ITEMS + len(OTHERS), 0)
    assert differences(deployment) == []


@pytest.mark.usefixtures("ready")
def test_no_alarm_beside_a_writer_and_an_indexer_that_lags_and_a_real_difference_is_found(
    deployment: Deployment,
) -> None:
    stable, churned = ITEMS - 1_000, 500
    gone, changed = document_of(ITEMS - 1), document_of(ITEMS - 2)
    with indexed(deployment, lag_s=LAG_S, starting_position="LATEST") as (mapping, _, _):
        with TableTraffic(deployment.aws.url, members.TABLE, stable, churned, per_s=260) as traffic:
            time.sleep(LAG_S)
            counted, state, report = reconcile(deployment, depth="count")
            assert (state, report["differences"]) == ("success", 0), report
            delete_documents(deployment.search.url, INDEX, [gone])
            changed.content["tier"] = "none"
            write_documents(deployment.search.url, INDEX, [changed])
            compared, state, report = reconcile(deployment, depth="content")
            age_s = mapping.iterator_age_s
        mapping.wait_until_caught_up(120)

    assert (state, report["by_kind"]) == ("failed", {"missing": 1, "orphaned": 0, "stale": 1, "refused": 0})
    assert listed(deployment, compared) == {gone.id, changed.id}
    assert report["comparison"]["in_motion"] > 0
    assert age_s > LAG_S - 1
    for run_id in (counted, compared):
        assert rate_during(deployment, traffic, run_id) >= LEAST_RATE


def rate_during(deployment: Deployment, traffic: TableTraffic, run_id: str) -> float:
    """Writes a second from the run's beginning to its end."""
    run = deployment.airflow.call(f"/dags/{RECONCILE}/dagRuns/{run_id.replace('+', '%2B')}")
    begin_s, end_s = (datetime.fromisoformat(run[name]).timestamp() for name in ("start_date", "end_date"))
    return traffic.rate(begin_s, end_s)


def test_no_key_no_value_and_no_credential_is_in_any_log_of_these_runs(deployment: Deployment) -> None:
    """While ``show_keys`` is false."""
    text = "\n".join(
        path.read_text(errors="replace") for path in (deployment.airflow_home / "logs").rglob("*.log")
    ) + "\n".join(told(deployment))

    assert "differences were mended" in text
    plain = [members.member(number) for number in (*range(ITEMS), *OTHERS)]
    assert [one[members.HASH_KEY] for one in plain if one[members.HASH_KEY] in text] == []
    assert [one["email"] for one in plain if one["email"] in text] == []
    assert [one for one in ("ghost-", "Atlantis", str(LONG)[:12], "Signature=", "Credential=") if one in text] == []
