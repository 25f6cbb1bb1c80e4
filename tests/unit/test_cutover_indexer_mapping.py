"""One event source mapping hands the table's changes to the indexer: made, enabled, or told about, never changed."""

from typing import Any

import pytest

from dynamo_opensearch.core.aws.control_plane import RequestRefusedError, ResourceMissingError
from dynamo_opensearch.core.cutover.mapping.enabling import IndexerMapping, enable_mapping
from dynamo_opensearch.core.cutover.mapping.errors import (
    MappingBusyError,
    MappingNotMadeError,
    MappingOffError,
    MappingRefusedError,
    NoDestinationError,
    NoStreamError,
    SeveralMappingsError,
)
from dynamo_opensearch.core.cutover.mapping.wait import wait_for_mapping
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.preflight.side import Side
from tests.support.scripted_aws import ScriptedAws
from tests.support.scripted_control_plane import scripted_side
from tests.support.scripted_lambda import ALIAS, ARN, FUNCTION
from tests.support.scripted_mappings import FORMER, QUEUE, STREAM, ScriptedMappings, uuid_of

MADE = uuid_of(1)
ONE, OTHER = "9e471faa-d716-4725-925a-03fb5b2057ef", "0b7e0e4c-32f6-4c5c-8d0e-6f6c1f1f2b6a"


@pytest.fixture
def aws() -> ScriptedAws:
    return ScriptedAws()


@pytest.fixture
def mappings(aws: ScriptedAws) -> ScriptedMappings:
    return ScriptedMappings(aws)


def side(aws: ScriptedAws, uuid: str | None = None, letters: Any = "members-dlq", **indexer: Any) -> Side:
    settings: dict[str, Any] = {
        "indexer": {"function": FUNCTION, "alias": ALIAS, "event_source_mapping": uuid, **indexer}
    }
    if letters is not None:
        settings["dead_letters"] = {"queue": letters} if isinstance(letters, str) else letters
    return scripted_side(settings=settings, aws=aws.plane, clock=aws.clock)


def enable(aws: ScriptedAws, uuid: str | None = None, **changes: Any) -> IndexerMapping:
    return enable_mapping(side(aws, uuid, **changes))


def refused(aws: ScriptedAws, uuid: str | None = None, **changes: Any) -> str:
    with pytest.raises(MappingRefusedError) as error:
        enable(aws, uuid, **changes)
    return str(error.value)


