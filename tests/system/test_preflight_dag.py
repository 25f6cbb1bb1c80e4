"""A preflight in a running Airflow: green where all is well; two faults are two red tasks and two rows of the table."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dynamo_opensearch.core.preflight.checklist import CHECKS
from tests.support.ready_environment import ACCOUNT, ReadyEnvironment
from tests.system.airflow_deployment import Deployment, deployed
from tests.system.live_members import wait_for_end
from tools.local import connections, ministack, opensearch, ports
from tools.local.ministack import REGION

PREFLIGHT = "members_preflight"
ACCESS_KEY, SECRET_KEY = "AKIDOFTHEPREFLIGHT", "wJalrXUtnFEMI-not-a-real-key"
LOGIN, PASSWORD = "preflight", "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """An Airflow whose connections hold credentials that can be looked for."""
    folder = tmp_path_factory.mktemp("preflight")
    aws = ministack.plan_launch(folder / "ministack", ports.free_port())
    search = opensearch.plan_launch(
        folder / "opensearch", ports.free_port(opensearch.HTTP_PORTS), ports.free_port(), "512m"
    )
    of_aws = json.loads(connections.aws_connection(aws.url))
    of_search = json.loads(connections.opensearch_connection(search.host, search.port))
    changes = {
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps({**of_aws, "login": ACCESS_KEY, "password": SECRET_KEY}),
        "AIRFLOW_CONN_OPENSEARCH_DEFAULT": json.dumps(
            {**of_search, "login": LOGIN, "password": PASSWORD, "extra": {"auth": "basic"}}
        ),
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


def test_no_credential_is_in_any_log(deployment: Deployment, ready: ReadyEnvironment) -> None:
    files = [path for path in deployment.airflow_home.rglob("*.log") if path.is_file()]
    tasks = [path for path in files if PREFLIGHT in str(path)]
    assert len(tasks) >= len(CHECKS)
    described = ready.make("cognito-idp").describe_user_pool_client(UserPoolId=ready.pool, ClientId=ready.app_client)
    secrets = (ACCESS_KEY, SECRET_KEY, PASSWORD, described["UserPoolClient"]["ClientSecret"])
    for path in files:
        text = Path(path).read_text(errors="replace")
        for secret in secrets:
            assert secret not in text, path
