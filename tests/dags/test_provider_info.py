"""Airflow knows the connection type without an installed package, and the versions cannot drift apart."""

import configparser
import tomllib
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from dynamo_opensearch.hooks.opensearch import OpenSearchHook
from dynamo_opensearch.provider_info import get_provider_info

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return content


def dist_info(project: dict[str, Any]) -> Path:
    return ROOT / "plugins" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"


def test_the_folders_name_has_the_projects_version(project: dict[str, Any]) -> None:
    assert [path.name for path in (ROOT / "plugins").glob("*.dist-info")] == [dist_info(project).name]


def test_the_metadata_has_the_projects_name_version_and_summary(project: dict[str, Any]) -> None:
    metadata = Parser().parsestr((dist_info(project) / "METADATA").read_text())
    assert metadata["Name"] == project["name"] == get_provider_info()["package-name"]
    assert metadata["Version"] == project["version"]
    assert metadata["Summary"] == project["description"]


def test_the_entry_points_are_those_of_the_project(project: dict[str, Any]) -> None:
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read(dist_info(project) / "entry_points.txt")
    assert {section: dict(parser[section]) for section in parser.sections()} == project["entry-points"]


def test_the_distribution_is_found_where_plugins_is_on_the_path(project: dict[str, Any]) -> None:
    assert distribution(project["name"]).version == project["version"]


def test_airflow_knows_the_connection_type_and_its_hook() -> None:
    hook = ProvidersManagerTaskRuntime().hooks["opensearch"]  # type: ignore[no-untyped-call]
    assert hook is not None
    assert hook.connection_type == "opensearch"
    assert hook.hook_name == OpenSearchHook.hook_name
    assert hook.hook_class_name == f"{OpenSearchHook.__module__}.{OpenSearchHook.__name__}"
    assert hook.connection_testable
