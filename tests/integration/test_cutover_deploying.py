"""The indexer's code and alias on MiniStack: from nothing, twice, killed at each call, beside another deployer."""

import io
import itertools
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_opensearch.core.cutover.indexer.errors import (
    ImageFunctionError,
    IndexerFunctionMissingError,
    IndexerMovedError,
    IndexerRefusedError,
    PackageChangedError,
)
from dynamo_opensearch.core.cutover.indexer.package import PackageError, S3Place, read_package
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.services.errors import ServiceMovedError, ServiceRollbackRefusedError
from dynamo_opensearch.core.targets.environment import Environment
from dynamo_opensearch.operators.cutover.package_files import indexer_package
from tests.integration.conftest import MakeRig
from tests.support import faults, oracle
from tests.support.deploy_rig import DeployRig, Uploads, killed_in
from tests.support.dying import Died, Fate
from tests.support.fault_proxy import Exchange, FaultProxy
from tests.support.scripted_lambda import archive, digest
from tests.support.service_rig import ALIAS, Tasks
from tools.local.connections import aws_connection

MakeDeploy = Callable[..., DeployRig]
BIG_BYTES = 51 * 1024 * 1024


@pytest.fixture
def make_deploy(make_rig: MakeRig) -> Iterator[MakeDeploy]:
    made: list[DeployRig] = []

    def make(aws_url: str = "") -> DeployRig:
        made.append(DeployRig(make_rig(), aws_url))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def rig(make_deploy: MakeDeploy) -> DeployRig:
    return make_deploy()


