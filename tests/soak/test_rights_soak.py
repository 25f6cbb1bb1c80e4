"""Each DAG of a running Airflow as a user of its own, who has that DAG's policy of docs/iam.md and no other right.

MiniStack refuses what no policy of the caller allows. It makes action and resource of a request by code of its own, so
this also judges tools/iam/operations.py. For some services it knows no resources; there each action is held to.
"""

import json
import urllib.error
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo_opensearch.core.preflight.checklist import CHECKS
from tests.support.dead_letter_bodies import s3_notification
from tests.support.ready_environment import ACCOUNT, ReadyEnvironment, archive
from tests.support.service_rig import create_function
from tests.system.airflow_deployment import DAG_ID as BACKFILL
from tests.system.airflow_deployment import Deployment, deployed
from tests.system.live_members import CLEAN_UP, FOLLOW, REINDEX, REPLAY, ROLLBACK, indexed, wait_for_end
from tools.iam.calls import Calls
from tools.iam.own_names import Asked, own_policy
from tools.local import connections, ministack, ports
from tools.local.airflow_api import AirflowApi
from tools.local.ministack import REGION

RECONCILE, PREFLIGHT, ROLLBACK_SERVICE = "members_reconcile", "members_preflight", "members_rollback_service"
CUTOVER = "members_cutover"
DAGS = (BACKFILL, REINDEX, ROLLBACK, REPLAY, RECONCILE, PREFLIGHT, ROLLBACK_SERVICE, CUTOVER, FOLLOW, CLEAN_UP)
ITEMS = 300
pytestmark = pytest.mark.soak

WITHOUT_RESOURCES = ("cloudwatch:", "cognito-idp:", "dynamodb:DescribeStream", "dynamodb:Get", "ec2:", "es:", "iam:")
"""Actions that MiniStack asks for on ``*``."""

Document = dict[str, Any]


ASKED_TOO = {
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "lambda:GetAlias": "lambda:ListAliases",
    "lambda:GetEventSourceMapping": "lambda:ListEventSourceMappings",
}
"""What MiniStack asks for where AWS asks for the first: a batch by its own name, one of a kind by their list's."""


@dataclass(frozen=True, kw_only=True)
class Rights:
    """A deployment whose DAGs are users, and the environment that its target describes."""

    deployment: Deployment
    ready: ReadyEnvironment
    file: Path

    def give(self, dag_id: str, *, but: str = "") -> None:
        """The DAG's policy; ``but``: without an action."""
        document = self.policy(dag_id)
        for one in document["Statement"]:
            one["Action"] = [action for action in one["Action"] if action != but]
        document["Statement"] = [one for one in document["Statement"] if one["Action"]]
        for one in document["Statement"]:
            one["Action"] += [ASKED_TOO[action] for action in one["Action"] if action in ASKED_TOO]
        actions = {action for one in document["Statement"] for action in one["Action"]}
        widened = sorted(action for action in actions if action.startswith(WITHOUT_RESOURCES))
        if widened:
            document["Statement"].append({"Effect": "Allow", "Action": widened, "Resource": "*"})
        self._attach(dag_id, document)

    def policy(self, dag_id: str) -> Document:
        """As `python -m tools.iam` prints it."""
        asked = Asked(
            include=self.deployment.include,
            target="members",
            environment="local",
            account=ACCOUNT,
            region=REGION,
            partition="aws",
            state_index=".dynamo-opensearch-state",
            dag=dag_id,
            others={},
        )
        return own_policy(asked, Calls.committed())[0]

    def _attach(self, dag_id: str, document: Document) -> None:
        iam = self.ready.make("iam")
        arn = f"arn:aws:iam::{ACCOUNT}:policy/{dag_id}"
        for user in iam.list_users()["Users"]:
            if user["UserName"] == dag_id:
                iam.detach_user_policy(UserName=dag_id, PolicyArn=arn)
                iam.delete_policy(PolicyArn=arn)
                break
        else:
            iam.create_user(UserName=dag_id)
            self._connect(dag_id, iam.create_access_key(UserName=dag_id)["AccessKey"])
        iam.create_policy(PolicyName=dag_id, PolicyDocument=json.dumps(document))
        iam.attach_user_policy(UserName=dag_id, PolicyArn=arn)

    def _connect(self, dag_id: str, key: dict[str, Any]) -> None:
        connection = json.loads(connections.aws_connection(self.deployment.aws.url))
        connection |= {"login": key["AccessKeyId"], "password": key["SecretAccessKey"]}
        known = json.loads(self.file.read_text())
        self.file.write_text(json.dumps({**known, dag_id: {"aws_default": json.dumps(connection)}}))

    def run(self, dag_id: str, **conf: object) -> tuple[str, str]:
        """A run's state at its end, and all that its tasks logged."""
        run_id = self.deployment.airflow.trigger(dag_id, conf)
        state = wait_for_end(self.deployment, run_id, dag_id)
        return state, self.log(dag_id, run_id)

    def log(self, dag_id: str, run_id: str) -> str:
        """Of all tasks of a run that have begun."""
        airflow = self.deployment.airflow
        begun = [one for one in airflow.task_instances(dag_id, run_id) if one["start_date"] and one["try_number"]]
        return "\n".join(line for task in begun for line in _lines(airflow, task))

    def succeeds(self, dag_id: str, **conf: object) -> str:
        """A run that ends well; its log."""
        state, log = self.run(dag_id, **conf)
        assert (state, refusals(log)) == ("success", [])
        return log

    def write_target(self) -> None:
        """As the environment's settings are now."""
        target = self.ready.target.model_dump(mode="json", exclude_unset=True)
        target["airflow"] = {"retry_delay_s": 1}
        (self.deployment.include / "targets" / "members.yaml").write_text(yaml.safe_dump(target))


