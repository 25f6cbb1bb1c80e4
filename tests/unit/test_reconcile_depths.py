"""What the schedule asks of a run, by Airflow's own timetable; and repairs that could name no keys."""

import pickle
from datetime import UTC, datetime
from typing import Any

import pendulum
import pytest
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.trigger import MultipleCronTriggerTimetable
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.reconcile.depths import DEPTHS, REPAIRS, RepairWithoutKeysError, check_repair, scheduled
from dynamo_opensearch.core.targets.airflow_settings import AirflowSettings, Reconciliation

BERLIN = "Europe/Berlin"
DAY_US = 86_400_000_000


def schedule(nightly: str, weekly: str | None, timezone: str = "UTC") -> AirflowSettings:
    return AirflowSettings(
        nightly=Reconciliation(cron=nightly, timezone=timezone),
        weekly=None if weekly is None else Reconciliation(cron=weekly, timezone=timezone, depth="content"),
    )


def runs(crons: list[str], timezone: str, start: datetime, days: int) -> list[datetime]:
    """The moments at which Airflow starts runs of a timetable of these lines."""
    timetable = MultipleCronTriggerTimetable(*crons, timezone=timezone)
    first = pendulum.instance(start)
    restriction = TimeRestriction(earliest=first, latest=first.add(days=days), catchup=True)
    found: list[datetime] = []
    last: DataInterval | None = None
    while (info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)) is not None:
        assert info.logical_date is not None
        found.append(info.logical_date)
        last = info.data_interval
    return found


def asked(one: AirflowSettings, when: datetime) -> str:
    return "weekly" if scheduled(one, when) is one.weekly else "nightly"


def judged_by_airflow(one: AirflowSettings, start: datetime, days: int) -> list[tuple[str, str]]:
    """For each run: what it is asked for, and what it is by a timetable of the weekly line alone."""
    weekly, zone = one.weekly, one.nightly.timezone
    assert weekly is not None
    of_weekly = set(runs([weekly.cron], zone, start, days))
    everything = runs([one.nightly.cron, weekly.cron], zone, start, days)
    return [(asked(one, when), "weekly" if when in of_weekly else "nightly") for when in everything]


@pytest.mark.parametrize("timezone", ["UTC", BERLIN, "America/New_York", "Asia/Kathmandu"])
def test_a_week_has_six_nightly_runs_and_a_weekly_one(timezone: str) -> None:
    judged = judged_by_airflow(schedule("30 2 * * *", "30 2 * * 0", timezone), datetime(2026, 6, 1, tzinfo=UTC), 7)
    assert sorted(judged) == [("nightly", "nightly")] * 6 + [("weekly", "weekly")]


def test_a_weekly_line_of_its_own_hour_is_an_eighth_run() -> None:
    judged = judged_by_airflow(schedule("30 2 * * *", "0 4 * * SUN", BERLIN), datetime(2026, 6, 1, tzinfo=UTC), 7)
    assert sorted(judged) == [("nightly", "nightly")] * 7 + [("weekly", "weekly")]


CHANGES = [
    (BERLIN, datetime(2026, 3, 27, tzinfo=UTC)),  # 02:00 is 03:00
    (BERLIN, datetime(2026, 10, 23, tzinfo=UTC)),  # 03:00 is 02:00
    ("America/New_York", datetime(2026, 3, 6, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 30, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 2, tzinfo=UTC)),  # by half an hour
    ("Australia/Lord_Howe", datetime(2026, 4, 3, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 3, 6, tzinfo=UTC)),  # at midnight
]


@pytest.mark.parametrize(("timezone", "start"), CHANGES)
@pytest.mark.parametrize(
    ("nightly", "weekly"),
    [
        ("30 2 * * *", "30 2 * * 0"),
        ("30 3 * * *", "30 2 * * 0"),
        ("30 2 * * *", "30 3 * * 0"),
        ("0 4 * * *", "0 3 * * 0"),
        ("0 0 * * *", "0 0 * * 0"),
    ],
)
def test_the_night_on_which_clocks_are_changed_has_its_weekly_run(
    timezone: str, start: datetime, nightly: str, weekly: str
) -> None:
    judged = judged_by_airflow(schedule(nightly, weekly, timezone), start, 4)
    assert [one for one, _ in judged] == [other for _, other in judged]
    assert sum(one == "weekly" for one, _ in judged) == 1


MINUTES, HOURS = st.integers(0, 59), st.integers(0, 23)


@settings(max_examples=150)
@given(
    st.sampled_from(CHANGES),
    st.tuples(MINUTES, HOURS),
    st.tuples(MINUTES, HOURS, st.integers(0, 6)),
    st.booleans(),
)
def test_every_run_is_what_airflow_started_it_for(
    change: tuple[str, datetime], nightly: tuple[int, int], weekly: tuple[int, int, int], at_once: bool
) -> None:
    timezone, start = change
    minute, hour, day = (*nightly, weekly[2]) if at_once else weekly
    one = schedule(f"{nightly[0]} {nightly[1]} * * *", f"{minute} {hour} * * {day}", timezone)
    judged = judged_by_airflow(one, start, 8)
    assert [found for found, _ in judged] == [wanted for _, wanted in judged]


def test_the_time_zone_decides_which_day_it_is() -> None:
    one = schedule("30 0 * * *", "30 0 * * 1", BERLIN)
    sunday_in_utc = datetime(2026, 6, 7, 22, 30, tzinfo=UTC)  # Monday, 00:30 in Berlin
    assert asked(one, sunday_in_utc) == "weekly"
    assert asked(one, datetime(2026, 6, 8, 22, 30, tzinfo=UTC)) == "nightly"


def test_a_run_by_hand_is_a_nightly_one_whatever_the_hour() -> None:
    one = schedule("30 2 * * *", "* * * * *")
    assert scheduled(one, None) is one.nightly
    assert asked(one, datetime(2026, 6, 7, 12, 0, tzinfo=UTC)) == "weekly"


def test_without_a_weekly_line_every_run_is_a_nightly_one() -> None:
    one = schedule("30 2 * * *", None)
    assert scheduled(one, datetime(2026, 6, 7, 2, 30, tzinfo=UTC)) is one.nightly


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("repair", REPAIRS)
def test_only_depths_that_name_keys_can_repair(depth: Any, repair: Any) -> None:
    if repair == "none" or depth in ("keys", "content"):
        check_repair(depth, repair)
        return
    with pytest.raises(
        RepairWithoutKeysError, match=f"depth '{depth}' names none: start this DAG with depth keys"
    ) as e:
        check_repair(depth, repair)
    assert e.value.is_permanent
    assert str(pickle.loads(pickle.dumps(e.value))) == str(e.value)
