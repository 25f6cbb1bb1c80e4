"""Calls to DynamoDB through a boto3 client whose answers are scripted at the method, without a socket."""

from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from dynamo_opensearch.core.clock import WorkerClockError
from dynamo_opensearch.core.dynamodb.errors import DynamoDbRequestError, TableMissingError
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.pacing import ReadUnitPacer
from dynamo_opensearch.core.dynamodb.scan import ScanSettings, count_items, scan_segment
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.dynamodb.table_description import (
    TableKeyError,
    TableNotReadyError,
    TableReplacedError,
    check_key,
    check_same_table,
    describe_table,
)
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from tests.support.fakes import FakeClock, quick_retry


class Meta:
    region_name = "eu-central-1"


class ScriptedClient:
    """Every method answers the next thing of its script: a dict, an exception, or a function of the arguments."""

    meta = Meta()

    def __init__(self, clock: FakeClock, **scripts: list[Any]) -> None:
        self.clock, self.scripts = clock, scripts
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def method(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            script = self.scripts[name]
            answer = script.pop(0) if len(script) > 1 else script[0]
            if callable(answer) and not isinstance(answer, type):
                answer = answer(arguments)
            if isinstance(answer, Exception):
                raise answer
            date = formatdate(self.clock.time_us() / 1e6, usegmt=True)
            return {"ResponseMetadata": {"HTTPHeaders": {"date": date}}, **answer}

        return method


def error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "Scan",
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def table(clock: FakeClock, **scripts: list[Any]) -> tuple[TableClient, ScriptedClient]:
    client = ScriptedClient(clock, **scripts)
    return TableClient(client, "members", clock, quick_retry()), client


PAGE = {"Items": [{"id": {"S": "a"}}], "Count": 1, "ConsumedCapacity": {"CapacityUnits": 0.5}}


@pytest.mark.parametrize(
    "failure",
    [
        error("ProvisionedThroughputExceededException"),
        error("ThrottlingException"),
        error("RequestLimitExceeded"),
        error("InternalServerError", 500),
        error("503", 503),
        error("429", 429),
        ConnectionClosedError(endpoint_url="u"),
        ReadTimeoutError(endpoint_url="u"),
        EndpointConnectionError(endpoint_url="u"),
        ConnectTimeoutError(endpoint_url="u"),
        ResponseParserError("cut off"),
    ],
    ids=repr,
)
def test_a_passing_failure_is_waited_out(clock: FakeClock, failure: Exception) -> None:
    client, calls = table(clock, scan=[failure, failure, PAGE])
    assert client.scan(Segment=0).content["Count"] == 1
    assert (len(calls.calls), len(clock.slept)) == (3, 2)


def test_throttling_is_counted(clock: FakeClock) -> None:
    client, _ = table(clock, scan=[error("ThrottlingException"), error("InternalServerError", 500), PAGE])
    client.scan()
    assert client.throttled == 1


@pytest.mark.parametrize(
    ("failure", "expected", "words"),
    [
        (
            error("AccessDeniedException"),
            AccessDeniedError,
            "DynamoDB refused dynamodb:Scan on 'members in eu-central-1'",
        ),
        (error("UnrecognizedClientException"), AccessDeniedError, "Check the region and credentials"),
        (error("ExpiredTokenException"), AccessDeniedError, "ExpiredTokenException"),
        (NoCredentialsError(), AccessDeniedError, "no credentials were found"),
        (error("ResourceNotFoundException"), TableMissingError, "'members' does not exist in region 'eu-central-1'"),
        (
            error("ValidationException"),
            DynamoDbRequestError,
            "DynamoDB refused Scan on table 'members': ValidationException: m",
        ),
        (BotoCoreError(), DynamoDbRequestError, "BotoCoreError"),
    ],
    ids=repr,
)
def test_what_waiting_does_not_mend_is_raised_at_once(
    clock: FakeClock, failure: Exception, expected: type[Exception], words: str
) -> None:
    client, _ = table(clock, scan=[failure])
    with pytest.raises(expected) as raised:
        client.scan()
    assert words in str(raised.value)
    assert clock.slept == []


def test_patience_ends_with_the_last_code(clock: FakeClock) -> None:
    client, _ = table(clock, scan=[error("ThrottlingException")])
    with pytest.raises(ServiceUnavailableError, match=r"Scan on table 'members'.*ThrottlingException"):
        client.scan()


def test_a_read_is_stamped_with_the_start_of_the_try_that_succeeded(clock: FakeClock) -> None:
    began_us = clock.time_us()
    client, _ = table(clock, scan=[error("ThrottlingException"), PAGE])
    answer = client.scan()
    assert answer.began_us == began_us + round(sum(clock.slept) * 1e6)


def test_an_answer_by_another_clock_is_discarded(clock: FakeClock) -> None:
    def later(_arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            **PAGE,
            "ResponseMetadata": {"HTTPHeaders": {"date": formatdate(clock.time_us() / 1e6 + 5, usegmt=True)}},
        }

    client, _ = table(clock, scan=[later])
    with pytest.raises(WorkerClockError, match=r"behind DynamoDB's"):
        client.scan()


def test_a_segment_is_read_page_by_page_to_its_end(clock: FakeClock) -> None:
    key = {"id": {"B": "AAE="}}
    client, calls = table(clock, scan=[{**PAGE, "LastEvaluatedKey": key}, {**PAGE, "Items": []}])
    settings = ScanSettings(total_segments=4, limit=7, consistent=True)
    pages = list(scan_segment(client, 3, settings, ReadUnitPacer(None, clock)))
    assert [(len(page.items), page.last_key) for page in pages] == [(1, key), (0, None)]
    first, second = (arguments for _, arguments in calls.calls)
    assert (first["Segment"], first["TotalSegments"], first["Limit"], first["ConsistentRead"]) == (3, 4, 7, True)
    assert second["ExclusiveStartKey"] == {"id": {"B": b"\x00\x01"}}


def test_the_page_that_was_read_is_handed_on_before_the_next_ones_failure(clock: FakeClock) -> None:
    client, _ = table(clock, scan=[{**PAGE, "LastEvaluatedKey": {"id": {"S": "a"}}}, error("AccessDeniedException")])
    pages = scan_segment(client, 0, ScanSettings(), ReadUnitPacer(None, clock))
    assert next(pages).count == 1
    with pytest.raises(AccessDeniedError):
        next(pages)


def test_counting_asks_for_every_page_of_every_segment(clock: FakeClock) -> None:
    def answer(arguments: dict[str, Any]) -> dict[str, Any]:
        assert arguments["Select"] == "COUNT"
        more = {} if "ExclusiveStartKey" in arguments else {"LastEvaluatedKey": {"id": {"S": "x"}}}
        return {"Count": 2, "ConsumedCapacity": {"CapacityUnits": 1.5}, **more}

    client, _ = table(clock, scan=[answer])
    assert count_items(client, ScanSettings(total_segments=6), None, clock) == (24, 18.0)


def test_unprocessed_keys_are_asked_for_again_and_the_group_has_its_first_start(clock: FakeClock) -> None:
    began_us = clock.time_us()
    items = [{"id": {"S": name}} for name in "abc"]
    left = {"members": {"Keys": items[1:], "ConsistentRead": True}}
    client, calls = table(
        clock,
        batch_get_item=[
            {"Responses": {"members": items[:1]}, "UnprocessedKeys": left},
            {"Responses": {"members": items[1:2]}, "UnprocessedKeys": {}},
        ],
    )
    reader = KeyedReader(client, ("id",), clock, quick_retry())
    (read,) = reader.read([(item["id"],) for item in [*items, items[0]]])
    assert (read.items, read.began_us, len(read.keys)) == (items[:2], began_us, 4)
    requests = [arguments["RequestItems"]["members"] for _, arguments in calls.calls]
    assert [len(request["Keys"]) for request in requests] == [3, 2]
    assert all(request["ConsistentRead"] for request in requests)


def test_two_spellings_of_a_number_are_asked_for_once(clock: FakeClock) -> None:
    client, calls = table(clock, batch_get_item=[{"Responses": {"members": []}}])
    list(KeyedReader(client, ("id",), clock, quick_retry()).read([({"N": "1"},), ({"N": "1.0"},)]))
    ((_, arguments),) = calls.calls
    assert len(arguments["RequestItems"]["members"]["Keys"]) == 1


def test_keys_that_stay_unprocessed_end_the_patience(clock: FakeClock) -> None:
    left = {"members": {"Keys": [{"id": {"S": "a"}}]}}
    client, _ = table(clock, batch_get_item=[{"Responses": {}, "UnprocessedKeys": left}])
    with pytest.raises(ServiceUnavailableError, match="1 unprocessed keys"):
        list(KeyedReader(client, ("id",), clock, quick_retry()).read([({"S": "a"},)]))


def test_keys_are_read_a_hundred_at_a_time(clock: FakeClock) -> None:
    client, calls = table(clock, batch_get_item=[{"Responses": {"members": []}}])
    keys: list[Any] = [({"S": str(number)},) for number in range(250)]
    groups = list(KeyedReader(client, ("id",), clock, quick_retry()).read(keys))
    assert [len(group.keys) for group in groups] == [100, 100, 50]
    assert len(calls.calls) == 3


DESCRIBED: dict[str, Any] = {
    "TableStatus": "ACTIVE",
    "TableId": "t1",
    "KeySchema": [{"KeyType": "RANGE", "AttributeName": "SK"}, {"KeyType": "HASH", "AttributeName": "PK"}],
    "ItemCount": 7,
    "TableSizeBytes": 700,
    "LatestStreamArn": "arn:old",
}


def described(clock: FakeClock, **changes: Any) -> Any:
    client, _ = table(clock, describe_table=[{"Table": DESCRIBED | changes}])
    return describe_table(client)


def test_a_table_is_described_partition_key_first(clock: FakeClock) -> None:
    description = described(clock)
    assert (description.key, description.table_id, description.items_estimated) == (("PK", "SK"), "t1", 7)
    assert description.stream_arn is None
    enabled = described(clock, StreamSpecification={"StreamEnabled": True})
    assert enabled.stream_arn == "arn:old"


@pytest.mark.parametrize("status", ["CREATING", "DELETING", "ARCHIVED"])
def test_a_table_that_is_not_ready_is_refused(clock: FakeClock, status: str) -> None:
    with pytest.raises(TableNotReadyError, match=f"is {status}, not ACTIVE"):
        described(clock, TableStatus=status)


def test_a_table_that_is_being_updated_is_read(clock: FakeClock) -> None:
    assert described(clock, TableStatus="UPDATING").table_id == "t1"


def test_a_wrong_key_and_another_table_are_refused(clock: FakeClock) -> None:
    description = described(clock)
    with pytest.raises(TableKeyError, match=r"has the key \['PK', 'SK'\], the target file says \['id'\]"):
        check_key(description, ("id",))
    with pytest.raises(TableReplacedError, match="restored or made anew"):
        check_same_table(description, "t0")
    check_key(description, ("PK", "SK"))
    check_same_table(description, "t1")
