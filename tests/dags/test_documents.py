"""What the documents say about fields, files and commands is so."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.documents.item_filter import FilterCondition
from dynamo_opensearch.core.targets.airflow_settings import AirflowSettings, Reconciliation
from dynamo_opensearch.core.targets.environment import (
    ApiSettings,
    CognitoSettings,
    DeadLetterSettings,
    Environment,
    IndexerSettings,
    OpenSearchSettings,
    RoleSettings,
    TableSettings,
    VpcEndpointSettings,
)
from dynamo_opensearch.core.targets.model import Budgets, Target

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TARGET_FILES = (ROOT / "docs" / "target-files.md").read_text()


def rows(heading: str) -> dict[str, str]:
    """Field to default, from the table below a heading; a row may name two fields."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", TARGET_FILES, re.MULTILINE | re.DOTALL)
    assert section, heading
    found: dict[str, str] = {}
    for names, default in re.findall(r"^\| (`.+?`(?:, `\w+`)*) \| (.*?) \|", section[1], re.MULTILINE):
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), default.strip("` "))
    return found


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("The target", Target),
        ("`documents`", FieldRules),
        ("`budgets`", Budgets),
        ("`airflow`", AirflowSettings),
        ("`nightly` and `weekly`", Reconciliation),
        ("`environments`", Environment),
        ("`dead_letters`", DeadLetterSettings),
        ("`table_settings`", TableSettings),
        ("`opensearch`", OpenSearchSettings),
        ("`indexer`", IndexerSettings),
        ("`api`", ApiSettings),
        ("`vpc_endpoint`", VpcEndpointSettings),
        ("`cognito`", CognitoSettings),
        ("`roles`", RoleSettings),
    ],
    ids=lambda value: value.strip("`").lower() if isinstance(value, str) else "",
)
def test_every_field_of_a_target_file_is_described_and_no_other(heading: str, model: type[BaseModel]) -> None:
    sections = {"documents", "budgets", "airflow", "environments"}
    described = rows(heading)
    assert set(described) == set(model.model_fields) - (sections if model is Target else set())
    for name, told in described.items():
        field = model.model_fields[name]
        assert (told == "needed") == field.is_required(), name
        if isinstance(field.default, bool):
            assert told == str(field.default).lower(), name
        elif isinstance(field.default, int | float):
            assert float(told.replace(",", "")) == field.default, name


def test_the_conditions_of_a_filter_are_named() -> None:
    for name in FilterCondition.model_fields:
        assert name in TARGET_FILES


def test_the_example_of_a_target_file_is_one() -> None:
    example = re.search(r"```yaml\n(.*?)```", TARGET_FILES, re.DOTALL)
    assert example
    assert Target.model_validate(yaml.safe_load(example[1])).index_base == "members"


def test_the_example_of_an_environment_names_everything_that_preflight_asks_for() -> None:
    example = re.findall(r"```yaml\n(.*?)```", TARGET_FILES, re.DOTALL)[1]
    environment = Environment.model_validate(yaml.safe_load(example)["environments"]["production"])
    for name in ("table_settings", "opensearch", "dead_letters", "indexer", "vpc_endpoint", "cognito", "roles"):
        assert getattr(environment, name), name
    for role in environment.roles.values():
        assert role.actions


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    ours = [link for link in links if not link.startswith("https://")]
    assert [link for link in ours if not (page.parent / link).exists()] == []


def test_make_has_the_targets_that_the_readme_names() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=lambda page: page.name)
def test_a_decision_has_its_four_parts_and_its_evidence_exists(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Evidence"]
    for file in re.findall(r"(?:tests|tools|core)/[\w/]+\.(?:py|lock)", text):
        assert (ROOT / file).exists(), file
