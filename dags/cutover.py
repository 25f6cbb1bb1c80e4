"""`<target>_cutover`: from nothing to a live alias, a live indexer and an API that reads it."""

from datetime import timedelta

from airflow.sdk import DAG, BaseOperator, Param, TriggerRule, chain

from dynamo_opensearch.core.preflight.checklist import FIRST_STEPS
from dynamo_opensearch.core.services.lambda_alias import LAMBDA_INDEXER
from dynamo_opensearch.core.state.holder import CUTOVER
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import approvers, dag_arguments, enabled_targets
from dynamo_opensearch.operators.approval import ApproveStepOperator
from dynamo_opensearch.operators.cutover.api import COMPONENT_KEY, DeployApiOperator
from dynamo_opensearch.operators.cutover.canary import FlyCanaryOperator, RemoveCanaryOperator
from dynamo_opensearch.operators.cutover.deploying import DeployIndexerOperator, MoveIndexerOperator
from dynamo_opensearch.operators.cutover.mapping import EnableMappingOperator, WaitForMappingOperator
from dynamo_opensearch.operators.cutover.preparing import (
    EnableStreamOperator,
    IdentifyCutoverOperator,
    MakeIndexOperator,
)
from dynamo_opensearch.operators.cutover.report import ReportCutoverOperator
from dynamo_opensearch.operators.cutover.started_runs import RunDagOperator
from dynamo_opensearch.operators.hold import HoldTargetOperator, ReleaseTargetOperator
from dynamo_opensearch.operators.preflight import PreflightOperator
from dynamo_opensearch.operators.run_result import ConfirmResultOperator
from dynamo_opensearch.sensors.domain_active import DomainActiveSensor
from dynamo_opensearch.sensors.service_settled import ServiceSettledSensor
from dynamo_opensearch.sensors.table_stream_enabled import TableStreamEnabledSensor

DOC = """
### What it is for
Brings {table} and {alias} into production, in the migration guide's six steps: wait for the domain; make the index
behind the alias; switch the table's stream on; deploy the indexer, let the stream reach it, and try it with a canary;
backfill and prove that both sides hold the same keys; put the API's new version in service. Each step looks first
whether it is done already, and afterwards whether it took effect.

### When it runs
By hand, in the Airflow of the environment that goes live. Unpause `{target}_backfill` and `{target}_reconcile` before.

### Parameters
`environment`, `approval`: described in the form.

### What it locks
The target: a rebuild or a rollback of the index waits or says so. Writers and readers go on.

### When it fails
What each DAG leaves behind when it fails, and what to do: `docs/runbook.md#a-run-has-failed`.

Every message says what to mend. Then clear the failed task, or start the DAG again: what has been done is found done,
nothing is made, published or deployed twice.
- **preflight**: a check of `{target}_preflight` that concerns this DAG failed ({checks}).
- **enable_stream**: the stream has another view type. It is not flipped, since that would be another stream.
- **approve_indexer**, **approve_api**: rejected or unanswered; what follows is as it was.
- **enable_mapping**: the event source mapping has settings by which changes are lost. They are told, not changed.
- **canary**: the message says which way of its item was too long: table, stream, indexer or index. Its item is removed
  by **remove_canary**.
- **backfill**, **reconcile**: the run of that DAG failed; its own red tasks say why.
- **settle_indexer**, **settle_api**: what AWS made of the change; `{target}_rollback_service` takes it back.

### How to undo it
`{target}_rollback_service` with component `ecs` or `lambda_api`, then `lambda_indexer`: each goes to what this run
replaced. Index, stream and event source mapping stay; they harm nobody.
"""

APPROVE_INDEXER = """Index and stream are ready. Next the indexer's code is deployed, alias and event source mapping of
the target file are set, an item of its own is written to the table and removed again, and the index is filled.

Reject: the indexer stays as it is, and the run ends here."""

APPROVE_API = """The index is filled, and holds the same keys as the table. Next the API's new version is put in
service; what it replaces is recorded, and the target's rollback_service takes it back.

Reject: the API stays as it is, and the run ends here."""


def parameters(target: Target) -> dict[str, Param]:
    """The environments of the target's file, of which this deployment's own is the only one that is taken."""
    names = list(target.environments)
    here = environment_name()
    return {
        "environment": Param(
            here if here in names else None,
            type="string" if here in names else ["null", "string"],
            enum=names if here in names else [None, *names],
            description="What goes live. Must be this deployment's own; another one has its own Airflow.",
        ),
        "approval": Param(
            True, type="boolean", description="Ask the target's approvers before the indexer and before the API."
        ),
    }


