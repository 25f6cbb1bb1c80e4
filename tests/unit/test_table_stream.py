"""The table's stream is switched on once, waited for, and never replaced by one of another view type."""

from typing import Any

import pytest

from dynamo_opensearch.core.aws.control_plane import RequestRefusedError, ResourceMissingError
from dynamo_opensearch.core.cutover.table_stream import (
    StreamNotSwitchedOnError,
    StreamViewError,
    TableUnusableError,
    enable_stream,
    look_at_stream,
)
from dynamo_opensearch.core.dynamodb.table_description import TableNotReadyError
from dynamo_opensearch.core.errors import AccessDeniedError
from tests.support.scripted_aws import RefusalError, ScriptedAws
from tests.support.scripted_table import STREAM, ScriptedTable

BOTH = "NEW_AND_OLD_IMAGES"


@pytest.fixture
def aws() -> ScriptedAws:
    return ScriptedAws()


@pytest.fixture
def table(aws: ScriptedAws) -> ScriptedTable:
    return ScriptedTable(aws)


def switched_on(aws: ScriptedAws) -> list[Any]:
    return [one["StreamSpecification"] for one in aws.made("dynamodb.UpdateTable")]


def test_a_stream_that_is_off_is_switched_on_and_a_second_run_changes_nothing(
    aws: ScriptedAws, table: ScriptedTable
) -> None:
    first = enable_stream(aws.plane, "members", BOTH)
    assert (first.was_on, first.arn) == (False, STREAM)
    assert str(first) == "the stream of table 'members' was off, and is switched on with NEW_AND_OLD_IMAGES"

    second = enable_stream(aws.plane, "members", BOTH)
    assert second.was_on
    assert str(second) == f"the stream of table 'members' is on already, with NEW_AND_OLD_IMAGES: {STREAM}"
    assert switched_on(aws) == [{"StreamEnabled": True, "StreamViewType": BOTH}]


def test_a_stream_that_was_switched_off_is_switched_on_whatever_it_was(aws: ScriptedAws, table: ScriptedTable) -> None:
    table.description |= {"StreamSpecification": {"StreamEnabled": False}, "LatestStreamArn": f"{STREAM}-old"}
    assert enable_stream(aws.plane, "members", BOTH).arn == STREAM


@pytest.mark.parametrize("look", [enable_stream, look_at_stream])
def test_a_stream_of_another_view_type_is_told_with_its_consequences_and_left_alone(
    aws: ScriptedAws, table: ScriptedTable, look: Any
) -> None:
    table.switch_on("KEYS_ONLY")
    with pytest.raises(StreamViewError) as refused:
        look(aws.plane, "members", BOTH)
    for part in (
        "on with KEYS_ONLY, the target file asks for NEW_AND_OLD_IMAGES. Nothing was changed",
        f"What the old one still holds ({STREAM}) is then lost",
        "event source mapping must be made anew",
        "set `stream.view_type` in the target file",
        "aws dynamodb update-table --table-name members --stream-specification StreamEnabled=false",
        "then start this DAG again",
    ):
        assert part in str(refused.value)
    assert switched_on(aws) == []


def test_the_view_type_that_the_target_file_asks_for_is_taken(aws: ScriptedAws, table: ScriptedTable) -> None:
    table.switch_on("KEYS_ONLY")
    assert enable_stream(aws.plane, "members", "KEYS_ONLY").was_on


@pytest.mark.parametrize("status", ["CREATING", "UPDATING"])
def test_a_table_that_is_being_changed_is_left_to_a_retry(aws: ScriptedAws, table: ScriptedTable, status: str) -> None:
    table.description["TableStatus"] = status
    with pytest.raises(TableNotReadyError, match=f"is {status}, not ACTIVE"):
        enable_stream(aws.plane, "members", BOTH)
    assert switched_on(aws) == []


@pytest.mark.parametrize("status", ["DELETING", "ARCHIVED", "INACCESSIBLE_ENCRYPTION_CREDENTIALS"])
@pytest.mark.parametrize("look", [enable_stream, look_at_stream])
def test_a_table_that_cannot_be_used_is_refused_at_once(
    aws: ScriptedAws, table: ScriptedTable, look: Any, status: str
) -> None:
    table.description["TableStatus"] = status
    with pytest.raises(TableUnusableError, match=f"table 'members' is {status}"):
        look(aws.plane, "members", BOTH)
    assert switched_on(aws) == []


@pytest.mark.parametrize("look", [enable_stream, look_at_stream])
def test_a_table_that_is_not_there_is_named(aws: ScriptedAws, look: Any) -> None:
    def missing(_: Any) -> Any:
        raise RefusalError("ResourceNotFoundException")

    aws.scripts["dynamodb.DescribeTable"] = missing
    with pytest.raises(ResourceMissingError, match="dynamodb has no 'members'"):
        look(aws.plane, "members", BOTH)


