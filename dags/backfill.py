"""`<target>_backfill`: fill the index behind a target's alias from its table."""

from typing import TYPE_CHECKING

from airflow.sdk import DAG, BaseOperator, Param, XComArg

from dynamo_opensearch.core.preflight.checklist import FIRST_STEPS
from dynamo_opensearch.core.runbook import RUNBOOK
from dynamo_opensearch.core.targets.model import MAX_SCAN_SEGMENTS, Target
from dynamo_opensearch.dag_settings import dag_arguments, enabled_targets, index_asset
from dynamo_opensearch.operators.backfill import (
    CheckRejectsOperator,
    CopySegmentsOperator,
    PlanBackfillOperator,
    PrepareIndexOperator,
    RestoreIndexSettingsOperator,
    VerifyBackfillOperator,
)
from dynamo_opensearch.operators.compare import CompareIndexOperator
from dynamo_opensearch.operators.preflight import PreflightOperator
from dynamo_opensearch.operators.run_result import ConfirmResultOperator

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import MappedOperator

DOC = """
### What it is for
Reads every item of table `{table}` and writes it to the index behind `{alias}`. Creates `{base}-v1` behind the alias
where there is none. It may run while the table and the index are being written: each document is stamped with when it
was read, so it never replaces something newer.

### When it runs
By hand.

### Parameters
`segments`, `read_units_per_s`, `index`, `dry_run`: described in the form. `dry_run` ends after the plan, which is in
the log of `plan`; nothing is written.

### What it locks
Nothing. One run at a time.

### When it fails
What each DAG leaves behind when it fails, and what to do: `docs/runbook.md#a-run-has-failed`.

- **preflight**: a check of `{target}_preflight` that concerns this DAG failed ({checks}). The message has a table of
  what was found, what was expected, and the line that mends it; `{runbook}` has a section for each check. Nothing was
  written. Mend it, then clear the task.
- **plan**: the message says what does not fit. Nothing was written. Mend it, start again.
- **copy**: Airflow tries again, and the try goes on where the last one was acknowledged. When all tries have failed:
  mend what the message says, then clear the failed task; it goes on as well.
- **From the start**: start a new run, or clear a copy task that had finished. A cleared task that had not finished
  goes on.
- **restore_settings**: clear it. Until then the index has no replicas and is not refreshed.
- **check_rejects**: documents were refused. The message says how many, why, and in which files they are. All others
  are in the index; the keys were not compared. Correct the items or the mapping, start again.
- **compare**: more keys than `max_rejects` differ. The message says how many of which kind, and what to do. Documents
  without an item were there before, from deleted items or another table: of more than `max_repairs` none is deleted.
  Items without a document were written while the table was copied, and nothing brought them: look whether the indexer
  runs. A cleared task compares and mends once more.
- **confirm** fails with the run; it keeps a run that was stopped halfway from ending green.

### How to undo it
What was indexed is what the table holds, and what was deleted had no item there; there is nothing to take back. An
index that this run has created can be deleted together with its alias, if no reader uses it yet.
"""


PARAMETERS = {
    "segments": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=MAX_SCAN_SEGMENTS,
        description="Segments of the parallel scan. Empty: from the table's size.",
    ),
    "read_units_per_s": Param(
        None,
        type=["null", "number"],
        exclusiveMinimum=0,
        description="Read units per second for all tasks together. Empty: as the target file says.",
    ),
    "index": Param(
        None,
        type=["null", "string"],
        pattern="^[a-z0-9][a-z0-9_.-]*$",
        description="Another index of this target, which carries its alias or a marker. Empty: the alias's.",
    ),
    "dry_run": Param(False, type="boolean", description="End after the plan; write nothing."),
}


DOES_THE_WORK = "{{ 'plan' if params.dry_run else 'verify' }}"
"""A dry run is judged by its plan: one that was refused must not end green."""


def backfill_dag(target: Target) -> DAG:
    """Preflight → plan → prepare_index → copy, mapped → restore_settings (teardown) → ending → confirm (teardown)."""
    with DAG(
        dag_id=f"{target.name}_backfill",
        description=f"Fill {target.alias} from table {target.table}",
        doc_md=DOC.format(
            target=target.name,
            table=target.table,
            alias=target.alias,
            base=target.index_base,
            checks=", ".join(f"`{check}`" for check in FIRST_STEPS["backfill"]),
            runbook=RUNBOOK,
        ),
        params=PARAMETERS,
        **dag_arguments(target, runs_by_hand_only=True),
    ) as dag:
        preflight = PreflightOperator(task_id="preflight", target=target.name, checks=FIRST_STEPS["backfill"])
        plan = PlanBackfillOperator(
            task_id="plan",
            target=target.name,
            segments="{{ params.segments }}",
            read_units_per_s="{{ params.read_units_per_s }}",
            index="{{ params.index }}",
        )
        whole_plan = XComArg(plan, key="plan")
        prepare = PrepareIndexOperator(
            task_id="prepare_index",
            target=target.name,
            plan=whole_plan,
            is_dry_run="{{ params.dry_run }}",
        )
        copy = CopySegmentsOperator.partial(
            task_id="copy",
            target=target.name,
            plan=whole_plan,
            prepared=prepare.output,
            max_active_tis_per_dagrun=target.budgets.concurrent_tasks,
            map_index_template="segments {{ task.segments | first }} to {{ task.segments | last }}",
        ).expand(segments=plan.output)
        restore = RestoreIndexSettingsOperator(
            task_id="restore_settings", target=target.name, prepared=prepare.output
        ).as_teardown(setups=prepare, on_failure_fail_dagrun=False)
        confirm = ConfirmResultOperator(task_id="confirm", needs=[DOES_THE_WORK]).as_teardown(
            on_failure_fail_dagrun=True
        )
        preflight >> plan
        prepare >> copy >> restore
        ending(target, whole_plan, copy, restore) >> confirm
    return dag


def ending(target: Target, plan: XComArg, copy: "MappedOperator", restore: BaseOperator) -> BaseOperator:
    """What was refused, the keys of both sides, and the sum of all, which is returned.

    The rejects come first: they are a reason of their own, and the comparison would only say that documents are
    missing, one read of the table and a minute and a half later.
    """
    check = CheckRejectsOperator(task_id="check_rejects", target=target.name, reports=copy.output)
    compare = CompareIndexOperator(
        task_id="compare",
        target=target.name,
        index="{{ ti.xcom_pull(task_ids='plan', key='plan')['index'] }}",
        depth="keys",
        read_units_per_s="{{ params.read_units_per_s }}",
    )
    verify = VerifyBackfillOperator(
        task_id="verify",
        target=target.name,
        plan=plan,
        reports=copy.output,
        comparison=compare.output,
        outlets=[index_asset(target)],
    )
    [copy, restore] >> check >> compare >> verify
    return verify


for one_target in enabled_targets():
    globals()[f"{one_target.name}_backfill"] = backfill_dag(one_target)
