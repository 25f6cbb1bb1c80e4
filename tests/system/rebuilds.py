"""What tests of rebuilds do again and again: start, kill, and look where the alias leads."""

import os
import signal
from datetime import datetime

from tests.system.airflow_deployment import Deployment, wait_for
from tests.system.live_members import REINDEX, ROLLBACK, LiveMembers, wait_for_end
from tools.local.airflow_api import FINISHED


def rebuild(deployment: Deployment, **conf: object) -> str:
    """A rebuild that ends well; its run id."""
    run_id = deployment.airflow.trigger(REINDEX, conf)
    assert wait_for_end(deployment, run_id, REINDEX) == "success"
    return run_id


def roll_back(deployment: Deployment, **conf: object) -> str:
    """A rollback that ends well; its run id."""
    run_id = deployment.airflow.trigger(ROLLBACK, conf)
    assert wait_for_end(deployment, run_id, ROLLBACK) == "success"
    return run_id


def behind(deployment: Deployment, alias: str) -> set[str]:
    """The indices that carry an alias or marker."""
    found = deployment.search_call(f"/_cat/aliases/{alias}?format=json")
    return {one["index"] for one in found if one["alias"] == alias}


def assert_written_all_the_time(live: LiveMembers, run_id: str, dag_id: str, least_rate: float) -> None:
    """There was traffic around each task of the run, and enough of it from end to end.

    Around: from a second before to a second after, since a task can be shorter than the time between two writes.
    """
    run = live.deployment.airflow.call(f"/dags/{dag_id}/dagRuns/{run_id.replace('+', '%2B')}")
    begin_s, end_s = (_seconds(run[name]) for name in ("start_date", "end_date"))
    assert live.traffic.rate(begin_s, end_s) >= least_rate
    for task in live.deployment.airflow.task_instances(dag_id, run_id):
        if task["state"] == "success":
            around = (_seconds(task["start_date"]) - 1, _seconds(task["end_date"]) + 1)
            assert live.traffic.rate(*around) > 0, task["task_id"]
    kinds = live.traffic.kinds
    assert min(kinds["create"], kinds["update"], kinds["delete"]) > 0.2 * kinds.total()


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def kill_each_step(deployment: Deployment, run_id: str, steps: tuple[str, ...]) -> set[str]:
    """SIGKILL the first try of each of these tasks; those that were met."""
    killed: set[str] = set()

    def ended() -> bool | None:
        for task in deployment.airflow.task_instances(REINDEX, run_id):
            name = task["task_id"]
            if name in steps and name not in killed and task["state"] == "running" and task["pid"]:
                os.kill(task["pid"], signal.SIGKILL)
                killed.add(name)
        return deployment.airflow.run_state(REINDEX, run_id) in FINISHED or None

    wait_for(ended, 500, "the run to end")
    return killed


def newest_follow_tasks(deployment: Deployment) -> list[dict[str, object]]:
    """Task instances of the follower's last run."""
    runs = deployment.airflow.call("/dags/sync_follow/dagRuns?order_by=-run_after&limit=1")["dag_runs"]
    return deployment.airflow.task_instances("sync_follow", runs[0]["dag_run_id"])