@pytest.mark.parametrize("operation", ["DescribeTable", "UpdateTable"])
def test_a_right_that_is_missing_is_named_with_action_and_table(
    aws: ScriptedAws, table: ScriptedTable, operation: str
) -> None:
    table.refuse(operation, "AccessDeniedException")
    with pytest.raises(AccessDeniedError, match=f"dynamodb:{operation} on 'members'"):
        enable_stream(aws.plane, "members", BOTH)


def test_the_right_to_look_at_the_stream_is_named_as_iam_calls_it(aws: ScriptedAws, table: ScriptedTable) -> None:
    table.switch_on(BOTH)
    table.refuse("DescribeStream", "AccessDeniedException")
    with pytest.raises(AccessDeniedError, match="dynamodb:DescribeStream"):
        look_at_stream(aws.plane, "members", BOTH)


def test_somebody_who_switches_it_on_at_the_same_time_is_no_error(aws: ScriptedAws, table: ScriptedTable) -> None:
    """Nor is this call itself, carried out, and sent again since its answer was lost."""
    table.before_update = lambda: table.switch_on(BOTH)
    table.refuse("UpdateTable", "ValidationException")
    assert enable_stream(aws.plane, "members", BOTH).arn == STREAM


def test_somebody_who_switches_it_on_with_another_view_type_wins(aws: ScriptedAws, table: ScriptedTable) -> None:
    table.before_update = lambda: table.switch_on("KEYS_ONLY")
    table.refuse("UpdateTable", "ValidationException")
    with pytest.raises(StreamViewError, match="on with KEYS_ONLY"):
        enable_stream(aws.plane, "members", BOTH)


@pytest.mark.parametrize("code", ["ResourceInUseException", "ValidationException"])
def test_a_table_that_is_changed_at_the_same_time_is_left_to_a_retry(
    aws: ScriptedAws, table: ScriptedTable, code: str
) -> None:
    table.refuse("UpdateTable", code)
    with pytest.raises(StreamNotSwitchedOnError, match=f"{code}. The task tries again"):
        enable_stream(aws.plane, "members", BOTH)


def test_any_other_refusal_is_told_as_it_is(aws: ScriptedAws, table: ScriptedTable) -> None:
    table.refuse("UpdateTable", "InvalidEndpointException")
    with pytest.raises(RequestRefusedError, match="InvalidEndpointException"):
        enable_stream(aws.plane, "members", BOTH)


def test_a_request_that_changed_nothing_is_not_taken_for_done(aws: ScriptedAws, table: ScriptedTable) -> None:
    table.ignores_updates = True
    with pytest.raises(StreamNotSwitchedOnError, match="says that it is off"):
        enable_stream(aws.plane, "members", BOTH)


def test_what_dynamodb_says_while_an_older_look_is_still_shown_counts(aws: ScriptedAws, table: ScriptedTable) -> None:
    """DescribeTable is eventually consistent; the sensor waits for it."""
    table.is_shown_late = True
    assert not enable_stream(aws.plane, "members", BOTH).was_on
    assert look_at_stream(aws.plane, "members", BOTH).seen == "the stream of table 'members' is off"


def test_the_wait_ends_with_the_arn_once_the_stream_is_enabled(aws: ScriptedAws, table: ScriptedTable) -> None:
    def seen() -> str:
        found = look_at_stream(aws.plane, "members", BOTH)
        assert (found.is_ready, found.value) == (False, "")
        return found.seen

    assert seen() == "the stream of table 'members' is off"
    table.switch_on(BOTH)
    table.description.pop("LatestStreamArn")
    assert seen() == "table 'members' does not name its stream yet"
    table.switch_on(BOTH)
    table.stream_status = None
    assert seen() == f"stream {STREAM} is not there yet, its table ACTIVE"
    table.stream_status = "ENABLING"
    assert seen() == f"stream {STREAM} is ENABLING, its table ACTIVE"
    table.stream_status = "ENABLED"
    table.description["TableStatus"] = "CREATING"
    assert seen() == f"stream {STREAM} is ENABLED, its table CREATING"
    table.description["TableStatus"] = "ACTIVE"
    found = look_at_stream(aws.plane, "members", BOTH)
    assert (found.is_ready, found.value) == (True, STREAM)
    assert found.seen == f"stream {STREAM} is ENABLED, with NEW_AND_OLD_IMAGES"


def test_a_table_that_makes_an_index_has_a_stream_all_the_same(aws: ScriptedAws, table: ScriptedTable) -> None:
    table.switch_on(BOTH)
    table.description["TableStatus"] = "UPDATING"
    assert enable_stream(aws.plane, "members", BOTH).was_on
    assert look_at_stream(aws.plane, "members", BOTH).is_ready
