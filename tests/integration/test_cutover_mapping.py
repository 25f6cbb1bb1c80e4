"""The event source mapping on MiniStack: made, enabled or refused; twice, killed at each call, beside somebody else."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_opensearch.core.cutover.mapping.errors import (
    MappingOffError,
    MappingRefusedError,
    NoStreamError,
    SeveralMappingsError,
)
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.preflight.checklist import run_check
from tests.integration.conftest import MakeRig
from tests.support import faults
from tests.support.deploy_rig import DeployRig, killed_in
from tests.support.dying import Died, Fate
from tests.support.fault_proxy import Exchange, FaultProxy
from tests.support.indexing import stream_arn
from tests.support.service_rig import ALIAS

MakeDeploy = Callable[..., DeployRig]


@pytest.fixture
def make_deploy(make_rig: MakeRig) -> Iterator[MakeDeploy]:
    """Functions whose alias leads to a version, with a table whose stream is on, and a queue."""
    made: list[DeployRig] = []

    def make(aws_url: str = "") -> DeployRig:
        rig = DeployRig(make_rig(), aws_url)
        made.append(rig)
        rig.make_function()
        version = rig.functions.publish_version(FunctionName=rig.name)["Version"]
        rig.functions.create_alias(FunctionName=rig.name, Name=ALIAS, FunctionVersion=version)
        rig.make_stream()
        return rig

    yield make
    for one in made:
        one.close()


@pytest.fixture
def rig(make_deploy: MakeDeploy) -> DeployRig:
    return make_deploy()


def is_making(exchange: Exchange) -> bool:
    return exchange.method == "POST" and exchange.path.rstrip("/").endswith("/event-source-mappings")


def is_changing(exchange: Exchange) -> bool:
    return exchange.method == "PUT" and "/event-source-mappings/" in exchange.path


def test_one_is_made_as_the_contract_says_and_a_second_run_makes_none(rig: DeployRig) -> None:
    found = rig.steps().enable()
    assert f"event source mapping {found.uuid} is Enabled" in rig.steps().wait(found.uuid)
    (made,) = rig.mappings
    expected = {
        "UUID": found.uuid,
        "State": "Enabled",
        "FunctionArn": f"arn:aws:lambda:eu-central-1:000000000000:function:{rig.name}:{ALIAS}",
        "EventSourceArn": stream_arn(rig.rig),
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 5,
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 10,
        "MaximumRecordAgeInSeconds": 21_600,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:sqs:eu-central-1:000000000000:{rig.queue}"}},
    }
    assert {name: made[name] for name in expected} == expected

    again = rig.steps().enable()
    assert (again.uuid, again.was_made, again.was_enabled) == (found.uuid, False, False)
    assert [one["LastModified"] for one in rig.mappings] == [made["LastModified"]]


def test_what_was_made_passes_the_check_of_a_preflight(rig: DeployRig) -> None:
    rig.settings["indexer"]["event_source_mapping"] = rig.steps().enable().uuid
    result = run_check("event_source_mapping", rig.steps().side)
    assert result.state == "passed", str(result)
    assert not rig.steps().enable().was_made


@pytest.mark.parametrize("is_named", [True, False])
def test_one_that_is_disabled_is_enabled_and_else_left_as_it_is(rig: DeployRig, is_named: bool) -> None:
    uuid = rig.map_as(Enabled=False, BatchSize=500, MaximumRetryAttempts=3)
    if is_named:
        rig.settings["indexer"]["event_source_mapping"] = uuid
    assert rig.steps().enable().was_enabled
    rig.steps().wait(uuid)
    (found,) = rig.mappings
    assert (found["UUID"], found["State"]) == (uuid, "Enabled")
    assert (found["BatchSize"], found["MaximumRetryAttempts"]) == (500, 3)
    assert not rig.steps().enable().was_enabled


@pytest.mark.parametrize("is_there", [True, False])
def test_killed_at_any_call_there_is_one_that_is_enabled(rig: DeployRig, is_there: bool) -> None:
    for survived in itertools.count():
        for one in rig.mappings:
            rig.functions.delete_event_source_mapping(UUID=one["UUID"])
        if is_there:
            rig.map_as(Enabled=False)
        was_killed = False
        try:
            rig.steps(Fate(survived)).enable()
        except Died:
            was_killed = True
            rig.steps().enable()
        assert [one["State"] for one in rig.mappings] == ["Enabled"], f"killed after {survived} calls"
        if not was_killed:
            assert survived > 3
            return


@pytest.mark.parametrize("is_there", [True, False])
def test_a_process_killed_after_it_was_made_or_enabled_is_followed_by_one_that_finds_it(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy, is_there: bool
) -> None:
    rig = make_deploy()
    if is_there:
        rig.map_as(Enabled=False)
    change = is_changing if is_there else is_making
    again = killed_in(rig, dynamodb_proxy, change, "enable")
    (made,) = rig.mappings
    assert made["State"] == "Enabled"
    assert again() == made["UUID"]
    assert [one["UUID"] for one in rig.mappings] == [made["UUID"]]
    assert len([one for one in dynamodb_proxy.requests if one.method in ("POST", "PUT") and "source" in one.path]) == 1


def already_there(exchange: Exchange) -> None:
    """What AWS answers to a second one of the same function and stream; MiniStack makes it."""
    refuse = faults.aws_error("ResourceConflictException", "provided mapping already exists", 409, prefix="")
    refuse(exchange)


def test_an_answer_that_is_lost_makes_no_second_one(make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    dynamodb_proxy.on(is_making, faults.reset_in_mid_answer())
    dynamodb_proxy.on(is_making, already_there, skip=1)
    found = rig.steps().enable()
    assert [one["UUID"] for one in rig.mappings] == [found.uuid]
    posted = [one for one in dynamodb_proxy.requests if one.method == "POST" and "/event-source-mappings" in one.path]
    assert len(posted) == 2, "the call was sent again"


def test_one_that_somebody_else_makes_at_the_same_moment_is_taken(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = make_deploy(dynamodb_proxy.url)

    def theirs(exchange: Exchange) -> None:
        rig.map_as()
        already_there(exchange)

    dynamodb_proxy.on(is_making, theirs)
    taken = rig.steps().enable().uuid
    assert [one["UUID"] for one in rig.mappings] == [taken]


def test_another_one_for_the_function_itself_at_the_same_moment_is_told_about(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    dynamodb_proxy.on(is_making, faults.after(lambda: rig.map_as(alias="")))
    with pytest.raises(SeveralMappingsError, match="has 2 event source mappings"):
        rig.steps().enable()


LOSING: list[tuple[dict[str, Any], str]] = [
    ({"alias": ""}, "- function: "),
    ({"FunctionResponseTypes": []}, "- partial batch responses: "),
    ({"DestinationConfig": {}}, "- on-failure destination: "),
    ({"MaximumRetryAttempts": -1}, "- retries: "),
    ({"BisectBatchOnFunctionError": False}, "- bisecting: "),
    ({"FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]}}, "- filter: "),
]


@pytest.mark.parametrize(("settings", "what"), LOSING, ids=[one[1].strip("- :") for one in LOSING])
@pytest.mark.parametrize("is_enabled", [True, False])
def test_settings_that_lose_changes_stay_as_they_are_and_are_told(
    rig: DeployRig, settings: dict[str, Any], what: str, is_enabled: bool
) -> None:
    rig.map_as(Enabled=is_enabled, **settings)
    before = rig.mappings
    with pytest.raises(MappingRefusedError) as error:
        rig.steps().enable()
    assert f"Findings: 1\n{what}" in str(error.value)
    assert rig.mappings == before


def test_several_on_the_stream_are_refused_and_stay(rig: DeployRig) -> None:
    uuids = {rig.map_as(), rig.map_as(alias="", Enabled=False)}
    with pytest.raises(SeveralMappingsError) as error:
        rig.steps().enable()
    assert all(one in str(error.value) for one in uuids)
    assert {one["UUID"]: one["State"] for one in rig.mappings} == {
        one["UUID"]: "Enabled" if one["FunctionArn"].endswith(ALIAS) else "Disabled" for one in rig.mappings
    }


def test_of_a_stream_that_was_made_anew_the_mapping_of_the_former_is_told_about(rig: DeployRig) -> None:
    uuid = rig.map_as()
    rig.settings["indexer"]["event_source_mapping"] = uuid
    boto, table = rig.rig.boto, rig.rig.table
    former = stream_arn(rig.rig)
    boto.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    with pytest.raises(NoStreamError):
        rig.steps().enable()
    on = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    boto.update_table(TableName=table, StreamSpecification=on)
    assert stream_arn(rig.rig) != former
    with pytest.raises(MappingRefusedError, match=f"- stream: found {former}; expected {stream_arn(rig.rig)}"):
        rig.steps().enable()
    rig.settings["indexer"]["event_source_mapping"] = None
    assert rig.steps().enable().was_made
    assert {one["EventSourceArn"] for one in rig.mappings} == {former, stream_arn(rig.rig)}


def test_one_that_is_taken_away_while_it_is_waited_for_fails_the_wait(rig: DeployRig) -> None:
    uuid = rig.steps().enable().uuid
    rig.functions.delete_event_source_mapping(UUID=uuid)
    with pytest.raises(MappingOffError, match=f"{uuid} is gone"):
        rig.steps().wait(uuid)


REFUSED: list[tuple[Callable[[Exchange], bool], str, str]] = [
    (lambda one: one.operation == "DescribeTable", "dynamodb:DescribeTable", "table"),
    (lambda one: one.method == "GET" and "mappings" in one.path, "lambda:ListEventSourceMappings", "stream"),
    (lambda one: one.operation == "GetQueueUrl", "sqs:GetQueueUrl", "queue"),
    (lambda one: one.operation == "GetQueueAttributes", "sqs:GetQueueAttributes", "queue"),
    (is_making, "lambda:CreateEventSourceMapping", "function"),
]


@pytest.mark.parametrize(("which", "action", "resource"), REFUSED, ids=[one[1] for one in REFUSED])
def test_a_right_that_is_missing_is_named_with_what_it_is_missing_on(
    make_deploy: MakeDeploy,
    dynamodb_proxy: FaultProxy,
    which: Callable[[Exchange], bool],
    action: str,
    resource: str,
) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    dynamodb_proxy.on(which, faults.aws_error("AccessDeniedException", "no policy allows it", 403, prefix=""))
    on = {
        "table": rig.rig.table,
        "stream": stream_arn(rig.rig),
        "queue": rig.queue,
        "function": f"{rig.name}:{ALIAS}",
    }[resource]
    with pytest.raises(AccessDeniedError, match=f"refused {action} on '{on}'"):
        rig.steps().enable()
    assert rig.mappings == []


def test_a_right_to_enable_it_that_is_missing_is_named(make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy) -> None:
    rig = make_deploy(dynamodb_proxy.url)
    uuid = rig.map_as(Enabled=False)
    dynamodb_proxy.on(is_changing, faults.aws_error("AccessDeniedException", "no policy allows it", 403, prefix=""))
    with pytest.raises(AccessDeniedError, match=f"lambda refused lambda:UpdateEventSourceMapping on '{uuid}'"):
        rig.steps().enable()
