"""Readers of the alias all the time while it is swapped, with an indexer and a follower that lags, on real OpenSearch.

Without the write block, or without catching up under it, keys vanish from readers for a moment; with both none does.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
import pytest

from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.rebuild.swap import SwapReport, swap
from tests.integration.conftest import MakeRig
from tests.support.swaps import SwapRig

LAG_S = 0.5
STABLE_KEYS = [f"s{number}" for number in range(30)]


@dataclass
class Traffic:
    """A stream of new keys, an indexer at its head, a follower ``LAG_S`` behind it, and a reader."""

    swapping: SwapRig
    events: list[tuple[float, str]] = field(default_factory=list)
    indexed: list[str] = field(default_factory=list)
    """Keys whose write to the alias was acknowledged: readers may have seen them."""
    vanished: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    rounds: int = 0
    followed: int = 0
    is_stalled: bool = False
    """Whether the follower does nothing, so that only catching up brings what it owes."""
    is_swapped: bool = False

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        client = make_client(self.swapping.rig.direct_opensearch, pool_maxsize=8)
        self.cluster = OpenSearchCluster(client)
        loops = (self._write, self._index, self._follow, self._read)
        self._threads = [threading.Thread(target=self._loop, args=(one,)) for one in loops]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert self.failures == []

    def _loop(self, step: Callable[[], None]) -> None:
        try:
            while not self._stop.is_set():
                step()
        except BaseException as error:  # noqa: BLE001 - told when the traffic ends
            self.failures.append(error)
            self._stop.set()

    def _write(self) -> None:
        self.events.append((time.monotonic(), f"k{len(self.events)}"))
        time.sleep(0.003)

    def _index(self) -> None:
        """As the indexer does: refused by a block, it tries again."""
        new = [key for _, key in self.events[len(self.indexed) :]]
        if new and self._offer(self.swapping.alias, new):
            self.indexed += new
        time.sleep(0.002)

    def _follow(self) -> None:
        due = [key for moment, key in self.events[self.followed :] if moment < time.monotonic() - LAG_S]
        through = self.swapping.alias if self.is_swapped else self.swapping.next
        if due and not self.is_stalled and self._offer(through, due):
            self.followed += len(due)
        time.sleep(0.01)

    def catch_up(self) -> int:
        """First looks up to the head of the stream."""
        owed = [key for _, key in self.events[self.followed :]]
        assert not owed or self._offer(self.swapping.next, owed)
        return len(owed)

    def _offer(self, alias: str, keys: list[str]) -> bool:
        lines = [
            b'{"index":{"_id":"%s","version":%d,"version_type":"external"}}\n{}\n' % (key.encode(), 10**15)
            for key in keys
        ]
        answer = self.cluster.request("POST", f"/{alias}/_bulk?require_alias=true", body=b"".join(lines))
        statuses = {one["index"]["status"] for one in answer["items"]}
        assert statuses <= {200, 201, 403, 404, 409}, statuses
        return statuses <= {200, 201, 409}

    def _read(self) -> None:
        """Gets what was indexed lately, and searches what has been there from the beginning."""
        recent = self.indexed[-400:]
        try:
            body = orjson.dumps({"ids": [*recent, *STABLE_KEYS]})
            answer = self.cluster.request("POST", f"/{self.swapping.alias}/_mget?_source=false", body=body)
            self.vanished |= {one["_id"] for one in answer["docs"] if not one.get("found")}
            found = self.cluster.request(
                "POST",
                f"/{self.swapping.alias}/_search?allow_partial_search_results=false",
                body={"size": 0, "track_total_hits": True, "query": {"ids": {"values": STABLE_KEYS}}},
            )
            if found["hits"]["total"]["value"] != len(STABLE_KEYS):
                self.vanished.add(f"search found {found['hits']['total']['value']}")
        except OpenSearchRequestError as error:
            self.errors.append(str(error))
        self.rounds += 1


def swapped_under_traffic(swapping: SwapRig, uses_write_block: bool, catches_up: bool) -> tuple[Traffic, SwapReport]:
    swapping.create()
    for index in (swapping.old, swapping.new):
        for key in STABLE_KEYS:
            swapping.rig.call(f"{index}/_doc/{key}", "PUT", {})
        swapping.rig.call(f"{index}/_refresh", "POST")
    with Traffic(swapping) as traffic:
        time.sleep(2 * LAG_S)
        at_begin, rounds = len(traffic.events), traffic.rounds
        traffic.is_stalled = True
        catch_up = traffic.catch_up if catches_up else lambda: 0
        report = swap(swapping.plan(uses_write_block=uses_write_block), swapping.ports(catch_up=catch_up))
        traffic.is_swapped = True
        traffic.is_stalled = False
        assert len(traffic.events) > at_begin  # it was written to meanwhile
        time.sleep(LAG_S)
        assert traffic.rounds > rounds + 1  # and read
    return traffic, report


def test_no_reader_sees_an_error_or_a_key_vanish(make_rig: MakeRig) -> None:
    swapping = SwapRig(make_rig())
    traffic, report = swapped_under_traffic(swapping, uses_write_block=True, catches_up=True)
    assert traffic.errors == []
    assert traffic.vanished == set()
    assert report.caught_up[0] > 0
    keys = {key for key in swapping.rig.documents(swapping.new) if key.startswith("k")}
    assert set(traffic.indexed) <= keys
    assert swapping.aliases() == {swapping.old: {swapping.previous}, swapping.new: {swapping.alias}}


@pytest.mark.parametrize(("uses_write_block", "catches_up"), [(False, True), (True, False)])
def test_without_the_block_or_without_catching_up_keys_vanish(
    make_rig: MakeRig, uses_write_block: bool, catches_up: bool
) -> None:
    traffic, _ = swapped_under_traffic(SwapRig(make_rig()), uses_write_block, catches_up)
    assert traffic.errors == []
    assert traffic.vanished
