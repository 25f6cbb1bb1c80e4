"""The indexer's alias goes back and forward in a running Airflow; its dead letters are replayed in between."""

import json
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import oracle
from tests.support.recording_server import RecordingServer, recording
from tests.support.service_rig import create_function
from tests.system.airflow_deployment import Deployment, deployed, wait_for
from tests.system.dead_letters import Queue, differences, reported
from tests.system.live_members import REPLAY, wait_for_end
from tools.local import members

ROLLBACK_SERVICE = "members_rollback_service"
ITEMS = 20
FUNCTION, ALIAS, API_ALIAS = "members-indexer", "live", "api"
SERVICES = f"""
    indexer:
      function: {FUNCTION}
      alias: {ALIAS}
    api:
      kind: lambda
      function: {FUNCTION}
      alias: {API_ALIAS}
      health_url: %s/health
    dead_letters:"""


@pytest.fixture(scope="module")
def api() -> Iterator[RecordingServer]:
    """The API's health address."""
    with recording() as server:
        yield server


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, api: RecordingServer) -> Iterator[Deployment]:
    """With an indexer of two versions, an index that lacks all members, and dead letters that name them."""
    with deployed(tmp_path_factory.mktemp("rollback-service")) as started:
        started.change_target(lambda text: text.replace("\n    dead_letters:", SERVICES % api.url, 1))
        for dag_id in (ROLLBACK_SERVICE, REPLAY):
            started.airflow.wait_for_dag(dag_id)
            started.airflow.unpause(dag_id)
        started.forget_everything(ITEMS)
        mapping = json.loads((started.include / "mappings" / "members.json").read_text())
        started.search_call("/members-v1", "PUT", {**mapping, "aliases": {"members-live": {"is_write_index": True}}})
        for number in range(ITEMS):
            Queue(started).send(json.dumps({"Keys": {members.HASH_KEY: {"S": members.member_id(number)}}}))
        create_function(started.aws.url, FUNCTION, versions=2)
        functions = oracle.client(started.aws.url, "lambda")
        weights = {"AdditionalVersionWeights": {"1": 0.1}}
        functions.create_alias(FunctionName=FUNCTION, Name=ALIAS, FunctionVersion="2", RoutingConfig=weights)
        functions.create_alias(FunctionName=FUNCTION, Name=API_ALIAS, FunctionVersion="2")
        yield started


def invoked(deployment: Deployment, name: str = ALIAS) -> tuple[str, Any]:
    alias = oracle.client(deployment.aws.url, "lambda").get_alias(FunctionName=FUNCTION, Name=name)
    return alias["FunctionVersion"], alias.get("RoutingConfig")


def ended(deployment: Deployment, **conf: object) -> str:
    """A run that ends well; its id."""
    run_id = deployment.airflow.trigger(ROLLBACK_SERVICE, {"component": "lambda_indexer", **conf})
    assert wait_for_end(deployment, run_id, ROLLBACK_SERVICE) == "success"
    return run_id


def test_a_dry_run_shows_it_a_run_does_it_and_replays_and_another_undoes_it(deployment: Deployment) -> None:
    weighted = ("2", {"AdditionalVersionWeights": {"1": 0.1}})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        deployment.airflow.trigger(ROLLBACK_SERVICE, {})

    refused = deployment.airflow.trigger(ROLLBACK_SERVICE, {"component": "ecs"})
    dry = ended(deployment)
    assert deployment.airflow.run_state(ROLLBACK_SERVICE, refused) == "failed"
    assert "its api is of kind lambda" in deployment.log(refused, "plan", ROLLBACK_SERVICE)
    assert "goes back from version 2 (10% to version 1) to version 1" in deployment.log(dry, "plan", ROLLBACK_SERVICE)
    assert deployment.states(dry, ROLLBACK_SERVICE) == {
        "plan": {"success"},
        "roll_back": {"skipped"},
        "settle": {"skipped"},
        "start_replay": {"skipped"},
        "confirm": {"success"},
    }
    assert invoked(deployment) == weighted
    assert Queue(deployment).depth() == (ITEMS, 0)

    run_id = ended(deployment, dry_run=False, replay=True)
    assert invoked(deployment) == ("1", None)
    replay = f"rollback_service__{run_id}"
    assert wait_for_end(deployment, replay, REPLAY) == "success"
    assert reported(deployment, replay)["replayed"] == ITEMS
    assert Queue(deployment).depth() == (0, 0)
    assert differences(deployment) == []

    undo = ended(deployment, dry_run=False)
    assert "goes forward again from version 1 to version 2" in deployment.log(undo, "plan", ROLLBACK_SERVICE)
    assert invoked(deployment) == weighted
    assert deployment.states(undo, ROLLBACK_SERVICE)["start_replay"] == {"skipped"}
    assert len(deployment.airflow.call(f"/dags/{REPLAY}/dagRuns")["dag_runs"]) == 1


def test_a_run_waits_in_the_triggerer_until_the_api_is_well(deployment: Deployment, api: RecordingServer) -> None:
    api.answer = lambda _request: (503, {})
    run_id = deployment.airflow.trigger(ROLLBACK_SERVICE, {"component": "lambda_api", "dry_run": False})
    wait_for(
        lambda: deployment.states(run_id, ROLLBACK_SERVICE).get("settle") == {"deferred"} or None, 180, "it to defer"
    )
    assert invoked(deployment, API_ALIAS) == ("1", None)
    api.answer = lambda _request: (200, {})
    assert wait_for_end(deployment, run_id, ROLLBACK_SERVICE) == "success"
    assert "which is Active; health_url answered 200" in deployment.log(run_id, "settle", ROLLBACK_SERVICE)
    assert {one.target for one in api.requests} == {"/health"}
