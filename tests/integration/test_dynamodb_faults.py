"""What may happen to a read on its way, in AWS's own shapes."""

import time
from typing import Any

import pytest

from dynamo_opensearch.core.clock import MissingDateError, WorkerClockError
from dynamo_opensearch.core.dynamodb.errors import TableMissingError
from dynamo_opensearch.core.dynamodb.fast_parsing import install_fast_parsing
from dynamo_opensearch.core.dynamodb.scan import ScanSettings, count_items
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.dynamodb.table_description import TableNotReadyError, describe_table
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from dynamo_opensearch.core.offer import delivery
from dynamo_opensearch.core.stream.changes import ChangeCounter, StreamChanges
from tests.integration.conftest import MakeRig
from tests.support import faults, oracle
from tests.support.fakes import quick_retry
from tests.support.fault_proxy import Answer, Exchange, Fault, FaultProxy
from tests.support.rig import Rig, small_item
from tools.local.processes import Server

ITEMS = 120


@pytest.fixture
def rig(make_rig: MakeRig, dynamodb_proxy: FaultProxy) -> Rig:
    """A table of 120 items, an empty index, the proxy before the table; pages of 20 items."""
    made: Rig = make_rig(dynamodb_url=dynamodb_proxy.url, limit=20)
    made.fill(ITEMS)
    made.create_index()
    return made


PASSING = {
    "ProvisionedThroughputExceededException": faults.throttled(),
    "ThrottlingException": faults.throttled("ThrottlingException"),
    "RequestLimitExceeded": faults.throttled("RequestLimitExceeded"),
    "InternalServerError": faults.aws_error("InternalServerError", "The request processing has failed.", 500),
    "503 of something between": faults.unavailable(),
    "reset before forwarding": faults.reset_before_forwarding(),
    "reset in mid-answer": faults.reset_in_mid_answer(),
    "cut off": faults.cut_off(),
    "empty": faults.cut_off(0),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_failure_that_passes_costs_nothing_but_time(rig: Rig, dynamodb_proxy: FaultProxy, fault: Fault) -> None:
    dynamodb_proxy.on("Scan", fault, times=2, skip=1)
    report = rig.copy(range(1), 1).report
    assert (report.scanned, report.offer.indexed) == (ITEMS, ITEMS)
    assert rig.differences() == []


def test_throttled_answers_are_counted(rig: Rig, dynamodb_proxy: FaultProxy) -> None:
    dynamodb_proxy.on("Scan", faults.throttled(), times=3)
    assert rig.copy(range(1), 1).report.throttled == 3


def test_an_answer_held_for_longer_than_the_client_waits_is_asked_for_again(
    rig: Rig, dynamodb_proxy: FaultProxy
) -> None:
    dynamodb_proxy.on("Scan", faults.held(rig.read_timeout_s + 0.5))
    report = rig.copy(range(1), 1).report
    assert (report.scanned, report.offer.indexed) == (ITEMS, ITEMS)
    assert rig.differences() == []


def test_throttling_that_stays_ends_the_patience_and_the_next_try_goes_on(rig: Rig, dynamodb_proxy: FaultProxy) -> None:
    rig.retry = quick_retry(0.5)
    rig.table_client = TableClient(rig.client, rig.table, rig.clock, rig.retry)
    dynamodb_proxy.on("Scan", faults.throttled(), times=10**6, skip=3)
    with pytest.raises(ServiceUnavailableError, match="ProvisionedThroughputExceededException"):
        rig.copy(range(1), 1)
    acknowledged = (rig.store.value or {})["scanned"]
    assert 0 < acknowledged <= 60
    dynamodb_proxy.clear()
    before = dynamodb_proxy.count("Scan")
    assert rig.copy(range(1), 1).report.scanned == ITEMS
    assert dynamodb_proxy.count("Scan") - before <= (ITEMS - acknowledged) // 20 + 1
    assert rig.differences() == []


@pytest.mark.parametrize("skip", [0, 2])
def test_no_permission_ends_the_copy_at_once_and_names_the_action(
    rig: Rig, dynamodb_proxy: FaultProxy, skip: int
) -> None:
    dynamodb_proxy.on("Scan", faults.access_denied(), times=10**6, skip=skip)
    with pytest.raises(AccessDeniedError, match="DynamoDB refused dynamodb:Scan"):
        rig.copy(range(1), 1)
    assert dynamodb_proxy.count("Scan") == skip + 1


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException"])
def test_wrong_credentials_are_told_apart_from_everything_else(rig: Rig, dynamodb_proxy: FaultProxy, code: str) -> None:
    dynamodb_proxy.on("DescribeTable", faults.aws_error(code, "The security token included in the request is invalid."))
    with pytest.raises(AccessDeniedError, match=code):
        rig.copy()


def test_a_wrong_region_is_a_table_that_is_not_there(rig: Rig, dynamodb_proxy: FaultProxy) -> None:
    message = "Requested resource not found: Table: members not found"
    dynamodb_proxy.on("DescribeTable", faults.aws_error("ResourceNotFoundException", message))
    with pytest.raises(TableMissingError, match="Check the table's name in the target file, and region"):
        rig.copy()


def test_a_table_that_is_being_created_is_not_read(rig: Rig, dynamodb_proxy: FaultProxy) -> None:
    def creating(described: dict[str, Any]) -> None:
        described["Table"]["TableStatus"] = "CREATING"

    dynamodb_proxy.on("DescribeTable", faults.answer_changed(creating))
    with pytest.raises(TableNotReadyError, match="is CREATING, not ACTIVE"):
        rig.copy()
    assert describe_table(rig.table_client).table == rig.table


@pytest.mark.parametrize(("off_s", "word"), [(5, "behind"), (-5, "ahead of")])
def test_a_worker_whose_clock_is_five_seconds_off_writes_nothing_of_that_read(
    rig: Rig, dynamodb_proxy: FaultProxy, off_s: float, word: str
) -> None:
    dynamodb_proxy.on("Scan", faults.date_shifted(off_s), times=10**6)
    with pytest.raises(WorkerClockError, match=f"clock is .* s {word} DynamoDB's"):
        rig.copy(range(1), 1)
    assert rig.documents() == {}


def test_a_proxy_that_drops_the_date_is_found_out(rig: Rig, dynamodb_proxy: FaultProxy) -> None:
    def without_date(exchange: Exchange) -> None:
        answer = exchange.forward()
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "date"}
        exchange.reply(Answer(answer.status, headers, answer.body))

    dynamodb_proxy.on("Scan", without_date)
    with pytest.raises(MissingDateError):
        rig.copy(range(1), 1)


