"""The question before a part of the live system is changed: asked only where there is one, and a no fails the run."""

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator

from dynamo_opensearch.operators.approval import ApproveStepOperator
from tests.support.adapters import FakeConnections, FakeInstance, connect

API = {"kind": "lambda", "function": "members-api", "alias": "live"}


def connected(monkeypatch: pytest.MonkeyPatch, **environment: Any) -> FakeConnections:
    local = type(connect(monkeypatch).environment).model_validate(environment)
    return connect(monkeypatch, {"environments": {"local": local}})


def approve(is_wanted: bool = True, part: str = "api") -> ApproveStepOperator:
    return ApproveStepOperator(task_id="approve", target="members", part=part, is_wanted=is_wanted, subject="?")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked; in place of Airflow's own operator."""
    questions: list[str] = []
    monkeypatch.setattr(ApprovalOperator, "execute", lambda self, _: questions.append(self.subject))
    return questions


def test_a_person_is_asked_where_the_file_names_the_part(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    connected(monkeypatch, api=API)
    approve().execute(FakeInstance().context)
    assert asked == ["?"]


@pytest.mark.parametrize("part", ["indexer", "api"])
def test_nobody_is_asked_about_what_the_file_does_not_name(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], part: str
) -> None:
    connected(monkeypatch)
    with pytest.raises(AirflowSkipException, match=f"the target file has no {part}"):
        approve(part=part).execute(FakeInstance().context)
    assert asked == []


def test_nobody_is_asked_where_no_approval_is_wanted(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    connected(monkeypatch, api=API)
    with pytest.raises(AirflowSkipException, match="no approval was asked for: the api follows"):
        approve(is_wanted=False).execute(FakeInstance().context)
    assert asked == []


@pytest.mark.parametrize(
    ("end", "says"), [(HITLRejectException, "rejected"), (HITLTimeoutError, "not answered in time")]
)
def test_a_no_and_no_answer_fail_the_run_with_what_stays(
    monkeypatch: pytest.MonkeyPatch, end: type[Exception], says: str
) -> None:
    def execute_complete(*_: Any) -> None:
        raise end("no")

    monkeypatch.setattr(ApprovalOperator, "execute_complete", execute_complete)
    with pytest.raises(AirflowFailException) as failed:
        approve().execute_complete(FakeInstance().context, {})
    for part in (f"the change of the api was {says}: it is as it was", "What was made before stays", "Clear this task"):
        assert part in str(failed.value)


def test_a_yes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApprovalOperator, "execute_complete", lambda *_: {"chosen_options": ["Approve"]})
    assert approve().execute_complete(FakeInstance().context, {}) == {"chosen_options": ["Approve"]}
