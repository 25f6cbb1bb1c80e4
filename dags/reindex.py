"""`<target>_reindex`: build a new index beside the one in use, and let the alias lead to it."""

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, BaseOperator, Param, TriggerRule, XComArg

from dynamo_opensearch.core.preflight.checklist import FIRST_STEPS
from dynamo_opensearch.core.runbook import RUNBOOK
from dynamo_opensearch.core.state.holder import REBUILD
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import approvers, dag_arguments, enabled_targets, index_asset, mapping_files
from dynamo_opensearch.operators.approval import ApproveSwapOperator
from dynamo_opensearch.operators.backfill import (
    CopySegmentsOperator,
    PlanBackfillOperator,
    RestoreIndexSettingsOperator,
)
from dynamo_opensearch.operators.compare import CompareIndexOperator
from dynamo_opensearch.operators.hold import HoldTargetOperator, ReleaseTargetOperator
from dynamo_opensearch.operators.preflight import PreflightOperator
from dynamo_opensearch.operators.rebuild import MakeNextIndexOperator, PlanRebuildOperator
from dynamo_opensearch.operators.run_result import ConfirmResultOperator
from dynamo_opensearch.operators.server_copy import CopyIndexOperator
from dynamo_opensearch.operators.swap import SwapAliasOperator
from dynamo_opensearch.sensors.stream_caught_up import StreamCaughtUpSensor

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import MappedOperator

DOC = """
### What it is for
Builds a new index for `{alias}`, with another mapping file or the same, while table and index are being written. Then
the alias leads to it. Readers see no error and no gap. The old index is kept and kept fresh, so that
`{target}_rollback_index` can go back.

### When it runs
By hand. `sync_follow` must not be paused: it carries every change into the new index while it is built.

### Parameters
`source`, `mapping`, `approval`, `keep_previous_h`: described in the form.

### What it locks
The target: no other rebuild, rollback, clean-up or cutover of `{alias}` at the same time. A rollback takes it away.
Backfills may run.

### When it fails
What each DAG leaves behind when it fails, and what to do: `docs/runbook.md#a-run-has-failed`.

Until the swap the alias is as it was. The settings of the new index are put back, and a write block on the old one is
taken away. The new index stays behind its marker `{alias}-next` and is kept fresh.
- **preflight**: a check of `{target}_preflight` that concerns this DAG failed ({checks}). The message has a
  table of what was found, what was expected, and the line that mends it; `{runbook}` has a section for each check.
  Nothing was made. Mend it, then clear the task.
- **plan**: the message says all that does not fit. Nothing was made. Mend it, start again.
- **wait_for_follower**, **wait_for_stream**, **wait_before_swap**: the message says how far the follower is; look at
  `sync_follow`.
- **copy**, **copy_index**, **compare**: mend what the message says, then clear the failed task; it goes on. A new run
  with the same mapping and rules takes the index on and copies once more; with others it removes the index.
- **approve**: rejected or unanswered; the new index was removed.
- **swap**: clear it. It finds out by itself whether the alias was moved. Where the stream has lost records since the
  comparison, it says so: clear **compare**.
- **compare_after**: the alias leads to the new index already; the message says what differs. Go back with
  `{target}_rollback_index` if that is worse than before.
- An index that nobody takes on is removed by `sync_index_cleanup`.

### How to undo it
`{target}_rollback_index`, while the old index is kept.
"""

PARAMETERS = {
    "source": Param(
        "table",
        type="string",
        enum=["table", "index"],
        description="What is copied: the table, or the old index by _reindex (same field rules only).",
    ),
    "mapping": Param(
        None,
        type=["null", "string"],
        enum=[None, *mapping_files()],
        description="Mapping file for the new index. Empty: the target's.",
    ),
    "approval": Param(False, type="boolean", description="Wait for an approval before the alias is moved."),
    "keep_previous_h": Param(
        None,
        type=["null", "number"],
        exclusiveMinimum=0,
        maximum=24 * 365,
        description="Hours that the old index is kept. Empty: as the target file says.",
    ),
}

APPROVAL = """
```
{{ ti.xcom_pull(task_ids='compare', key='text') }}
```

Approve: `%(alias)s` leads to `{{ ti.xcom_pull(task_ids='plan')['to_index'] }}`.
Reject: the new index is removed; `%(alias)s` stays on `{{ ti.xcom_pull(task_ids='plan')['from_index'] }}`.
"""


def of_plan(field: str) -> str:
    """A field of the plan, when the task runs."""
    return f"{{{{ ti.xcom_pull(task_ids='plan')['{field}'] }}}}"