def test_where_there_is_none_it_is_made_as_the_contract_says(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    found = enable(aws, batch_window_s=2)
    assert (found.uuid, found.was_made, found.was_enabled) == (MADE, True, False)
    (asked,) = aws.made("lambda.CreateEventSourceMapping")
    assert asked == {
        "FunctionName": "indexer:live",
        "EventSourceArn": STREAM,
        "StartingPosition": "TRIM_HORIZON",
        "Enabled": True,
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 2,
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 10,
        "MaximumRecordAgeInSeconds": 21_600,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
    }


def test_what_was_made_is_said_with_what_to_write_into_the_target_file(
    aws: ScriptedAws, mappings: ScriptedMappings
) -> None:
    assert str(enable(aws)) == (
        f"event source mapping {MADE} to indexer:live was made, from the oldest change that the stream holds on\n"
        f'  write it in the target file of members: environments.production.indexer.event_source_mapping: "{MADE}"'
    )


def test_a_second_run_makes_none_and_waits_while_the_first_ones_is_being_made(
    aws: ScriptedAws, mappings: ScriptedMappings
) -> None:
    enable(aws)
    again = enable(aws)
    assert (again.uuid, again.was_made, again.was_enabled) == (MADE, False, False)
    assert mappings.writes == ["lambda.CreateEventSourceMapping"]
    assert mappings.found[MADE]["State"] == "Enabled"


def test_one_that_is_enabled_is_left_alone(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(ONE)
    assert str(enable(aws, ONE)) == (
        f"event source mapping {ONE} to indexer:live is enabled already: nothing was to do"
    )
    assert mappings.writes == []


@pytest.mark.parametrize("uuid", [ONE, None])
def test_one_that_is_disabled_is_enabled(aws: ScriptedAws, mappings: ScriptedMappings, uuid: str | None) -> None:
    mappings.add(ONE, "Disabled")
    found = enable(aws, uuid)
    assert (found.uuid, found.was_made, found.was_enabled) == (ONE, False, True)
    assert "was disabled, and is enabled: it goes on where it stopped" in str(found)
    assert aws.made("lambda.UpdateEventSourceMapping") == [{"UUID": ONE, "Enabled": True}]


@pytest.mark.parametrize(
    ("states", "writes"),
    [
        (["Disabling", "Disabling", "Disabled"], ["lambda.UpdateEventSourceMapping"]),
        (["Creating", "Enabling", "Enabled"], []),
        (["Updating", "Enabled"], []),
        (["Enabling", "Enabled"], []),
        (["Creating", "Disabled"], ["lambda.UpdateEventSourceMapping"]),
        (["Deleting", "Deleting", "gone"], ["lambda.CreateEventSourceMapping"]),
    ],
)
def test_a_state_that_passes_is_waited_out_before_anything_is_done(
    aws: ScriptedAws, mappings: ScriptedMappings, states: list[str], writes: list[str]
) -> None:
    mappings.add(ONE, *states)
    enable(aws)
    assert mappings.writes == writes
    assert aws.clock.slept == [2.0] * (len(states) - 1)


def test_a_state_that_does_not_pass_ends_the_try(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(ONE, "Updating")
    with pytest.raises(MappingBusyError, match=f"{ONE} is Updating, for 300 s now") as error:
        enable(aws)
    assert not error.value.is_permanent


@pytest.mark.parametrize(
    ("changes", "what", "line"),
    [
        ({"FunctionArn": ARN}, "function", "--function-name indexer:live"),
        ({"FunctionArn": f"{ARN}:old"}, "function", "--function-name indexer:live"),
        ({"BisectBatchOnFunctionError": False}, "bisecting", "--bisect-batch-on-function-error"),
        ({"MaximumRetryAttempts": -1}, "retries", "--maximum-retry-attempts 10"),
        ({"FunctionResponseTypes": []}, "partial batch responses", "--function-response-types ReportBatchItemFailures"),
        ({"DestinationConfig": {}}, "on-failure destination", "members-dlq"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "filter", "--filter-criteria"),
    ],
)
@pytest.mark.parametrize("state", ["Enabled", "Disabled"])
@pytest.mark.parametrize("uuid", [ONE, None])
def test_settings_that_lose_changes_are_told_with_the_line_that_mends_them_and_not_flipped(
    aws: ScriptedAws,
    mappings: ScriptedMappings,
    uuid: str | None,
    state: str,
    changes: dict[str, Any],
    what: str,
    line: str,
) -> None:
    mappings.add(ONE, state, **changes)
    text = refused(aws, uuid)
    assert f"event source mapping {ONE} is {state}, and is not as the indexer needs it. Nothing was changed" in text
    assert f"Findings: 1\n- {what}: found " in text
    assert f"--uuid {ONE}" in text
    assert line in text
    assert mappings.writes == []


def test_all_that_is_wrong_is_told_at_once(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(ONE, BisectBatchOnFunctionError=False, MaximumRetryAttempts=-1, FunctionResponseTypes=[])
    assert "Findings: 3\n" in refused(aws)


def test_a_window_that_only_delays_is_a_warning(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(ONE, "Disabled", MaximumBatchingWindowInSeconds=60)
    found = enable(aws, ONE)
    assert found.was_enabled
    assert "warning: - batch window: found 60 s; expected at most 5 s: readers wait for it" in str(found)


def test_one_that_reads_a_stream_of_before_is_refused(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(ONE, EventSourceArn=FORMER)
    text = refused(aws, ONE)
    assert f"- stream: found {FORMER}; expected {STREAM}, the stream that members has now" in text
    assert mappings.writes == []


def test_one_that_reads_a_stream_of_before_is_no_reason_not_to_make_one_where_the_file_names_none(
    aws: ScriptedAws, mappings: ScriptedMappings
) -> None:
    mappings.add(ONE, EventSourceArn=FORMER)
    assert enable(aws).was_made


def test_a_file_that_names_one_of_a_stream_of_before_is_told_which_one_reads_the_stream(
    aws: ScriptedAws, mappings: ScriptedMappings
) -> None:
    mappings.add(ONE, EventSourceArn=FORMER)
    mappings.add(OTHER)
    text = refused(aws, ONE)
    assert f"expected {STREAM}, which event source mapping {OTHER} reads" in text
    assert f'environments.production.indexer.event_source_mapping: "{OTHER}"' in text


def test_one_that_the_file_names_and_that_is_not_there_is_not_made_anew(
    aws: ScriptedAws, mappings: ScriptedMappings
) -> None:
    text = refused(aws, ONE)
    assert f"event source mapping {ONE} is not there" in text
    assert "aws lambda list-event-source-mappings --function-name indexer:live" in text
    assert "or take that line out, and the cutover makes a mapping" in text
    assert mappings.writes == []


@pytest.mark.parametrize("uuid", [ONE, None])
@pytest.mark.parametrize("arn", [f"{ARN}:{ALIAS}", ARN, f"{ARN}:7"])
def test_several_on_the_stream_for_the_function_are_refused_whatever_they_invoke(
    aws: ScriptedAws, mappings: ScriptedMappings, uuid: str | None, arn: str
) -> None:
    mappings.add(ONE)
    mappings.add(OTHER, "Disabled", FunctionArn=arn)
    with pytest.raises(SeveralMappingsError) as error:
        enable(aws, uuid)
    text = str(error.value)
    assert f"function 'indexer' has 2 event source mappings on stream {STREAM}" in text
    assert f"  {ONE} (Enabled) to {ARN}:{ALIAS}\n  {OTHER} (Disabled) to {arn}\n" in text
    assert mappings.writes == []


def test_mappings_of_other_functions_are_none_of_its_business(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(OTHER, FunctionArn=f"{ARN}-of-billing:{ALIAS}")
    assert enable(aws).was_made


def test_all_pages_are_read(aws: ScriptedAws) -> None:
    mappings = ScriptedMappings(aws, page=2)
    for number in range(4):
        mappings.add(uuid_of(number), FunctionArn=f"{ARN}-{number}")
    mappings.add(ONE)
    assert enable(aws).uuid == ONE


def test_a_function_may_be_named_by_its_arn(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(ONE)
    assert enable(aws, function=ARN).uuid == ONE


def test_one_that_is_being_deleted_is_not_counted(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(OTHER, "Deleting")
    mappings.add(ONE)
    assert enable(aws).uuid == ONE


def test_one_that_came_into_being_meanwhile_is_taken(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.interludes["CreateEventSourceMapping"] = lambda: mappings.add(ONE)
    assert enable(aws).uuid == ONE
    assert list(mappings.found) == [ONE]


def test_one_that_came_into_being_meanwhile_with_settings_that_lose_changes_is_told(
    aws: ScriptedAws, mappings: ScriptedMappings
) -> None:
    mappings.interludes["CreateEventSourceMapping"] = lambda: mappings.add(ONE, FunctionResponseTypes=[])
    assert "- partial batch responses: found off" in refused(aws)


def test_a_server_that_makes_two_is_noticed(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    def other() -> None:
        mappings.add(OTHER, FunctionArn=f"{ARN}:7")

    mappings.interludes["CreateEventSourceMapping"] = other
    with pytest.raises(SeveralMappingsError):
        enable(aws)


def test_one_that_others_are_changing_is_enabled_by_the_next_try(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(ONE, "Disabled")
    mappings.refusals["UpdateEventSourceMapping"] = "ResourceInUseException"
    with pytest.raises(MappingBusyError):
        enable(aws)
    assert enable(aws).was_enabled


def test_one_that_others_have_enabled_meanwhile_is_well(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(ONE, "Disabled")
    mappings.interludes["UpdateEventSourceMapping"] = lambda: mappings.add(ONE, "Enabling", "Enabled")
    mappings.refusals["UpdateEventSourceMapping"] = "ResourceInUseException"
    assert enable(aws).uuid == ONE


def test_any_other_refusal_to_enable_it_is_handed_on(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.add(ONE, "Disabled")
    mappings.refusals["UpdateEventSourceMapping"] = "InvalidParameterValueException"
    with pytest.raises(RequestRefusedError, match=f"UpdateEventSourceMapping on '{ONE}'"):
        enable(aws)


def test_without_a_stream_there_is_nothing_to_hand_on(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.stream_is_on = False
    with pytest.raises(NoStreamError, match="the stream of table 'members' is off"):
        enable(aws)


def test_without_a_dead_letter_queue_none_is_made(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    with pytest.raises(NoDestinationError, match=r"environments\.production\.dead_letters\.queue"):
        enable(aws, letters=None)
    assert mappings.writes == []
    mappings.add(ONE)
    assert enable(aws, letters=None).uuid == ONE


def test_failures_go_to_the_destination_that_the_file_names(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    enable(aws, letters={"queue": "members-dlq", "destination": "arn:aws:s3:::failures"})
    (asked,) = aws.made("lambda.CreateEventSourceMapping")
    assert asked["DestinationConfig"] == {"OnFailure": {"Destination": "arn:aws:s3:::failures"}}


def test_a_queue_that_is_not_there_is_named_before_a_mapping_is_made(
    aws: ScriptedAws, mappings: ScriptedMappings
) -> None:
    mappings.refusals["GetQueueUrl"] = "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(ResourceMissingError, match="sqs has no 'members-dlq'"):
        enable(aws)
    assert mappings.writes == []


def test_a_mapping_that_lambda_takes_for_wrong_is_refused_with_what_to_check(
    aws: ScriptedAws, mappings: ScriptedMappings
) -> None:
    mappings.refusals["CreateEventSourceMapping"] = "InvalidParameterValueException"
    with pytest.raises(MappingNotMadeError) as error:
        enable(aws)
    assert "refused lambda:CreateEventSourceMapping for function 'indexer:live'" in str(error.value)
    assert "the function's role may read the stream" in str(error.value)


def test_an_alias_that_is_not_there_is_named(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    mappings.refusals["CreateEventSourceMapping"] = "ResourceNotFoundException"
    with pytest.raises(ResourceMissingError, match="lambda has no 'indexer:live'"):
        enable(aws)


@pytest.mark.parametrize(
    ("operation", "uuid", "action", "resource"),
    [
        ("DescribeTable", None, "dynamodb:DescribeTable", "members"),
        ("ListEventSourceMappings", None, "lambda:ListEventSourceMappings", STREAM),
        ("GetEventSourceMapping", ONE, "lambda:GetEventSourceMapping", ONE),
        ("GetQueueUrl", None, "sqs:GetQueueUrl", "members-dlq"),
        ("GetQueueAttributes", None, "sqs:GetQueueAttributes", "members-dlq"),
        ("CreateEventSourceMapping", None, "lambda:CreateEventSourceMapping", "indexer:live"),
        ("UpdateEventSourceMapping", ONE, "lambda:UpdateEventSourceMapping", ONE),
    ],
)
def test_a_right_that_is_missing_is_named_with_what_it_is_missing_on(
    aws: ScriptedAws, mappings: ScriptedMappings, operation: str, uuid: str | None, action: str, resource: str
) -> None:
    if uuid is not None:
        mappings.add(uuid, "Disabled")
    mappings.refusals[operation] = "AccessDeniedException"
    with pytest.raises(AccessDeniedError) as error:
        enable(aws, uuid)
    assert f"refused {action} on {resource!r}" in str(error.value)


# The wait


def wait(aws: ScriptedAws, wait_s: float = 600) -> str:
    return wait_for_mapping(aws.plane, aws.clock, ONE, wait_s)


@pytest.mark.parametrize(
    "states",
    [
        ["Enabled"],
        ["Creating", "Creating", "Enabling", "Enabled"],
        ["Updating", "Enabled"],
        ["Disabled", "Enabling", "Enabled"],
    ],
)
def test_it_is_waited_for_until_it_is_enabled(aws: ScriptedAws, mappings: ScriptedMappings, states: list[str]) -> None:
    mappings.add(ONE, *states, LastProcessingResult="OK")
    assert wait(aws) == f"event source mapping {ONE} is Enabled; OK"
    assert aws.clock.slept == [2.0] * (len(states) - 1)
    assert mappings.writes == []


@pytest.mark.parametrize("state", ["Disabling", "Disabled"])
def test_one_that_stays_disabled_was_disabled_by_somebody(
    aws: ScriptedAws, mappings: ScriptedMappings, state: str
) -> None:
    mappings.add(ONE, state, StateTransitionReason="User action")
    with pytest.raises(MappingOffError, match=rf"{ONE} is {state} \(User action\), though it was enabled"):
        wait(aws)
    assert sum(aws.clock.slept) == 30


@pytest.mark.parametrize("states", [["Deleting"], ["Creating", "Deleting"]])
def test_one_that_is_being_deleted_is_not_waited_for(
    aws: ScriptedAws, mappings: ScriptedMappings, states: list[str]
) -> None:
    mappings.add(ONE, *states)
    with pytest.raises(MappingOffError, match="is Deleting"):
        wait(aws)


def test_one_that_is_gone_is_not_waited_for(aws: ScriptedAws, mappings: ScriptedMappings) -> None:
    with pytest.raises(MappingOffError, match="is gone"):
        wait(aws)


def test_one_that_is_not_enabled_in_time_is_waited_for_by_the_next_try(
    aws: ScriptedAws, mappings: ScriptedMappings
) -> None:
    mappings.add(ONE, "Creating")
    with pytest.raises(MappingBusyError, match=f"{ONE} is Creating, for 60 s now"):
        wait(aws, 60)
