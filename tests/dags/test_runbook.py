"""Every check has its section in the runbook, and every section ends in a DAG to start."""

import re
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from dynamo_opensearch.core import runbook
from dynamo_opensearch.core.preflight.checklist import CHECKS
from dynamo_opensearch.core.runbook import RUNBOOK

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / RUNBOOK).read_text()
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^#{1,2} |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_has_a_section_that_ends_in_a_dag_to_start(check: str, bag: DagBag) -> None:
    last = SECTIONS[check].strip().split("\n\n")[-1]
    started = re.findall(r"`(members_\w+)`", last)
    assert started
    assert set(started) <= set(bag.dags)


def test_every_section_is_a_checks() -> None:
    assert set(SECTIONS) <= {*CHECKS, "When"}


def test_every_dag_that_the_runbook_names_is_there(bag: DagBag) -> None:
    assert set(re.findall(r"`((?:members|sync)_\w+)`", PAGE)) <= set(bag.dags)


CHECKLIST_OF_THE_GUIDE = {
    "OpenSearch index mappings match production": {"index_mapping", "auto_create_index"},
    "DynamoDB table schema identical": {"table", "stream"},
    "IAM roles created with correct policies": {"roles"},
    "VPC endpoints configured for OpenSearch": {"vpc_endpoint", "reachability"},
    "Cognito user pool + app client configured": {"cognito"},
    "DLQ created and alarmed": {"dead_letters", "dead_letter_alarm"},
}


def test_every_line_of_the_guides_checklist_is_automated_and_said_so() -> None:
    page = (ROOT / "docs" / "guide-differences.md").read_text()
    for line, checks in CHECKLIST_OF_THE_GUIDE.items():
        (row,) = (row for row in page.splitlines() if row.startswith(f'| "{line}"'))
        for check in checks:
            assert f"`{check}`" in row.rsplit(" | ", 1)[1]
    automated = {check for checks in CHECKLIST_OF_THE_GUIDE.values() for check in checks}
    beyond_it = {"cluster", "free_disk", "event_source_mapping", "indexer_function"}
    assert {*automated, *beyond_it} == set(CHECKS)


ALARMS = PAGE.partition("\n# Alarms\n")[2]
ALARM_SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", ALARMS, re.MULTILINE | re.DOTALL))
ANCHORS = {title.lower().replace(",", "").replace(" ", "-") for title in ALARM_SECTIONS}
LINKS = sorted(value for name, value in vars(runbook).items() if name.isupper() and "#" in value)


@pytest.mark.parametrize("title", ALARM_SECTIONS)
def test_an_alarms_section_ends_in_a_dag_to_start(title: str, bag: DagBag) -> None:
    last = ALARM_SECTIONS[title].strip().split("\n\n")[-1]
    started = set(re.findall(r"`(members_\w+)`", last))
    assert started
    assert started <= set(bag.dags)
    assert "start" in last.lower()


@pytest.mark.parametrize("link", LINKS)
def test_what_a_message_says_to_read_is_there(link: str) -> None:
    page, _, anchor = link.partition("#")
    assert (page, anchor in ANCHORS) == (RUNBOOK, True)


def test_every_link_of_the_code_is_used_outside_its_module() -> None:
    plugins = "\n".join(file.read_text() for folder in ("plugins", "dags") for file in (ROOT / folder).rglob("*.py"))
    for name in (name for name, value in vars(runbook).items() if name.isupper() and "#" in value):
        assert len(re.findall(rf"\b{name}\b", plugins)) > 1 or getattr(runbook, name) in plugins, name


def test_the_docs_of_every_dag_lead_to_the_runbook(bag: DagBag) -> None:
    for dag_id, dag in bag.dags.items():
        links = re.findall(r"docs/runbook\.md(?:#([\w-]+|<check>))?", dag.doc_md or "")
        assert links, dag_id
        assert set(links) <= {*ANCHORS, *CHECKS, "<check>", ""}, dag_id
