"""`<target>_cutover`: from a table and an empty domain to a live alias, step by step."""

from datetime import timedelta

from airflow.sdk import DAG, BaseOperator, Param, TriggerRule

from dynamo_opensearch.core.state.holder import CUTOVER
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import approvers, dag_arguments, enabled_targets
from dynamo_opensearch.operators.approval import ApproveStepOperator
from dynamo_opensearch.operators.cutover.canary import FlyCanaryOperator, RemoveCanaryOperator
from dynamo_opensearch.operators.cutover.preparing import (
    EnableStreamOperator,
    IdentifyCutoverOperator,
    MakeIndexOperator,
)
from dynamo_opensearch.operators.cutover.report import ReportCutoverOperator
from dynamo_opensearch.operators.cutover.started_runs import RunDagOperator
from dynamo_opensearch.operators.hold import HoldTargetOperator, ReleaseTargetOperator
from dynamo_opensearch.operators.run_result import ConfirmResultOperator
from dynamo_opensearch.sensors.domain_active import DomainActiveSensor
from dynamo_opensearch.sensors.table_stream_enabled import TableStreamEnabledSensor

DOC = """
### What it is for
Takes table `{table}` and alias `{alias}` into service: OpenSearch is waited for, the index made, the stream switched
on, the indexer tried on an item of its own, the index filled and compared, in this order. Each step looks first and
does what is missing; where nothing is, it says so. What the target file does not name is left out.

### When it runs
By hand. As often as it takes: a step that is done is found done.

### Parameters
`environment`, `approval`: described in the form. A deployment changes its own environment only.

### What it locks
The target: no rebuild, rollback or clean-up of `{alias}` at the same time. Backfills and the indexer may run.

### When it fails
What was made before stays. Mend what the message says and clear the failed task, or start the DAG again; both go on
from there.
- **identify**: another environment was asked for than this deployment's, or there are no credentials.
- **wait_for_domain**: the domain is not there, is being changed, or does not answer. What it is: its last message.
- **make_index**: the alias is taken, or the index behind it does not fit; the message has the way out.
- **enable_stream**: the stream is on with another view type. It is not flipped; the message says what that would cost.
- **approve_indexer**, **approve_api**: rejected or unanswered. Clear it to ask once more.
- **canary**: the item was written, and the index does not show it; the message says after which change, and where to
  look. `remove_canary` removes the item whatever happened.
- **backfill**, **reconcile**: the run that was started has failed; the message leads to it. Clear its failed task, then
  this one. A DAG that is paused: unpause it, then clear the task.

### How to undo it
The index: delete it together with its alias, as long as nobody reads it. The stream: switch it off, if nobody reads it.
"""


def parameters(target: Target) -> dict[str, Param]:
    """The environments of the target's file, of which one is this deployment's."""
    names = list(target.environments)
    here = environment_name()
    return {
        # Without a default where this deployment is none of them: `identify` then says so.
        "environment": Param(
            here if here in names else None,
            type="string" if here in names else ["null", "string"],
            enum=names if here in names else [None, *names],
            description="The environment that is cut over to. It must be this deployment's; others are refused.",
        ),
        "approval": Param(
            True, type="boolean", description="Wait for an approval before the indexer and before the API are changed."
        ),
    }


APPROVE_INDEXER = """
The index behind `%(alias)s` is there, and the stream of `%(table)s` is on.

Approve: the indexer is tried on an item that is written to the table, changed and removed; then the index is filled.
Reject: the run fails; nothing else is changed.
"""

APPROVE_API = """
Index and table have the same keys: run `cutover__{{ run_id }}` of `%(target)s_reconcile`.

Approve: the API is changed. Reject: the run fails; the API stays as it is.
"""


def cutover_dag(target: Target) -> DAG:
    """Domain → index → stream → indexer → canary → backfill → reconciliation → API."""
    name = target.name
    with DAG(
        dag_id=f"{name}_cutover",
        description=f"Take {target.table} and {target.alias} into service",
        doc_md=DOC.format(table=target.table, alias=target.alias),
        params=parameters(target),
        **dag_arguments(target, runs_by_hand_only=True),
    ) as dag:
        identify = IdentifyCutoverOperator(task_id="identify", target=name, environment="{{ params.environment }}")
        hold = HoldTargetOperator(task_id="hold", target=name, purpose=CUTOVER)
        domain = DomainActiveSensor(task_id="wait_for_domain", target=name)
        index = MakeIndexOperator(task_id="make_index", target=name)
        enable = EnableStreamOperator(task_id="enable_stream", target=name)
        stream = TableStreamEnabledSensor(task_id="wait_for_stream", target=name)
        release = ReleaseTargetOperator(task_id="release", target=name).as_teardown(
            setups=hold, on_failure_fail_dagrun=False
        )
        confirm = ConfirmResultOperator(task_id="confirm", needs=["report", "release"]).as_teardown(
            on_failure_fail_dagrun=True
        )
        identify >> hold >> domain >> index >> enable >> stream
        last = api(target, filling(target, indexer(target, stream)))
        report = ReportCutoverOperator(
            task_id="report",
            steps=[task.task_id for task in dag.topological_sort() if not task.is_teardown],  # type: ignore[no-untyped-call]
            trigger_rule=TriggerRule.NONE_FAILED,
        )
        last >> report >> release >> confirm
    return dag


def indexer(target: Target, stream: BaseOperator) -> list[BaseOperator]:
    """The indexer changed and tried; what the next step comes after."""
    name = target.name
    approve = approval(target, "indexer", APPROVE_INDEXER)
    canary = FlyCanaryOperator(task_id="canary", target=name, trigger_rule=TriggerRule.NONE_FAILED)
    # Without a setup: what follows one must not run where it is skipped, and there may be no canary.
    remove = RemoveCanaryOperator(task_id="remove_canary", target=name).as_teardown(on_failure_fail_dagrun=False)
    stream >> approve >> canary >> remove
    return [canary, remove]


def filling(target: Target, before: list[BaseOperator]) -> BaseOperator:
    """The index filled, and compared with the table."""
    name = target.name
    backfill = RunDagOperator(
        task_id="backfill",
        trigger_dag_id=f"{name}_backfill",
        trigger_run_id="cutover__{{ run_id }}",
        conf={},
        trigger_rule=TriggerRule.NONE_FAILED,
    )
    reconcile = RunDagOperator(
        task_id="reconcile",
        trigger_dag_id=f"{name}_reconcile",
        trigger_run_id="cutover__{{ run_id }}",
        conf={"depth": "keys", "repair": "none"},
    )
    before >> backfill >> reconcile
    return reconcile


def api(target: Target, filled: BaseOperator) -> BaseOperator:
    """The API changed; what the end comes after."""
    approve = approval(target, "api", APPROVE_API)
    filled >> approve
    return approve


def approval(target: Target, part: str, body: str) -> ApproveStepOperator:
    """The question before a part of the live system is changed."""
    return ApproveStepOperator(
        task_id=f"approve_{part}",
        target=target.name,
        part=part,
        is_wanted="{{ params.approval }}",
        subject=f"Change the {part} of {target.alias}?",
        body=body % {"alias": target.alias, "table": target.table, "target": target.name},
        assigned_users=approvers(target),
        response_timeout=timedelta(hours=target.airflow.approval_timeout_h),
        execution_timeout=None,
    )


for one_target in enabled_targets():
    globals()[f"{one_target.name}_cutover"] = cutover_dag(one_target)
