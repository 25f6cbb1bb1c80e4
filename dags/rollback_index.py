"""`<target>_rollback_index`: let the alias lead to the previous index again."""

from airflow.sdk import DAG, Param, XComArg

from dynamo_opensearch.core.state.holder import REBUILD, ROLLBACK
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import dag_arguments, enabled_targets, index_asset
from dynamo_opensearch.operators.compare import CompareIndexOperator, CountIndicesOperator
from dynamo_opensearch.operators.hold import HoldTargetOperator, ReleaseTargetOperator
from dynamo_opensearch.operators.rollback import PlanRollbackOperator
from dynamo_opensearch.operators.run_result import ConfirmResultOperator
from dynamo_opensearch.operators.swap import SwapAliasOperator
from dynamo_opensearch.sensors.stream_caught_up import StreamCaughtUpSensor

DOC = """
### What it is for
Goes back to the index that the last rebuild replaced. It was kept fresh all the time, so nothing that was written
since is lost. The index that is left becomes the kept one: the same DAG goes forward again.

### When it runs
By hand, while the previous index is kept. `sync_follow` must not be paused.

### Parameters
`compare_first`: described in the form.

### What it locks
The target. It takes it from a rebuild that is under way; that one's swap is refused,
since the alias no longer leads to the index that it was planned for.

### When it fails
What each DAG leaves behind when it fails, and what to do: `docs/runbook.md#a-run-has-failed`.

The alias is as it was.
- **plan**: there is no previous index, or it does not fit; the message says what. A rebuild is the other way.
- **wait_for_stream**: the message says how far the follower is; look at `sync_follow`.
- **compare_before**: the previous index differs from the table; the message says how. Clear it to mend and compare
  once more.
- **count**: the previous index has far fewer or more documents than the one in use. Start again with `compare_first`.
- **swap**: clear it. It finds out by itself whether the alias was moved.
- **compare_after**: the alias leads to the previous index already; the message says what differs, for example documents
  that its mapping refuses.

### How to undo it
Run it again.
"""

PARAMETERS = {
    "compare_first": Param(
        False,
        type="boolean",
        description="Compare the previous index with the table before the swap instead of after it: slower, safer.",
    ),
}


def rollback_dag(target: Target) -> DAG:
    """Plan → follower at the stream's head → swap → compare."""
    name, to_index = target.name, "{{ ti.xcom_pull(task_ids='plan')['to_index'] }}"
    with DAG(
        dag_id=f"{name}_rollback_index",
        description=f"Let {target.alias} lead to its previous index again",
        doc_md=DOC,
        params=PARAMETERS,
        **dag_arguments(target, runs_by_hand_only=True),
    ) as dag:
        hold = HoldTargetOperator(task_id="hold", target=name, purpose=ROLLBACK, pre_empts=frozenset({REBUILD}))
        plan = PlanRollbackOperator(task_id="plan", target=name)
        before = CompareIndexOperator(
            task_id="compare_before", target=name, index=to_index, is_wanted="{{ params.compare_first }}"
        )
        caught_up = StreamCaughtUpSensor(task_id="wait_for_stream", target=name, index=to_index, to_now=True)
        count = CountIndicesOperator(
            task_id="count", target=name, plan=plan.output, is_wanted="{{ not params.compare_first }}"
        )
        swap = SwapAliasOperator(
            task_id="swap",
            target=name,
            purpose=ROLLBACK,
            swap_plan=XComArg(plan, key="swap"),
            compared_us="{{ ti.xcom_pull(task_ids='compare_before', key='began_us') }}",
            outlets=[index_asset(target)],
        )
        after = CompareIndexOperator(
            task_id="compare_after", target=name, index=to_index, is_wanted="{{ not params.compare_first }}"
        )
        release = ReleaseTargetOperator(task_id="release", target=name).as_teardown(
            setups=hold, on_failure_fail_dagrun=False
        )
        confirm = ConfirmResultOperator(task_id="confirm", needs=["compare_after", "release"]).as_teardown(
            on_failure_fail_dagrun=True
        )
        hold >> plan >> before >> caught_up >> count >> swap >> after >> release >> confirm
    return dag


for one_target in enabled_targets():
    globals()[f"{one_target.name}_rollback_index"] = rollback_dag(one_target)
