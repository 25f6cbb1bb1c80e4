"""Asking before much is mended, mending, and saying what would be: the tasks around the repair."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.standard.operators.hitl import ApprovalOperator

from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.reconcile.causes import Surroundings
from dynamo_opensearch.core.stream.changes import StreamChanges
from dynamo_opensearch.core.targets.model import Budgets
from dynamo_opensearch.operators.reconcile import comparing
from dynamo_opensearch.operators.reconcile.repair import (
    APPROVED,
    NOT_ASKED,
    REJECTED,
    UNANSWERED,
    ApproveRepairOperator,
)
from dynamo_opensearch.wiring import reconciling
from tests.support.followed import NEXT
from tests.support.reconciled import INDEX, MemoryRig
from tests.support.reconciled_target import RigConnections, Run, connect_rig

ITEMS = 200
UNANSWERED_EVENT = {"error": "The response timeout has passed.", "error_type": "timeout"}


def answered(option: str) -> dict[str, Any]:
    """As Airflow hands on a person's answer."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return {"chosen_options": [option], "params_input": {}, "responded_at": at, "responded_by_user": None}


@pytest.fixture
def rig() -> MemoryRig:
    made = MemoryRig()
    made.fill([f"k{number:03}" for number in range(ITEMS)])
    return made


@pytest.fixture
def connections(rig: MemoryRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RigConnections:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setattr(comparing, "look_around", lambda *_: Surroundings())
    monkeypatch.setattr(reconciling, "_changes_counter", lambda *_: lambda since_us: StreamChanges)
    return connect_rig(monkeypatch, rig)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions that were put to people."""
    questions: list[str] = []
    monkeypatch.setattr(ApprovalOperator, "execute", lambda self, _: questions.append(self.task_id))
    return questions


def settled(rig: MemoryRig, gone: Iterable[int], depth: str = "content", repair: str = "apply") -> Run:
    """A run up to where what differs is known."""
    rig.drop(*(f"k{number:03}" for number in gone))
    run = Run()
    run.start(depth, repair)
    run.read_and_join()
    run.settle()
    return run


def ends(run: Run) -> tuple[str, str]:
    """The verdict, and whether the gate is open."""
    report = run.report()
    try:
        run.judge()
    except AirflowFailException as error:
        return report["verdict"], f"red: {error}"
    return report["verdict"], "green"


# Asking


@pytest.mark.parametrize(
    ("max_repairs", "gone", "is_asked"),
    [(0.01, 2, False), (0.01, 3, True), (0.012, 3, False), (0, 0, False), (0, 1, True), (1, ITEMS, False)],
)
def test_somebody_is_asked_when_more_would_be_mended_than_is_allowed(
    connections: RigConnections,
    rig: MemoryRig,
    monkeypatch: pytest.MonkeyPatch,
    asked: list[str],
    max_repairs: float,
    gone: int,
    is_asked: bool,
) -> None:
    connect_rig(monkeypatch, rig, {"budgets": Budgets(max_repairs=max_repairs)})
    run = settled(rig, range(gone))
    answer = run.ask()
    assert (answer == NOT_ASKED, asked) == (not is_asked, ["approve"] * is_asked)


@pytest.mark.parametrize("repair", ["none", "plan"])
def test_nobody_is_asked_where_nothing_is_to_be_mended(
    connections: RigConnections, rig: MemoryRig, asked: list[str], repair: str
) -> None:
    assert settled(rig, range(100), repair=repair).ask() == NOT_ASKED
    assert asked == []


def test_what_no_repair_can_mend_needs_no_approval(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: list[str], connections: RigConnections
) -> None:
    rig = MemoryRig(flatten={"value": "v_"})
    rig.items.put("bad", "worse")
    connect_rig(monkeypatch, rig)
    run = settled(rig, [])
    assert run.returned["settle"]["comparison"]["refused"] == 2
    assert run.ask() == NOT_ASKED


@pytest.mark.parametrize(
    ("event", "answer"),
    [(answered("Approve"), APPROVED), (answered("Reject"), REJECTED), (UNANSWERED_EVENT, UNANSWERED)],
    ids=["approved", "rejected", "unanswered"],
)
def test_every_answer_is_handed_on_and_none_fails_the_task(event: dict[str, Any], answer: str) -> None:
    run = Run()
    operator = ApproveRepairOperator(task_id="approve", plan={}, settled={}, subject="Mend?")
    assert operator.execute_complete(run.context, event) == answer


def test_another_failure_of_the_question_is_no_answer() -> None:
    operator = ApproveRepairOperator(task_id="approve", plan={}, settled={}, subject="Mend?")
    with pytest.raises(Exception, match="broken") as raised:
        operator.execute_complete(Run().context, {"error": "broken", "error_type": "unknown"})
    assert raised.type.__name__ != "HITLTimeoutError"


def test_the_numbers_and_the_plan_are_rendered_before_anybody_is_asked() -> None:
    assert {"plan", "settled", "body", "subject"} <= set(ApproveRepairOperator.template_fields)


# Mending


def test_what_is_allowed_is_mended_and_the_run_is_green(connections: RigConnections, rig: MemoryRig) -> None:
    run = settled(rig, [5])
    run.ask()
    result = run.repair()
    assert result["note"] == "1 of 1 differences were mended"
    assert rig.cluster.documents(INDEX) == rig.expected()
    assert ends(run) == ("equal", "green")
    assert run.returned["report"]["mended"] == 1


def test_what_was_approved_is_mended(connections: RigConnections, rig: MemoryRig) -> None:
    run = settled(rig, range(50))
    result = run.repair(APPROVED)
    assert result["comparison"]["mended"] == 50
    assert ends(run) == ("equal", "green")


@pytest.mark.parametrize("answer", [REJECTED, UNANSWERED, "", "anything else"])
def test_without_an_approval_nothing_is_mended_and_the_run_is_red_with_its_report(
    connections: RigConnections, rig: MemoryRig, answer: str
) -> None:
    run = settled(rig, range(50))
    result = run.repair(answer)
    assert rig.cluster.bulks == []
    assert result["comparison"]["missing"] == 50
    verdict, gate = ends(run)
    assert verdict == "different"
    assert gate.startswith("red")
    assert "nothing was repaired: 50 keys differ, 2 may be mended unasked" in gate
    assert f"the approval was {answer or 'not given'}" in gate
    assert run.returned["report"]["repair_note"] == result["note"]


def test_the_list_of_keys_of_a_rejected_repair_is_there_all_the_same(
    connections: RigConnections, rig: MemoryRig, tmp_path: Path
) -> None:
    run = settled(rig, range(50))
    run.repair(REJECTED)
    (file,) = tmp_path.rglob("differences.ndjson")
    assert len(file.read_text().splitlines()) == 50


@pytest.mark.parametrize("repair", ["none", "apply"])
def test_where_nothing_is_to_be_repaired_what_was_found_is_handed_on(
    connections: RigConnections, rig: MemoryRig, repair: str
) -> None:
    run = settled(rig, [] if repair == "apply" else [1, 2], repair=repair)
    assert run.repair(NOT_ASKED) == run.returned["settle"]
    assert rig.cluster.bulks == []


@pytest.mark.parametrize(("gone", "words"), [(2, "unasked (2 may"), (3, "after an approval (2 may")])
def test_a_plan_says_what_would_be_offered_to_which_indices_and_where_the_keys_are(
    connections: RigConnections, rig: MemoryRig, tmp_path: Path, gone: int, words: str
) -> None:
    rig.cluster.create("members-v2", NEXT)
    run = settled(rig, range(gone), repair="plan")
    note = run.repair(NOT_ASKED)["note"]
    assert f"repair `apply` would offer {gone} keys to members-v1, members-v2, {words}" in note
    assert (rig.cluster.bulks, rig.cluster.documents("members-v2")) == ([], {})
    (file,) = tmp_path.rglob("differences.ndjson")
    assert str(file) in note


def test_refused_documents_are_stored_for_their_owner_and_the_note_says_where(
    connections: RigConnections, rig: MemoryRig, tmp_path: Path
) -> None:
    rig.cluster.refused = {INDEX: {"k001"}}
    run = settled(rig, [1, 2])
    result = run.repair(NOT_ASKED)
    (part,) = (tmp_path / "reports" / "rejects" / "members").rglob("part-*.ndjson")
    assert [json.loads(line)["id"] for line in part.read_text().splitlines()] == ["k001"]
    assert part.parent.stat().st_mode & 0o077 == 0
    assert "1 of 2 differences were mended; 1 documents were refused, with reasons in" in result["note"]
    assert str(part.parent.parent) in result["note"]
    verdict, gate = ends(run)
    assert (verdict, run.returned["report"]["by_kind"]["missing"]) == ("different", 1)
    assert "1 documents were refused" in gate


def test_a_repair_that_is_run_again_hands_on_the_same(connections: RigConnections, rig: MemoryRig) -> None:
    rig.cluster.refused = {INDEX: {"k001"}}
    run = settled(rig, range(30))
    first, second = run.repair(APPROVED), run.repair(APPROVED)
    for name in ("missing", "mended", "mended_kinds", "rejected", "differences"):
        assert first["comparison"][name] == second["comparison"][name]
    assert first["note"] == second["note"]


@pytest.mark.parametrize("repair", ["none", "plan", "apply"])
@pytest.mark.parametrize("show_keys", [True, False])
def test_ids_are_hashed_once_wherever_they_are_handed_on(
    connections: RigConnections, rig: MemoryRig, monkeypatch: pytest.MonkeyPatch, repair: str, show_keys: bool
) -> None:
    connect_rig(monkeypatch, rig, {"show_keys": show_keys})
    run = settled(rig, [7], repair=repair)
    run.repair(NOT_ASKED)
    shown = "k007" if show_keys else hashlib.sha256(b"k007").hexdigest()[:12]
    assert run.report()["comparison"]["samples"] == {"missing": [shown]}


def test_passing_errors_of_a_repair_are_left_to_retries(connections: RigConnections, rig: MemoryRig) -> None:
    run = settled(rig, [1])

    def away(alias: str, names: list[str]) -> None:
        raise PassingError("away")

    rig.cluster.before_bulk = away
    with pytest.raises(PassingError):
        run.repair(NOT_ASKED)


def test_a_later_run_has_removed_the_list_that_a_repair_needs(connections: RigConnections, rig: MemoryRig) -> None:
    run = settled(rig, [1])
    Run("later").start("keys")
    with pytest.raises(AirflowFailException, match="Start this DAG again"):
        run.repair(NOT_ASKED)
