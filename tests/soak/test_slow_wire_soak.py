"""The slow wire at full length: what `make test` shows with shortened limits, with the real ones."""

import time
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.integration.conftest import MakeRig
from tests.support import faults
from tests.support.fault_proxy import FaultProxy
from tests.support.rig import Rig

pytestmark = pytest.mark.soak

ITEMS = 120
HELD_S = 40.0
GC_DELETES_S = 60.0
"""OpenSearch's own index.gc_deletes."""


@pytest.fixture
def rig(make_rig: MakeRig, opensearch_proxy: FaultProxy) -> Rig:
    made: Rig = make_rig(opensearch_url=opensearch_proxy.url, bulk_bytes=4_000, requests_in_flight=1)
    made.answer_timeout_s = 60.0
    made.fill(ITEMS)
    made.create_index()
    return made


def test_an_answer_that_is_held_for_40_s_costs_nothing_and_is_counted_once(
    rig: Rig, opensearch_proxy: FaultProxy
) -> None:
    opensearch_proxy.on("_bulk", faults.held(HELD_S))
    began_s = time.monotonic()
    report = rig.copy().report
    assert time.monotonic() - began_s > HELD_S
    assert (report.offer.indexed, report.offer.resent) == (ITEMS, 0)
    assert report.offer.reread > 0, "what waited behind it has grown too old, and is read again"
    assert rig.differences() == []


def test_a_delete_that_opensearch_has_forgotten_is_not_undone_by_a_page_read_before_it(
    rig: Rig, opensearch_proxy: FaultProxy
) -> None:
    deleted = ("k0000", "k0001", "k0002", "k0003")

    def delete_and_wait_until_it_is_forgotten(exchange: Any) -> None:
        for key in deleted:
            rig.boto.delete_item(TableName=rig.table, Key={"id": {"S": key}})
            path = f"{rig.index}/_doc/{key}?version={int(time.time() * 1e6)}&version_type=external"
            with pytest.raises(HTTPError):
                rig.call(path, "DELETE")
        time.sleep(GC_DELETES_S + 10)
        faults.overloaded()(exchange)

    opensearch_proxy.on("_bulk", delete_and_wait_until_it_is_forgotten)
    report = rig.copy(range(1), 1).report
    assert report.offer.reread > 0
    assert report.offer.deleted == len(deleted)
    assert rig.differences() == []
