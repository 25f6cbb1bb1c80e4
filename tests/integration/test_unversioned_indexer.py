"""Beside an indexer that writes no versions: plain PUT and DELETE, in order, while the copy runs."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from urllib.error import HTTPError

import pytest

from dynamo_opensearch.core.offer import delivery
from dynamo_opensearch.core.offer.destination import AliasLostError
from tests.integration.conftest import MakeRig
from tests.support import faults
from tests.support.fault_proxy import Exchange, Fault, FaultProxy
from tests.support.rig import Rig, small_item

ITEMS = 200
Change = tuple[str, str | None]


class Indexer:
    """Carries each change of the table over, in order, late by up to ``lag_s``; overwrites whatever stands there."""

    def __init__(self, rig: Rig, lag_s: float) -> None:
        self.rig, self.lag_s, self.carried = rig, lag_s, 0
        self.changes: SimpleQueue[Change] = SimpleQueue()

    def change(self, number: int, value: str | None) -> None:
        """The table first, then the stream."""
        if value is None:
            self.rig.boto.delete_item(TableName=self.rig.table, Key={"id": {"S": f"k{number:04}"}})
        else:
            self.rig.boto.put_item(TableName=self.rig.table, Item=small_item(number, value))
        self.changes.put((f"k{number:04}", value))

    def carry(self, key: str, value: str | None) -> None:
        if value is None:
            with suppress(HTTPError):
                self.rig.call(f"{self.rig.alias}/_doc/{key}", "DELETE")
        else:
            body = {"id": key, "number": int(key[1:]), "value": value}
            self.rig.call(f"{self.rig.alias}/_doc/{key}", "PUT", body)
        self.carried += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until the context ends and every change is carried over."""
        done = threading.Event()

        def work() -> None:
            while True:
                try:
                    change = self.changes.get(timeout=0.05)
                except Empty:
                    if done.is_set():
                        return
                    continue
                time.sleep(random.random() * self.lag_s)
                self.carry(*change)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@pytest.fixture
def rig(make_rig: MakeRig, opensearch_proxy: FaultProxy) -> Rig:
    made: Rig = make_rig(
        opensearch_url=opensearch_proxy.url, unversioned=True, limit=20, bulk_bytes=4_000, requests_in_flight=2
    )
    made.fill(ITEMS)
    made.create_index()
    return made


def test_an_empty_index_is_filled_and_a_second_run_changes_nothing(rig: Rig) -> None:
    assert rig.copy().report.offer.indexed == ITEMS
    assert rig.differences() == []
    report = rig.copy().report
    assert (report.offer.offered, report.offer.indexed) == (ITEMS, ITEMS)
    assert rig.differences() == []


def test_what_is_out_of_date_is_put_right(rig: Rig) -> None:
    for number in range(10):
        rig.call(f"{rig.index}/_doc/k{number:04}", "PUT", {"id": "old"})
    assert rig.copy().report.offer.indexed == ITEMS
    assert rig.differences() == []


@pytest.mark.parametrize("lag_s", [0.0, 0.02])
def test_beside_a_writing_indexer_the_index_ends_equal_to_the_table(rig: Rig, lag_s: float) -> None:
    indexer = Indexer(rig, lag_s)
    stop = threading.Event()
    chance = random.Random(7)

    def write() -> None:
        serial = 0
        while not stop.is_set():
            serial += 1
            indexer.change(chance.randrange(40), chance.choice([None, f"v{serial}", f"v{serial}"]))

    with indexer.running():
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(3):
                carried = indexer.carried
                report = rig.copy().report
                assert indexer.carried > carried
                assert report.offer.rejected == 0
        finally:
            stop.set()
            writer.join()
    assert indexer.carried > 20
    assert rig.differences() == []


def test_an_item_deleted_between_page_and_write_does_not_come_back(rig: Rig, opensearch_proxy: FaultProxy) -> None:
    indexer = Indexer(rig, 0)

    def delete() -> None:
        for number in range(ITEMS):
            if number % 3 == 0:
                indexer.change(number, None)
                indexer.carry(f"k{number:04}", None)

    opensearch_proxy.on("_bulk", faults.after(delete))
    report = rig.copy(range(1), 1).report
    assert report.offer.deleted > 0
    assert rig.differences() == []


def test_an_update_between_read_and_write_is_not_undone_even_for_a_moment(
    rig: Rig, opensearch_proxy: FaultProxy
) -> None:
    rig.copy()
    indexer = Indexer(rig, 0)
    afterwards: list[str] = []

    def update_and_look(exchange: Exchange) -> None:
        keys = [faults.action_id(lines) for lines in faults.bulk_actions(exchange.body)][::2]
        for key in keys:
            indexer.change(int(key[1:]), "newest")
            indexer.carry(key, "newest")
        answer = exchange.forward()
        afterwards.extend(rig.call(f"{rig.index}/_doc/{key}")["_source"]["value"] for key in keys)
        exchange.reply(answer)

    # The first bulk of a second copy is refused, for every document is there; the second one replaces.
    opensearch_proxy.on("_bulk", update_and_look, skip=1)
    opensearch_proxy.on("_bulk", update_and_look, skip=3)
    rig.copy(range(1), 1)
    assert afterwards
    assert set(afterwards) == {"newest"}
    assert rig.differences() == []


@pytest.mark.parametrize(
    "fault",
    [
        faults.reset_in_mid_answer(),
        faults.cut_off(),
        faults.reset_before_forwarding(),
        faults.unavailable(),
        faults.overloaded(),
    ],
    ids=["reset in mid-answer", "cut off", "reset before", "503", "429"],
)
def test_a_broken_request_is_repeated_and_counted_once(rig: Rig, opensearch_proxy: FaultProxy, fault: Fault) -> None:
    opensearch_proxy.on("_bulk", fault, times=2, skip=1)
    opensearch_proxy.on("_mget", fault, times=1)
    report = rig.copy().report
    assert (report.offer.offered, report.offer.indexed) == (ITEMS, ITEMS)
    assert report.offer.resent > 0
    assert rig.differences() == []


def test_an_old_page_is_read_again_first(
    rig: Rig, opensearch_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAGE_AGE_LIMIT_S", 0.5)

    def refuse_late(exchange: object) -> None:
        rig.boto.delete_item(TableName=rig.table, Key={"id": {"S": "k0001"}})
        time.sleep(0.7)
        faults.overloaded()(exchange)  # type: ignore[arg-type]

    opensearch_proxy.on("_bulk", refuse_late)
    report = rig.copy(range(1), 1).report
    assert report.offer.reread > 0
    assert rig.differences() == []


def test_an_alias_removed_before_a_look_creates_no_index(rig: Rig, opensearch_proxy: FaultProxy) -> None:
    rig.copy()
    action = {"remove": {"index": rig.index, "alias": rig.alias}}
    opensearch_proxy.on("_mget", faults.after(lambda: rig.call("_aliases", "POST", {"actions": [action]})))
    with pytest.raises(AliasLostError):
        rig.copy()
    assert rig.indices() == [rig.index]


def test_routing_is_carried_through_looks_and_writes(make_rig: MakeRig) -> None:
    rig = make_rig(unversioned=True, key=("id", "SK"), rules={"routing": "id"})
    rig.create_table()
    rig.put([small_item(number) | {"SK": {"S": str(number)}} for number in range(30)])
    rig.create_index({"_routing": {"required": True}, "enabled": False}, {"number_of_shards": 3})
    for _ in range(2):
        assert rig.copy().report.offer.indexed == 30
    assert rig.differences(lambda item: f"{item['id']}|{item['SK']}") == []
