"""A broken indexer on a DeadLetterRig: what it fails on lies in the queue."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.dead_letter_rig import DeadLetterRig
from tests.support.indexing import IndexingHandler, mapped
from tests.support.rig import small_item
from tools.local.esm_batches import RetrySettings
from tools.local.esm_dead_letters import SqsDestination
from tools.local.esm_faults import FailingShare
from tools.local.event_source_mapping import EventSourceMapping, MappingSettings

AT_ONCE = RetrySettings(maximum_retries=0, first_wait_s=0.01)
HOUR_US = 3_600_000_000


@contextmanager
def failing_indexer(
    letters: DeadLetterRig, rate: float = 1.0, batch_size: int = 100, **settings: Any
) -> Iterator[EventSourceMapping]:
    """The reference indexer, which fails on a share of the records and gives them up at once; all by default."""
    chosen = MappingSettings(batch_size=batch_size, retries=AT_ONCE, fails=FailingShare(rate=rate), **settings)
    destination = SqsDestination(client=letters.sqs, queue_url=letters.queue_url)
    handler = IndexingHandler(letters.rig, margin_s=letters.rig.stamps.margin_s)
    with mapped(letters.rig, handler, chosen, destination) as mapping:
        yield mapping


def fail_on(letters: DeadLetterRig, numbers: range, batch_size: int = 100, value: str = "first") -> None:
    """These items are written, and the indexer fails on each of them."""
    letters.rig.put([small_item(number, value) for number in numbers])
    with failing_indexer(letters, batch_size=batch_size, starting_position="TRIM_HORIZON") as mapping:
        mapping.wait_until_caught_up(120)
    assert mapping.counts.dead_lettered >= len(numbers)


def record_of(letters: DeadLetterRig, number: int, ago_us: int = HOUR_US) -> str:
    """A message of an indexer's own about an item's change so long ago; a change of long ago needs one look only."""
    created_s = (letters.rig.clock.time_us() - ago_us) // 1_000_000
    change = {"ApproximateCreationDateTime": created_s, "Keys": {"id": {"S": f"k{number:04}"}}}
    return json.dumps({"eventName": "MODIFY", "dynamodb": change, "eventSourceARN": letters.arn})
