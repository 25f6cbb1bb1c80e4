"""A replay of dead letters, on the real servers: what the indexer failed on ends in every living index."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from dynamo_opensearch.core.dead_letters.replay.consumer import Replay
from dynamo_opensearch.core.dead_letters.replay.report import ReplayReport
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedRead, KeyedReader
from dynamo_opensearch.core.stamps import StampRule
from tests.support import taken_out
from tests.support.dead_letter_rig import DeadLetterRig, MakeDeadLetterRig
from tests.support.failing_indexer import AT_ONCE, fail_on, record_of
from tests.support.indexing import IndexingHandler, mapped
from tests.support.plain_indexer import PlainIndexer
from tests.support.rig import small_item
from tools.local.esm_dead_letters import SqsDestination
from tools.local.event_source_mapping import MappingSettings
from tools.local.processes import Server

AS_ON_AWS = StampRule(stream_rounding_s=1.0, margin_s=6.0)


def assert_all_replayed(letters: DeadLetterRig, report: ReplayReport) -> None:
    """The queue is empty, both sides are equal, and nothing was parked or left."""
    assert letters.depth() == (0, 0)
    assert letters.rig.differences() == []
    assert (report.replayed, report.left, report.parked) == (report.received, 0, 0)


def is_written_as(value: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a record is of an item with this value."""
    return lambda record: value in str(record["dynamodb"].get("NewImage"))


def test_what_a_broken_indexer_failed_on_is_replayed_and_the_queue_is_empty(
    make_dead_letters: MakeDeadLetterRig,
) -> None:
    letters = make_dead_letters()
    fail_on(letters, range(700))
    letters.rig.boto.delete_item(TableName=letters.rig.table, Key={"id": {"S": "k0007"}})

    report = letters.replay()

    assert_all_replayed(letters, report)
    assert (report.events, report.keys, report.shapes) == (700, 700, {"on-failure": 7})
    assert report.offer.deleted >= 1


def test_single_record_messages_of_another_sqs_are_replayed(
    make_dead_letters: MakeDeadLetterRig, elasticmq_server: Server
) -> None:
    letters = make_dead_letters(sqs_url=elasticmq_server.url)
    fail_on(letters, range(300), batch_size=1)
    report = letters.replay()
    assert_all_replayed(letters, report)
    assert report.replayed == 300


def test_an_event_that_failed_a_second_after_another_one_of_its_key_was_indexed_ends_in_the_index(
    make_dead_letters: MakeDeadLetterRig,
) -> None:
    letters = make_dead_letters(stamps=AS_ON_AWS)
    rig = letters.rig

    settings = MappingSettings(retries=AT_ONCE, fails=is_written_as("second"))
    destination = SqsDestination(client=letters.sqs, queue_url=letters.queue_url)
    with mapped(rig, IndexingHandler(rig), settings, destination) as mapping:
        rig.put([small_item(number, "first") for number in range(200)])
        mapping.wait_until_caught_up()
        assert {one["value"] for one in rig.documents().values()} == {"first"}
        time.sleep(1)
        rig.put([small_item(number, "second") for number in range(200)])
        mapping.wait_until_caught_up()
    assert {one["value"] for one in rig.documents().values()} == {"first"}

    assert_all_replayed(letters, letters.replay())


class LateIndexer:
    """A KeyedReader: between the first look's read and its write, the indexer brings the older change.

    Its stamp is a microsecond above that of the read, as it is when the read began six seconds after that change.
    """

    def __init__(self, letters: DeadLetterRig) -> None:
        rig = letters.rig
        self._rig, self._is_first = rig, True
        self._reader = KeyedReader(rig.table_client, rig.key, rig.clock, rig.retry)

    def read(self, keys: Sequence[KeyValues]) -> Iterator[KeyedRead]:
        for read in self._reader.read(keys):
            if self._is_first:
                self._is_first = False
                version = self._rig.stamps.read_stamp_us(read.began_us) + 1
                path = f"{self._rig.alias}/_doc/k0001?version={version}&version_type=external&require_alias=true"
                self._rig.call(path, "PUT", {"id": "k0001", "number": 1, "value": "first"})
            yield read


@pytest.mark.parametrize("rule", [nullcontext(), taken_out.second_look()], ids=["with", "without"])
def test_the_second_look_is_what_brings_a_change_whose_key_was_indexed_just_before_it(
    make_dead_letters: MakeDeadLetterRig, rule: AbstractContextManager[None]
) -> None:
    letters = make_dead_letters()
    letters.rig.put([small_item(1, "second")])
    letters.send(record_of(letters, 1, ago_us=0))
    with rule, letters.queue() as queue:
        settings = letters.replay_settings(letters.intake())
        report = Replay(settings, letters.replay_ports(queue, reader=LateIndexer(letters))).run()
    assert (letters.depth(), report.replayed, report.offer.stale) == ((0, 0), 1, 1)
    is_lost = isinstance(rule, nullcontext) is False
    assert (letters.rig.differences() != []) is is_lost


def test_an_indexer_without_versions_is_written_beside(make_dead_letters: MakeDeadLetterRig) -> None:
    """Versions of an indexer that counts are far below every stamp: a write with a stamp would shut it out for ever."""
    letters = make_dead_letters(unversioned=True)
    rig = letters.rig
    indexer = PlainIndexer(rig.direct_opensearch, rig.alias)
    settings = MappingSettings(retries=AT_ONCE, fails=is_written_as("fails"))
    destination = SqsDestination(client=letters.sqs, queue_url=letters.queue_url)
    with mapped(rig, indexer, settings, destination) as mapping:
        rig.put([small_item(number, "first") for number in range(100)])
        mapping.wait_until_caught_up()
        rig.put([small_item(number, "fails") for number in range(150)])
        mapping.wait_until_caught_up()
        rig.boto.delete_item(TableName=rig.table, Key={"id": {"S": "k0149"}})
        assert_all_replayed(letters, letters.replay())
        rig.put([small_item(number, "last") for number in range(100)])
        mapping.wait_until_caught_up()
    assert rig.differences() == []
    assert rig.call(f"{rig.index}/_doc/k0001")["_version"] < 10


def test_consumers_side_by_side_share_the_queue_and_their_reports_add_up(
    make_dead_letters: MakeDeadLetterRig,
) -> None:
    letters = make_dead_letters()
    fail_on(letters, range(600), batch_size=2)
    reports = letters.replay_beside(3)
    total = sum(reports, ReplayReport())
    assert_all_replayed(letters, total)
    assert (total.received, total.events) == (300, 600)
    assert sum(one.received > 0 for one in reports) > 1


def test_no_more_messages_are_replayed_than_are_asked_for_and_a_growing_queue_does_not_make_a_run_endless(
    make_dead_letters: MakeDeadLetterRig,
) -> None:
    letters = make_dead_letters()
    letters.rig.put([small_item(number) for number in range(50)])
    letters.send(*(record_of(letters, number) for number in range(50)))
    assert letters.replay(letters.intake(most=20)).replayed == 20
    assert letters.depth() == (30, 0)
    assert len(letters.rig.documents()) == 20

    is_over = threading.Event()

    def grow() -> None:
        while not is_over.wait(0.05):
            letters.send(*(record_of(letters, number) for number in range(10)))

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        report = letters.replay(messages_per_pass=50)
    finally:
        is_over.set()
        growing.join()
    assert report.newer > 0
    assert report.replayed >= 30 + report.newer
    assert letters.rig.differences() == []