@pytest.fixture
def bucket(rig: DeployRig) -> Iterator[str]:
    name = f"builds-{uuid.uuid4().hex}"
    s3 = oracle.client(rig.direct, "s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield name
    s3.close()


def put(rig: DeployRig, bucket: str, content: bytes) -> S3Place:
    s3 = oracle.client(rig.direct, "s3")
    s3.put_object(Bucket=bucket, Key="7/indexer.zip", Body=content)
    s3.close()
    return S3Place(bucket=bucket, key="7/indexer.zip")


def is_upload(exchange: Exchange) -> bool:
    return exchange.method == "PUT" and exchange.path.endswith("/code")


def is_publishing(exchange: Exchange) -> bool:
    return exchange.method == "POST" and exchange.path.endswith("/versions")


def is_making(exchange: Exchange) -> bool:
    return exchange.method == "POST" and exchange.path.endswith("/aliases")


def is_moving(exchange: Exchange) -> bool:
    return exchange.method == "PUT" and exchange.path.endswith(f"/aliases/{ALIAS}")


def test_from_a_function_alone_to_an_alias_on_the_package_and_a_second_run_changes_nothing(rig: DeployRig) -> None:
    rig.make_function()
    code = rig.package()
    deployed = rig.steps().deploy(code)
    assert (deployed.was_uploaded, deployed.was_published) == (True, True)
    assert rig.published == {"1": digest(code)}
    served = rig.steps().move(deployed, rig.cutover())
    assert served.was.is_nothing
    assert rig.invoked == ("1", {})

    before = (
        rig.functions.get_function(FunctionName=rig.name),
        rig.functions.get_alias(FunctionName=rig.name, Name=ALIAS),
    )
    again = rig.steps().deploy(code)
    assert (again.version, again.was_uploaded, again.was_published) == ("1", False, False)
    assert not rig.steps().move(again, rig.cutover()).was_changed
    after = (
        rig.functions.get_function(FunctionName=rig.name),
        rig.functions.get_alias(FunctionName=rig.name, Name=ALIAS),
    )
    for one, other in zip(before, after, strict=True):
        assert _without_metadata(one) == _without_metadata(other)
    assert rig.recorded == [("cutover", "", "1", "begun")]


def _without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    found = answer.get("Configuration", answer)
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


def test_a_rollback_takes_the_cutover_back_and_forward_again(rig: DeployRig) -> None:
    rig.create_function(versions=2, at=1, v2=0.25)
    deployed = rig.steps().deploy(rig.package())
    run = rig.cutover()
    rig.steps().move(deployed, run)
    rig.steps().changes.end("lambda_indexer", run, "stable")
    assert rig.invoked == ("3", {})
    Tasks(rig, "lambda_indexer", rig.run()).go_through()
    assert rig.invoked == ("1", {"2": 0.25})
    Tasks(rig, "lambda_indexer", rig.run()).go_through()
    assert rig.invoked == ("3", {})
    assert [one[0] for one in rig.recorded] == ["cutover", "rollback", "rollback"]


def test_a_rollback_of_an_alias_that_was_made_is_refused_and_the_alias_stays(rig: DeployRig) -> None:
    rig.make_function()
    rig.steps().move(rig.steps().deploy(rig.package()), rig.cutover())
    with pytest.raises(ServiceRollbackRefusedError, match="it was made, for version 1"):
        Tasks(rig, "lambda_indexer", rig.run()).go_through()
    assert rig.invoked == ("1", {})


def test_a_deployment_killed_at_any_call_ends_with_one_upload_and_one_version(rig: DeployRig) -> None:
    rig.make_function()
    uploads = Uploads(rig, "lambda", "UpdateFunctionCode")
    for survived in itertools.count():
        code, fate, was_killed = rig.package(), Fate(survived), False
        try:
            rig.steps(fate).deploy(code)
        except Died:
            was_killed = True
            rig.steps().deploy(code)
        assert rig.code == digest(code), f"killed after {survived} calls"
        assert list(rig.published.values()).count(digest(code)) == 1, f"killed after {survived} calls"
        assert len(rig.published) == uploads.count == survived + 1, f"killed after {survived} calls"
        if not was_killed:
            assert survived >= 6
            return


@pytest.mark.parametrize("is_there", [True, False])
def test_a_move_killed_at_any_call_ends_the_same_with_one_change(rig: DeployRig, is_there: bool) -> None:
    rig.make_function()
    changes = Uploads(rig, "lambda", "UpdateAlias" if is_there else "CreateAlias")
    was = rig.steps().deploy(rig.package()).version if is_there else ""
    if is_there:
        rig.functions.create_alias(FunctionName=rig.name, Name=ALIAS, FunctionVersion=was)
    for survived in itertools.count():
        deployed, run, was_killed = rig.steps().deploy(rig.package()), rig.cutover(), False
        try:
            rig.steps(fate=Fate(survived)).move(deployed, run)
        except Died:
            was_killed = True
            rig.steps().move(deployed, run)
        assert rig.invoked == (deployed.version, {}), f"killed after {survived} calls"
        assert changes.count == survived + 1, f"killed after {survived} calls"
        assert rig.recorded[survived:] == [("cutover", was, deployed.version, "begun")]
        if not was_killed:
            assert survived > 5
            return
        if is_there:
            was = deployed.version
        else:
            rig.functions.delete_alias(FunctionName=rig.name, Name=ALIAS)


def test_a_process_killed_after_its_upload_is_followed_by_one_that_uploads_nothing(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy, tmp_path: Any
) -> None:
    rig = make_deploy()
    rig.make_function()
    code, path = rig.package(), tmp_path / "indexer.zip"
    path.write_bytes(code)
    again = killed_in(rig, dynamodb_proxy, is_upload, "deploy", str(path))
    assert (rig.code, rig.published) == (digest(code), {})
    assert again() == "1"
    assert rig.published == {"1": digest(code)}
    assert len([one for one in dynamodb_proxy.requests if one.path.endswith("/code")]) == 1


def test_a_process_killed_after_publishing_is_followed_by_one_that_finds_the_version(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy, tmp_path: Any
) -> None:
    rig = make_deploy()
    rig.make_function()
    code, path = rig.package(), tmp_path / "indexer.zip"
    path.write_bytes(code)
    again = killed_in(rig, dynamodb_proxy, is_publishing, "deploy", str(path))
    assert rig.published == {"1": digest(code)}
    assert again() == "1"
    assert rig.published == {"1": digest(code)}


@pytest.mark.parametrize("is_there", [True, False])
def test_a_process_killed_after_the_alias_was_moved_or_made_is_followed_by_one_that_finds_it(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy, is_there: bool
) -> None:
    rig = make_deploy()
    rig.make_function()
    first = rig.steps().deploy(rig.package())
    if is_there:
        rig.functions.create_alias(FunctionName=rig.name, Name=ALIAS, FunctionVersion=first.version)
    deployed = rig.steps().deploy(rig.package())
    change = is_moving if is_there else is_making
    again = killed_in(rig, dynamodb_proxy, change, "move", json.dumps(deployed.to_json()))
    assert rig.invoked == ("2", {})
    assert rig.recorded == [("cutover", "1" if is_there else "", "2", "begun")]
    revision = rig.functions.get_alias(FunctionName=rig.name, Name=ALIAS)["RevisionId"]
    assert again() == "2"
    assert rig.functions.get_alias(FunctionName=rig.name, Name=ALIAS)["RevisionId"] == revision
    assert rig.recorded == [("cutover", "1" if is_there else "", "2", "begun")]


@pytest.mark.parametrize("lost", [is_upload, is_publishing])
def test_an_answer_that_is_lost_brings_no_second_version(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy, lost: Callable[[Exchange], bool]
) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    rig.make_function()
    code = rig.package()
    dynamodb_proxy.on(lost, faults.reset_in_mid_answer())
    assert rig.steps().deploy(code).version == "1"
    assert (rig.code, rig.published) == (digest(code), {"1": digest(code)})


def test_an_alias_whose_making_was_not_answered_is_made_once(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    rig.make_function()
    deployed = rig.steps().deploy(rig.package())
    dynamodb_proxy.on(is_making, faults.reset_in_mid_answer())
    assert rig.steps().move(deployed, rig.cutover()).was.is_nothing
    assert rig.invoked == ("1", {})


def test_code_of_another_deployer_between_look_and_upload_stays(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    rig.make_function()
    theirs = rig.package()
    dynamodb_proxy.on(is_upload, faults.after(lambda: rig.bring(theirs)))
    with pytest.raises(IndexerMovedError):
        rig.steps().deploy(rig.package())
    assert (rig.code, rig.published) == (digest(theirs), {})


def test_code_of_another_deployer_before_the_version_is_not_published(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    rig.make_function()
    theirs = rig.package()

    def refuse_as_aws(exchange: Exchange) -> None:
        """MiniStack does not look at CodeSha256."""
        assert json.loads(exchange.body)["CodeSha256"] != digest(theirs)
        rig.bring(theirs)
        faults.aws_error("InvalidParameterValueException", "is different from current CodeSHA256", prefix="")(exchange)

    dynamodb_proxy.on(is_publishing, refuse_as_aws)
    with pytest.raises(IndexerMovedError):
        rig.steps().deploy(rig.package())
    assert (rig.code, rig.published) == (digest(theirs), {})


def test_an_update_of_the_configuration_that_goes_on_is_waited_out(rig: DeployRig) -> None:
    rig.make_function()
    rig.functions.update_function_configuration(FunctionName=rig.name, MemorySize=256)
    began = time.monotonic()
    code = rig.package()
    assert rig.steps().deploy(code).was_uploaded
    assert time.monotonic() - began > 0.4, "MiniStack's updates take half a second"
    assert rig.published == {"1": digest(code)}
    configuration = rig.functions.get_function_configuration(FunctionName=rig.name, Qualifier="1")
    assert (configuration["MemorySize"], configuration["LastUpdateStatus"]) == (256, "Successful")


def test_an_alias_that_is_moved_by_another_at_the_same_moment_is_theirs(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    rig.create_function(versions=2, at=1)
    deployed = rig.steps().deploy(rig.package())
    dynamodb_proxy.on(is_moving, faults.after(lambda: rig.move(2)))
    with pytest.raises(ServiceMovedError):
        rig.steps().move(deployed, rig.cutover())
    assert rig.invoked == ("2", {})
    assert rig.recorded == [("cutover", "1", "3", "not made")]


def test_an_alias_that_is_made_by_another_at_the_same_moment_is_theirs(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    rig.make_function()
    rig.functions.publish_version(FunctionName=rig.name)
    deployed = rig.steps().deploy(rig.package())

    def make() -> None:
        rig.functions.create_alias(FunctionName=rig.name, Name=ALIAS, FunctionVersion="1")

    dynamodb_proxy.on(is_making, faults.after(make))
    with pytest.raises(ServiceMovedError, match="serves version 1, the plan expected nothing"):
        rig.steps().move(deployed, rig.cutover())
    assert rig.invoked == ("1", {})


def test_a_zip_in_s3_is_read_by_the_environments_connection_and_deployed_from_there(
    rig: DeployRig, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.make_function()
    code = rig.package()
    put(rig, bucket, code)
    connection = f"aws_{uuid.uuid4().hex}"
    monkeypatch.setenv(f"AIRFLOW_CONN_{connection.upper()}", aws_connection(rig.direct))
    for where in (f"s3://{bucket}/7/indexer.zip", f"s3://{connection}@{bucket}/7/indexer.zip"):
        settings = {"aws_conn_id": connection, "indexer": {"function": "f", "package": where}}
        package = indexer_package(Environment.model_validate(settings))
        assert package is not None
        assert (package.sha256, package.size_bytes) == (digest(code), len(code))
        assert package.upload == {"S3Bucket": bucket, "S3Key": "7/indexer.zip"}
    assert rig.steps().deploy(code, S3Place(bucket=bucket, key="7/indexer.zip")).was_uploaded
    assert rig.published == {"1": digest(code)}
    absent = {"aws_conn_id": connection, "indexer": {"function": "f", "package": f"s3://{bucket}/8/indexer.zip"}}
    with pytest.raises(PackageError, match="there is nothing of that name"):
        indexer_package(Environment.model_validate(absent))


def test_a_zip_that_is_replaced_in_s3_meanwhile_is_deployed_by_the_next_try(rig: DeployRig, bucket: str) -> None:
    rig.make_function()
    old, new = rig.package(), rig.package()
    place = put(rig, bucket, new)
    with pytest.raises(PackageChangedError):
        rig.steps().deploy(old, place)
    assert rig.published == {}
    assert not rig.steps().deploy(new, place).was_uploaded
    assert rig.published == {"1": digest(new)}


def test_a_zip_that_lambda_cannot_find_is_refused_with_what_to_check(rig: DeployRig, bucket: str) -> None:
    rig.make_function()
    with pytest.raises(IndexerRefusedError, match=r"UpdateFunctionCode on .*: InvalidParameterValueException"):
        rig.steps().deploy(rig.package(), S3Place(bucket=bucket, key="absent.zip"))
    assert rig.published == {}


def test_a_zip_of_more_than_50_mb_is_deployed_from_s3_and_not_sent(rig: DeployRig, bucket: str) -> None:
    rig.make_function()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as file:
        file.writestr("handler.py", "def handler(event, context): return 'big'")
        file.writestr("model.bin", bytes(BIG_BYTES))
    written.seek(0)
    with pytest.raises(PackageError, match="Lambda takes from S3 only"):
        read_package("indexer.zip", written)
    code = written.getvalue()
    assert rig.steps().deploy(code, put(rig, bucket, code)).was_uploaded
    assert rig.published == {"1": digest(code)}


def test_a_function_that_is_not_there_is_not_made(rig: DeployRig) -> None:
    with pytest.raises(IndexerFunctionMissingError):
        rig.steps().deploy(rig.package())
    names = [one["FunctionName"] for one in rig.functions.list_functions()["Functions"]]
    assert rig.name not in names


def test_a_function_of_an_image_is_left_alone(rig: DeployRig) -> None:
    role = "arn:aws:iam::000000000000:role/indexer"
    image = "000000000000.dkr.ecr.eu-central-1.amazonaws.com/indexer:1"
    rig.functions.create_function(FunctionName=rig.name, Role=role, PackageType="Image", Code={"ImageUri": image})
    with pytest.raises(ImageFunctionError):
        rig.steps().deploy(rig.package())
    assert rig.published == {}


REFUSED: list[tuple[Callable[[Exchange], bool], str, str]] = [
    (lambda one: one.path.endswith("/configuration"), "GetFunctionConfiguration", ""),
    (is_upload, "UpdateFunctionCode", ""),
    (lambda one: one.method == "GET" and "/versions" in one.path, "ListVersionsByFunction", ""),
    (is_publishing, "PublishVersion", ""),
    (lambda one: one.method == "GET" and "/aliases/" in one.path, "GetAlias", f":{ALIAS}"),
    (is_making, "CreateAlias", f":{ALIAS}"),
]


@pytest.mark.parametrize(("which", "action", "part"), REFUSED, ids=[one[1] for one in REFUSED])
def test_a_right_that_is_missing_is_named_with_what_it_is_missing_on(
    make_deploy: MakeDeploy,
    dynamodb_proxy: FaultProxy,
    which: Callable[[Exchange], bool],
    action: str,
    part: str,
) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    rig.make_function()
    dynamodb_proxy.on(which, faults.aws_error("AccessDeniedException", "no policy allows it", 403, prefix=""))
    with pytest.raises(AccessDeniedError, match=f"lambda refused lambda:{action} on '{rig.name}{part}'"):
        rig.steps().move(rig.steps().deploy(rig.package()), rig.cutover())


def test_code_that_is_not_signed_is_refused_with_how_to_sign_it(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    code = rig.package()
    rig.make_function(code)
    dynamodb_proxy.on(is_upload, faults.aws_error("CodeVerificationFailedException", "not signed", prefix=""))
    with pytest.raises(IndexerRefusedError, match="aws signer start-signing-job"):
        rig.steps().deploy(archive("unsigned"))
    assert (rig.code, rig.published) == (digest(code), {})
