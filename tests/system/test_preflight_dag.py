"""A preflight in a running Airflow: green where all is well; two faults are two red tasks and two rows of the table."""

import json
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo_opensearch.core.preflight.checklist import CHECKS
from tests.support.ready_environment import ACCOUNT, ReadyEnvironment
from tests.support.recording_server import RecordingServer, recording
from tests.system.airflow_deployment import Deployment, deployed, wait_for
from tests.system.live_members import wait_for_end
from tools.local import connections, ministack, opensearch, ports
from tools.local.ministack import REGION

PREFLIGHT = "members_preflight"
ACCESS_KEY, SECRET_KEY = "AKIDOFTHEPREFLIGHT", "wJalrXUtnFEMI-not-a-real-key"
SESSION_TOKEN = "FwoGZXIvYXdzE-not-a-real-token"
LOGIN, PASSWORD = "preflight", "correct-horse-battery-staple"
WRONG_PASSWORD = "incorrect-donkey-capacitor-nail"
JWT_SECRET, API_SECRET = "of-the-jwt-79c2b0a1d5e84f63", "of-the-api-3f8e1c6b7a9d2045"
SECRETS = (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, PASSWORD, WRONG_PASSWORD, JWT_SECRET, API_SECRET)
FIRST_TASKS: dict[str, tuple[str, dict[str, object]]] = {
    "members_backfill": ("preflight", {"dry_run": True}),
    "members_cutover": ("identify", {"approval": False}),
    "members_dlq_replay": ("plan", {"dry_run": True}),
    "members_reconcile": ("plan", {"depth": "count"}),
    "members_rollback_service": ("plan", {"component": "lambda_indexer"}),
    "members_reindex": ("preflight", {}),
    "members_rollback_index": ("hold", {}),
    "sync_index_cleanup": ("clean_up", {}),
}
"""The task that says on what a run acts, and how it is started. ``sync_follow`` runs by itself."""


@pytest.fixture(scope="module")
def suspicious() -> Iterator[RecordingServer]:
    """An OpenSearch that takes no password, and quotes what it was sent."""
    with recording() as server:
        server.answer = lambda request: (401, {"error": {"type": "security_exception", "reason": str(request.headers)}})
        yield server


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, suspicious: RecordingServer) -> Iterator[Deployment]:
    """An Airflow whose connections hold credentials that can be looked for."""
    folder = tmp_path_factory.mktemp("preflight")
    aws = ministack.plan_launch(folder / "ministack", ports.free_port())
    search = opensearch.plan_launch(
        folder / "opensearch", ports.free_port(opensearch.HTTP_PORTS), ports.free_port(), "512m"
    )
    of_aws = json.loads(connections.aws_connection(aws.url))
    of_search = json.loads(connections.opensearch_connection(search.host, search.port))
    changes = {
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(
            {
                **of_aws,
                "login": ACCESS_KEY,
                "password": SECRET_KEY,
                "extra": {**of_aws["extra"], "aws_session_token": SESSION_TOKEN},
            }
        ),
        "AIRFLOW_CONN_OPENSEARCH_DEFAULT": json.dumps(
            {**of_search, "login": LOGIN, "password": PASSWORD, "extra": {"auth": "basic"}}
        ),
        "AIRFLOW_CONN_OPENSEARCH_SUSPICIOUS": json.dumps(
            {**of_search, "port": suspicious.port, "login": LOGIN, "password": WRONG_PASSWORD, "extra": {}}
        ),
        "AIRFLOW__API_AUTH__JWT_SECRET": JWT_SECRET,
        "AIRFLOW__API__SECRET_KEY": API_SECRET,
    }
    with deployed(folder, changes, aws, search) as started:
        started.airflow.wait_for_dag(PREFLIGHT)
        started.airflow.unpause(PREFLIGHT)
        yield started


