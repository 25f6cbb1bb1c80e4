"""From a target's name and an environment to a side: the connections of that environment, and no other."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from dynamo_opensearch.core.targets.model import UnknownEnvironmentError
from dynamo_opensearch.hooks.connection_rules import ConnectionMissingError, LiteralCredentialsError
from dynamo_opensearch.wiring.preflight import side_of

ROOT = Path(__file__).parents[2]
AWS = {"conn_type": "aws", "extra": {"region_name": "eu-west-1"}}


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A target file with two environments, of which this deployment is production."""
    shutil.copytree(ROOT / "include", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "targets" / "members.yaml"
    content = yaml.safe_load(path.read_text())
    content["environments"] = {
        "production": {"region": "eu-central-1"},
        "staging": {
            "aws_conn_id": "aws_staging",
            "opensearch_conn_id": "search_staging",
            "table": "members-staging",
            "alias": "staging-live",
        },
    }
    path.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path))
    monkeypatch.setenv("DYNAMO_OPENSEARCH_ENVIRONMENT", "production")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(AWS))
    monkeypatch.setenv("AIRFLOW_CONN_AWS_STAGING", json.dumps(AWS))
    for name, host in (("OPENSEARCH_DEFAULT", "search.example.com"), ("SEARCH_STAGING", "staging.example.com")):
        connection = {"conn_type": "opensearch", "host": host, "login": "ada", "password": "correct-horse"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))
    return path


def test_an_environment_is_looked_at_by_its_own_connections_and_names(target: Path) -> None:
    here, there = side_of("members"), side_of("members", "staging")
    assert (here.name, here.target.table, here.target.alias) == ("production", "members", "members-live")
    assert (there.name, there.target.table, there.target.alias) == ("staging", "members-staging", "staging-live")
    assert (here.region, there.region) == ("eu-central-1", "eu-west-1")
    assert (here.endpoint, there.endpoint) == ("https://search.example.com:443", "https://staging.example.com:443")
    assert here.mapping.file == "members.json"
    assert "correct-horse" not in str(here)


def test_lines_for_a_local_server_lead_to_it_and_not_to_aws(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--endpoint-url" not in side_of("members").aws_line("sqs", "list-queues")
    url = "http://127.0.0.1:4566"
    extra = {"region_name": "eu-west-1", "service_config": {"sqs": {"endpoint_url": url}}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra}))
    side = side_of("members")
    assert side.aws_line("sqs", "list-queues").endswith(f"--region eu-central-1 --endpoint-url {url}")
    assert "--endpoint-url" not in side.aws_line("iam", "list-roles")


def test_an_environment_that_the_file_does_not_have_is_refused(target: Path) -> None:
    with pytest.raises(UnknownEnvironmentError, match="only production, staging"):
        side_of("members", "local")


@pytest.mark.parametrize("place", ["reports", "parking"])
def test_the_connection_of_a_place_in_s3_is_held_to_the_rules_before_anything_is_written_there(
    target: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    content = yaml.safe_load(target.read_text())
    url = "s3://aws_reports@bucket/members"
    production = content["environments"]["production"]
    production |= {"reports": url} if place == "reports" else {"dead_letters": {"queue": "q", "parking": url}}
    target.write_text(yaml.safe_dump(content))
    with pytest.raises(ConnectionMissingError, match="no connection 'aws_reports'"):
        side_of("members")
    keys = {"conn_type": "aws", "login": "AKIDLITERAL", "password": "not-a-real-key"}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_REPORTS", json.dumps(keys))
    with pytest.raises(LiteralCredentialsError, match=r"'aws_reports' holds access keys \(login, password\)"):
        side_of("members")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_REPORTS", json.dumps(AWS))
    assert side_of("members").environment.region == "eu-central-1"


@pytest.mark.parametrize("name", ["AWS_STAGING", "SEARCH_STAGING"])
def test_a_connection_that_is_not_there_is_refused_and_not_replaced_by_another(
    target: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{name}")
    with pytest.raises(ConnectionMissingError, match=f"no connection '{name.lower()}'"):
        side_of("members", "staging")
