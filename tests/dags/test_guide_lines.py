"""Every line of the migration guide has a DAG, a check or a page; the list is complete."""

import hashlib
import re
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from dynamo_opensearch.core.preflight.checklist import CHECKS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guide-lines.md").read_text()
GUIDE_LINES = 147
GUIDE_SHA256 = "bfe89c0c3ef72dbcf62f34a42d80a515503cedc1102ccd328814d14119ee82ab"
GUIDE = ROOT.parent / "shared" / "migration-guide.txt"
ROWS = [
    (int(first), int(last or first), said, runs)
    for first, last, said, runs in re.findall(r"^\| (\d+)(?:–(\d+))? \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
]
ANSWERS = [(f"{first}–{last}", runs) for first, last, _, runs in ROWS]


def test_no_line_is_left_out_and_none_is_there_twice() -> None:
    assert [line for first, last, _, _ in ROWS for line in range(first, last + 1)] == list(range(1, GUIDE_LINES + 1))


@pytest.mark.parametrize(("lines", "runs"), ANSWERS, ids=[lines for lines, _ in ANSWERS])
def test_a_line_names_something_that_is_there(lines: str, runs: str, bag: DagBag) -> None:
    """DAGs, the tasks of the DAG that is named before them, checks and pages."""
    pages = re.findall(r"\]\(([^)#]+)", runs)
    dags = re.findall(r"`((?:members|sync)_\w+)`", runs)
    checks = _named(runs, "checks?")
    assert pages or dags or checks
    assert set(dags) <= set(bag.dags)
    assert set(checks) <= set(CHECKS)
    assert all((ROOT / "docs" / page).exists() for page in pages)
    if tasks := _named(runs, "tasks?"):
        assert set(tasks) <= set(bag.dags[dags[0]].task_ids)


def _named(runs: str, kind: str) -> list[str]:
    """The names after a word: `a`, `b` and `c`."""
    lists = re.findall(rf"\b{kind} ((?:`\w+`(?:, | and )?)+)", runs)
    return [name for one in lists for name in re.findall(r"`(\w+)`", one)]


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not beside this checkout")
def test_the_numbers_are_those_of_the_guide() -> None:
    guide = GUIDE.read_bytes()
    assert hashlib.sha256(guide).hexdigest() == GUIDE_SHA256
    lines = guide.decode().splitlines()
    assert len(lines) == GUIDE_LINES
    for first, last, said, _ in ROWS:
        assert said in "\n".join(lines[first - 1 : last]), first