def test_unprocessed_keys_are_read_until_there_are_none(
    rig: Rig, dynamodb_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAGE_AGE_LIMIT_S", 0.0)
    original = delivery.Delivery._without_aged
    seen: set[int] = set()

    def first_only(self: Any, work: Any, tally: Any, to_read: Any) -> Any:
        """Every page is too old once."""
        key = id(tally)
        if key in seen:
            return work
        seen.add(key)
        return original(self, work, tally, to_read)

    monkeypatch.setattr(delivery.Delivery, "_without_aged", first_only)
    dynamodb_proxy.on("BatchGetItem", faults.unprocessed_keys(7), times=2)
    dynamodb_proxy.on("BatchGetItem", faults.unprocessed_keys(1_000), times=1, skip=2)
    report = rig.copy(range(1), 1).report
    assert report.offer.reread > 0
    assert (report.offer.indexed, report.offer.deleted) == (ITEMS, 0)
    assert rig.differences() == []


def test_a_page_that_waits_too_long_for_its_turn_shows_what_the_table_has_now(
    rig: Rig, dynamodb_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAGE_AGE_LIMIT_S", 0.5)

    def change() -> None:
        rig.boto.delete_item(TableName=rig.table, Key={"id": {"S": "k0000"}})
        rig.put([small_item(1, "second")])
        time.sleep(0.7)

    dynamodb_proxy.on("Scan", faults.then(change))
    report = rig.copy(range(1), 1).report
    assert report.offer.reread >= 20
    assert report.offer.deleted == 1
    assert rig.differences() == []


def test_counting_survives_throttling(rig: Rig, dynamodb_proxy: FaultProxy) -> None:
    dynamodb_proxy.on("Scan", faults.throttled(), times=3)
    assert count_items(rig.table_client, ScanSettings(total_segments=3), None, rig.clock)[0] == ITEMS


def test_what_changed_since_a_moment_is_counted_in_the_stream(make_rig: MakeRig, either_dynamodb: Server) -> None:
    rig = make_rig(direct_dynamodb=either_dynamodb.url)
    rig.create_table(stream=True)
    began_s = time.time()
    rig.put([small_item(number) for number in range(10)])
    rig.put([small_item(number, "second") for number in range(4)])
    rig.boto.delete_item(TableName=rig.table, Key={"id": {"S": "k0009"}})
    arn = describe_table(rig.table_client).stream_arn
    assert arn is not None
    streams = oracle.client(either_dynamodb.url, "dynamodbstreams")
    install_fast_parsing(streams)
    try:
        stream = StreamClient(streams, arn, rig.clock, rig.retry)
        counter = ChangeCounter(stream, int(began_s * 1e6), rig.clock, rounding_s=60)
        changes = counter.count()
        rig.put([small_item(number, "third") for number in range(3)])
        more = counter.count()
        later = ChangeCounter(stream, int((time.time() + 120) * 1e6), rig.clock, rounding_s=60).count()
    finally:
        streams.close()
    assert (changes.inserted, changes.modified, changes.removed, changes.is_complete) == (10, 4, 1, True)
    assert (more.inserted, more.modified, more.removed, more.is_complete) == (10, 7, 1, True)
    assert later == StreamChanges()
