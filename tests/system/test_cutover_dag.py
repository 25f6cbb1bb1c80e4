"""From nothing to a live alias, a live indexer and an API, in a running Airflow; judged by what the servers hold."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import oracle
from tests.support.recording_server import RecordingServer, recording
from tests.system.airflow_deployment import Deployment, wait_for
from tests.system.approvals import answer_approval
from tests.system.cutovers import (
    API,
    CUTOVER,
    INDEXER,
    RECONCILE,
    indexer_once_it_is_called,
    mappings,
    ready_to_go_live,
)
from tests.system.live_members import wait_for_end
from tools.local import members
from tools.local.airflow_api import FINISHED

BACKFILL = "members_backfill"
KILLED = (
    "identify",
    "hold",
    "wait_for_domain",
    "preflight",
    "make_index",
    "enable_stream",
    "wait_for_stream",
    "deploy_indexer",
    "move_indexer",
    "settle_indexer",
    "enable_mapping",
    "wait_for_mapping",
    "canary",
    "remove_canary",
    "backfill",
    "reconcile",
    "deploy_api",
    "settle_api",
    "release",
)


@pytest.fixture(scope="module")
def api() -> Iterator[RecordingServer]:
    """The API's health address."""
    with recording() as server:
        server.answer = lambda _request: (200, {})
        yield server


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, api: RecordingServer) -> Iterator[Deployment]:
    with ready_to_go_live(tmp_path_factory.mktemp("cutover"), api.url) as started:
        yield started


def kill_each(deployment: Deployment, run_id: str) -> set[str]:
    """SIGKILL the first process of each task that is met running."""
    killed: set[str] = set()

    def has_ended() -> bool | None:
        for task in deployment.airflow.task_instances(CUTOVER, run_id):
            name = task["task_id"]
            if name in KILLED and name not in killed and task["state"] == "running" and task["pid"]:
                os.kill(task["pid"], signal.SIGKILL)
                killed.add(name)
        return deployment.airflow.run_state(CUTOVER, run_id) in FINISHED or None

    wait_for(has_ended, 900, "the run to end")
    return killed


def made(deployment: Deployment) -> dict[str, Any]:
    """Everything that a cutover makes or changes, as the servers have it."""
    functions = oracle.client(deployment.aws.url, "lambda")
    table = deployment.dynamodb.describe_table(TableName=members.TABLE)["Table"]
    return {
        "indices": sorted(deployment.search_call("/members-*")),
        "aliases": sorted(one["alias"] for one in deployment.search_call("/_cat/aliases/members*?format=json")),
        "stream": (table["LatestStreamArn"], table["StreamSpecification"]["StreamViewType"]),
        "mappings": [(one["UUID"], one["State"], one["FunctionArn"]) for one in mappings(deployment)],
        "versions": {
            name: [one["Version"] for one in functions.list_versions_by_function(FunctionName=name)["Versions"]]
            for name in (INDEXER, API)
        },
        "leads_to": {
            name: functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"] for name in (INDEXER, API)
        },
        "changes": changes(deployment),
    }


def changes(deployment: Deployment) -> tuple[int, int]:
    """How many changes are recorded for a rollback, and how many of them are a cutover's."""
    document = deployment.search_call("/.dynamo-opensearch-state/_doc/services%7Cmembers-live")["_source"]["value"]
    text = json.dumps(document)
    return text.count('"outcome"'), text.count('"purpose": "cutover"')


def differences(deployment: Deployment) -> list[str]:
    wanted = oracle.expected(deployment.dynamodb, members.TABLE, lambda item: str(item[members.HASH_KEY]))
    return oracle.differences(wanted, oracle.documents(deployment.search.url, "members-v1"))


def test_another_environment_than_its_own_is_refused_before_anything(deployment: Deployment) -> None:
    run_id = deployment.airflow.trigger(CUTOVER, {"environment": "compose", "approval": False})
    assert deployment.finish(run_id, 240, CUTOVER) == "failed"
    assert "each deployment changes its own environment only" in deployment.log(run_id, "identify", CUTOVER)
    assert deployment.states(run_id, CUTOVER)["hold"] == {"upstream_failed"}


def test_from_nothing_to_live_with_each_task_killed_once_and_a_second_run_changes_nothing(
    deployment: Deployment, api: RecordingServer
) -> None:
    with indexer_once_it_is_called(deployment):
        run_id = deployment.airflow.trigger(CUTOVER, {"approval": False})
        killed = kill_each(deployment, run_id)
        if (state := deployment.airflow.run_state(CUTOVER, run_id)) != "success":
            print(deployment.states(run_id, CUTOVER))
        assert state == "success"
        assert killed == set(KILLED)
        assert deployment.states(run_id, CUTOVER)["approve_indexer"] == {"skipped"}

        first = made(deployment)
        assert first["indices"] == ["members-v1"]
        assert "members-live" in first["aliases"]
        assert first["stream"][1] == "NEW_AND_OLD_IMAGES"
        ((_, mapping_state, _),) = first["mappings"]
        assert mapping_state == "Enabled"
        assert first["versions"] == {INDEXER: ["$LATEST", "1", "2"], API: ["$LATEST", "1", "2"]}
        assert first["leads_to"] == {INDEXER: "2", API: "2"}
        assert {one.target for one in api.requests} == {"/health"}
        wait_for(lambda: differences(deployment) == [] or None, 60, "both sides to be equal")
        for dag_id in (BACKFILL, RECONCILE):
            runs = deployment.airflow.call(f"/dags/{dag_id}/dagRuns")["dag_runs"]
            by_hand = [run for run in runs if run["dag_run_id"].startswith("cutover__")]
            assert [run["state"] for run in by_hand] == ["success"], dag_id

        again = deployment.airflow.trigger(CUTOVER, {"approval": False})
        assert wait_for_end(deployment, again, CUTOVER) == "success"
        assert made(deployment) == first
        wait_for(lambda: differences(deployment) == [] or None, 60, "the canary to be gone")


def test_a_rejected_approval_leaves_everything_as_it_is_and_the_run_is_not_green(deployment: Deployment) -> None:
    before = made(deployment)
    run_id = deployment.airflow.trigger(CUTOVER, {"approval": True})
    body = answer_approval(deployment, CUTOVER, run_id, "approve_indexer", "Reject")
    assert "Reject: the indexer stays as it is" in body

    assert deployment.finish(run_id, 240, CUTOVER) == "failed"
    assert "the change of the indexer was rejected" in deployment.log(run_id, "approve_indexer", CUTOVER)
    assert deployment.states(run_id, CUTOVER)["deploy_indexer"] == {"upstream_failed"}
    assert made(deployment) == before
