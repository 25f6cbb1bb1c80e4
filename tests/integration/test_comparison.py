"""A real table compared with a real index: differences are found by kind and mended, and nothing else is touched."""

import hashlib
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.compare.comparison import ComparisonPorts, ComparisonSettings, compare
from dynamo_opensearch.core.compare.index_side import ShardsFailedError, point_in_time, read_shard
from dynamo_opensearch.core.compare.mending import Mender
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.compare.rows import RowWriter
from dynamo_opensearch.core.compare.table_side import Depth
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError, SyncError
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.reports import OfferReport
from tests.integration.conftest import MakeRig
from tests.support import oracle
from tests.support.fakes import quick_retry
from tests.support.fault_proxy import Exchange, Fault, FaultProxy
from tests.support.faults import (
    access_denied,
    answer_changed,
    cut_off,
    opensearch_error,
    reset_in_mid_answer,
    unavailable,
)
from tests.support.harm import exact_json
from tests.support.rig import Item, Rig, small_item
from tools.local import http

NINES = "9" * 38
DEPTHS: tuple[Depth, ...] = ("keys", "content")


@dataclass
class Comparing:
    """A rig, and the comparison of its two sides."""

    rig: Rig
    scratch: Path
    waits_s: tuple[float, ...] = (0.05, 0.1)
    rejects: list[Reject] = field(default_factory=list)
    offered: list[KeyValues] = field(default_factory=list)

    def compare(self, depth: Depth = "content", max_mends: int | None = None, **settings: Any) -> ComparisonReport:
        rig = self.rig
        reader = KeyedReader(rig.table_client, rig.key, rig.clock, rig.retry)
        builder = rig.builder_for(rig.index)
        refresher = Refresher(reader, rig.builder_for, rig.stamps)
        mender = Mender(refresher, rig.sender(), builder, rig.index, self.rejects.extend)

        def offer(keys: Any) -> OfferReport:
            self.offered += keys
            return mender.offer(keys)

        ports = ComparisonPorts(
            table=rig.table_client,
            reader=reader,
            patient=rig.patient,
            builder=builder,
            clock=rig.clock,
            scratch=self.scratch,
            offer=None if max_mends is None else offer,
        )
        defaults = {"total_segments": 2, "settle_waits_s": self.waits_s}
        return compare(
            ComparisonSettings(
                index=rig.index,
                depth=depth,
                max_mends=max_mends,
                **{**defaults, **settings},
            ),
            ports,
        )

    def put_document(self, name: str, document: object, **parameters: str) -> None:
        """Written past the package, with a version of long ago."""
        query = "&".join(f"{key}={value}" for key, value in {**OLD, **parameters}.items())
        self.rig.call(f"{self.rig.index}/_doc/{name}?{query}", "PUT", document)

    def delete_document(self, name: str) -> None:
        self.rig.call(f"{self.rig.index}/_doc/{name}", "DELETE")

    def versions(self) -> dict[str, tuple[int, int]]:
        """Sequence number and version of each document: they change with every write, whatever it writes."""
        self.rig.call(f"{self.rig.index}/_refresh", "POST")
        body = {"size": 9_999, "seq_no_primary_term": True, "version": True, "_source": False}
        hits = self.rig.call(f"{self.rig.index}/_search", "POST", body)["hits"]["hits"]
        return {hit["_id"]: (hit["_seq_no"], hit["_version"]) for hit in hits}

    def points_in_time(self) -> list[Any]:
        """Those that are open on the server."""
        return open_points_in_time(self.rig.direct_opensearch)


def open_points_in_time(url: str) -> list[Any]:
    return list((http.call(f"{url}/_search/point_in_time/_all") or {}).get("pits", []))


def raw_call(url: str, method: str, body: bytes | None = None) -> int:
    """The status, whatever it is; the body as it is."""
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


OLD = {"version_type": "external_gte", "version": "5"}


