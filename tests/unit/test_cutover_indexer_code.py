"""The indexer's code is uploaded and published once, whoever else deploys, and what Lambda says of it is told."""

import io
from typing import Any

import pytest

from dynamo_opensearch.core.cutover.indexer import package as indexer_package
from dynamo_opensearch.core.cutover.indexer.deployed import DeployedIndexer
from dynamo_opensearch.core.cutover.indexer.deploying import deploy_indexer, keep_indexer
from dynamo_opensearch.core.cutover.indexer.errors import (
    FunctionBusyError,
    ImageFunctionError,
    IndexerFunctionMissingError,
    IndexerMovedError,
    IndexerRefusedError,
    IndexerUpdateFailedError,
    NothingToServeError,
    PackageChangedError,
)
from dynamo_opensearch.core.cutover.indexer.package import IndexerPackage, PackageError, S3Place, read_package
from dynamo_opensearch.core.errors import AccessDeniedError
from tests.support.scripted_aws import ScriptedAws
from tests.support.scripted_lambda import ALIAS, FUNCTION, ScriptedFunction, archive, digest

NEW = archive("second")
PLACE = S3Place(bucket="builds", key="7/indexer.zip")


@pytest.fixture
def aws() -> ScriptedAws:
    return ScriptedAws()


@pytest.fixture
def function(aws: ScriptedAws) -> ScriptedFunction:
    found = ScriptedFunction(aws)
    found.publish()
    return found


def package(content: bytes = NEW, place: S3Place | None = None) -> IndexerPackage:
    return read_package("indexer.zip", io.BytesIO(content), place)


def deploy(aws: ScriptedAws, content: bytes = NEW, place: S3Place | None = None) -> DeployedIndexer:
    return deploy_indexer(aws.plane, aws.clock, FUNCTION, package(content, place))


def changes(aws: ScriptedAws) -> list[str]:
    """What was asked that changes something."""
    return [name for name, _ in aws.calls if not name.startswith(("lambda.Get", "lambda.List"))]


def test_other_code_is_uploaded_and_published(aws: ScriptedAws, function: ScriptedFunction) -> None:
    found = deploy(aws)
    assert (found.version, found.was_uploaded, found.was_published, found.is_kept) == ("2", True, True, False)
    assert function.config["CodeSha256"] == function.versions["2"]["CodeSha256"] == found.code_sha256 == digest(NEW)
    assert aws.made("lambda.UpdateFunctionCode")[0]["RevisionId"] == "r1"
    assert aws.made("lambda.PublishVersion") == [{"FunctionName": FUNCTION, "CodeSha256": digest(NEW)}]


def test_a_second_run_uploads_and_publishes_nothing(aws: ScriptedAws, function: ScriptedFunction) -> None:
    deploy(aws)
    again = deploy(aws)
    assert (again.version, again.was_uploaded, again.was_published) == ("2", False, False)
    assert len(aws.made("lambda.UpdateFunctionCode")) == 1
    assert list(function.versions) == ["1", "2"]


