"""Table, stream, event source mapping, indexer and index: both ends equal, whatever happens in between."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.conftest import MakeRig
from tests.support import faults, oracle
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.indexing import Churn, Event, IndexingHandler, create_streaming_table, mapped, stream_arn
from tests.support.rig import Item, Rig, small_item
from tools.local import elasticmq
from tools.local.esm_batches import RetrySettings
from tools.local.esm_dead_letters import S3Destination, SqsDestination
from tools.local.esm_faults import FailingShare
from tools.local.esm_records import stream_record
from tools.local.event_source_mapping import MappingSettings
from tools.local.processes import Server

ISOLATING = RetrySettings(maximum_retries=1, bisects=True, first_wait_s=0.01)
MARGINS = {"ministack": 6.0, "dynamodb-local": 65.0}


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    made: Rig = make_rig()
    create_streaming_table(made)
    made.create_index()
    return made


@pytest.fixture(params=["ministack", "dynamodb-local"])
def either(request: pytest.FixtureRequest, make_rig: MakeRig) -> tuple[Rig, IndexingHandler]:
    """A rig on each server in turn, and an indexer with the margin that its stream's clock asks for."""
    server: Server = request.getfixturevalue(f"{request.param.replace('-', '_')}_server")
    made: Rig = make_rig(direct_dynamodb=server.url)
    create_streaming_table(made)
    made.create_index()
    return made, IndexingHandler(made, MARGINS[request.param])


@pytest.fixture(scope="module")
def elasticmq_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with elasticmq.started(tmp_path_factory.mktemp("elasticmq")) as server:
        yield server


# Equal in the end


def test_bursts_on_hot_keys_end_equal(either: tuple[Rig, IndexingHandler]) -> None:
    rig, handler = either
    churn = Churn(rig, keys=20)
    with mapped(rig, handler) as mapping:
        churn.for_s(5)
        mapping.wait_until_caught_up()
        counts = mapping.counts
    assert churn.changes > 60
    assert handler.settled > 0
    assert (counts.delivered, counts.failed, counts.dropped) == (len(handler.records), 0, 0)
    assert rig.differences() == []


def test_changes_of_one_second_each_in_a_batch_of_its_own_end_as_the_last_one(
    either: tuple[Rig, IndexingHandler],
) -> None:
    rig, handler = either
    for key in range(5):
        rig.put([small_item(key, "first")])
        rig.put([small_item(key, "second")])
        rig.boto.delete_item(TableName=rig.table, Key={"id": {"S": f"k{key:04}"}})
        if key % 2:
            rig.put([small_item(key, "back")])
    with mapped(rig, handler, MappingSettings(batch_size=1)) as mapping:
        mapping.wait_until_caught_up()
    assert len(handler.reports) == 17
    assert handler.settled > 0
    assert rig.differences() == []


def test_a_stream_of_keys_only_ends_equal(make_rig: MakeRig) -> None:
    rig = make_rig()
    create_streaming_table(rig, "KEYS_ONLY")
    rig.create_index()
    churn = Churn(rig)
    with mapped(rig, IndexingHandler(rig)) as mapping:
        churn.for_s(2)
        mapping.wait_until_caught_up()
    assert rig.differences() == []


def test_every_type_of_attribute_arrives_as_the_table_holds_it(either: tuple[Rig, IndexingHandler]) -> None:
    rig, handler = either
    item: Item = {
        "id": {"S": "ключ|%"},
        "number": {"N": "12345678901234567890123456789012345678"},
        "small": {"N": "-0.00000000000000000000000000000000000001"},
        "binary": {"B": b"\x00\xff\x10"},
        "yes": {"BOOL": True},
        "nothing": {"NULL": True},
        "map": {"M": {"inner": {"L": [{"N": "1.50"}, {"S": ""}, {"B": b"b"}]}}},
        "strings": {"SS": ["b", "a"]},
        "numbers": {"NS": ["2", "10"]},
        "binaries": {"BS": [b"y", b"x"]},
    }
    rig.put([item])
    with mapped(rig, handler) as mapping:
        mapping.wait_until_caught_up()
    assert rig.differences(lambda one: str(one["id"]).replace("%", "%25").replace("|", "%7C")) == []