@pytest.fixture
def comparing(make_rig: MakeRig, tmp_path: Path) -> Callable[..., Comparing]:
    def make(**settings: Any) -> Comparing:
        return Comparing(make_rig(**{"limit": None, "bulk_bytes": 1_000_000, **settings}), tmp_path)

    return make


@pytest.fixture(autouse=True)
def no_point_in_time_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    assert open_points_in_time(request.getfixturevalue("opensearch_server").url) == []


def rich_item(number: int) -> Item:
    return {
        **small_item(number),
        "price": {"N": f"12345678901234567890.1234567890123456{number % 9 + 1}"},
        "address": {"M": {"city": {"S": f"city {number % 13}"}, "geo": {"M": {"lat": {"N": "51.50"}}}}},
        "tags": {"SS": ["c", "a", "b"]},
    }


def found_is(report: ComparisonReport, **differences: int) -> bool:
    """Whether these differences were found, and no others."""
    kinds = ("missing", "orphaned", "stale", "refused")
    return {kind: getattr(report, kind) for kind in kinds if getattr(report, kind)} == differences


def filled(target: Comparing, items: list[Item], kinds: tuple[str, ...] = (), **index: Any) -> None:
    target.rig.create_table(*kinds)
    target.rig.put(items)
    target.rig.create_index(**index)
    target.rig.copy()


def test_equal_sides_are_equal_in_keys_and_content(comparing: Callable[..., Comparing]) -> None:
    target = comparing()
    filled(
        target,
        [rich_item(number) for number in range(3_000)],
        settings={"number_of_shards": 3, "refresh_interval": "-1"},
    )
    for depth in DEPTHS:
        report = target.compare(depth)
        assert (report.is_equal, report.equal, report.table_count, report.index_count) == (True, 3_000, 3_000, 3_000)
        assert report.in_motion == 0
    assert list(target.scratch.iterdir()) == []


def test_every_difference_is_found_named_and_mended_and_nothing_else_is_touched(
    comparing: Callable[..., Comparing],
) -> None:
    target = comparing()
    items = [rich_item(number) for number in range(2_000)]
    filled(target, items, settings={"number_of_shards": 2})
    documents = target.rig.documents()
    missing = [f"k{number:04}" for number in range(50)]
    stale = [f"k{number:04}" for number in range(100, 120)]
    digits = [f"k{number:04}" for number in range(200, 205)]
    for name in missing:
        target.delete_document(name)
    for number in range(30):
        target.put_document(f"orphan{number}", {"id": f"orphan{number}"}, version=NOW)
    for name in stale:
        changed = documents[name] | {"address": documents[name]["address"] | {"city": "elsewhere"}}
        put_exactly(target, name, changed)
    for name in digits:
        price = documents[name]["price"]
        assert float(price - 1) == float(price)
        put_exactly(target, name, documents[name] | {"price": price - 1})
    before = target.versions()
    time.sleep(target.rig.stamps.margin_s + 0.5)  # what was just written by hand must be older than an offer's stamp

    found = target.compare()
    assert found_is(found, missing=50, orphaned=30, stale=25)
    assert (found.equal, found.table_count, found.index_count) == (1_925, 2_000, 1_980)
    assert found.differing_fields == {"address.city": 20, "price": 5}
    assert set(found.samples["missing"]) <= set(missing)
    assert set(found.samples["stale"]) <= {*stale, *digits}
    assert all(name.startswith("orphan") for name in found.samples["orphaned"])
    assert len(found.samples["missing"]) == len(found.samples["orphaned"]) == len(found.samples["stale"]) == 20
    assert found_is(target.compare("keys"), missing=50, orphaned=30)
    assert target.versions() == before

    mended = target.compare(max_mends=1_000)
    assert (mended.is_equal, mended.mended, mended.rejected) == (True, 105, 0)
    assert mended.mended_kinds == {"missing": 50, "orphaned": 30, "stale": 25}
    assert {document_id(key) for key in target.offered} == {
        *missing,
        *stale,
        *digits,
        *(f"orphan{number}" for number in range(30)),
    }
    assert target.rig.differences() == []
    after = target.versions()
    untouched = before.keys() - {*stale, *digits, *(name for name in before if name.startswith("orphan"))}
    assert len(untouched) == 1_925
    assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
    assert target.compare().is_equal


