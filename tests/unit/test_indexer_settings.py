"""The function's environment variables: all that it needs, and a clear word for what is wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo_opensearch.core.errors import SyncError
from dynamo_opensearch.core.targets.model import UnknownEnvironmentError
from dynamo_opensearch.indexer import settings as module
from dynamo_opensearch.indexer.settings import IndexerSettingsError, read_settings

TARGET: dict[str, Any] = {
    "name": "members",
    "table": "members",
    "key": ["memberId"],
    "alias": "members-live",
    "mapping": "members.json",
    "indexer_writes": "versioned",
    "airflow": {"nightly": {"cron": "0 1 * * *", "timezone": "Europe/Berlin"}, "owner": 7},
    "environments": {"local": {}, "production": {"alias": "members-prod", "region": "eu-west-1", "margin_s": 7}},
}


class Variables:
    """A function's configuration, and the file that it names."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "targets" / "members.yaml"
        self.file.parent.mkdir()
        self.write(TARGET)
        self.values = {
            "DYNAMO_OPENSEARCH_INCLUDE": str(folder),
            "DYNAMO_OPENSEARCH_TARGET_FILE": "targets/members.yaml",
            "DYNAMO_OPENSEARCH_ENVIRONMENT": "production",
            "DYNAMO_OPENSEARCH_URL": "https://search.example.com",
            "DYNAMO_OPENSEARCH_AUTH": "sigv4",
            "AWS_REGION": "eu-central-1",
        }

    def write(self, content: object) -> None:
        self.file.write_text(yaml.safe_dump(content))


@pytest.fixture
def variables(tmp_path: Path) -> Variables:
    return Variables(tmp_path)


def test_table_alias_and_margin_are_those_of_the_environment(variables: Variables) -> None:
    settings = read_settings(variables.values)
    assert (settings.target.alias, settings.target.table, settings.margin_s) == ("members-prod", "members", 7)
    assert (settings.auth, settings.region, settings.table_region) == ("sigv4", "eu-central-1", "eu-west-1")
    assert settings.dynamodb_url is None


def test_the_part_of_the_file_that_only_airflow_reads_is_not_looked_at(variables: Variables) -> None:
    assert read_settings(variables.values).target.airflow.owner == "airflow"


def test_a_password_is_not_shown(variables: Variables) -> None:
    more = {"DYNAMO_OPENSEARCH_AUTH": "basic", "DYNAMO_OPENSEARCH_USER": "u", "DYNAMO_OPENSEARCH_PASSWORD": "hidden-7"}
    settings = read_settings(variables.values | more)
    assert settings.password == "hidden-7"
    assert "hidden-7" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "variable", "problem"),
    [
        ({"DYNAMO_OPENSEARCH_TARGET_FILE": ""}, "DYNAMO_OPENSEARCH_TARGET_FILE", "is not set"),
        ({"DYNAMO_OPENSEARCH_TARGET_FILE": "targets/none.yaml"}, "DYNAMO_OPENSEARCH_TARGET_FILE", "cannot be read"),
        ({"DYNAMO_OPENSEARCH_URL": ""}, "DYNAMO_OPENSEARCH_URL", "is not set"),
        ({"DYNAMO_OPENSEARCH_URL": "http://search.example.com"}, "DYNAMO_OPENSEARCH_URL", "https://"),
        ({"DYNAMO_OPENSEARCH_AUTH": ""}, "DYNAMO_OPENSEARCH_AUTH", "is not set"),
        ({"DYNAMO_OPENSEARCH_AUTH": "iam"}, "DYNAMO_OPENSEARCH_AUTH", "none, basic or sigv4, got 'iam'"),
        ({"DYNAMO_OPENSEARCH_AUTH": "none"}, "DYNAMO_OPENSEARCH_AUTH", "loopback"),
        ({"DYNAMO_OPENSEARCH_AUTH": "basic"}, "DYNAMO_OPENSEARCH_USER", "is not set"),
        (
            {"DYNAMO_OPENSEARCH_AUTH": "basic", "DYNAMO_OPENSEARCH_USER": "u"},
            "DYNAMO_OPENSEARCH_PASSWORD",
            "is not set",
        ),
        ({"AWS_REGION": ""}, "DYNAMO_OPENSEARCH_REGION", "needs a region"),
        ({"DYNAMO_OPENSEARCH_DYNAMODB_URL": "http://10.0.0.1"}, "DYNAMO_OPENSEARCH_DYNAMODB_URL", "loopback"),
    ],
    ids=str,
)
def test_a_variable_that_makes_no_sense_is_named_with_its_rule(
    variables: Variables, changes: dict[str, str], variable: str, problem: str
) -> None:
    with pytest.raises(IndexerSettingsError) as caught:
        read_settings(variables.values | changes)
    assert caught.value.variable == variable
    assert problem in str(caught.value)


def test_without_authentication_only_a_loopback_address_is_taken(variables: Variables) -> None:
    more = {"DYNAMO_OPENSEARCH_AUTH": "none", "DYNAMO_OPENSEARCH_URL": "http://127.0.0.1:9200"}
    assert read_settings(variables.values | more).auth == "none"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text", "no YAML mapping"),
        (TARGET | {"key": []}, "key: "),
        (TARGET | {"indexer_writes": "unversioned"}, "stamps its writes"),
    ],
    ids=["text", "mistake", "unversioned"],
)
def test_a_target_file_that_cannot_be_used_is_refused(variables: Variables, content: object, problem: str) -> None:
    variables.write(content)
    with pytest.raises(IndexerSettingsError) as caught:
        read_settings(variables.values)
    assert "members.yaml" in str(caught.value)
    assert problem in str(caught.value)


def test_an_environment_that_the_file_does_not_have_is_refused(variables: Variables) -> None:
    with pytest.raises(UnknownEnvironmentError):
        read_settings(variables.values | {"DYNAMO_OPENSEARCH_ENVIRONMENT": "staging"})


def test_without_any_variable_the_error_is_one_of_the_package() -> None:
    with pytest.raises(SyncError):
        read_settings({})


def test_the_contract_names_every_variable() -> None:
    page = (Path(__file__).parents[2] / "docs" / "indexer-contract.md").read_text()
    variables = {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}
    assert len(variables) == 7
    assert {one for one in variables if f"`{one}`" not in page} == set()
