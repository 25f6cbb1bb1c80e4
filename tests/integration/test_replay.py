"""A replay of dead letters, on the real servers: what the indexer failed on ends in every living index."""

from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_opensearch.core.stamps import StampRule
from tests.integration.conftest import MakeRig
from tests.support.dead_letter_rig import DeadLetterRig, MakeDeadLetterRig
from tests.support.indexing import IndexingHandler, mapped
from tests.support.rig import small_item
from tools.local.esm_batches import RetrySettings
from tools.local.esm_dead_letters import SqsDestination
from tools.local.esm_faults import FailingShare
from tools.local.event_source_mapping import MappingSettings

STAMPS = StampRule(stream_rounding_s=1.0, margin_s=6.0)


@pytest.fixture
def make_dead_letters(make_rig: MakeRig) -> Iterator[MakeDeadLetterRig]:
    """Rigs with a table, a stream, a queue, and an index behind the alias."""
    made: list[DeadLetterRig] = []

    def make(**settings: Any) -> DeadLetterRig:
        rig = make_rig(**settings)
        made.append(DeadLetterRig(rig, STAMPS))
        made[-1].create_index(rig.index, rig.alias)
        return made[-1]

    yield make
    for one in made:
        one.close()


def fail_on_everything(letters: DeadLetterRig, changes: int, batch_size: int = 100, rate: float = 1.0) -> int:
    """A broken indexer, until all of that many new items are in the queue; the number of records."""
    rig = letters.rig
    rig.put([small_item(number) for number in range(changes)])
    settings = MappingSettings(
        batch_size=batch_size,
        retries=RetrySettings(maximum_retries=0, first_wait_s=0.01),
        fails=FailingShare(rate=rate),
    )
    destination = SqsDestination(client=letters.sqs, queue_url=letters.queue_url)
    with mapped(rig, IndexingHandler(rig), settings, destination) as mapping:
        mapping.wait_until_caught_up(120)
    return mapping.counts.dead_lettered


def test_what_a_broken_indexer_failed_on_is_replayed_and_the_queue_is_empty(
    make_dead_letters: MakeDeadLetterRig,
) -> None:
    letters = make_dead_letters()
    records = fail_on_everything(letters, 700)
    assert records == 700

    report = letters.replay()

    assert letters.depth() == (0, 0)
    assert letters.rig.differences() == []
    assert (report.replayed, report.left, report.parked) == (report.received, 0, 0)
    assert (report.events, report.keys) == (700, 700)
    assert report.shapes == {"on-failure": 7}


def test_single_record_messages_are_replayed(make_dead_letters: MakeDeadLetterRig) -> None:
    letters = make_dead_letters()
    fail_on_everything(letters, 300, batch_size=1)

    report = letters.replay()

    assert letters.depth() == (0, 0)
    assert letters.rig.differences() == []
    assert report.replayed == 300