def test_a_function_that_dies_after_writing_is_called_again_and_both_sides_end_equal(rig: Rig) -> None:
    handler, churn = IndexingHandler(rig), Churn(rig)
    calls = iter(range(10**9))

    def dying(event: Event, context: Any) -> Any:
        answer = handler(event, context)
        if next(calls) % 3 == 0:
            raise MemoryError
        return answer

    settings = MappingSettings(batch_size=20, retries=RetrySettings(first_wait_s=0.01))
    with mapped(rig, dying, settings) as mapping:
        churn.for_s(3)
        mapping.wait_until_caught_up()
        assert mapping.counts.retried > 3
    assert rig.differences() == []


@pytest.mark.parametrize(
    "fault",
    [
        faults.reset_in_mid_answer(),
        faults.reset_before_forwarding(),
        faults.cut_off(),
        faults.unavailable(),
        faults.overloaded(),
    ],
    ids=["reset in mid-answer", "reset before", "cut off", "503", "429"],
)
def test_broken_requests_lose_nothing(make_rig: MakeRig, opensearch_proxy: FaultProxy, fault: Fault) -> None:
    rig = make_rig(opensearch_url=opensearch_proxy.url)
    create_streaming_table(rig)
    rig.create_index()
    for skip in (0, 3, 4, 5, 9):
        opensearch_proxy.on("_bulk", fault, skip=skip)
    handler, churn = IndexingHandler(rig), Churn(rig)
    with mapped(rig, handler, MappingSettings(batch_size=20)) as mapping:
        churn.for_s(2)
        mapping.wait_until_caught_up()
        assert mapping.counts.failed == 0
    assert rig.differences() == []


def test_a_lagging_mapping_delivers_late_and_ends_equal(rig: Rig) -> None:
    churn = Churn(rig)
    with mapped(rig, IndexingHandler(rig), MappingSettings(lag_s=2.0)) as mapping:
        churn.for_s(1.5)
        assert mapping.counts.delivered == 0
        assert mapping.iterator_age_s > 0
        mapping.wait_until_caught_up()
    assert rig.differences() == []


@pytest.mark.parametrize("lag_s", [0.0, 1.0])
def test_copies_beside_the_indexer_and_a_writer_end_equal(make_rig: MakeRig, lag_s: float) -> None:
    rig = make_rig(limit=25, bulk_bytes=6_000)
    create_streaming_table(rig)
    rig.create_index()
    rig.put([small_item(number) for number in range(300)])
    handler, churn = IndexingHandler(rig), Churn(rig, keys=60, pause_s=0.01)
    with mapped(rig, handler, MappingSettings(lag_s=lag_s, batch_size=50)) as mapping:
        with churn.going_on():
            for _ in range(3):
                before = churn.changes
                assert rig.copy().report.offer.rejected == 0
                assert churn.changes > before
        mapping.wait_until_caught_up()
        assert mapping.counts.failed == 0
    assert rig.differences() == []


# Deletes by TTL


def test_an_item_that_ttl_deletes_leaves_the_index(rig: Rig) -> None:
    """Neither local server writes AWS's record of such a delete; it is put together as AWS describes it."""
    rig.put([small_item(1), small_item(2)])
    handler = IndexingHandler(rig)
    streams = oracle.client(rig.direct_dynamodb, "dynamodbstreams")
    with mapped(rig, handler) as mapping:
        mapping.wait_until_caught_up()
        assert sorted(rig.documents()) == ["k0001", "k0002"]
    rig.boto.delete_item(TableName=rig.table, Key={"id": {"S": "k0001"}})
    arn = stream_arn(rig)
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    last = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"][-1]
    last["userIdentity"] = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    event = stream_record(last, arn, "eu-central-1", time.time()).event
    assert event["userIdentity"] == {"principalId": "dynamodb.amazonaws.com", "type": "Service"}
    with mapped(rig, lambda _event, context: handler({"Records": [event]}, context)) as mapping:
        mapping.wait_until_caught_up()
    streams.close()
    assert rig.differences() == []
    assert sorted(rig.documents()) == ["k0002"]


# Failures and dead letters


