"""`<target>_rollback_service`: let the API or the indexer be again what it was before."""

from airflow.sdk import DAG, Param

from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import dag_arguments, enabled_targets
from dynamo_opensearch.operators.rollback_service import (
    PlanServiceRollbackOperator,
    RollBackServiceOperator,
    StartReplayOperator,
)
from dynamo_opensearch.operators.run_result import ConfirmResultOperator
from dynamo_opensearch.sensors.service_settled import ServiceSettledSensor

DOC = """
### What it is for
Takes a deployment back: the ECS service or the Lambda alias of the API, or the indexer's alias, to what was in service
before. Not to the next lower number: to a task definition of the same family that was deployed and became stable, to
the version that the alias had. It waits until it is stable, says whether ECS's circuit breaker acted, and asks
`health_url` where the target file has one.

### When it runs
By hand. As it stands in the form it changes nothing: read in the log of `plan` what would go back to what, then start
it with `dry_run` off.

### Parameters
`component`, `replay`, `dry_run`: described in the form. With `replay`, `{target}_dlq_replay` is started once the
indexer is back; unpause it, else the run waits there.

### What it locks
Nothing. Two runs at once, or somebody who deploys meanwhile: the one that comes second changes nothing and says so.

### When it fails
What each DAG leaves behind when it fails, and what to do: `docs/runbook.md#a-run-has-failed`.

- **plan**: there is nothing to go back to, or it does not fit; the message says what was looked at and what to do.
- **roll_back**: somebody has changed the component since the plan. Nothing was changed; start it again.
- **settle**: the change was made, and did not come out well. The message says what AWS did with it: the circuit breaker
  went back, it is not stable in time, `health_url` does not answer 200.
- **start_replay**: clear it; the replay is started once.

### How to undo it
Run it again: as long as nobody has deployed since, it goes forward to what it replaced. Further back than one step: the
AWS command line, or a deployment.
"""

PARAMETERS = {
    "component": Param(
        type="string",
        enum=["ecs", "lambda_api", "lambda_indexer"],
        description="What goes back: the API's ECS service, the API's Lambda alias, or the indexer's Lambda alias.",
    ),
    "replay": Param(
        False,
        type="boolean",
        description="After lambda_indexer: replay the dead letters of the version that is taken out.",
    ),
    "dry_run": Param(True, type="boolean", description="Only say what would go back to what; change nothing."),
}

COMPONENT, IS_WANTED = "{{ params.component }}", "{{ not params.dry_run }}"
DOES_THE_WORK = "{{ 'plan' if params.dry_run else 'settle' }}"
ENDS_IT = "{{ 'plan' if params.dry_run else 'start_replay' if params.replay else 'settle' }}"


def rollback_service_dag(target: Target) -> DAG:
    """Plan → change → wait until it is stable and well → replay."""
    name = target.name
    with DAG(
        dag_id=f"{name}_rollback_service",
        description=f"Take the API or the indexer of {target.alias} back to what was in service before",
        doc_md=DOC.format(target=name),
        params=PARAMETERS,
        **dag_arguments(target, runs_by_hand_only=True),
    ) as dag:
        plan = PlanServiceRollbackOperator(
            task_id="plan", target=name, component=COMPONENT, replay="{{ params.replay }}"
        )
        roll_back = RollBackServiceOperator(task_id="roll_back", target=name, plan=plan.output, is_wanted=IS_WANTED)
        settle = ServiceSettledSensor(task_id="settle", target=name, component=COMPONENT, shall=roll_back.output)
        start_replay = StartReplayOperator(
            task_id="start_replay",
            trigger_dag_id=f"{name}_dlq_replay",
            trigger_run_id="rollback_service__{{ run_id }}",
            conf={"source": "queue"},
            is_wanted="{{ params.replay }}",
        )
        confirm = ConfirmResultOperator(task_id="confirm", needs=[DOES_THE_WORK, ENDS_IT]).as_teardown(
            on_failure_fail_dagrun=True
        )
        plan >> roll_back >> settle >> start_replay >> confirm
    return dag


for one_target in enabled_targets():
    globals()[f"{one_target.name}_rollback_service"] = rollback_service_dag(one_target)
