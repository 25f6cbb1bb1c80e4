"""`sync_follow`: carry every change of the tables into the indices that the indexers do not feed."""

from airflow.sdk import DAG

from dynamo_opensearch.dag_settings import deployment_arguments
from dynamo_opensearch.operators.follow import FollowStreamOperator, PlanFollowOperator

DOC = """
### What it is for
The indexer feeds the index behind the alias. While another index is being built (`…-next`) or kept for a rollback
(`…-previous`), this DAG feeds it: it reads the table's stream, reads each changed item from the table, and writes it.

### When it runs
All the time; a run that has ended is followed by the next one. As long as there is no such index, `plan` waits in the
triggerer and holds no worker slot. One run serves all targets that need it for up to ten minutes, then the next run
plans anew; a target that joins ends the run early.

### Parameters
None.

### What it locks
Nothing. Two of them at once would stop each other.

### When it fails
What each DAG leaves behind when it fails, and what to do: `docs/runbook.md#a-run-has-failed`.

The position in the stream is saved after each second of work. The next try, or the next run, goes on from there and
loses nothing, as long as it does so within the 24 hours that a stream keeps. While it is down, a rebuild waits and the
kept index grows old.

### How to undo it
Nothing to undo. Pause it to stop following; a rebuild does not end while it is paused.
"""

with DAG(
    dag_id="sync_follow",
    description="Feed the indices that are being built or kept",
    doc_md=DOC,
    schedule="@continuous",
    **deployment_arguments(),
) as dag:
    plan = PlanFollowOperator(task_id="plan")
    FollowStreamOperator.partial(task_id="follow", planned=plan.output, map_index_template="{{ task.target }}").expand(
        target=plan.output
    )
