"""Every check has its section in the runbook, and every section ends in a DAG to start."""

import re
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from dynamo_opensearch.core.preflight.checklist import CHECKS
from dynamo_opensearch.core.preflight.findings import RUNBOOK

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / RUNBOOK).read_text()
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


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