def reindex_dag(target: Target) -> DAG:
    """Preflight → plan → new index → follower → copy → compare → approval → swap → compare."""
    name = target.name
    with DAG(
        dag_id=f"{name}_reindex",
        description=f"Build a new index for {target.alias} and swap to it",
        doc_md=DOC.format(
            alias=target.alias,
            target=name,
            checks=", ".join(f"`{check}`" for check in FIRST_STEPS["reindex"]),
            runbook=RUNBOOK,
        ),
        params=PARAMETERS,
        **dag_arguments(target, runs_by_hand_only=True),
    ) as dag:
        preflight = PreflightOperator(task_id="preflight", target=name, checks=FIRST_STEPS["reindex"])
        hold = HoldTargetOperator(task_id="hold", target=name, purpose=REBUILD)
        plan = PlanRebuildOperator(
            task_id="plan",
            target=name,
            source="{{ params.source }}",
            mapping="{{ params.mapping }}",
            keep_previous_h="{{ params.keep_previous_h }}",
        )
        make = MakeNextIndexOperator(task_id="make_index", target=name, plan=plan.output)
        followed = StreamCaughtUpSensor(task_id="wait_for_follower", target=name, index=of_plan("to_index"))
        release = ReleaseTargetOperator(task_id="release", target=name).as_teardown(
            setups=hold, on_failure_fail_dagrun=False
        )
        confirm = ConfirmResultOperator(task_id="confirm", needs=["compare_after", "release"]).as_teardown(
            on_failure_fail_dagrun=True
        )
        preflight >> hold >> plan >> make >> followed
        copies = copy_tasks(target, plan, make, followed)
        compare_after = swap_tasks(target, plan, make, copies)
        compare_after >> release >> confirm
        copies >> release  # one copy that fails does not stop the others at once
    return dag


def copy_tasks(
    target: Target, plan: BaseOperator, make: BaseOperator, followed: BaseOperator
) -> "list[BaseOperator | MappedOperator]":
    """From the table or the old index, and the settings put back whatever comes of it; all that must have ended."""
    name = target.name
    plan_copy = PlanBackfillOperator(
        task_id="plan_copy",
        target=name,
        index=of_plan("to_index"),
        mapping=of_plan("mapping_file"),
        is_wanted="{{ params.source == 'table' }}",
    )
    copy = CopySegmentsOperator.partial(
        task_id="copy",
        target=name,
        plan=XComArg(plan_copy, key="plan"),
        prepared=make.output,
        max_active_tis_per_dagrun=target.budgets.concurrent_tasks,
        map_index_template="segments {{ task.segments | first }} to {{ task.segments | last }}",
    ).expand(segments=plan_copy.output)
    copy_index = CopyIndexOperator(
        task_id="copy_index",
        target=name,
        plan=plan.output,
        prepared=make.output,
        is_wanted="{{ params.source == 'index' }}",
    )
    restore = RestoreIndexSettingsOperator(
        task_id="restore_settings", target=name, prepared=make.output, mapping=of_plan("mapping_file")
    ).as_teardown(setups=make, on_failure_fail_dagrun=False)
    followed >> plan_copy >> copy >> restore
    followed >> copy_index >> restore
    return [copy, copy_index, restore]


def swap_tasks(
    target: Target, plan: BaseOperator, make: BaseOperator, copies: "list[BaseOperator | MappedOperator]"
) -> BaseOperator:
    """The comparison, the question, the swap, and the comparison afterwards, which is returned."""
    name, to_index = target.name, of_plan("to_index")
    caught_up = StreamCaughtUpSensor(
        task_id="wait_for_stream", target=name, index=to_index, to_now=True, trigger_rule=TriggerRule.NONE_FAILED
    )
    compare = CompareIndexOperator(task_id="compare", target=name, index=to_index)
    approve = ApproveSwapOperator(
        task_id="approve",
        target=name,
        plan=plan.output,
        prepared=make.output,
        is_wanted="{{ params.approval }}",
        subject=f"Let {target.alias} lead to a new index?",
        body=APPROVAL % {"alias": target.alias},
        assigned_users=approvers(target),
        response_timeout=timedelta(hours=target.airflow.approval_timeout_h),
        execution_timeout=None,
    )
    still_fresh = StreamCaughtUpSensor(task_id="wait_before_swap", target=name, index=to_index, to_now=True)
    swap = SwapAliasOperator(
        task_id="swap",
        target=name,
        purpose=REBUILD,
        swap_plan=XComArg(plan, key="swap"),
        compared_us="{{ ti.xcom_pull(task_ids='compare', key='began_us') }}",
        outlets=[index_asset(target)],
    )
    compare_after = CompareIndexOperator(task_id="compare_after", target=name, index=to_index)
    copies >> caught_up
    caught_up >> compare >> approve >> still_fresh >> swap >> compare_after
    return compare_after


for one_target in enabled_targets():
    globals()[f"{one_target.name}_reindex"] = reindex_dag(one_target)
