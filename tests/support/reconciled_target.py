"""The sample target's connections to a table and an index in memory, for the operators of a reconciliation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import Asset, BaseOperator

from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.targets.environment import Environment
from dynamo_opensearch.operators.reconcile import comparing
from dynamo_opensearch.operators.reconcile import repair as mending
from dynamo_opensearch.operators.reconcile import report as reporting
from dynamo_opensearch.wiring.target_connections import TargetConnections, load_target
from tests.support.adapters import RUN_ID, FakeConnections, FakeInstance
from tests.support.reconciled import MemoryRig


@dataclass(frozen=True)
class RigConnections(FakeConnections):
    """What a task works with, on a rig in memory."""

    rig: MemoryRig = field(default_factory=MemoryRig)

    @property
    def table(self) -> TableClient:
        return self.rig.table_client

    @property
    def cluster(self) -> Any:
        return self.rig.cluster


def connect_rig(
    monkeypatch: pytest.MonkeyPatch, rig: MemoryRig, changes: Mapping[str, Any] | None = None
) -> RigConnections:
    """Let every operator work on this rig; ``changes`` to the sample target's fields."""
    own = {
        "key": rig.key,
        "documents": FieldRules.model_validate(rig.rules),
        "environments": {"local": Environment()},
    }
    target = load_target("members").model_copy(update=own | dict(changes or {}))
    connections = RigConnections(target, rig.clock, rig.retry, rig=rig)
    monkeypatch.setattr(TargetConnections, "of", classmethod(lambda _cls, _name: connections))
    return connections


def through_xcom(value: Any) -> Any:
    """A value as the next task gets it; it has to be JSON as it is."""
    came_back = json.loads(json.dumps(value))
    assert came_back == value, "a tuple or the like, which XCom gives back as something else"
    return came_back


class Run:
    """One run of the DAG, task by task, each with what Airflow would hand it; ``skipped``: tasks that skipped."""

    def __init__(self, run_id: str = RUN_ID, run_type: str = "manual", logical_date: datetime | None = None) -> None:
        self.instance = FakeInstance(run_id=run_id)
        dag_run = SimpleNamespace(run_type=run_type, logical_date=logical_date)
        self.asset = Asset(name="members_reconciled")
        self.event = SimpleNamespace(extra={})
        self.context: Any = {
            **self.instance.context,
            "dag_run": dag_run,
            "outlet_events": {self.asset: self.event},
        }
        self.returned: dict[str, Any] = {}
        self.skipped: set[str] = set()

    def do(self, operator: BaseOperator) -> Any:
        """Run a task; what it returns, for the next ones."""
        try:
            value = through_xcom(operator.execute(self.context))
        except AirflowSkipException:
            self.skipped.add(operator.task_id)
            value = None
        self.instance.pushed = through_xcom(self.instance.pushed)
        self.returned[operator.task_id] = value
        return value

    @property
    def plan(self) -> Any:
        """What ``start`` has pushed."""
        return self.instance.pushed["plan"]

    def start(self, depth: str | None = None, repair: str | None = None) -> ReconcilePlan:
        self.do(comparing.PlanReconciliationOperator(task_id="plan", target="members", depth=depth, repair=repair))
        return ReconcilePlan.from_json(self.plan)

    def count(self) -> Any:
        return self.do(comparing.CountSidesOperator(task_id="count", target="members", plan=self.plan))

    def read_and_join(self) -> None:
        parts, plan = self.returned["plan"], self.plan
        reads = [
            self.do(comparing.ReadPartOperator(task_id="read", target="members", plan=plan, part=one)) for one in parts
        ]
        joins = self.do(comparing.AddUpReadsOperator(task_id="add_up", plan=plan, reads=reads))
        self.returned["joined"] = [
            self.do(comparing.JoinPartitionsOperator(task_id="join", target="members", plan=plan, partitions=one))
            for one in joins
        ]

    def settle(self) -> Any:
        pushed = self.instance.pushed
        return self.do(
            comparing.SettleDifferencesOperator(
                task_id="settle",
                target="members",
                plan=self.plan,
                table=pushed["table"],
                index=pushed["index"],
                found=self.returned["joined"],
            )
        )

    def ask(self) -> Any:
        return self.do(
            mending.ApproveRepairOperator(
                task_id="approve", plan=self.plan, settled=self.returned["settle"], subject="Mend?"
            )
        )

    def repair(self, answer: str | None = None) -> Any:
        return self.do(
            mending.RepairDifferencesOperator(
                task_id="repair",
                target="members",
                plan=self.plan,
                settled=self.returned["settle"],
                answer=self.returned.get("approve") if answer is None else answer,
            )
        )

    def report(self) -> Any:
        return self.do(
            reporting.ReportReconciliationOperator(
                task_id="report",
                target="members",
                plan=self.plan,
                counted=self.returned.get("count"),
                settled=self.returned.get("repair"),
            )
        )

    def judge(self) -> None:
        gate = reporting.JudgeReconciliationOperator(
            task_id="gate", target="members", report=self.returned["report"], outlets=[self.asset]
        )
        self.do(gate)

    def go(self, depth: str | None = None, repair: str | None = None) -> Any:
        """All tasks up to the report, nobody being asked for more than is allowed; the report."""
        self.start(depth, repair)
        self.count()
        if "count" in self.skipped:
            self.read_and_join()
            self.settle()
            self.ask()
            self.repair()
        return self.report()