def _lines(airflow: AirflowApi, task: dict[str, Any]) -> list[str]:
    """None where it was skipped before it could log."""
    try:
        return airflow.log_lines(task)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.NOT_FOUND:
            raise
        return []


def refusals(log: str) -> list[str]:
    """Lines that tell of a missing right."""
    return [line for line in log.splitlines() if "docs/iam.md" in line or "AccessDenied" in line]


@pytest.fixture(scope="module")
def rights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rights]:
    folder = tmp_path_factory.mktemp("rights")
    file = folder / "connections.json"
    file.write_text("{}")
    aws = ministack.plan_launch(folder / "ministack", ports.free_port())
    guarded = replace(aws, environment={**aws.environment, "AUTH": "true", "AWS_ACCESS_KEY_ID": "local"})
    changes = {
        "AIRFLOW__WORKERS__SECRETS_BACKEND": "connections_of_dags.ConnectionsOfDags",
        "CONNECTIONS_OF_DAGS": str(file),
    }
    made: list[Rights] = []

    def prepare(deployment: Deployment) -> None:
        """Before Airflow starts: sync_follow is on from the start, and keeps target and user as they are then."""
        ready = ReadyEnvironment(deployment.aws.url, deployment.search.url, name="local", kind="domain").build()
        made.append(Rights(deployment=deployment, ready=ready, file=file))
        name_everything(made[0])
        for dag_id in DAGS:
            made[0].give(dag_id)

    with deployed(folder, changes, guarded, prepare=prepare) as deployment:
        for dag_id in DAGS:
            deployment.airflow.wait_for_dag(dag_id)
            deployment.airflow.unpause(dag_id)
        yield made[0]
        made[0].ready.close()


def name_everything(rights: Rights) -> None:
    """Buckets, an API and a second version of the indexer, beside what a healthy environment has; and items."""
    ready = rights.ready
    for name in ("reports", "parked", "letters"):
        place = {"LocationConstraint": REGION}
        ready.make("s3").create_bucket(Bucket=f"{ready.base}-{name}", CreateBucketConfiguration=place)
    create_function(rights.deployment.aws.url, f"{ready.base}-api", versions=2)
    functions = ready.make("lambda")
    functions.create_alias(FunctionName=f"{ready.base}-api", Name="live", FunctionVersion="2")
    functions.update_function_code(FunctionName=ready.function, ZipFile=archive(), Publish=True)
    functions.update_alias(FunctionName=ready.function, Name="live", FunctionVersion="2")
    ready.settings["reports"] = f"s3://aws_default@{ready.base}-reports/members"
    ready.settings["dead_letters"]["parking"] = f"s3://aws_default@{ready.base}-parked/members"
    ready.settings["api"] = {"kind": "lambda", "function": f"{ready.base}-api", "alias": "live"}
    rights.write_target()
    mapping = {"settings": ready.mapping_settings, "mappings": ready.mappings}
    (rights.deployment.include / "mappings" / "members.json").write_text(json.dumps(mapping))
    for number in range(ITEMS):
        put(rights, number)


def put(rights: Rights, number: int, points: str | None = None) -> None:
    """An item; with ``points`` one that the index refuses."""
    item: dict[str, Any] = {"memberId": {"S": f"m-{number:04d}"}, "name": {"S": "Ada"}, "points": {"N": str(number)}}
    if points is not None:
        item["points"] = {"S": points}
    rights.deployment.dynamodb.put_item(TableName=rights.ready.table, Item=item)


def send(rights: Rights, body: str) -> None:
    rights.ready.make("sqs").send_message(QueueUrl=rights.ready.queue_url, MessageBody=body)


def test_preflight_passes_with_its_policy_alone(rights: Rights) -> None:
    log = rights.succeeds(PREFLIGHT)
    for check in CHECKS:
        assert f"{check} " in log


def test_preflight_tries_another_mapping_file_with_its_policy_alone(rights: Rights) -> None:
    file = rights.deployment.include / "mappings" / "members.json"
    before = file.read_text()
    file.write_text(before.replace('"type": "integer"', '"type": "long"'))
    state, log = rights.run(PREFLIGHT)
    file.write_text(before)
    assert (state, refusals(log)) == ("failed", [])
    assert "points" in log