def cutover_dag(target: Target) -> DAG:
    """Domain → index → stream → indexer → backfill, proven → API."""
    name = target.name
    with DAG(
        dag_id=f"{name}_cutover",
        description=f"Bring {target.table} and {target.alias} into production",
        doc_md=DOC.format(
            target=name,
            table=target.table,
            alias=target.alias,
            checks=", ".join(f"`{check}`" for check in FIRST_STEPS["cutover"]),
        ),
        params=parameters(target),
        **dag_arguments(target, runs_by_hand_only=True),
    ) as dag:
        identify = IdentifyCutoverOperator(task_id="identify", target=name, environment="{{ params.environment }}")
        hold = HoldTargetOperator(task_id="hold", target=name, purpose=CUTOVER)
        release = ReleaseTargetOperator(task_id="release", target=name).as_teardown(
            setups=hold, on_failure_fail_dagrun=False
        )
        confirm = ConfirmResultOperator(task_id="confirm", needs=work_of(target)).as_teardown(
            on_failure_fail_dagrun=True
        )
        *indexer, canary, remove_canary = indexer_tasks(target)
        backfill, reconcile = filling_tasks(target)
        steps = [
            *index_and_stream(target),
            *indexer,
            canary,
            remove_canary,
            backfill,
            reconcile,
            *api_tasks(target),
        ]
        # Its success says that nothing was stopped: what a person stops is skipped, as a part that is left out is.
        report = ReportCutoverOperator(
            task_id="report", steps=[step.task_id for step in steps], trigger_rule=TriggerRule.NONE_FAILED
        )
        chain(identify, hold, *steps, report, release, confirm)
        canary >> backfill  # whose item is removed also when it has failed
    return dag


def work_of(target: Target) -> list[str]:
    """The tasks whose success says that the run has done its work: those of parts that the target file names."""
    environment = target.environments.get(environment_name())
    indexer, api = (environment.indexer, environment.api) if environment else (None, None)
    return [
        *(["wait_for_mapping"] if indexer else []),
        *(["canary"] if indexer and indexer.canary is not False else []),
        "reconcile",
        *(["settle_api"] if api else []),
        "report",
        "release",
    ]


def index_and_stream(target: Target) -> list[BaseOperator]:
    """What the indexer needs: the domain, the index behind the alias, the stream."""
    name = target.name
    return [
        DomainActiveSensor(task_id="wait_for_domain", target=name),
        PreflightOperator(task_id="preflight", target=name, checks=FIRST_STEPS["cutover"]),
        MakeIndexOperator(task_id="make_index", target=name),
        EnableStreamOperator(task_id="enable_stream", target=name),
        TableStreamEnabledSensor(task_id="wait_for_stream", target=name),
    ]


def indexer_tasks(target: Target) -> list[BaseOperator]:
    """Code, alias, event source mapping, and an item that goes the whole way; skipped without an indexer."""
    name = target.name
    deploy = DeployIndexerOperator(task_id="deploy_indexer", target=name, trigger_rule=TriggerRule.NONE_FAILED)
    move = MoveIndexerOperator(task_id="move_indexer", target=name, deployed=deploy.output)
    enable = EnableMappingOperator(task_id="enable_mapping", target=name)
    wait = WaitForMappingOperator(task_id="wait_for_mapping", target=name, mapping=enable.output)
    canary = FlyCanaryOperator(task_id="canary", target=name, mapping=enable.output)
    return [
        approval(target, "indexer", APPROVE_INDEXER),
        deploy,
        move,
        ServiceSettledSensor(task_id="settle_indexer", target=name, component=LAMBDA_INDEXER, shall=move.output),
        enable,
        wait,
        canary,
        # Without a setup: what follows one does not run where it is skipped, and there may be no indexer.
        RemoveCanaryOperator(task_id="remove_canary", target=name).as_teardown(on_failure_fail_dagrun=True),
    ]


def filling_tasks(target: Target) -> list[BaseOperator]:
    """The backfill, and the proof that both sides hold the same keys."""
    wishes: dict[str, dict[str, str]] = {"backfill": {}, "reconcile": {"depth": "keys", "repair": "none"}}
    return [
        RunDagOperator(
            task_id=kind,
            trigger_dag_id=f"{target.name}_{kind}",
            trigger_run_id="cutover__{{ run_id }}",
            conf=conf,
            trigger_rule=TriggerRule.NONE_FAILED,
        )
        for kind, conf in wishes.items()
    ]


def api_tasks(target: Target) -> list[BaseOperator]:
    """The API's new version, waited for until it is stable and well; skipped without an API."""
    name = target.name
    deploy = DeployApiOperator(task_id="deploy_api", target=name, trigger_rule=TriggerRule.NONE_FAILED)
    settle = ServiceSettledSensor(
        task_id="settle_api",
        target=name,
        component=f"{{{{ ti.xcom_pull(task_ids='deploy_api', key='{COMPONENT_KEY}') }}}}",
        shall=deploy.output,
    )
    return [approval(target, "api", APPROVE_API), deploy, settle]


def approval(target: Target, part: str, body: str) -> BaseOperator:
    """A question to the target's approvers; skipped where nobody is to be asked, or the file does not name the part."""
    return ApproveStepOperator(
        task_id=f"approve_{part}",
        target=target.name,
        part=part,
        is_wanted="{{ params.approval }}",
        subject=f"Cutover of {target.alias}: change the {part}?",
        body=body,
        assigned_users=approvers(target),
        response_timeout=timedelta(hours=target.airflow.approval_timeout_h),
        execution_timeout=None,
    )


for one_target in enabled_targets():
    globals()[f"{one_target.name}_cutover"] = cutover_dag(one_target)