@pytest.mark.parametrize("kind", ["ministack", "elasticmq"])
def test_one_record_in_a_hundred_fails_into_the_queue_with_its_coordinates(
    rig: Rig, kind: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(f"{kind}_server")
    sqs = oracle.client(server.url, "sqs")
    queue = sqs.create_queue(QueueName=f"{rig.base}-dlq")["QueueUrl"]
    fails, handler, churn = FailingShare(0.01, seed=3), IndexingHandler(rig), Churn(rig, keys=200)
    settings = MappingSettings(retries=ISOLATING, fails=fails)
    with mapped(rig, handler, settings, SqsDestination(client=sqs, queue_url=queue)) as mapping:
        churn.for_s(4)
        mapping.wait_until_caught_up()
        counts = mapping.counts
    messages = received(sqs, queue)
    sqs.close()
    assert fails.chosen
    assert {one["DDBStreamBatchInfo"]["startSequenceNumber"] for one in messages} == fails.chosen
    assert counts.dead_lettered == len(messages) == len(fails.chosen)
    assert counts.delivered > 50 * len(fails.chosen)
    for message in messages:
        check_coordinates(message, rig)
    differing = {one.split(": ")[1] for one in rig.differences()}
    assert differing <= keys_of_failed(rig, fails.chosen)


def check_coordinates(message: dict[str, Any], rig: Rig) -> None:
    """Field by field, as AWS documents it (facts: coordinates of a batch, no data)."""
    assert set(message) == {"requestContext", "responseContext", "version", "timestamp", "DDBStreamBatchInfo"}
    context, batch = message["requestContext"], message["DDBStreamBatchInfo"]
    assert set(context) == {"requestId", "functionArn", "condition", "approximateInvokeCount"}
    assert context["functionArn"].startswith("arn:aws:lambda:")
    assert context["condition"] == "RetryAttemptsExhausted"
    assert context["approximateInvokeCount"] >= 2
    assert message["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None}
    assert message["version"] == "1.0"
    assert message["timestamp"].endswith("Z")
    assert batch["startSequenceNumber"] == batch["endSequenceNumber"]
    assert batch["batchSize"] == 1
    assert batch["streamArn"] == stream_arn(rig)
    assert batch["shardId"].startswith("shardId-")
    assert batch["approximateArrivalOfFirstRecord"] == batch["approximateArrivalOfLastRecord"]
    assert "k0" not in json.dumps(message).replace(rig.base, "")


def keys_of_failed(rig: Rig, numbers: frozenset[str]) -> set[str]:
    """The items that these records of the stream are about."""
    streams = oracle.client(rig.direct_dynamodb, "dynamodbstreams")
    seen: list[Event] = []
    with mapped(rig, lambda event, _context: seen.append(event)) as mapping:
        mapping.wait_until_caught_up()
    streams.close()
    records = [one for event in seen for one in event["Records"]]
    return {one["dynamodb"]["Keys"]["id"]["S"] for one in records if one["dynamodb"]["SequenceNumber"] in numbers}


def received(sqs: Any, queue: str) -> list[dict[str, Any]]:
    """Every message of a queue."""
    found: list[dict[str, Any]] = []
    while got := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=600).get("Messages"):
        found += [json.loads(one["Body"]) for one in got]
    return found


def test_an_s3_destination_holds_the_payload_as_well(rig: Rig, ministack_server: Server) -> None:
    s3 = oracle.client(ministack_server.url, "s3")
    s3.create_bucket(Bucket=rig.base, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    rig.put([small_item(1) | {"binary": {"B": b"\xff"}}])
    destination = S3Destination(client=s3, bucket=rig.base, mapping_uuid="0000-1111")
    settings = MappingSettings(retries=RetrySettings(maximum_retries=0), fails=lambda _record: True, fault_kind="raise")
    with mapped(rig, IndexingHandler(rig), settings, destination) as mapping:
        mapping.wait_until_caught_up()
    (entry,) = s3.list_objects_v2(Bucket=rig.base)["Contents"]
    content = json.loads(s3.get_object(Bucket=rig.base, Key=entry["Key"])["Body"].read())
    s3.close()
    batch = content["DDBStreamBatchInfo"]
    assert entry["Key"].startswith(f"aws/lambda/0000-1111/{batch['shardId']}/20")
    assert content["responseContext"]["functionError"] == "Unhandled"
    (record,) = json.loads(content["payload"])["Records"]
    assert record["dynamodb"]["SequenceNumber"] == batch["startSequenceNumber"]
    assert record["dynamodb"]["NewImage"]["binary"]["B"] == base64.b64encode(b"\xff").decode()
    assert rig.documents() == {}


def test_a_poison_record_ends_in_the_queue_and_the_others_are_indexed(
    make_rig: MakeRig, ministack_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    rig = make_rig()
    create_streaming_table(rig)
    rig.create_index({"properties": {"value": {"type": "date"}}, "dynamic": False})
    for number in range(50):
        rig.put([small_item(number, "2026-01-01" if number not in (7, 23) else "top-secret")])
    sqs = oracle.client(ministack_server.url, "sqs")
    queue = sqs.create_queue(QueueName=f"{rig.base}-dlq")["QueueUrl"]
    handler = IndexingHandler(rig)
    with mapped(
        rig, handler, MappingSettings(retries=ISOLATING), SqsDestination(client=sqs, queue_url=queue)
    ) as mapping:
        mapping.wait_until_caught_up()
    messages = received(sqs, queue)
    sqs.close()
    numbers = {one["DDBStreamBatchInfo"]["startSequenceNumber"] for one in messages}
    assert handler.keys_of(numbers) == {"k0007", "k0023"}
    assert [one["DDBStreamBatchInfo"]["batchSize"] for one in messages] == [1, 1]
    assert sorted(one.split(": ")[1] for one in rig.differences()) == ["k0007", "k0023"]
    assert "refused: mapper_parsing_exception, field 'value', expected date" in caplog.text
    assert "top-secret" not in caplog.text
    assert "k0007" not in caplog.text


def test_two_poison_records_of_one_batch_are_both_tried_again_and_both_reported(make_rig: MakeRig) -> None:
    """Lambda goes back to the lowest number: the answer must hold it, wherever it stands in the answer."""
    rig = make_rig()
    create_streaming_table(rig)
    rig.create_index({"properties": {"value": {"type": "date"}}, "dynamic": False})
    rig.put([small_item(number, "bad" if number in (3, 8) else "2026-01-01") for number in range(10)])
    handler = IndexingHandler(rig)
    mended = threading.Event()

    def mending(event: Event, context: Any) -> Any:
        if len(handler.reports) == 2 and not mended.is_set():
            rig.call(f"{rig.index}", "DELETE")
            rig.create_index()
            mended.set()
        return handler(event, context)

    with mapped(rig, mending, MappingSettings(retries=RetrySettings(first_wait_s=0.01))) as mapping:
        mapping.wait_until_caught_up()
    assert [len(report.failures) for report in handler.reports[:2]] == [2, 2]
    held = rig.documents()
    assert {"k0003", "k0008"} <= set(held)


# Swaps, blocks and aliases


def test_a_write_block_of_a_second_loses_nothing_and_fails_nothing(rig: Rig) -> None:
    handler, churn = IndexingHandler(rig), Churn(rig)
    with mapped(rig, handler) as mapping:
        with churn.going_on():
            time.sleep(1)
            rig.call(f"{rig.index}/_block/write", "PUT")
            time.sleep(1)
            rig.call(f"{rig.index}/_settings", "PUT", {"index.blocks.write": None})
            time.sleep(1)
        mapping.wait_until_caught_up()
        assert mapping.counts.failed == 0
    assert rig.differences() == []


def test_an_alias_that_is_gone_for_a_moment_creates_no_index_and_loses_nothing(rig: Rig) -> None:
    handler, churn = IndexingHandler(rig), Churn(rig)
    action = {"index": rig.index, "alias": rig.alias}
    with mapped(rig, handler) as mapping:
        with churn.going_on():
            time.sleep(0.5)
            rig.call("_aliases", "POST", {"actions": [{"remove": action}]})
            time.sleep(1)
            assert rig.indices() == [rig.index]
            rig.call("_aliases", "POST", {"actions": [{"add": action}]})
            time.sleep(0.5)
        mapping.wait_until_caught_up()
        assert mapping.counts.failed == 0
    assert rig.indices() == [rig.index]
    assert rig.differences() == []


def test_a_swap_in_mid_stream_to_other_field_rules_leaves_no_document_of_the_old_form(rig: Rig) -> None:
    other = f"{rig.base}-v2"
    note = {"dynamo_opensearch": {"field_rules": {"renames": {"value": "text"}, "exclude_fields": ["number"]}}}
    mapping_body = {
        "dynamic": "strict",
        "properties": {name: {"type": "keyword"} for name in ("id", "text", "value", "number")},
        "_meta": note,
    }
    rig.call(other, "PUT", {"mappings": mapping_body, "settings": {"number_of_replicas": 0}})
    handler, churn = IndexingHandler(rig), Churn(rig, keys=40)
    with mapped(rig, handler, MappingSettings(batch_size=10)) as mapping:
        with churn.going_on():
            time.sleep(1.5)
            rig.swap(other)
            time.sleep(1.5)
        for number in range(40):  # every key once more, so that the new index has been told of all of them
            rig.put([small_item(number, "end")])
        mapping.wait_until_caught_up()
        assert mapping.counts.failed == 0
    assert rig.documents(other) == {f"k{number:04}": {"id": f"k{number:04}", "text": "end"} for number in range(40)}
