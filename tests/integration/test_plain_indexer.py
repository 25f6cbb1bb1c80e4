"""`indexer_writes: unversioned` for real: stream, event source mapping, and an indexer without versions."""

import pytest

from tests.integration.conftest import MakeRig
from tests.support.indexing import Churn, create_streaming_table, mapped
from tests.support.plain_indexer import PlainIndexer, document
from tests.support.rig import Rig, small_item
from tools.local.esm_batches import RetrySettings
from tools.local.event_source_mapping import MappingSettings

ITEMS = 300


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    made: Rig = make_rig(unversioned=True, limit=25, bulk_bytes=6_000, requests_in_flight=2)
    create_streaming_table(made)
    made.create_index()
    made.put([small_item(number) for number in range(ITEMS)])
    return made


def plain(rig: Rig) -> PlainIndexer:
    return PlainIndexer(rig.direct_opensearch, rig.alias)


def test_the_plain_indexer_alone_carries_everything_over(rig: Rig) -> None:
    indexer, churn = plain(rig), Churn(rig, keys=60)
    with mapped(rig, indexer) as mapping:
        churn.for_s(1.5)
        mapping.wait_until_caught_up()
        assert mapping.counts.failed == 0
    assert indexer.carried > ITEMS
    assert rig.differences() == []


@pytest.mark.parametrize("lag_s", [0.0, 0.7])
def test_copies_beside_a_plain_indexer_and_a_writer_end_equal(rig: Rig, lag_s: float) -> None:
    indexer, churn = plain(rig), Churn(rig, keys=60, pause_s=0.01)
    settings = MappingSettings(starting_position="LATEST", lag_s=lag_s, batch_size=20)
    with mapped(rig, indexer, settings) as mapping:
        with churn.going_on():
            for _ in range(3):
                before = churn.changes
                report = rig.copy().report
                assert churn.changes > before
                assert report.offer.rejected == 0
        mapping.wait_until_caught_up()
        assert mapping.counts.failed == 0
    assert indexer.carried > 20
    assert rig.differences() == []


def test_a_copy_after_batches_that_were_tried_again_ends_equal(rig: Rig) -> None:
    """A function that dies after writing gets the same records again, in order: nothing goes back for good."""
    indexer, churn = plain(rig), Churn(rig, keys=60, pause_s=0.01)
    calls = iter(range(10**9))

    def dying(event: dict[str, object], context: object) -> object:
        answer = indexer(event, context)
        if next(calls) % 4 == 0:
            raise MemoryError
        return answer

    settings = MappingSettings(starting_position="LATEST", batch_size=20, retries=RetrySettings(first_wait_s=0.01))
    with mapped(rig, dying, settings) as mapping:
        with churn.going_on():
            rig.copy()
        mapping.wait_until_caught_up()
        assert mapping.counts.retried > 0
    assert rig.differences() == []


def test_its_documents_keep_every_digit() -> None:
    image = {"n": {"N": "12345678901234567890.123456789"}, "l": {"L": [{"NULL": True}, {"NS": ["1.50"]}]}}
    assert document(image) == '{"n":12345678901234567890.123456789,"l":[null,[1.50]]}'
