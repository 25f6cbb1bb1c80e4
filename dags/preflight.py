"""`<target>_preflight`: whether an environment is ready for a target, line by line."""

from airflow.sdk import DAG, Param, TriggerRule

from dynamo_opensearch.core.preflight.checklist import CHECKLIST
from dynamo_opensearch.core.runbook import RUNBOOK
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import dag_arguments, enabled_targets
from dynamo_opensearch.operators.preflight import IdentifyCallerOperator, JudgePreflightOperator, RunCheckOperator
from dynamo_opensearch.operators.run_result import ConfirmResultOperator

DOC = """
### What it is for
Says whether an environment is ready for table `{table}` and alias `{alias}`: every line of the checklist before going
live, each by a task of its own. Given another environment, it also says what differs between the two, field by field.
It changes nothing; where the index is not as its mapping file says, the file is tried on a hidden index of its own,
which is removed again.

| check | what must hold |
|---|---|
{checks}

What the target file does not name is not asked for; that task is skipped.

### When it runs
By hand.

### Parameters
`environment`, `compare_with`: described in the form.

### What it locks
Nothing. One run at a time.

### When it fails
- **identify**: there are no credentials, or the environment is not in the target file. The first line of its log says
  account, role, region and OpenSearch's address.
- A red check: its message says what was found, what was expected, and the line that mends it. What it means, and which
  DAG to start afterwards: `{runbook}#<check>`. A service that did not answer is asked again by Airflow.
- A pink check: the target file does not ask for it, or another check says why it cannot tell.
- **gate**: a check failed or could not tell. Its log has one table of all of them.
- **confirm** fails with the run; it keeps a run that was stopped halfway from ending green.

### How to undo it
There is nothing to take back.
"""


def parameters(target: Target) -> dict[str, Param]:
    """What may be chosen: the environments of the target's file."""
    names = list(target.environments)
    here = environment_name()
    return {
        # Without a default where this deployment is none of them, so that nobody looks at another one by mistake.
        "environment": Param(
            here if here in names else None,
            type="string" if here in names else ["null", "string"],
            enum=names if here in names else [None, *names],
            description="Which environment of the target's file is looked at, by its own connections.",
        ),
        "compare_with": Param(
            None,
            type=["null", "string"],
            enum=[None, *names],
            description="Another environment that must be the same. Empty: no comparison.",
        ),
    }


def preflight_dag(target: Target) -> DAG:
    """Identify → every check, side by side → gate → confirm."""
    chosen = {
        "target": target.name,
        "environment": "{{ params.environment }}",
        "compare_with": "{{ params.compare_with }}",
    }
    lines = "\n".join(f"| `{check.name}` | {check.title} |" for check in CHECKLIST)
    with DAG(
        dag_id=f"{target.name}_preflight",
        description=f"Say whether an environment is ready for {target.table} and {target.alias}",
        doc_md=DOC.format(table=target.table, alias=target.alias, checks=lines, runbook=RUNBOOK),
        params=parameters(target),
        **dag_arguments(target, runs_by_hand_only=True),
    ) as dag:
        identify = IdentifyCallerOperator(task_id="identify", **chosen)
        checks = [
            RunCheckOperator(
                task_id=check.name,
                check=check.name,
                trigger_rule=TriggerRule.ALL_DONE,
                doc_md=f"{check.title}. What to do when it fails: `{RUNBOOK}#{check.name}`",
                **chosen,
            )
            for check in CHECKLIST
        ]
        gate = JudgePreflightOperator(
            task_id="gate",
            target=target.name,
            checks=[check.name for check in CHECKLIST],
            environment="{{ params.environment }}",
            trigger_rule=TriggerRule.ALL_DONE,
        )
        confirm = ConfirmResultOperator(task_id="confirm", needs=["identify", "gate"]).as_teardown(
            on_failure_fail_dagrun=True
        )
        identify >> checks >> gate >> confirm
    return dag


for one_target in enabled_targets():
    globals()[f"{one_target.name}_preflight"] = preflight_dag(one_target)