def test_a_backfill_its_rejects_and_their_replay_in_s3(rights: Rights) -> None:
    put(rights, 0, points="many")
    state, log = rights.run(BACKFILL, segments=2)
    assert (state, refusals(log)) == ("failed", [])
    assert "1 documents were refused for good" in log
    put(rights, 0)
    rights.succeeds(REPLAY, source="rejects")
    rights.succeeds(BACKFILL, segments=2)


def test_dead_letters_that_s3_keeps_are_replayed_garbage_is_parked_and_replayed_again(rights: Rights) -> None:
    ready = rights.ready
    ready.settings["dead_letters"]["destination"] = f"arn:aws:s3:::{ready.base}-letters"
    rights.write_target()
    rights.give(REPLAY)
    letter = {"Keys": {"memberId": {"S": "m-0007"}}}
    ready.make("s3").put_object(
        Bucket=f"{ready.base}-letters", Key="aws/lambda/mapping/shard/letter", Body=json.dumps(letter)
    )
    notification = s3_notification("aws/lambda/mapping/shard/letter")
    for record in notification["Records"]:
        record["s3"]["bucket"]["name"] = f"{ready.base}-letters"
        del record["s3"]["object"]["versionId"]
    send(rights, json.dumps(notification))
    send(rights, json.dumps(letter))
    send(rights, "this is no JSON")
    rights.succeeds(REPLAY, dry_run=True)
    rights.succeeds(REPLAY)
    rights.succeeds(REPLAY, source="parked")


def test_a_rebuild_that_sync_follow_feeds_and_the_way_back(rights: Rights) -> None:
    for source in ("table", "index"):
        rights.ready.put_iterator_age(0.5)
        rights.succeeds(REINDEX, source=source)
    rights.succeeds(ROLLBACK)
    for dag_id in (FOLLOW, CLEAN_UP):
        assert refusals(logs_of_all_runs(rights, dag_id)) == []


def logs_of_all_runs(rights: Rights, dag_id: str) -> str:
    runs = rights.deployment.airflow.call(f"/dags/{dag_id}/dagRuns?limit=100")["dag_runs"]
    return "\n".join(rights.log(dag_id, run["dag_run_id"]) for run in runs)


def test_a_reconciliation_that_mends_and_the_next_one_that_reads_its_list(rights: Rights) -> None:
    ready = rights.ready
    for depth in ("approximate", "count", "keys"):
        state, log = rights.run(RECONCILE, depth=depth)
        assert refusals(log) == [], (depth, state)
    rights.deployment.search_call(f"/{ready.alias}/_doc/m-0003?refresh=true", "DELETE")
    ready.put_iterator_age(0.5)  # what differs is looked at until the indexer cannot be behind any more
    rights.succeeds(RECONCILE, depth="content", repair="apply")
    rights.succeeds(RECONCILE, depth="content")


@pytest.mark.parametrize("component", ["lambda_api", "lambda_indexer"])
def test_services_go_back_with_the_policy_alone(rights: Rights, component: str) -> None:
    rights.succeeds(ROLLBACK_SERVICE, component=component, dry_run=False)


def test_cleanup_deletes_what_is_past_its_time(rights: Rights) -> None:
    run_id = rights.deployment.airflow.trigger(CLEAN_UP, {})
    assert wait_for_end(rights.deployment, run_id, CLEAN_UP) == "success"
    assert refusals(logs_of_all_runs(rights, CLEAN_UP)) == []


def test_a_cutover_to_other_code_with_its_policy_alone(rights: Rights) -> None:
    ready = rights.ready
    package = rights.deployment.include.parent / "indexer.zip"
    with zipfile.ZipFile(package, "w") as file:
        file.writestr("h.py", "def handler(event, context):\n    return {}\n")
    ready.settings["indexer"]["package"] = str(package)
    ready.settings["dead_letters"].pop("destination", None)  # where the mapping sends them, as it was made
    rights.write_target()
    rights.give(CUTOVER)
    with indexed(rights.deployment, starting_position="LATEST", table=ready.table):
        rights.succeeds(CUTOVER, approval=False)


@pytest.mark.parametrize(
    ("action", "dag_id", "resource"),
    [
        ("dynamodb:Scan", BACKFILL, "{table} in {region}"),
        ("s3:PutObject", RECONCILE, "arn:aws:s3:::{base}-reports/*"),
    ],
)
def test_an_action_that_is_taken_out_of_a_policy_is_missed_and_the_log_says_where_it_stands(
    rights: Rights, action: str, dag_id: str, resource: str
) -> None:
    rights.give(dag_id, but=action)
    state, log = rights.run(dag_id)
    rights.give(dag_id)
    assert state == "failed"
    named = resource.format(region=REGION, table=rights.ready.table, base=rights.ready.base)
    assert any(
        f"refused {action} on {named!r}" in line and f"policy {dag_id} of docs/iam.md" in line for line in refusals(log)
    )
