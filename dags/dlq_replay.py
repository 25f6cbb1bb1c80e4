"""`<target>_dlq_replay`: bring into the index what the indexer failed on."""

from airflow.sdk import DAG, Param, XComArg

from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import (
    dag_arguments,
    dead_letters_asset,
    enabled_targets,
    index_asset,
    mapping_files,
)
from dynamo_opensearch.operators.replay import (
    LookAtDeadLettersOperator,
    PlanReplayOperator,
    ReplayDeadLettersOperator,
    ReportReplayOperator,
)
from dynamo_opensearch.operators.run_result import ConfirmResultOperator

DOC = """
### What it is for
Replays the dead letters of the indexer of `{alias}`. Each message names items: these are read from `{table}` as they
are now, and offered to every living index. A message is deleted once all its items are in. It may run while the
indexer and other DAGs of this package work.

### When it runs
By hand, after the indexer was mended; or when the queue fills, if the target file says so (`replay_at`). A run ends
with the messages that were there when it began.

### Parameters
`source`, `dry_run`, `max_messages`, `into_mapping`: described in the form. With `into_mapping` the items are tried on
a scratch index with that mapping; the run fails and says what it would refuse. Use it before a mapping change.

### What it locks
Nothing. The messages that it works on are invisible to others, for two minutes longer than it lives at most.

### When it fails
What each DAG leaves behind when it fails, and what to do: `docs/runbook.md#a-run-has-failed`.

No message is lost: what is not done is in the queue again at once, or after two minutes when a task was killed.
- **plan**: the message says what does not fit: queue, table or alias.
- **replay**: Airflow tries again. When all tries have failed, mend what the message says and clear it.
- **look**: the new mapping refuses items; the message says how many and why. Nothing was changed.
- **report**: documents were refused for good. They are in the reject files; mend the cause, then start this DAG with
  source `rejects`.
- What cannot be replayed is moved to the parking place, whole, with the reason; the log of `report` lists it. What the
  stream no longer has (24 h) and what was received too often goes from there when a reconciliation of all content,
  with repair, has passed. What is not understood stays: mend it, and start this DAG with source `parked`, or delete it.

### How to undo it
What was indexed is what the table holds; there is nothing to take back.
"""

PARAMETERS = {
    "source": Param(
        "queue",
        type="string",
        enum=["queue", "rejects", "parked"],
        description="The queue; the reject files of backfills, rebuilds and replays; or the parking place.",
    ),
    "dry_run": Param(False, type="boolean", description="Only say what would be found; give all messages back."),
    "max_messages": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=100_000_000,
        description="Messages to replay at most. Empty: all.",
    ),
    "into_mapping": Param(
        None,
        type=["null", "string"],
        enum=[None, *mapping_files()],
        description="Try the items on this mapping file, change nothing, and give all messages back.",
    ),
}

ONLY_LOOKS = "{{ params.dry_run or params.into_mapping is not none }}"
DOES_THE_WORK = "{{ 'look' if params.dry_run or params.into_mapping is not none else 'report' }}"


def dlq_replay_dag(target: Target) -> DAG:
    """Plan → replay, mapped over consumers → report; or plan → look."""
    name, filling = target.name, dead_letters_asset(target)
    arguments = dag_arguments(target, runs_by_hand_only=True)
    with DAG(
        dag_id=f"{name}_dlq_replay",
        description=f"Bring into {target.alias} what its indexer failed on",
        doc_md=DOC.format(alias=target.alias, table=target.table),
        params=PARAMETERS,
        **(arguments if filling is None else {**arguments, "schedule": [filling]}),
    ) as dag:
        plan = PlanReplayOperator(
            task_id="plan",
            target=name,
            source="{{ params.source }}",
            max_messages="{{ params.max_messages }}",
            is_dry_run=ONLY_LOOKS,
        )
        look = LookAtDeadLettersOperator(
            task_id="look",
            target=name,
            plan=XComArg(plan, key="plan"),
            into_mapping="{{ params.into_mapping }}",
            is_wanted=ONLY_LOOKS,
        )
        replay = ReplayDeadLettersOperator.partial(
            task_id="replay",
            target=name,
            plan=XComArg(plan, key="plan"),
            map_index_template="consumer {{ task.share.consumer }}",
        ).expand(share=plan.output)
        report = ReportReplayOperator(
            task_id="report", target=name, reports=replay.output, outlets=[index_asset(target)]
        )
        confirm = ConfirmResultOperator(task_id="confirm", needs=[DOES_THE_WORK]).as_teardown(
            on_failure_fail_dagrun=True
        )
        plan >> look >> confirm
        replay >> report >> confirm
    return dag


for one_target in enabled_targets():
    globals()[f"{one_target.name}_dlq_replay"] = dlq_replay_dag(one_target)