def test_code_that_is_there_is_published_where_the_configuration_is_another_one(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    deploy(aws)
    function.configure(MemorySize=1024)
    again = deploy(aws)
    assert (again.version, again.was_uploaded, again.was_published) == ("3", False, True)
    assert "1024 MB" in again.settings


def test_what_was_done_is_said_with_the_configuration_and_without_values_of_variables(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    function.configure(Layers=[{"Arn": "arn:aws:lambda:eu-central-1:1:layer:search:3"}], Architectures=["arm64"])
    text = str(deploy(aws))
    assert text == (
        "version 2 of indexer: its code was uploaded, published as a new version\n"
        f"  code {digest(NEW)}; python3.13 on arm64, handler handler.handler, 512 MB, timeout 60 s, "
        "layers search:3, variables DYNAMO_OPENSEARCH_URL SECRET"
    )
    assert "the function has this code already, published before: nothing was to do" in str(deploy(aws))
    assert "hush" not in text


def test_a_timeout_that_the_contract_does_not_allow_is_a_warning(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.configure(Timeout=3)
    assert "warning: its timeout is 3 s: the indexer needs 60 s or more" in str(deploy(aws))


def test_it_comes_back_from_xcom_as_it_was(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.configure(Timeout=3)
    found = deploy(aws)
    assert DeployedIndexer.from_json(found.to_json()) == found


def test_an_update_is_waited_for_before_its_version_is_published(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.looks = 4
    assert deploy(aws).version == "2"
    assert function.versions["2"]["LastUpdateStatus"] == "Successful"
    assert aws.clock.slept == [1.0] * 4


def test_an_update_that_somebody_else_has_begun_is_waited_out(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.looks = 3
    function.configure(LastUpdateStatus="InProgress")
    assert deploy(aws).was_uploaded
    assert aws.clock.slept[:3] == [1.0] * 3


def test_an_update_that_does_not_end_is_given_up_and_may_be_tried_again(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    function.looks = 1_000
    function.configure(LastUpdateStatus="InProgress")
    with pytest.raises(FunctionBusyError, match="its last update is InProgress for 240 s now") as error:
        deploy(aws)
    assert not error.value.is_permanent
    assert changes(aws) == []


def test_a_version_that_is_pending_is_waited_for(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.publish()
    waits: list[float] = []

    def awake(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            function.versions["2"]["State"] = "Active"

    aws.clock.sleep = awake  # type: ignore[method-assign]
    function.bring(NEW)
    function.configure(State="Active")
    function.publish()
    function.versions["2"]["State"] = "Pending"
    assert deploy(aws).version == "2"
    assert len(waits) == 3


def test_an_update_that_failed_is_told_with_its_reason_and_nothing_is_published(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    function.ends = "Failed"
    function.configure(LastUpdateStatusReasonCode="InvalidZipFileException", LastUpdateStatusReason="It is broken.")
    with pytest.raises(IndexerUpdateFailedError) as error:
        deploy(aws)
    assert "the update of Lambda function 'indexer' is Failed: InvalidZipFileException (It is broken)." in str(
        error.value
    )
    assert "what ran before goes on running" in str(error.value)
    assert list(function.versions) == ["1"]


def test_code_whose_update_failed_is_uploaded_once_more(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.bring(NEW)
    function.configure(LastUpdateStatus="Failed")

    def mended() -> None:
        function.config["LastUpdateStatus"] = "Successful"

    function.interludes["UpdateFunctionCode"] = mended
    assert deploy(aws).was_uploaded
    assert len(aws.made("lambda.UpdateFunctionCode")) == 1


@pytest.mark.parametrize("of_version", [False, True])
def test_a_function_or_a_version_that_has_failed_is_told(
    aws: ScriptedAws, function: ScriptedFunction, of_version: bool
) -> None:
    function.bring(NEW)
    function.publish()
    broken = function.versions["2"] if of_version else function.config
    broken |= {"State": "Failed", "StateReasonCode": "InvalidSubnet", "StateReason": "no subnet"}
    resource = "indexer:2" if of_version else "indexer"
    with pytest.raises(IndexerUpdateFailedError, match=f"the state of Lambda function '{resource}' is Failed") as error:
        deploy(aws)
    assert "InvalidSubnet (no subnet)" in str(error.value)


def test_code_that_another_deployer_brings_in_between_is_not_overwritten(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    theirs = archive("theirs")
    function.interludes["UpdateFunctionCode"] = lambda: function.bring(theirs)
    with pytest.raises(IndexerMovedError, match="brought by somebody else") as error:
        deploy(aws)
    assert error.value.is_permanent
    assert function.config["CodeSha256"] == digest(theirs)
    assert list(function.versions) == ["1"]


def test_a_configuration_that_is_changed_in_between_does_not_matter(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    function.interludes["UpdateFunctionCode"] = lambda: function.configure(MemorySize=1024)
    assert deploy(aws).was_uploaded
    assert (function.config["CodeSha256"], function.config["MemorySize"]) == (digest(NEW), 1024)


def test_an_update_that_begins_in_between_is_waited_out(aws: ScriptedAws, function: ScriptedFunction) -> None:
    def begin() -> None:
        function.looks = 2
        function.configure(MemorySize=1024, LastUpdateStatus="InProgress")

    function.interludes["UpdateFunctionCode"] = begin
    assert deploy(aws).was_uploaded
    assert function.config["CodeSha256"] == digest(NEW)


def test_updates_that_come_in_between_again_and_again_end_the_try(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.refusals["UpdateFunctionCode"] = "ResourceConflictException"
    with pytest.raises(FunctionBusyError, match="5 updates of others came in between"):
        deploy(aws)


def test_an_upload_whose_answer_was_lost_is_its_own(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.interludes["UpdateFunctionCode"] = lambda: function.bring(NEW)
    found = deploy(aws)
    assert (found.version, found.was_uploaded) == ("2", True)
    assert len(aws.made("lambda.UpdateFunctionCode")) == 1


def test_code_that_another_deployer_brings_before_the_version_is_not_published(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    function.interludes["PublishVersion"] = lambda: function.bring(archive("theirs"))
    with pytest.raises(IndexerMovedError, match="No version was published"):
        deploy(aws)
    assert list(function.versions) == ["1"]


def test_code_that_another_deployer_brings_while_the_upload_ends_is_not_published(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    function.looks = 2

    def theirs(seconds: float) -> None:
        function.bring(archive("theirs"))
        function.config["LastUpdateStatus"] = "Successful"

    aws.clock.sleep = theirs  # type: ignore[method-assign]
    with pytest.raises(IndexerMovedError):
        deploy(aws)
    assert aws.made("lambda.PublishVersion") == []


def test_a_server_that_publishes_other_code_all_the_same_is_not_believed(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    aws.scripts["lambda.PublishVersion"] = lambda _: {"Version": "9", "CodeSha256": "other"}
    with pytest.raises(IndexerMovedError, match="other is there now"):
        deploy(aws)


def test_an_update_that_begins_before_the_version_lets_the_task_try_again(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    function.refusals["PublishVersion"] = "ResourceConflictException"
    with pytest.raises(FunctionBusyError, match="when a version was to be published"):
        deploy(aws)


@pytest.mark.parametrize(
    ("operation", "code", "advice"),
    [
        ("UpdateFunctionCode", "CodeVerificationFailedException", "aws signer start-signing-job"),
        ("UpdateFunctionCode", "InvalidCodeSignatureException", "aws signer start-signing-job"),
        ("UpdateFunctionCode", "CodeSigningConfigNotFoundException", "delete-function-code-signing-config"),
        ("UpdateFunctionCode", "CodeStorageExceededException", "delete versions that no alias leads to"),
        ("UpdateFunctionCode", "InvalidParameterValueException", "s3:GetObject"),
        ("UpdateFunctionCode", "RequestEntityTooLargeException", "s3://bucket/key"),
        ("PublishVersion", "CodeStorageExceededException", "delete versions that no alias leads to"),
        ("PublishVersion", "FunctionVersionsPerCapacityProviderLimitExceededException", "Lambda's reference"),
    ],
)
def test_a_refusal_names_action_and_function_and_what_to_do(
    aws: ScriptedAws, function: ScriptedFunction, operation: str, code: str, advice: str
) -> None:
    function.refusals[operation] = code
    with pytest.raises(IndexerRefusedError) as error:
        deploy(aws)
    assert f"Lambda refused lambda:{operation} on function 'indexer': {code}." in str(error.value)
    assert advice in str(error.value)


@pytest.mark.parametrize(
    "operation", ["GetFunctionConfiguration", "UpdateFunctionCode", "ListVersionsByFunction", "PublishVersion"]
)
def test_a_right_that_is_missing_is_named_with_the_function(
    aws: ScriptedAws, function: ScriptedFunction, operation: str
) -> None:
    function.refusals[operation] = "AccessDeniedException"
    with pytest.raises(AccessDeniedError, match=f"lambda refused lambda:{operation} on 'indexer'"):
        deploy(aws)


def test_a_function_that_is_not_there_is_not_made(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.refusals["GetFunctionConfiguration"] = "ResourceNotFoundException"
    with pytest.raises(IndexerFunctionMissingError, match="does not make one"):
        deploy(aws)
    assert changes(aws) == []


def test_a_function_of_an_image_is_refused_with_the_way_out(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.configure(PackageType="Image")
    with pytest.raises(ImageFunctionError, match=r"Remove indexer\.package from the target file"):
        deploy(aws)
    assert changes(aws) == []


def test_a_zip_in_s3_is_fetched_by_lambda_itself(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.in_s3["builds", "7/indexer.zip"] = NEW
    assert deploy(aws, place=PLACE).code_sha256 == digest(NEW)
    (asked,) = aws.made("lambda.UpdateFunctionCode")
    assert asked == {
        "FunctionName": FUNCTION,
        "S3Bucket": "builds",
        "S3Key": "7/indexer.zip",
        "RevisionId": "r1",
    }


def test_a_zip_that_is_replaced_in_s3_before_lambda_has_fetched_it_is_not_published(
    aws: ScriptedAws, function: ScriptedFunction
) -> None:
    function.in_s3["builds", "7/indexer.zip"] = archive("third")
    with pytest.raises(PackageChangedError, match="was replaced while it was deployed") as error:
        deploy(aws, place=PLACE)
    assert not error.value.is_permanent
    assert list(function.versions) == ["1"]
    assert deploy(aws, archive("third"), PLACE).version == "2"


def test_a_file_that_is_no_zip_is_not_uploaded() -> None:
    with pytest.raises(PackageError, match="it is not a zip archive"):
        package(b"#!/bin/sh")
    with pytest.raises(PackageError, match="it is not a zip archive"):
        package(b"")


def test_a_file_that_is_too_large_for_a_request_must_lie_in_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexer_package, "MOST_DIRECT_BYTES", len(NEW))
    assert package().size_bytes == len(NEW)
    monkeypatch.setattr(indexer_package, "MOST_DIRECT_BYTES", len(NEW) - 1)
    with pytest.raises(PackageError, match="name it as s3://bucket/key"):
        package()
    assert package(place=PLACE).upload == {"S3Bucket": "builds", "S3Key": "7/indexer.zip"}


def test_a_package_does_not_show_its_content() -> None:
    assert "ZipFile" not in repr(package())


def keep(aws: ScriptedAws) -> DeployedIndexer:
    return keep_indexer(aws.plane, aws.clock, FUNCTION, ALIAS)


def test_without_a_package_what_the_alias_leads_to_stays(aws: ScriptedAws, function: ScriptedFunction) -> None:
    function.bring(NEW)
    function.publish()
    function.lead("1")
    found = keep(aws)
    assert (found.version, found.is_kept, found.was_uploaded, found.was_published) == ("1", True, False, False)
    assert found.code_sha256 == digest(archive("first"))
    assert "no indexer.package in the target file: the version that the alias leads to stays" in str(found)
    assert changes(aws) == []


@pytest.mark.parametrize(
    ("at", "problem"),
    [(None, "there is no alias indexer:live"), ("$LATEST", "leads to $LATEST, which each deployment")],
)
def test_without_a_package_and_a_version_there_is_nothing_to_serve(
    aws: ScriptedAws, function: ScriptedFunction, at: Any, problem: str
) -> None:
    if at is not None:
        function.lead(at)
    with pytest.raises(NothingToServeError) as error:
        keep(aws)
    assert problem in str(error.value)
    assert "aws lambda publish-version --function-name indexer" in str(error.value)
