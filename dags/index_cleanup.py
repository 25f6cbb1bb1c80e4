"""`sync_index_cleanup`: delete replaced indices when their time is over."""

from airflow.sdk import DAG

from dynamo_opensearch.dag_settings import deployment_arguments
from dynamo_opensearch.operators.cleanup import CleanUpIndicesOperator, ListTargetsOperator

DOC = """
### What it is for
A rebuild keeps the index that it replaced, so that there is a way back. This DAG deletes it when its time is over
(`keep_previous_h`), and what rebuilds that failed have left. It deletes an index only when it carries no alias but the
marker, is named like the target's indices, and is past its time. An index with another name is kept and told about.

### When it runs
Every hour.

### Parameters
None.

### What it locks
Each target while it is cleaned; a target that a rebuild or rollback holds is left for the next hour.

### When it fails
What each DAG leaves behind when it fails, and what to do: `docs/runbook.md#a-run-has-failed`.

Nothing is lost: what was not deleted is deleted by the next run.

### How to undo it
A deleted index cannot be brought back; a rebuild makes a new one.
"""

with DAG(
    dag_id="sync_index_cleanup",
    description="Delete replaced indices when their time is over",
    doc_md=DOC,
    schedule="@hourly",
    **deployment_arguments(),
) as dag:
    targets = ListTargetsOperator(task_id="targets")
    CleanUpIndicesOperator.partial(task_id="clean_up", map_index_template="{{ task.target }}").expand(
        target=targets.output
    )
