"""The first task of each DAG says in its first line whom the run acts as, and on what."""

from typing import Any

import pytest
from airflow.sdk import BaseOperator

from dynamo_opensearch.core.state.holder import ROLLBACK
from dynamo_opensearch.operators.cleanup import CleanUpIndicesOperator
from dynamo_opensearch.operators.follow import FollowStreamOperator
from dynamo_opensearch.operators.hold import HoldTargetOperator
from dynamo_opensearch.operators.reconcile.comparing import PlanReconciliationOperator
from dynamo_opensearch.operators.replay import PlanReplayOperator
from dynamo_opensearch.operators.rollback_service import PlanServiceRollbackOperator
from dynamo_opensearch.wiring.target_connections import TargetConnections
from tests.support.adapters import FakeInstance

OF_A_TARGET: dict[str, Any] = {"task_id": "first", "target": "members"}
FIRST_TASKS: list[BaseOperator] = [
    PlanReplayOperator(**OF_A_TARGET),
    PlanReconciliationOperator(**OF_A_TARGET),
    HoldTargetOperator(**OF_A_TARGET, purpose=ROLLBACK),
    PlanServiceRollbackOperator(**OF_A_TARGET, component="ecs"),
    CleanUpIndicesOperator(**OF_A_TARGET),
    FollowStreamOperator(**OF_A_TARGET, planned=["members"]),
]


OUTSIDE_A_TASK = "cannot be called outside of the Task Runner"
"""Airflow's own line about tests like these."""


class ReachedError(Exception):
    """The task has come to its connections."""


@pytest.mark.parametrize("operator", FIRST_TASKS, ids=lambda one: type(one).__name__)
def test_the_first_line_comes_before_anything_is_connected(
    operator: BaseOperator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def of(_cls: type, name: str) -> Any:
        raise ReachedError(name)

    monkeypatch.setattr(TargetConnections, "of", classmethod(of))
    with pytest.raises(ReachedError):
        operator.execute(FakeInstance().context)
    (line,) = [one for one in capsys.readouterr().out.splitlines() if OUTSIDE_A_TASK not in one]
    assert "target members acts on account 123456789012 as arn:aws:sts::123456789012:assumed-role/worker/x" in line


def test_going_on_after_a_wait_says_nothing_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def of(_cls: type, name: str) -> Any:
        raise ReachedError(name)

    monkeypatch.setattr(TargetConnections, "of", classmethod(of))
    follow = FollowStreamOperator(**OF_A_TARGET, planned=["members"])
    with pytest.raises(ReachedError):
        follow.resume(FakeInstance().context, {"until_us": 0})
    assert "acts on" not in capsys.readouterr().out
