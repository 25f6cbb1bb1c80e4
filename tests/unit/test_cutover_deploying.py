"""The tasks that deploy the indexer: what the target file asks for, from where, and how errors reach Airflow."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.xcom import XCom
from botocore.exceptions import EndpointConnectionError

from dynamo_opensearch.core.cutover.indexer.errors import FunctionBusyError
from dynamo_opensearch.core.cutover.indexer.package import PackageUnreadableError
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.services.lambda_alias import LAMBDA_INDEXER
from dynamo_opensearch.core.targets.environment import Environment
from dynamo_opensearch.operators.cutover import deploying, package_files
from dynamo_opensearch.operators.cutover.deploying import DeployIndexerOperator, MoveIndexerOperator
from dynamo_opensearch.operators.cutover.package_files import indexer_package
from tests.support.adapters import FakeConnections, FakeInstance, connect
from tests.support.fakes import NOW_US
from tests.support.scripted_aws import ScriptedAws
from tests.support.scripted_lambda import ALIAS, FUNCTION, ScriptedFunction, archive, digest

NEW = archive("second")


class Runs(FakeInstance):
    """A task instance whose run was triggered at a moment."""

    @property
    def context(self) -> Any:
        return {**super().context, "dag_run": self}

    run_after = start_date = datetime.fromtimestamp(NOW_US / 1e6, UTC)


@pytest.fixture
def instance() -> Runs:
    return Runs(dag_id="members_cutover")


@pytest.fixture
def aws() -> ScriptedAws:
    return ScriptedAws()


@pytest.fixture
def function(aws: ScriptedAws) -> ScriptedFunction:
    found = ScriptedFunction(aws)
    found.publish()
    found.lead("1")
    return found


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "indexer.zip"
    path.write_bytes(NEW)
    return path


def connected(monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, **environment: Any) -> FakeConnections:
    local = Environment.model_validate(environment)
    connections = connect(monkeypatch, {"environments": {"local": local}})
    monkeypatch.setattr(deploying, "control_plane", lambda _: aws.plane)
    return connections


def indexer(package: object = None) -> dict[str, Any]:
    return {"function": FUNCTION, "alias": ALIAS, "package": None if package is None else str(package)}


def deploy(instance: Runs) -> dict[str, Any]:
    return DeployIndexerOperator(task_id="deploy_indexer", target="members").execute(instance.context)


def move(instance: Runs, deployed: dict[str, Any]) -> dict[str, Any]:
    operator = MoveIndexerOperator(task_id="move_indexer", target="members", deployed=deployed)
    return operator.execute(instance.context)


def test_the_package_is_deployed_and_the_alias_moved_to_it(
    monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, function: ScriptedFunction, package: Path, instance: Runs
) -> None:
    connections = connected(monkeypatch, aws, indexer=indexer(package))
    deployed = deploy(instance)
    assert (deployed["version"], deployed["code_sha256"]) == ("2", digest(NEW))
    assert function.aliases[ALIAS]["FunctionVersion"] == "1", "nothing invokes it yet"
    served = move(instance, XCom.deserialize_value(_Stored(XCom.serialize_value(deployed))))
    assert served["version"] == "2"
    assert served["token"] == function.aliases[ALIAS]["RevisionId"]
    (recorded,) = connections.state("services").load()[LAMBDA_INDEXER]
    assert (recorded["purpose"], recorded["dag_id"], recorded["run_id"]) == (
        "cutover",
        "members_cutover",
        instance.run_id,
    )


class _Stored:
    def __init__(self, value: Any) -> None:
        self.value = value


def test_without_a_package_the_version_of_the_alias_stays(
    monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, function: ScriptedFunction, instance: Runs
) -> None:
    connected(monkeypatch, aws, indexer=indexer())
    assert move(instance, deploy(instance))["version"] == "1"
    assert aws.made("lambda.UpdateFunctionCode") == aws.made("lambda.UpdateAlias") == []


def test_without_an_indexer_both_are_skipped_and_say_so(
    monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, instance: Runs
) -> None:
    connected(monkeypatch, aws)
    for act in (deploy, lambda one: move(one, {})):
        with pytest.raises(AirflowSkipException, match=r"environments\.local\.indexer is not in the target file"):
            act(instance)
    assert aws.calls == []


def test_without_an_alias_nothing_is_deployed_since_nothing_could_be_taken_back(
    monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, function: ScriptedFunction, package: Path, instance: Runs
) -> None:
    connected(monkeypatch, aws, indexer=indexer(package) | {"alias": None})
    with pytest.raises(AirflowFailException, match=r"Set indexer\.alias, such as live"):
        deploy(instance)
    assert aws.calls == []


def test_what_passes_is_left_to_airflows_retries(
    monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, function: ScriptedFunction, package: Path, instance: Runs
) -> None:
    connected(monkeypatch, aws, indexer=indexer(package))
    function.refusals["UpdateFunctionCode"] = "ResourceConflictException"
    with pytest.raises(FunctionBusyError):
        deploy(instance)


def test_a_relative_path_begins_at_the_include_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "indexer.zip").write_bytes(NEW)
    monkeypatch.setattr(package_files, "include_folder", lambda: tmp_path / "include")
    found = indexer_package(Environment.model_validate({"indexer": indexer("../indexer.zip")}))
    assert found is not None
    assert (found.where, found.sha256, found.size_bytes) == ("../indexer.zip", digest(NEW), len(NEW))


def test_a_file_that_is_not_there_is_named_and_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, function: ScriptedFunction, package: Path, instance: Runs
) -> None:
    connected(monkeypatch, aws, indexer=indexer(package))
    package.unlink()
    with pytest.raises(AirflowFailException, match=f"'{package}' cannot be deployed, nothing was changed: there is"):
        deploy(instance)
    assert aws.calls == []


@pytest.mark.parametrize(
    ("where", "error", "expected", "says"),
    [
        ("indexer.zip", PermissionError(), AirflowFailException, "this worker may not read it"),
        ("indexer.zip", IsADirectoryError(), AirflowFailException, "it is a folder"),
        ("indexer.zip", TimeoutError(), PackageUnreadableError, "could not be read: TimeoutError"),
        ("s3://builds/k", FileNotFoundError(), AirflowFailException, "there is nothing of that name"),
        (
            "s3://builds/k",
            PermissionError("Forbidden"),
            AirflowFailException,
            "s3 refused s3:GetObject on 's3://builds/k'",
        ),
        ("s3://builds/k", EndpointConnectionError(endpoint_url="x"), PackageUnreadableError, "EndpointConnectionError"),
    ],
)
def test_a_package_that_cannot_be_read_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
    aws: ScriptedAws,
    instance: Runs,
    where: str,
    error: Exception,
    expected: type[Exception],
    says: str,
) -> None:
    connected(monkeypatch, aws, indexer=indexer(where))

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(package_files, "_in_s3", fails)
    monkeypatch.setattr(package_files, "read_package", fails)
    monkeypatch.setattr(package_files, "include_folder", lambda: Path(__file__).parent)
    monkeypatch.setattr(Path, "open", lambda *_: fails())
    with pytest.raises(expected) as raised:
        deploy(instance)
    assert says in str(raised.value)
    assert isinstance(raised.value.__cause__, AccessDeniedError) == ("GetObject" in says)
