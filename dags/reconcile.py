"""`<target>_reconcile`: prove that index and table agree, and mend what does not."""

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, BaseOperator, MultipleCronTriggerTimetable, Param, TriggerRule, XComArg

from dynamo_opensearch.core.reconcile.dag_ids import reconcile_dag_id
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import approvers, dag_arguments, enabled_targets, reconciled_asset
from dynamo_opensearch.operators.reconcile.alarm import reconciliation_alarm
from dynamo_opensearch.operators.reconcile.comparing import (
    AddUpReadsOperator,
    CountSidesOperator,
    JoinPartitionsOperator,
    PlanReconciliationOperator,
    ReadPartOperator,
    SettleDifferencesOperator,
)
from dynamo_opensearch.operators.reconcile.repair import ApproveRepairOperator, RepairDifferencesOperator
from dynamo_opensearch.operators.reconcile.report import JudgeReconciliationOperator, ReportReconciliationOperator
from dynamo_opensearch.operators.run_result import ConfirmResultOperator

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import MappedOperator

DOC = """
### What it is for
Says whether the index behind `{alias}` holds what table `{table}` holds: equal, or which keys are missing in the index,
orphaned in it, stale, and since when. With repair `apply` they are mended and looked at again. It may run while table
and index are being written; what is only late is no difference.

### When it runs
{schedule}; and by hand.

### Parameters
`depth` and `repair`, described in the form. Left empty, they are what the schedule in the target file says; a run by
hand is a nightly one then.

### What it locks
Nothing. One run at a time.

### When it fails
What each DAG leaves behind when it fails, and what to do: `docs/runbook.md#a-run-has-failed`.

- **plan**: the message says what does not fit. Nothing was read.
- **count**, **read**, **join**, **settle**, **repair**: Airflow tries again; then mend what the message says and clear
  the failed task. After a later run has begun, start a new one instead: it removes what this one had read.
- **gate**: both sides differ by more than `budgets.tolerance`. The message has the numbers, what else is wrong, and
  where the page and the list of keys are. Start this DAG with depth `keys` or `content` and repair `plan` to see what
  would be mended, or `apply`.
- **approve** waits when more than `budgets.max_repairs` of the table would be mended: much that differs means that
  something else is wrong. Look at the causes before you approve. A no mends nothing.
- A pink **gate**: the counts differ by no more than what was written meanwhile, or are too old to tell. Depth `keys`
  tells.

### How to undo it
A repair writes what the table holds; there is nothing to take back.
"""

PARAMETERS = {
    "depth": Param(
        None,
        type=["null", "string"],
        enum=[None, "approximate", "count", "keys", "content"],
        description="How closely both sides are compared: DynamoDB's own figure (free, hours old, no verdict); every "
        "item counted; every key; every document. Empty: as the target file says (count each night).",
    ),
    "repair": Param(
        None,
        type=["null", "string"],
        enum=[None, "none", "plan", "apply"],
        description="What is done about differences (depth keys or content): nothing; listed; mended in every living "
        "index. Empty: as the target file says (none).",
    ),
}

APPROVAL = """
More differs than `budgets.max_repairs` allows to mend unasked
({{ ti.xcom_pull(task_ids='settle')['to_repair'] }} keys, {{ ti.xcom_pull(task_ids='settle')['allowed'] }} allowed).
Something else may be wrong.

```
{{ ti.xcom_pull(task_ids='settle', key='text') }}
```

Approve: every key is offered to every living index as the table has it now. Reject: nothing is mended, the run fails.
"""


DECIDES = (
    "{{ 'report' if (ti.xcom_pull(task_ids='report') or {}).get('verdict') "
    "in ('approximate', 'in motion') else 'gate' }}"
)
"""The task whose success the run needs: the gate, except at a depth that cannot tell, where it skips itself."""


def schedule_text(target: Target) -> str:
    """When the schedule starts it, in words."""
    nightly, weekly = target.airflow.nightly, target.airflow.weekly
    text = f"At `{nightly.cron}` ({nightly.timezone}) with depth `{nightly.depth}`, repair `{nightly.repair}`"
    if weekly is None:
        return text
    return f"{text}; at `{weekly.cron}` with depth `{weekly.depth}`, repair `{weekly.repair}`"