@pytest.fixture(scope="module")
def ready(deployment: Deployment) -> Iterator[ReadyEnvironment]:
    """A healthy environment, which the target file describes."""
    environment = ReadyEnvironment(deployment.aws.url, deployment.search.url, name="local", kind="domain").build()
    write_target(deployment, environment)
    mapping = {"settings": environment.mapping_settings, "mappings": environment.mappings}
    (deployment.include / "mappings" / "members.json").write_text(json.dumps(mapping))
    yield environment
    environment.close()


def write_target(deployment: Deployment, environment: ReadyEnvironment) -> None:
    """As the environment's settings are now."""
    target = environment.target.model_dump(mode="json", exclude_unset=True)
    target["airflow"] = {"retry_delay_s": 1}
    (deployment.include / "targets" / "members.yaml").write_text(yaml.safe_dump(target))


def preflight(deployment: Deployment) -> tuple[str, str, dict[str, set[str | None]]]:
    """A run: its id, its state, and those of its tasks."""
    run_id = deployment.airflow.trigger(PREFLIGHT)
    state = wait_for_end(deployment, run_id, PREFLIGHT)
    return run_id, state, deployment.states(run_id, PREFLIGHT)


def test_a_healthy_environment_is_green_and_the_first_line_says_on_what(
    deployment: Deployment, ready: ReadyEnvironment
) -> None:
    run_id, state, tasks = preflight(deployment)
    gate = deployment.log(run_id, "gate", PREFLIGHT)
    assert (state, {name for name, found in tasks.items() if found != {"success"}}) == ("success", set()), gate
    said = next(line for line in deployment.log(run_id, "identify", PREFLIGHT).splitlines() if "acts on" in line)
    for part in (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", REGION, deployment.search.url, "environment local"):
        assert part in said
    for check in CHECKS:
        assert f"{check} " in gate


def test_two_faults_are_exactly_two_red_tasks_and_the_table_says_how_to_mend_them(
    deployment: Deployment, ready: ReadyEnvironment
) -> None:
    del ready.settings["cognito"]
    write_target(deployment, ready)
    ready.update_mapping(Enabled=False)
    ready.make("sqs").set_queue_attributes(QueueUrl=ready.queue_url, Attributes={"MessageRetentionPeriod": "3600"})
    run_id, state, tasks = preflight(deployment)
    assert state == "failed"
    faults = {"dead_letters", "event_source_mapping"}
    assert {name for name, found in tasks.items() if found == {"failed"}} == {*faults, "gate", "confirm"}
    assert {name for name, found in tasks.items() if found == {"skipped"}} == {"cognito"}, "it is not asked for"
    assert {name for name, found in tasks.items() if found == {"success"}} == {*CHECKS, "identify"} - faults - {
        "cognito"
    }
    gate = deployment.log(run_id, "gate", PREFLIGHT)
    rows = {row.split("|")[0].strip(): row for row in gate.splitlines() if row.count(" | ") == 4}
    assert set(rows) >= faults
    assert any(row.startswith("cognito") and "not asked for" in row for row in gate.splitlines())
    assert "aws sqs set-queue-attributes" in rows["dead_letters"]
    assert (
        f"aws lambda update-event-source-mapping --uuid {ready.mapping_uuid} --enabled" in rows["event_source_mapping"]
    )
    for name in faults:
        (instance,) = deployment.tasks(run_id, name, PREFLIGHT)
        assert instance["try_number"] == 1, "what a person must mend is not tried again"
        assert f"docs/runbook.md#{name}" in deployment.log(run_id, name, PREFLIGHT)


def test_a_wrong_password_stops_a_backfill_at_its_first_task_and_is_not_told(
    deployment: Deployment, ready: ReadyEnvironment, suspicious: RecordingServer
) -> None:
    ready.settings["opensearch_conn_id"] = "opensearch_suspicious"
    write_target(deployment, ready)
    deployment.airflow.unpause("members_backfill")
    run_id = deployment.airflow.trigger("members_backfill")
    checks, state, tasks = preflight(deployment)
    assert (state, tasks["reachability"], tasks["table"]) == ("failed", {"failed"}, {"success"})
    assert "refused with 401" in deployment.log(checks, "reachability", PREFLIGHT)
    assert wait_for_end(deployment, run_id, "members_backfill") == "failed"
    states = deployment.states(run_id, "members_backfill")
    assert (states["preflight"], states["plan"]) == ({"failed"}, {"upstream_failed"})
    said = deployment.log(run_id, "preflight", "members_backfill")
    assert "reachability failed. Nothing has been changed" in said
    assert "correct login and password of connection opensearch_suspicious" in said
    sent = {request.headers["authorization"] for request in suspicious.requests}
    assert sent == {f"Basic {b64encode(f'{LOGIN}:{WRONG_PASSWORD}'.encode()).decode()}"}
    del ready.settings["opensearch_conn_id"]
    write_target(deployment, ready)


def own_lines(deployment: Deployment, dag_id: str, run_id: str, task_id: str) -> set[str] | None:
    """The first lines that tries of a task logged by themselves: what comes before is Airflow's and its providers'."""
    logs = deployment.airflow_home / "logs"
    found = set()
    for path in logs.glob(f"dag_id={dag_id}/run_id={run_id}/task_id={task_id}/**/attempt=*.log"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        own = [one["event"] for one in lines if one.get("logger", "").startswith(OWN_LOGGERS)]
        found.update(own[:1])
    return found or None


OWN_LOGGERS = ("airflow.task.operators.dynamo_opensearch", "dynamo_opensearch")


def test_the_first_line_of_every_dag_says_on_what_it_acts(deployment: Deployment, ready: ReadyEnvironment) -> None:
    # A kept index is fed.
    aliases: dict[str, Any] = {f"{ready.alias}-previous": {}}
    body = {"mappings": ready.mappings, "settings": ready.mapping_settings, "aliases": aliases}
    ready.call(f"/{ready.base}-v9", "PUT", body)
    looks = {"sync_follow": partial(own_lines, deployment, "sync_follow", "*", "follow")}
    for dag_id, (task_id, conf) in FIRST_TASKS.items():
        deployment.airflow.unpause(dag_id)
        run_id = deployment.airflow.trigger(dag_id, conf)
        # Unpaused, it begins with a run of its own.
        waits = dag_id == "members_reconcile"
        looks[dag_id] = partial(own_lines, deployment, dag_id, "*" if waits else run_id, task_id)
    said = {dag_id: wait_for(look, 240, f"the first line of {dag_id}") for dag_id, look in looks.items()}
    text = "target {} acts on account {} as arn:aws:iam::{}:root in {}, and on OpenSearch at {}; environment local"
    members, orders = (text.format(name, ACCOUNT, ACCOUNT, REGION, deployment.search.url) for name in TARGETS)
    for dag_id, lines in said.items():
        assert lines == {members} or (dag_id == "sync_index_cleanup" and lines <= {members, orders}), dag_id


TARGETS = ("members", "orders")


def test_no_credential_is_in_any_log(deployment: Deployment, ready: ReadyEnvironment) -> None:
    files = [path for path in deployment.airflow_home.rglob("*.log") if path.is_file()]
    for dag_id, at_least in ((PREFLIGHT, len(CHECKS)), *((dag_id, 1) for dag_id in (*FIRST_TASKS, "sync_follow"))):
        assert len([path for path in files if f"dag_id={dag_id}" in str(path)]) >= at_least, dag_id
    described = ready.make("cognito-idp").describe_user_pool_client(UserPoolId=ready.pool, ClientId=ready.app_client)
    secrets = (*SECRETS, described["UserPoolClient"]["ClientSecret"])
    for secret in secrets:
        for form in (secret, b64encode(secret.encode()).decode(), b64encode(f"{LOGIN}:{secret}".encode()).decode()):
            found = [path for path in files if form in Path(path).read_text(errors="replace")]
            assert found == [], form
