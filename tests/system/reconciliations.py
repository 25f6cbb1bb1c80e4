"""What tests of reconciliations do again and again in a running Airflow: spoil, run, and look what came of it."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from tests.support import oracle
from tests.support.harm import Document, delete_documents, neighbour, write_documents
from tests.system.airflow_deployment import Deployment, wait_for
from tests.system.live_members import wait_for_end
from tools.local import members
from tools.local.airflow_api import FINISHED

RECONCILE = "members_reconcile"
INDEX = "members-v1"
LONG = Decimal("123.45678901234567890123456789012345678")
"""A balance of 38 digits."""
WITH_LONG = range(30, 33)
"""Members that have it."""
FIELDS = {"address.city": 5, "balance": 3}
HARM = {"missing": 12, "orphaned": 7, "stale": 8}
"""What ``spoil`` does."""


def fill(deployment: Deployment, items: int) -> None:
    """A table, and an index that equals it."""
    deployment.forget_everything(items)
    for number in WITH_LONG:
        item = members.typed(members.member(number)) | {"balance": {"N": str(LONG)}}
        deployment.dynamodb.put_item(TableName=members.TABLE, Item=item)
    assert deployment.finish(deployment.start()) == "success"


def document_of(number: int) -> Document:
    """A member's document as it should be."""
    item = oracle.plain_item(members.typed(members.member(number)))
    return Document(str(item[members.HASH_KEY]), None, item | ({"balance": LONG} if number in WITH_LONG else {}))


def spoil(deployment: Deployment) -> set[str]:
    """Past everything: 12 documents deleted, 7 orphans, 5 with another city, 3 with another number; all their ids."""
    url = deployment.search.url
    gone = [document_of(number) for number in range(12)]
    ghosts = [Document(f"ghost-{number}", None, {members.HASH_KEY: f"ghost-{number}"}) for number in range(7)]
    moved = [document_of(number) for number in range(20, 25)]
    for one in moved:
        one.content["address"]["city"] = "Atlantis"
    digits = [document_of(number) for number in WITH_LONG]
    for one in digits:
        one.content["balance"] = neighbour(one.content["balance"])
    delete_documents(url, INDEX, gone)
    write_documents(url, INDEX, [*ghosts, *moved, *digits])
    deployment.search_call(f"/{INDEX}/_refresh", method="POST")
    return {one.id for one in (*gone, *ghosts, *moved, *digits)}


def differences(deployment: Deployment, index: str = INDEX) -> list[str]:
    """By the oracle."""
    wanted = oracle.expected(deployment.dynamodb, members.TABLE, lambda item: str(item[members.HASH_KEY]))
    return oracle.differences(wanted, oracle.documents(deployment.search.url, index))


def writes(deployment: Deployment) -> dict[str, tuple[int, int, str | None]]:
    """Of each document; they change with every write."""
    return oracle.writes(deployment.search.url, INDEX)


def reconcile(deployment: Deployment, **conf: object) -> tuple[str, str, dict[str, Any]]:
    """A run: its id, its state and its report."""
    run_id = deployment.airflow.trigger(RECONCILE, conf)
    return ended(deployment, run_id)


def ended(deployment: Deployment, run_id: str) -> tuple[str, str, dict[str, Any]]:
    """The same of a run that has begun."""
    state = wait_for_end(deployment, run_id, RECONCILE)
    return run_id, state, deployment.returned(run_id, "report", dag_id=RECONCILE)


def numbers(report: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same in any two runs on the same sides."""
    made = report["comparison"]
    own = {name: report[name] for name in ("verdict", "by_kind", "to_repair", "mended", "table_count", "index_count")}
    names = ("found", "in_motion", "unsettled", "rejected", "mended_kinds", "differing_fields")
    return own | {name: made[name] for name in names}


def listed(deployment: Deployment, run_id: str) -> set[str]:
    """The ids of what the run's list names."""
    folder = deployment.airflow_home / "reports" / "reconcile" / "members" / re.sub(r"[^\w.+-]", "_", run_id)
    lines = (folder / "differences.ndjson").read_text().splitlines()
    return {json.loads(line)["id"] for line in lines}


def scheduled_run(deployment: Deployment, moment: datetime) -> str:
    """The id of the run that the schedule has started for this minute."""

    def found() -> str | None:
        runs = deployment.airflow.call(f"/dags/{RECONCILE}/dagRuns?run_type=scheduled")["dag_runs"]
        moments = {str(run["dag_run_id"]): datetime.fromisoformat(run["logical_date"]) for run in runs}
        return next((run_id for run_id, logical_date in moments.items() if logical_date == moment), None)

    return wait_for(found, 180, "a run that the schedule starts")


def change_airflow(deployment: Deployment, **settings: object) -> None:
    """Other settings in the target's file below ``airflow``."""

    def change(text: str) -> str:
        content = yaml.safe_load(text)
        content["airflow"] |= settings
        return yaml.safe_dump(content, sort_keys=False)

    deployment.change_target(change)


def kill_each_task(
    deployment: Deployment, run_id: str, tasks: tuple[str, ...], when: Mapping[str, Callable[[], bool]] = {}
) -> set[str]:
    """SIGKILL the first try of every instance of these tasks, as soon as it runs, or ``when`` it has come so far.

    The names of those that were met.
    """
    killed: dict[tuple[str, int], str] = {}

    def has_ended() -> bool | None:
        for task in deployment.airflow.task_instances(RECONCILE, run_id):
            name, instance = task["task_id"], (task["task_id"], task["map_index"])
            is_meant = name in tasks and instance not in killed and task["state"] == "running" and task["pid"]
            if is_meant and when.get(name, lambda: True)():
                os.kill(task["pid"], signal.SIGKILL)
                killed[instance] = name
        return deployment.airflow.run_state(RECONCILE, run_id) in FINISHED or None

    wait_for(has_ended, 500, "the run to end")
    return set(killed.values())


def park(deployment: Deployment, kind: str, sent_us: int) -> Path:
    """A message in the parking place, written as one looks there; its file."""
    folder = deployment.airflow_home / "reports" / "parked" / "members"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{kind.replace(' ', '-')}-{sent_us}.json"
    message = {"id": file.stem, "body": "{}", "receives": 1, "sent_us": sent_us, "first_received_us": sent_us}
    parked = {"message": message, "kind": kind, "reason": "lost", "parked_us": sent_us, "run_id": "a", "shape": None}
    file.write_text(json.dumps({**parked, "ids": []}))
    return file


def answer_when_asked(deployment: Deployment, run_id: str, option: str, before: Callable[[], None]) -> str:
    """Answer the approval, which may be asked for again; the text of the question. ``before``: done while it waits.

    Airflow 3.3.2 takes a task for failed whose answer comes before its scheduler knows that it waits.
    """
    path = f"/dags/{RECONCILE}/dagRuns/{run_id.replace('+', '%2B')}/taskInstances/approve/-1/hitlDetails"
    text = ""

    def has_ended() -> bool | None:
        nonlocal text
        state = deployment.states(run_id, RECONCILE).get("approve")
        if state == {"awaiting_input"}:
            time.sleep(4)
            before()
            text = deployment.airflow.call(path)["body"]
            deployment.airflow.call(path, method="PATCH", body={"chosen_options": [option], "params_input": {}})
            time.sleep(4)
        return state in ({"success"}, {"failed"}) or None

    wait_for(has_ended, 300, "the approval")
    return text