def timetable(target: Target) -> MultipleCronTriggerTimetable:
    """Each night, and on the nights when it looks more closely."""
    nightly, weekly = target.airflow.nightly, target.airflow.weekly
    crons = [nightly.cron] if weekly is None else [nightly.cron, weekly.cron]
    return MultipleCronTriggerTimetable(*crons, timezone=nightly.timezone)


def reconcile_dag(target: Target) -> DAG:
    """Plan → count; or read, mapped → add up → join, mapped → settle → approve → repair; → report → gate → confirm."""
    name = target.name
    with DAG(
        dag_id=reconcile_dag_id(name),
        description=f"Prove that {target.alias} and table {target.table} agree",
        doc_md=DOC.format(alias=target.alias, table=target.table, schedule=schedule_text(target)),
        params=PARAMETERS,
        **{
            **dag_arguments(target, runs_by_hand_only=False),
            "schedule": timetable(target),
            "on_failure_callback": None,  # `confirm` tells, with the numbers
        },
    ) as dag:
        plan = PlanReconciliationOperator(
            task_id="plan", target=name, depth="{{ params.depth }}", repair="{{ params.repair }}"
        )
        count = CountSidesOperator(task_id="count", target=name, plan=XComArg(plan, key="plan"))
        settle = compared(target, plan)
        repair = repaired(target, plan, settle)
        report = ReportReconciliationOperator(
            task_id="report",
            target=name,
            plan=XComArg(plan, key="plan"),
            counted=count.output,
            settled=repair.output,
            trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        )
        gate = JudgeReconciliationOperator(
            task_id="gate", target=name, report=report.output, outlets=[reconciled_asset(target)]
        )
        confirm = ConfirmResultOperator(
            task_id="confirm",
            needs=["report", DECIDES],
            on_failure_callback=[reconciliation_alarm(target, "report")] if target.airflow.notifiers else None,
        ).as_teardown(on_failure_fail_dagrun=True)
        [count, repair] >> report >> gate >> confirm
    return dag


def compared(target: Target, plan: BaseOperator) -> BaseOperator:
    """Both sides read in parts, added up, joined by partitions, and what differs looked at again."""
    name, whole_plan = target.name, XComArg(plan, key="plan")
    at_once = 2 * target.budgets.concurrent_tasks
    read: MappedOperator = ReadPartOperator.partial(
        task_id="read",
        target=name,
        plan=whole_plan,
        max_active_tis_per_dagrun=at_once,
        map_index_template="{{ task.part.side }} {{ task.part.first }} to {{ task.part.last }}",
    ).expand(part=plan.output)
    add_up = AddUpReadsOperator(task_id="add_up", plan=whole_plan, reads=read.output)
    join: MappedOperator = JoinPartitionsOperator.partial(
        task_id="join",
        target=name,
        plan=whole_plan,
        max_active_tis_per_dagrun=target.budgets.concurrent_tasks,
        map_index_template="partitions {{ task.partitions | first }} to {{ task.partitions | last }}",
    ).expand(partitions=add_up.output)
    return SettleDifferencesOperator(
        task_id="settle",
        target=name,
        plan=whole_plan,
        table=XComArg(add_up, key="table"),
        index=XComArg(add_up, key="index"),
        found=join.output,
    )


def repaired(target: Target, plan: BaseOperator, settle: BaseOperator) -> BaseOperator:
    """A person's word where much differs, and the repair."""
    whole_plan = XComArg(plan, key="plan")
    approve = ApproveRepairOperator(
        task_id="approve",
        plan=whole_plan,
        settled=settle.output,
        subject=f"Mend {target.alias}?",
        body=APPROVAL,
        assigned_users=approvers(target),
        response_timeout=timedelta(hours=target.airflow.approval_timeout_h),
        execution_timeout=None,
    )
    return RepairDifferencesOperator(
        task_id="repair", target=target.name, plan=whole_plan, settled=settle.output, answer=approve.output
    )


for one_target in enabled_targets():
    globals()[reconcile_dag_id(one_target.name)] = reconcile_dag(one_target)