NOW = str(time.time_ns() // 1_000)


def put_exactly(target: Comparing, name: str, document: oracle.Plain) -> None:
    """With all digits of its numbers, as an indexer's write of just now."""
    url = f"{target.rig.direct_opensearch}/{target.rig.index}/_doc/{name}"
    assert raw_call(url, "DELETE") in (200, 404)
    version = time.time_ns() // 1_000
    assert raw_call(f"{url}?version_type=external&version={version}", "PUT", exact_json(document)) == 201


TRICKY = ["a", "a|", "|a", "a|b", "%", "%7C", "a%7Cb", "%25", "é" * 300, "\U0001f600" * 200 + "1", "x" * 512, "_", " "]


def test_composite_keys_with_every_escape_and_too_long_ones_are_found_and_mended(
    comparing: Callable[..., Comparing],
) -> None:
    target = comparing(key=("PK", "SK"))
    pairs = [(one, other) for one in TRICKY for other in TRICKY]
    filled(target, [{"PK": {"S": one}, "SK": {"S": other}} for one, other in pairs])
    for depth in DEPTHS:
        assert (target.compare(depth).is_equal, target.compare(depth).equal) == (True, len(pairs))
    # Items of half the keys go away, documents of others.
    for one, other in pairs[::2]:
        target.rig.boto.delete_item(TableName=target.rig.table, Key={"PK": {"S": one}, "SK": {"S": other}})
    lost = [document_id(({"S": one}, {"S": other})) for one, other in pairs[1::4]]
    body = "".join(json.dumps({"delete": {"_id": name}}) + "\n" for name in lost)
    assert raw_call(f"{target.rig.direct_opensearch}/{target.rig.index}/_bulk", "POST", body.encode()) == 200
    for depth in DEPTHS:
        assert found_is(target.compare(depth), missing=len(lost), orphaned=len(pairs[::2]))
    time.sleep(target.rig.stamps.margin_s + 0.5)
    report = target.compare("keys", max_mends=1_000)
    assert (report.is_equal, report.mended) == (True, len(lost) + len(pairs[::2]))
    assert set(target.rig.documents()) == {document_id(({"S": one}, {"S": other})) for one, other in pairs[1::2]}


def test_number_and_binary_keys_are_read_from_ids(comparing: Callable[..., Comparing]) -> None:
    target = comparing(key=("PK", "SK"))
    numbers = ["0", "-1.50", "100", "0.001", NINES, "1E-120"]
    keys = [(number, content) for number in numbers for content in (b"\x00", b"\xff\xfe|%")]
    filled(target, [{"PK": {"N": one}, "SK": {"B": other}} for one, other in keys], ("N", "B"))
    assert target.compare().is_equal
    for one, other in keys[:4]:  # MiniStack finds a number by the spelling that it stores
        key = {"PK": {"N": one.replace(".50", ".5")}, "SK": {"B": other}}
        target.rig.boto.delete_item(TableName=target.rig.table, Key=key)
    for name in ("no key at all", "1.0|AA==", "1e999|AA==", "1" * 39 + "|AA=="):
        target.put_document(urllib.parse.quote(name, safe=""), {})
    report = target.compare("keys")
    assert found_is(report, orphaned=8)
    time.sleep(target.rig.stamps.margin_s + 0.5)
    mended = target.compare("keys", max_mends=1_000)
    assert (mended.mended, mended.orphaned, mended.is_settled) == (4, 4, True)


def test_a_shortened_id_whose_key_nothing_tells_is_reported_as_unsettled(comparing: Callable[..., Comparing]) -> None:
    target = comparing(rules={"exclude_fields": ["id"]})
    long = "x" * 600
    filled(target, [{"id": {"S": long}}])
    assert target.compare().is_equal
    target.rig.boto.delete_item(TableName=target.rig.table, Key={"id": {"S": long}})
    report = target.compare(max_mends=10)
    assert found_is(report, orphaned=1)
    assert (report.unsettled, report.is_settled, report.samples["orphaned"]) == (
        1,
        False,
        ("x" * 446 + "%~" + hashlib.sha256(long.encode()).hexdigest(),),
    )


def test_filter_routing_renames_and_refused_items(comparing: Callable[..., Comparing]) -> None:
    rules = {
        "filter": {"all": [{"attribute": "status", "equals": "on"}]},
        "routing": "PK",
        "renames": {"PK": "customer"},
        "flatten": {"address": "address_"},
    }
    target = comparing(key=("PK", "SK"), rules=rules)

    def item(number: int, status: str = "on", address: Any = None) -> Item:
        return {
            "PK": {"S": f"c|{number % 7}"},
            "SK": {"S": f"{number}"},
            "status": {"S": status},
            "address": address or {"M": {"city": {"S": "x"}}},
        }

    mapping = {"_routing": {"required": True}, "enabled": False}
    items = [item(number) for number in range(50)] + [item(number, "off") for number in range(50, 60)]
    filled(target, items, mappings=mapping, settings={"number_of_shards": 3})
    report = target.compare()
    assert (report.is_equal, report.equal, report.skipped) == (True, 50, 10)
    target.rig.put([item(0, "off"), item(1, address={"S": "no map"}), item(60, address={"S": "no map"}), item(51)])
    stray = f"{target.rig.direct_opensearch}/{target.rig.index}/_doc/c%257C3%7C3"
    # The same id in another shard, where no reader will ever look for it.
    elsewhere = (
        raw_call(f"{stray}?routing=r{number}&version_type=external&version=5", "PUT", b"{}") for number in range(99)
    )
    assert 201 in elsewhere
    report = target.compare()
    assert found_is(report, missing=1, orphaned=2, refused=2)
    assert (report.skipped, report.found.refused_with_document) == (10, 1)
    keys = target.compare("keys")
    assert found_is(keys, missing=1, orphaned=2, refused=1)
    time.sleep(target.rig.stamps.margin_s + 0.5)
    mended = target.compare(max_mends=100)
    assert mended.mended == 2
    assert found_is(mended, orphaned=1, refused=2)


def test_routing_that_the_alias_puts_on_documents_is_no_difference(comparing: Callable[..., Comparing]) -> None:
    target = comparing()
    target.rig.create_table()
    target.rig.put([small_item(number) for number in range(30)])
    target.rig.create_index(
        settings={"number_of_shards": 3}, aliases={target.rig.alias: {"index_routing": "r1", "search_routing": "r1"}}
    )
    target.rig.copy()
    report = target.compare()
    assert (report.is_equal, report.equal) == (True, 30)
    url = f"{target.rig.direct_opensearch}/{target.rig.index}"
    assert raw_call(f"{url}/_doc/k0007?routing=r1", "DELETE") == 200
    time.sleep(target.rig.stamps.margin_s + 0.5)
    assert target.compare(max_mends=5).mended == 1
    assert target.rig.differences() == []


def test_sets_in_another_order_are_no_difference(comparing: Callable[..., Comparing]) -> None:
    target = comparing()
    filled(target, [rich_item(number) for number in range(20)])
    for name, document in list(target.rig.documents().items())[:10]:
        put_exactly(target, name, document | {"tags": ["b", "c", "a"]})
    report = target.compare()
    assert (report.is_equal, report.equal, report.in_motion) == (True, 10, 10)


def test_an_empty_table_and_an_empty_index(comparing: Callable[..., Comparing]) -> None:
    target = comparing()
    target.rig.create_table()
    target.rig.create_index()
    assert (target.compare().is_equal, target.compare("keys").table_count) == (True, 0)
    target.put_document("a", {"id": "a"})
    assert found_is(target.compare(), orphaned=1)
    target.delete_document("a")
    target.rig.put([small_item(number) for number in range(30)])
    assert found_is(target.compare(), missing=30)


def test_far_too_many_differences_end_quickly_and_are_not_mended(
    comparing: Callable[..., Comparing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynamo_opensearch.core.compare.resolving.AT_ONCE", 100)
    target = comparing()
    target.waits_s = (60,)
    target.rig.create_table()
    target.rig.put([small_item(number) for number in range(300)])
    target.rig.create_index()
    began_s = time.monotonic()
    report = target.compare(max_mends=50)
    assert time.monotonic() - began_s < 30
    assert (report.missing, report.unsettled, report.is_settled, len(target.offered)) == (300, 300, False, 0)
    assert "300 of them not looked at again" in str(report)


class LaggingIndexer:
    """Writes items and, some seconds later, their documents, as an indexer that is behind does."""

    def __init__(self, target: Comparing, lag_s: float) -> None:
        self.target, self.lag_s = target, lag_s
        self.stop = threading.Event()
        self.queue: list[tuple[float, str, Item | None, int]] = []
        self.changes = 0
        self.worst_lag_s = 0.0
        self.threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._write, self._apply)]
        self.failures: list[BaseException] = []

    def __enter__(self) -> "LaggingIndexer":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()
        assert self.failures == []

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - shown in the test's own thread
            self.failures.append(error)

    def _write(self) -> None:
        boto, table = self.target.rig.boto, self.target.rig.table
        number = 0
        while not self.stop.wait(0.01):
            number += 7
            name = number % 400
            item: Item | None = small_item(name, f"change {number}") if number % 3 else None
            if item:
                boto.put_item(TableName=table, Item=item)
            else:
                boto.delete_item(TableName=table, Key={"id": {"S": f"k{name:04}"}})
            self.queue.append((time.monotonic() + self.lag_s, f"k{name:04}", item, time.time_ns() // 1_000))
            self.changes += 1

    def _apply(self) -> None:
        while not (self.stop.is_set() and not self.queue):
            time.sleep(0.05)
            now_s = time.monotonic()
            due = [self.queue.pop(0) for _ in range(sum(change[0] <= now_s for change in list(self.queue)))]
            if due:
                lines = b"".join(self._action(name, item, version) for _, name, item, version in due)
                url = f"{self.target.rig.direct_opensearch}/{self.target.rig.index}/_bulk"
                assert raw_call(url, "POST", lines) == 200
                self.worst_lag_s = max(self.worst_lag_s, time.monotonic() - due[0][0] + self.lag_s)

    def _action(self, name: str, item: Item | None, version: int) -> bytes:
        target = {"_id": name, "version": version, "version_type": "external"}
        if not item:
            return json.dumps({"delete": target}).encode() + b"\n"
        document = {"id": name, "number": int(item["number"]["N"]), "value": item["value"]["S"]}
        return json.dumps({"index": target}).encode() + b"\n" + json.dumps(document).encode() + b"\n"


def test_an_indexer_that_is_behind_is_no_difference_and_a_real_one_is_found_meanwhile(
    comparing: Callable[..., Comparing],
) -> None:
    target = comparing()
    target.waits_s = (2, 4, 6)
    filled(target, [small_item(number) for number in range(600)])
    target.delete_document("k0500")
    target.put_document("orphan", {"id": "orphan"})
    put_exactly(target, "k0501", {"id": "k0501", "number": Decimal(501), "value": "never so"})
    moved = 0
    with LaggingIndexer(target, lag_s=3) as writer:
        time.sleep(3.5)
        for _ in range(3):
            report = target.compare()
            assert found_is(report, missing=1, orphaned=1, stale=1), (report, writer.worst_lag_s)
            assert report.samples == {"missing": ("k0500",), "orphaned": ("orphan",), "stale": ("k0501",)}
            moved += report.in_motion
            assert writer.failures == []
    assert writer.worst_lag_s < sum(target.waits_s), "this machine is too busy for this test"
    assert writer.changes > 100
    assert moved > 20, "the writer was not seen: the test shows nothing"


# Failures


def is_search(exchange: Exchange) -> bool:
    return exchange.path.startswith("/_search?")


def failed_shard(answer: dict[str, Any]) -> None:
    answer["_shards"] |= {"successful": 0, "failed": 1}


@pytest.mark.parametrize(
    ("fault", "skip", "error"),
    [
        (answer_changed(failed_shard), 0, ShardsFailedError),
        (answer_changed(failed_shard), 1, ShardsFailedError),
        (answer_changed(lambda answer: answer.update(timed_out=True)), 1, ShardsFailedError),
        (answer_changed(lambda answer: answer["hits"].update(hits=[])), 1, ShardsFailedError),
        (opensearch_error(404, "search_context_missing_exception", "No search context found"), 1, SyncError),
        (unavailable(), 1, ServiceUnavailableError),
    ],
)
def test_a_shard_that_does_not_answer_completely_is_an_error(
    comparing: Callable[..., Comparing], opensearch_proxy: FaultProxy, fault: Fault, skip: int, error: type[SyncError]
) -> None:
    target = comparing(opensearch_url=opensearch_proxy.url, retry=quick_retry(1))
    filled(target, [small_item(number) for number in range(400)])
    opensearch_proxy.on(is_search, fault, skip=skip, times=10_000)
    for depth in DEPTHS:
        opensearch_proxy.clear()
        opensearch_proxy.on(is_search, fault, skip=skip, times=10_000)
        with pytest.raises(error):
            target.compare(depth)
    assert list(target.scratch.iterdir()) == []


def test_answers_that_are_cut_off_or_lost_are_asked_for_again(
    comparing: Callable[..., Comparing], opensearch_proxy: FaultProxy
) -> None:
    target = comparing(opensearch_url=opensearch_proxy.url)
    filled(target, [small_item(number) for number in range(400)])
    target.delete_document("k0001")
    for fault in (cut_off(), reset_in_mid_answer(), unavailable()):
        opensearch_proxy.on(is_search, fault, skip=1)
        opensearch_proxy.on("_mget", fault)
        assert found_is(target.compare(), missing=1)
        opensearch_proxy.clear()


def test_when_the_table_cannot_be_read_the_other_side_stops_and_leaves_nothing(
    comparing: Callable[..., Comparing], dynamodb_proxy: FaultProxy
) -> None:
    target = comparing(dynamodb_url=dynamodb_proxy.url)
    filled(target, [small_item(number) for number in range(400)])
    dynamodb_proxy.on("Scan", access_denied())
    with pytest.raises(AccessDeniedError):
        target.compare()
    assert list(target.scratch.iterdir()) == []


def test_a_shard_that_is_not_there_is_an_error_and_no_empty_index(comparing: Callable[..., Comparing]) -> None:
    target = comparing(retry=quick_retry(1))
    target.rig.create_table()
    target.rig.put([small_item(1)])
    settings = {"index": {"number_of_shards": 1, "routing.allocation.require._name": "nobody"}}
    target.rig.call(f"{target.rig.index}?wait_for_active_shards=0", "PUT", {"settings": settings})
    with pytest.raises(SyncError):
        target.compare("keys")


def test_a_point_in_time_is_there_while_it_is_read_and_released_when_reading_fails(
    comparing: Callable[..., Comparing],
) -> None:
    target = comparing()
    filled(target, [small_item(number) for number in range(10)])
    target.rig.documents()  # refreshes
    seen = []

    def on_page() -> None:
        seen.append(len(target.points_in_time()))
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError), RowWriter(target.scratch / "rows.parquet") as writer:
        read_shard(target.rig.patient, target.rig.index, 0, "keys", writer, on_page)
    assert seen == [1]
    with point_in_time(target.rig.patient, target.rig.index, 0):
        assert len(target.points_in_time()) == 1
    assert target.points_in_time() == []
