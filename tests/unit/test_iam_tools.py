"""From a recorded call to a policy with somebody's own names."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore import xform_name

from dynamo_opensearch.core.targets.arns import Place
from tests.support.call_recorder import recorded_calls
from tests.support.covered import uncovered
from tests.support.policy_oracle import is_allowed
from tests.support.recorded_runs import recorded
from tests.support.scripted_aws import ScriptedAws
from tools.iam import __main__ as command
from tools.iam.calls import COMMITTED, Calls, ForeignCallError, Record, understand
from tools.iam.committed import of_the_tests
from tools.iam.names import names_of
from tools.iam.operations import Right, UnknownOperationError, rights_of
from tools.iam.own_names import Asked, WrongNameError, own_policy
from tools.iam.requests import ForeignRequestError, right_of_request
from tools.iam.sample import PRODUCTION, sample_target
from tools.local import paths

ACCOUNT, REGION = "123456789012", "eu-central-1"
PLACE = Place(partition="aws", region=REGION, account=ACCOUNT)
NAMES = names_of(sample_target(1), PRODUCTION, PLACE, {})
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/members"


def rights(operation: str, **names: Any) -> list[Right]:
    return list(rights_of(operation, names, REGION, ACCOUNT))


# What a call needs


@pytest.mark.parametrize(
    ("operation", "names", "expected"),
    [
        ("dynamodb:Scan", {"TableName": "members"}, [("dynamodb:Scan", TABLE)]),
        (
            "dynamodb:BatchGetItem",
            {"RequestItems": ["members", "orders"]},
            [("dynamodb:BatchGetItem", TABLE), ("dynamodb:BatchGetItem", TABLE.replace("members", "orders"))],
        ),
        (
            "sqs:DeleteMessageBatch",
            {"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/letters"},
            [("sqs:DeleteMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:letters")],
        ),
        ("s3:HeadObject", {"Bucket": "b", "Key": "k/l"}, [("s3:GetObject", "arn:aws:s3:::b/k/l")]),
        ("s3:ListObjectsV2", {"Bucket": "b", "Prefix": "k"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("opensearch:DescribeVpcEndpoints", {}, [("es:DescribeVpcEndpoints", "*")]),
        ("iam:GetRole", {"RoleName": "r"}, [("iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/r")]),
        (
            "lambda:GetFunctionConfiguration",
            {"FunctionName": "f", "Qualifier": "3"},
            [
                ("lambda:GetFunctionConfiguration", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"),
                ("lambda:GetFunctionConfiguration", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f:3"),
            ],
        ),
        ("sts:GetCallerIdentity", {}, []),
    ],
)
def test_a_call_needs_an_action_on_the_resource_that_it_names(
    operation: str, names: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert rights(operation, **names) == expected


def test_an_operation_that_no_line_knows_is_an_error_that_names_the_file() -> None:
    with pytest.raises(UnknownOperationError, match=r"dynamodb:DeleteTable is in no line of tools/iam/operations\.py"):
        rights("dynamodb:DeleteTable", TableName="members")


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("GET", "/", ""),
        ("POST", "/members-live/_bulk", "<base>-*"),
        ("POST", "/members-live%2Cmembers-live-next/_refresh", "<base>-*"),
        ("PUT", "/members-v12", "<base>-*"),
        ("GET", "/_cat/aliases/members-live,members-live-next", "_cat/aliases/<base>-*"),
        ("GET", "/_tasks/node:17", "_tasks/*"),
        ("POST", "/_tasks/node:17/_cancel", "_tasks/*"),
        ("DELETE", "/_search/point_in_time", "_search/point_in_time"),
        ("PUT", "/.dynamo-opensearch-state/_doc/holder%7Cmembers-live", "<state>/*"),
        ("PUT", "/.dynamo-opensearch-state", "<state>"),
    ],
)
def test_a_request_is_an_action_on_a_path_with_the_targets_names_left_open(method: str, path: str, form: str) -> None:
    assert right_of_request(method, path, NAMES) == (f"es:ESHttp{method.capitalize()}", f"<opensearch>/{form}")


@pytest.mark.parametrize("path", ["/orders-v1", "/members-v1,orders-v1", "/_alias/orders-live", "/members", "/x/_doc"])
def test_a_request_for_another_index_is_nobodys(path: str) -> None:
    with pytest.raises(ForeignRequestError, match="about no index of the target's"):
        right_of_request("GET", path, NAMES)


# Names


@pytest.mark.parametrize(
    ("resource", "form"),
    [
        (TABLE, "<table>"),
        (f"{TABLE}/stream/2026-01-01T00:00:00.000", "<table>/stream/*"),
        (f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:members-indexer:3", "<indexer>:*"),
        (f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:members-api", "<api-function>"),
        (f"arn:aws:iam::{ACCOUNT}:role/members-indexer", "<role>"),
        (f"arn:aws:iam::{ACCOUNT}:policy/*", "arn:<partition>:iam::<account>:policy/*"),
        ("arn:aws:iam::aws:policy/*", "arn:<partition>:iam::aws:policy/*"),
        ("arn:aws:s3:::members-reports", "<reports-bucket>"),
        ("arn:aws:s3:::members-reports/members/rejects/members/run/part", "<reports>/rejects/<name>/*"),
        ("arn:aws:s3:::members-reports/members/reconcile/members", "<reports>/reconcile/<name>"),
        ("arn:aws:s3:::members-parked/members/members/letter.json", "<parking>/<name>/*"),
        ("arn:aws:s3:::members-dead-letters/aws/lambda/x", "<dead-letter-bucket>/*"),
        ("*", "*"),
    ],
)
def test_a_resource_becomes_a_form_that_fits_it(resource: str, form: str) -> None:
    assert NAMES.forms(resource) == [form]
    (pattern,) = NAMES.concrete(form)
    document = {"Statement": [{"Effect": "Allow", "Action": "a:B", "Resource": [pattern]}]}
    assert is_allowed([document], "a:B", resource, {})


@pytest.mark.parametrize("resource", [TABLE.replace("members", "orders"), f"{TABLE}2", "arn:aws:s3:::somebody/x"])
def test_a_resource_that_the_target_does_not_name_has_no_form(resource: str) -> None:
    assert NAMES.forms(resource) == []


def test_what_the_file_does_not_name_comes_to_nothing() -> None:
    assert NAMES.concrete("<service>/x") == []


# Records


def record(dag_id: str, service: str = "dynamodb", operation: str = "Scan", **names: Any) -> Record:
    target = sample_target(1)
    local = target.model_copy(update={"environments": {"local": target.environments[PRODUCTION]}})
    other = local.model_copy(update={"name": "orders", "table": "shop", "alias": "orders-live"})
    return Record(dag_id=dag_id, task_id="t", service=service, operation=operation, names=names, targets=(local, other))


def kind_of(one: Record) -> tuple[str, str] | None:
    known = understand(one, "local", of_the_tests(), {})
    return None if known is None else (known.kind, known.operation)


def test_a_call_of_a_dag_of_the_package_is_known_by_its_kind() -> None:
    assert kind_of(record("members_backfill", TableName="members")) == ("backfill", "dynamodb:Scan")
    assert kind_of(record("orders_backfill", TableName="shop")) == ("backfill", "dynamodb:Scan")


def test_a_dag_of_the_deployment_may_ask_for_each_target() -> None:
    for table in ("members", "shop"):
        assert kind_of(record("sync_follow", TableName=table)) == ("sync_follow", "dynamodb:Scan")


def test_the_watcher_of_a_queue_belongs_to_the_replay() -> None:
    one = record("(asset watcher)", "sqs", "GetQueueUrl", QueueName="members-indexer-dlq")
    assert kind_of(one) == ("dlq_replay", "sqs:GetQueueUrl")


def test_somebody_elses_dag_is_left_alone() -> None:
    assert kind_of(record("nightly_report", TableName="members")) is None


def test_a_call_about_another_targets_table_is_an_error() -> None:
    with pytest.raises(ForeignCallError, match="about nothing that the target's file names"):
        kind_of(record("members_backfill", TableName="shop"))


# The recorder


def describe(aws: ScriptedAws, table: str) -> None:
    aws.scripts["dynamodb.DescribeTable"] = lambda _: {"Table": {"TableName": table}}
    aws.client("dynamodb").describe_table(TableName=table)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in folder.glob("calls-*") for line in file.read_text().splitlines()]


def test_a_call_is_written_down_once_with_names_and_never_with_values(tmp_path: Path) -> None:
    aws = ScriptedAws()
    with recorded("members_backfill", "plan", {"members.yaml": "name: members"}, tmp_path) as folder:
        for _ in range(3):
            describe(aws, "members")
        aws.scripts["dynamodb.BatchGetItem"] = lambda _: {"Responses": {}}
        aws.client("dynamodb").batch_get_item(RequestItems={"members": {"Keys": [{"id": {"S": "secret"}}]}})
    found = lines(folder)
    assert [(one["operation"], one["names"]) for one in found] == [
        ("DescribeTable", {"TableName": "members"}),
        ("BatchGetItem", {"RequestItems": ["members"]}),
    ]
    assert {(one["dag_id"], one["task_id"]) for one in found} == {("members_backfill", "plan")}
    assert "secret" not in json.dumps(found)
    assert json.loads((folder / found[0]["targets"]).read_text()) == {"members.yaml": "name: members"}


def test_nothing_is_written_down_afterwards(tmp_path: Path) -> None:
    with recorded("members_backfill", "plan", {}, tmp_path) as folder:
        describe(ScriptedAws(), "members")
    describe(ScriptedAws(), "orders")
    assert len(lines(folder)) == 1


def test_a_task_is_known_by_what_airflow_tells_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "members.yaml").write_text("name: members")
    for name, value in (("DAG_ID", "members_reindex"), ("TASK_ID", "swap")):
        monkeypatch.setenv(f"AIRFLOW_CTX_{name}", value)
    monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path))
    recorded_calls.Recorder(tmp_path / "calls").note("sqs", "GetQueueUrl", {"QueueName": "q"})
    (one,) = lines(tmp_path / "calls")
    assert (one["dag_id"], one["task_id"]) == ("members_reindex", "swap")
    assert json.loads((tmp_path / "calls" / one["targets"]).read_text()) == {"members.yaml": "name: members"}


# A run of tests held against the policies


def run_that_calls(folder: Path, table: str, operation: str = "DescribeTable") -> list[str]:
    content = (paths.ROOT / "include" / "targets" / "members.yaml").read_text()
    with recorded("members_backfill", "plan", {"members.yaml": content}, folder):
        aws = ScriptedAws()
        aws.scripts[f"dynamodb.{operation}"] = lambda _: {}
        getattr(aws.client("dynamodb"), xform_name(operation))(TableName=table)
    return uncovered(folder)


def test_a_covered_call_passes(tmp_path: Path) -> None:
    assert run_that_calls(tmp_path, "members") == []


def test_a_call_that_no_policy_of_any_dag_knows_is_told(tmp_path: Path) -> None:
    (told,) = run_that_calls(tmp_path, "members", "DeleteTable")
    assert "dynamodb:DeleteTable is in no line of tools/iam/operations.py" in told


def test_a_call_of_another_dags_policy_is_told_with_the_command_that_takes_it(tmp_path: Path) -> None:
    (told,) = run_that_calls(tmp_path, "members", "DescribeTimeToLive")
    assert "dynamodb:DescribeTimeToLive on arn:aws:dynamodb:" in told
    assert "is not in policy <target>_backfill: python -m tools.iam --add --take build/calls" in told


def test_a_call_about_another_table_is_told(tmp_path: Path) -> None:
    (told,) = run_that_calls(tmp_path, "somebodys")
    assert "about nothing that the target's file names" in told


def test_a_mapping_that_is_named_is_not_told_beside_any_mapping() -> None:
    any_mapping = "arn:<partition>:lambda:<region>:<account>:event-source-mapping:*"
    calls = Calls()
    for kind, task, form in (
        ("cutover", "preflight", "<event-source-mapping>"),
        ("cutover", "enable_mapping", any_mapping),
        ("preflight", "preflight", "<event-source-mapping>"),
    ):
        calls._forms(kind, task, "lambda:GetEventSourceMapping").add(form)
    assert json.loads(calls.text()) == {
        "cutover": {task: {"lambda:GetEventSourceMapping": [any_mapping]} for task in ("preflight", "enable_mapping")},
        "preflight": {"preflight": {"lambda:GetEventSourceMapping": ["<event-source-mapping>"]}},
    }


def test_an_action_that_is_taken_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    less = Calls()
    for kind, tasks in json.loads(Calls.committed().text()).items():
        for task, operations in tasks.items():
            for operation, forms in operations.items():
                if (kind, operation) != ("backfill", "dynamodb:DescribeTable"):
                    less._forms(kind, task, operation).update(forms)
    monkeypatch.setattr(Calls, "committed", classmethod(lambda cls: less))
    (told,) = run_that_calls(tmp_path, "members")
    assert "dynamodb:DescribeTable" in told


# Policies with one's own names


def asked(include: Path, **changes: Any) -> Asked:
    given: dict[str, Any] = {
        "include": include,
        "target": "members",
        "environment": "production",
        "account": ACCOUNT,
        "region": None,
        "partition": "aws",
        "state_index": ".state",
        "dag": "members_backfill",
        "others": {},
    }
    return Asked(**{**given, **changes})


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """Two targets that have DAGs, in an environment of their own, and one that has none."""
    for folder in ("targets", "mappings"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mappings" / "members.json").write_text('{"settings": {}, "mappings": {}}')
    members = yaml.safe_load((paths.ROOT / "include" / "targets" / "members.yaml").read_text())
    members["environments"] = {
        "production": {
            "region": REGION,
            "table": "prod-members",
            "opensearch": {"domain": f"arn:aws:es:{REGION}:{ACCOUNT}:domain/search"},
        }
    }
    for name, enabled in (("members", True), ("orders", True), ("hidden", False)):
        own = {**members, "name": name, "alias": f"{name}-live", "enabled": enabled}
        environment = {**members["environments"]["production"], "table": f"prod-{name}"}
        own["environments"] = {"production": environment}
        (tmp_path / "targets" / f"{name}.yaml").write_text(yaml.safe_dump(own))
    return tmp_path


def allows(document: dict[str, Any], action: str, resource: str, **context: str) -> bool | None:
    return is_allowed([document], action, resource, context)


def test_a_policy_has_the_names_of_the_environment(include: Path) -> None:
    document, missing = own_policy(asked(include), Calls.committed())
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/prod-members"
    assert allows(document, "dynamodb:Scan", table)
    assert allows(document, "dynamodb:Scan", table.replace("prod-", "")) is None
    assert allows(document, "es:ESHttpPost", f"arn:aws:es:{REGION}:{ACCOUNT}:domain/search/members-live/_bulk")
    assert "<table-key>" in missing
    assert "<table>" not in missing


def test_a_dag_of_the_deployment_is_allowed_what_each_target_needs(include: Path) -> None:
    document, _ = own_policy(asked(include, dag="sync_follow"), Calls.committed())
    for name, verdict in (("members", True), ("orders", True), ("hidden", None)):
        table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/prod-{name}"
        assert allows(document, "dynamodb:BatchGetItem", table) is verdict


def test_all_dags_of_a_target_are_one_policy(include: Path) -> None:
    whole, _ = own_policy(asked(include, dag=None), Calls.committed())
    for dag in ("members_backfill", "members_reindex", "sync_follow"):
        document, _ = own_policy(asked(include, dag=dag), Calls.committed())
        for statement in document["Statement"]:
            for action in statement["Action"]:
                for resource in statement["Resource"]:
                    assert allows(whole, action, resource)


def test_a_key_is_allowed_through_its_service_only(include: Path) -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/of-the-table"
    document, missing = own_policy(asked(include, others={"<table-key>": [key]}), Calls.committed())
    via = {"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}
    assert is_allowed([document], "kms:Decrypt", key, via)
    assert is_allowed([document], "kms:Decrypt", key, {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}) is None
    assert is_allowed([document], "kms:Decrypt", key, {}) is None
    assert "<table-key>" not in missing


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"target": "nobody"}, "no target file is named 'nobody'; there are hidden, members, orders"),
        ({"dag": "members_nothing"}, "no policy is named 'members_nothing'; there are api_server, members_backfill"),
    ],
)
def test_a_wrong_name_is_told_with_those_that_there_are(include: Path, changes: dict[str, str], told: str) -> None:
    with pytest.raises(WrongNameError, match=told):
        own_policy(asked(include, **changes), Calls.committed())


def test_the_command_prints_a_policy_and_says_what_was_left_out(
    include: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--include", str(include), "--target", "members", "--environment", "production", "--account", ACCOUNT]
    assert command.main([*given, "--dag", "members_backfill"]) == 0
    printed = capsys.readouterr()
    assert allows(json.loads(printed.out), "dynamodb:Scan", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/prod-members")
    assert "not named, and so left out: " in printed.err
    assert "<table-key>" in printed.err


def test_the_command_says_what_is_wrong(include: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--include", str(include), "--target", "members"]
    assert command.main([*given, "--environment", "nowhere"]) == 1
    assert "has no environment 'nowhere'" in capsys.readouterr().err


def test_the_command_finds_nothing_stale(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_a_recording_that_cannot_be_understood_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_that_calls(tmp_path, "members", "DeleteTable")
    before = COMMITTED.read_text()
    assert command.main(["--take", str(tmp_path), "--add"]) == 1
    assert "dynamodb:DeleteTable is in no line" in capsys.readouterr().err
    assert COMMITTED.read_text() == before
