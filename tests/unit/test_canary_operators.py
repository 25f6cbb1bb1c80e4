"""The canary's tasks: skipped where none shall fly, one key for all tries of a run, removed by what was written."""

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from dynamo_opensearch.core.cutover.canary.item import Canary, CanaryUnfitError, mark_of
from dynamo_opensearch.core.cutover.canary.trial import CanaryLeftError, CanaryReport
from dynamo_opensearch.operators.cutover import canary as operators
from dynamo_opensearch.operators.cutover.canary import FlyCanaryOperator, RemoveCanaryOperator
from tests.support.adapters import FakeConnections, FakeInstance, connect

DAG_ID = "members_cutover"
REPORT = CanaryReport(written_s=1.0, changed_s=2.0, removed_s=3.0)


class Instance(FakeInstance):
    """With tries, and XComs under keys."""

    try_number = 2

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self.returned.get(f"{task_ids}.{key}")


@pytest.fixture
def instance() -> Instance:
    return Instance(dag_id=DAG_ID, task_states={"canary": "failed"})


def connected(monkeypatch: pytest.MonkeyPatch, **environment: Any) -> FakeConnections:
    local = type(connect(monkeypatch).environment).model_validate(environment)
    return connect(monkeypatch, {"environments": {"local": local}})


class Steps:
    """The core's steps, noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[Any] = []
        self.error: Exception | None = None
        for name in ("planned_canary", "check_canary", "try_indexer", "take_canary_back"):
            monkeypatch.setattr(operators, name, getattr(self, name))

    def planned_canary(self, _: Any, mark: str, attempt: int) -> Canary:
        self.seen.append(("plan", mark, attempt))
        return canary(mark, attempt)

    def check_canary(self, _: Any, canary: Canary) -> None:
        self.seen.append("check")
        if self.error is not None:
            raise self.error

    def try_indexer(self, _: Any, canary: Canary, mapping: str | None, wait_s: float) -> CanaryReport:
        self.seen.append(("fly", canary, mapping, wait_s))
        return REPORT

    def take_canary_back(self, _: Any, canary: Canary, sink_for: Any) -> tuple[bool, bool]:
        self.seen.append(("take back", canary))
        self.folder = sink_for("members-v1").folder
        if self.error is not None:
            raise self.error
        return True, False


def canary(mark: str, attempt: int) -> Canary:
    first = {"memberId": {"S": mark}, "note": {"S": "canary"}}
    return Canary(key=("memberId",), first=first, second={**first, "note": {"S": f"x{attempt}"}}, path=("note",))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


def fly(instance: Instance, **arguments: Any) -> dict[str, float]:
    return FlyCanaryOperator(task_id="canary", target="members", **arguments).execute(instance.context)


def remove(instance: Instance) -> None:
    RemoveCanaryOperator(task_id="remove_canary", target="members").execute(instance.context)


MARK = mark_of("local", DAG_ID, Instance.run_id)
INDEXER = {"function": "members-indexer"}


def test_it_is_tried_on_the_mapping_then_handed_to_its_teardown_then_written(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, instance: Instance
) -> None:
    connected(monkeypatch, indexer=INDEXER)
    assert fly(instance, mapping="u-1", wait_s=7.0) == REPORT.to_json()
    flown = canary(MARK, 2)
    assert steps.seen == [("plan", MARK, 2), "check", ("fly", flown, "u-1", 7.0)]
    assert instance.pushed == {"canary": flown.to_json()}


def test_what_does_not_fit_is_told_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, instance: Instance
) -> None:
    connected(monkeypatch, indexer=INDEXER)
    steps.error = CanaryUnfitError("members", ("x",))
    with pytest.raises(AirflowFailException, match="no canary can be made"):
        fly(instance)
    assert instance.pushed == {}
    assert [one for one in steps.seen if one[0] == "fly"] == []


@pytest.mark.parametrize(
    ("environment", "why"),
    [({}, "names no indexer"), ({"indexer": {**INDEXER, "canary": False}}, "indexer.canary is false")],
)
def test_where_none_shall_fly_its_task_is_skipped_and_says_why(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, instance: Instance, environment: dict[str, Any], why: str
) -> None:
    connected(monkeypatch, **environment)
    with pytest.raises(AirflowSkipException, match=why):
        fly(instance)
    assert steps.seen == []


@pytest.mark.parametrize("state", [None, "skipped", "upstream_failed"])
def test_where_none_has_flown_there_is_nothing_to_remove(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, instance: Instance, state: str | None
) -> None:
    connected(monkeypatch, indexer=INDEXER)
    instance.task_states = {} if state is None else {"canary": state}
    with pytest.raises(AirflowSkipException, match="no canary was written in this run"):
        remove(instance)
    assert steps.seen == []


@pytest.mark.parametrize("state", ["success", "failed", "up_for_retry"])
def test_whatever_came_of_it_it_is_removed(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, instance: Instance, tmp_path: Path, state: str
) -> None:
    connected(monkeypatch, indexer=INDEXER, reports=str(tmp_path))
    instance.task_states = {"canary": state}
    remove(instance)
    assert [one[0] for one in steps.seen] == ["plan", "take back"]


def test_its_teardown_removes_what_was_written_whatever_the_file_says_now(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, instance: Instance, tmp_path: Path
) -> None:
    connected(monkeypatch, indexer=INDEXER, reports=str(tmp_path))
    written = canary("as it was written", 1)
    instance.returned["canary.canary"] = written.to_json()
    remove(instance)
    assert steps.seen == [("take back", written)]
    assert str(steps.folder).startswith(str(tmp_path / "rejects" / "members"))


def test_a_try_that_was_killed_before_it_said_what_it_wrote_is_cleaned_up_after_by_its_key(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, instance: Instance, tmp_path: Path
) -> None:
    connected(monkeypatch, indexer=INDEXER, reports=str(tmp_path))
    remove(instance)
    assert steps.seen == [("plan", MARK, 2), ("take back", canary(MARK, 2))]


def test_a_document_that_stays_is_left_to_a_retry(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, instance: Instance, tmp_path: Path
) -> None:
    connected(monkeypatch, indexer=INDEXER, reports=str(tmp_path))
    steps.error = CanaryLeftError("members-live")
    with pytest.raises(CanaryLeftError):
        remove(instance)
