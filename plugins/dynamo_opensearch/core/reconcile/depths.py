"""How closely both sides are compared, what is done about differences, and what the schedule asks for."""

from datetime import datetime
from typing import Literal, get_args

import pendulum
from croniter import croniter

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.targets.airflow_settings import AirflowSettings, Reconciliation

ReconcileDepth = Literal["approximate", "count", "keys", "content"]
Repair = Literal["none", "plan", "apply"]
DEPTHS: tuple[ReconcileDepth, ...] = get_args(ReconcileDepth)
REPAIRS: tuple[Repair, ...] = get_args(Repair)


class RepairWithoutKeysError(PermanentError):
    """A repair was asked for at a depth that names no keys."""

    def __init__(self, depth: str, repair: str) -> None:
        super().__init__(depth, repair)
        self.depth, self.repair = depth, repair

    def __str__(self) -> str:
        return (
            f"repair {self.repair!r} needs the keys that differ, and depth {self.depth!r} names none: start this DAG "
            "with depth keys or content, or with repair none. Nothing was read."
        )


def scheduled(settings: AirflowSettings, when: datetime | None) -> Reconciliation:
    """What the target's file wants of a run of that time: the weekly one where its cron line says so.

    ``when`` is None for a run by hand, which is a nightly one where nothing else is asked for.
    """
    weekly = settings.weekly
    if weekly is None or when is None:
        return settings.nightly
    return weekly if _names(weekly, when) else settings.nightly


def _names(schedule: Reconciliation, when: datetime) -> bool:
    """Whether the cron line names that moment, by any reading of the clock that leads to it.

    Airflow runs what falls into the hour that is skipped in spring by as much later: 02:30 at 03:30.
    """
    zone = pendulum.timezone(schedule.timezone)
    local = pendulum.instance(when).in_timezone(zone)
    if croniter.match(schedule.cron, local.naive()):
        return True
    skipped = local.naive().add(seconds=(local.subtract(hours=2).offset or 0) - (local.offset or 0))
    return zone.convert(skipped) == local and bool(croniter.match(schedule.cron, skipped))


def check_repair(depth: ReconcileDepth, repair: Repair) -> None:
    """Raises RepairWithoutKeysError where nothing could be repaired at this depth."""
    if repair != "none" and depth not in ("keys", "content"):
        raise RepairWithoutKeysError(depth, repair)
