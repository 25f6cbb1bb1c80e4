"""What may happen to a bulk request on its way: put in at the wire, judged by what OpenSearch holds afterwards."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError

import pytest

from dynamo_opensearch.core.backfill.copy import AliasMovedError
from dynamo_opensearch.core.documents import ids
from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from dynamo_opensearch.core.offer import delivery
from dynamo_opensearch.core.offer.bulk_answer import Verdict
from dynamo_opensearch.core.offer.destination import AliasLostError
from dynamo_opensearch.core.offer.reading import Reading
from dynamo_opensearch.core.opensearch.alias import AliasAmbiguousError
from dynamo_opensearch.core.reports import OfferReport
from dynamo_opensearch.indexer.bulk import Offer, write
from dynamo_opensearch.indexer.changes import Change, KeyWork
from tests.integration.conftest import MakeRig
from tests.support import faults
from tests.support.fakes import quick_retry
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.rig import Rig, small_item
from tools.local.processes import Server

ITEMS = 120


@pytest.fixture
def rig(make_rig: MakeRig, opensearch_proxy: FaultProxy) -> Rig:
    """A table of 120 items, an empty index, the proxy between; bulks of about 25 documents, one at a time."""
    made: Rig = make_rig(opensearch_url=opensearch_proxy.url, bulk_bytes=4_000, requests_in_flight=1)
    made.fill(ITEMS)
    made.create_index()
    return made


def version_of(rig: Rig, key: str) -> int:
    return int(rig.call(f"{rig.index}/_doc/{key}")["_version"])


def is_in_second_half(key: str) -> bool:
    return int(key.removeprefix("k")) % 2 == 1


def test_documents_refused_with_429_are_sent_again_and_no_others(rig: Rig, opensearch_proxy: FaultProxy) -> None:
    opensearch_proxy.on("_bulk", faults.some_documents(is_in_second_half))
    report = rig.copy().report
    first, second = (request.body for request in opensearch_proxy.seen("_bulk")[:2])
    refused = [one for one in map(faults.action_id, faults.bulk_actions(first)) if is_in_second_half(one)]
    assert [faults.action_id(lines) for lines in faults.bulk_actions(second)] == refused
    assert (report.offer.indexed, report.offer.resent) == (ITEMS, len(refused))
    assert rig.differences() == []


@pytest.mark.parametrize(
    "fault",
    [faults.overloaded(), faults.unavailable(), faults.reset_before_forwarding()],
    ids=["429", "503 of a load balancer", "reset before the server saw it"],
)
def test_a_request_that_did_not_arrive_is_sent_again(rig: Rig, opensearch_proxy: FaultProxy, fault: Fault) -> None:
    opensearch_proxy.on("_bulk", fault, times=3, skip=1)
    report = rig.copy().report
    assert (report.offer.indexed, report.offer.stale, report.offer.rejected) == (ITEMS, 0, 0)
    assert report.offer.resent > 0
    assert rig.differences() == []


@pytest.mark.parametrize(
    "fault",
    [faults.reset_in_mid_answer(), faults.cut_off(), faults.cut_off(0)],
    ids=["reset in mid-answer", "answer cut off", "empty answer"],
)
def test_a_request_whose_answer_was_lost_is_counted_once_as_indexed(
    rig: Rig, opensearch_proxy: FaultProxy, fault: Fault
) -> None:
    opensearch_proxy.on("_bulk", fault, times=2)
    report = rig.copy().report
    assert (report.offer.indexed, report.offer.stale) == (ITEMS, 0)
    assert report.offer.resent > 0
    assert rig.differences() == []


def test_an_answer_that_is_held_for_longer_than_the_client_waits_is_counted_once(
    rig: Rig, opensearch_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAGE_AGE_LIMIT_S", 1.0)
    rig.answer_timeout_s = 0.2
    opensearch_proxy.on("_bulk", faults.held(2.0))
    report = rig.copy().report
    assert report.offer.indexed + report.offer.stale == ITEMS
    assert report.offer.stale == 0
    assert report.offer.resent > 0
    assert rig.differences() == []


def test_a_request_that_is_carried_out_after_the_client_gave_up_undoes_nothing(
    rig: Rig, opensearch_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAGE_AGE_LIMIT_S", 1.0)
    rig.answer_timeout_s = 0.2
    opensearch_proxy.on("_bulk", faults.delayed(2.5))
    began_s = time.monotonic()
    report = rig.copy().report
    versions = {key: version_of(rig, key) for key in ("k0000", "k0001")}
    time.sleep(max(0.0, 3.5 - (time.monotonic() - began_s)))
    assert report.offer.indexed == ITEMS
    assert {key: version_of(rig, key) for key in versions} == versions
    assert rig.differences() == []


def test_a_page_read_before_a_delete_and_held_does_not_bring_the_document_back(
    rig: Rig, opensearch_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSearch has forgotten the delete by the time the page would be sent again: gc_deletes is 0 here."""
    monkeypatch.setattr(delivery, "PAGE_AGE_LIMIT_S", 0.5)
    rig.call(f"{rig.index}/_settings", "PUT", {"index.gc_deletes": "0s"})

    def delete_and_wait() -> None:
        for key in ("k0000", "k0001", "k0002", "k0003"):
            rig.boto.delete_item(TableName=rig.table, Key={"id": {"S": key}})
            delete(rig, key, int(time.time() * 1e6))
        time.sleep(1.0)

    def refuse(exchange: Any) -> None:
        delete_and_wait()
        faults.overloaded()(exchange)

    opensearch_proxy.on("_bulk", refuse)
    report = rig.copy(range(1), 1).report
    assert report.offer.reread > 0
    assert report.offer.deleted == 4
    assert rig.differences() == []


def delete(rig: Rig, key: str, version: int) -> None:
    """As the indexer deletes: by a version, whether or not the document is there."""
    with suppress(HTTPError):
        rig.call(f"{rig.index}/_doc/{key}?version={version}&version_type=external", "DELETE")


def test_a_document_that_no_mapping_takes_is_rejected_and_the_others_are_not(
    make_rig: MakeRig, opensearch_proxy: FaultProxy
) -> None:
    rig = make_rig(opensearch_url=opensearch_proxy.url)
    rig.fill(50)
    rig.put([{"id": {"S": "bad"}, "number": {"S": "secret"}}, {"id": {"S": "worse"}, "nick": {"S": "secret"}}])
    types = {"id": {"type": "keyword"}, "number": {"type": "long"}, "value": {"type": "keyword"}}
    rig.create_index({"dynamic": "strict", "properties": types})
    progress = rig.copy()
    assert (progress.report.offer.indexed, progress.report.offer.rejected) == (50, 2)
    assert progress.reasons == {
        "mapper_parsing_exception, field 'number', expected long": 1,
        "strict_dynamic_mapping_exception, field 'nick'": 1,
    }
    lines = b"".join(rig.sink.parts.values()).splitlines()
    assert len(lines) == 2
    assert all(b"secret" in line for line in lines)
    assert len(rig.documents()) == 50


def test_one_id_that_refuses_a_whole_bulk_costs_itself_only(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "MAX_ID_BYTES", 4_000)
    rig.put([{"id": {"S": "x" * 600}}])
    report = rig.copy().report
    assert (report.offer.indexed, report.offer.rejected) == (ITEMS, 1)
    assert len(rig.documents()) == ITEMS


@pytest.mark.parametrize("setting", ["index.blocks.write", "index.blocks.read_only_allow_delete"])
def test_a_block_is_waited_out(rig: Rig, opensearch_proxy: FaultProxy, setting: str) -> None:
    def block() -> None:
        rig.call(f"{rig.index}/_settings", "PUT", {setting: True})

    def unblock() -> None:
        rig.call(f"{rig.index}/_settings", "PUT", {setting: None})

    opensearch_proxy.on("_bulk", faults.after(block), skip=1)
    opensearch_proxy.on("_bulk", faults.after(unblock), skip=4)
    report = rig.copy().report
    assert (report.offer.indexed, report.offer.rejected) == (ITEMS, 0)
    assert report.offer.resent > 0
    assert rig.differences() == []


def test_a_block_that_stays_ends_the_patience_and_says_which(rig: Rig) -> None:
    rig.retry = quick_retry(1)
    rig.call(f"{rig.index}/_settings", "PUT", {"index.blocks.read_only_allow_delete": True})
    with pytest.raises(ServiceUnavailableError, match="index has read-only-allow-delete block"):
        rig.copy()
    rig.call(f"{rig.index}/_settings", "PUT", {"index.blocks.read_only_allow_delete": None})
    rig.retry = quick_retry(10)
    assert rig.copy().report.offer.indexed == ITEMS
    assert rig.differences() == []


@pytest.mark.parametrize("skip", [0, 2])
def test_no_permission_ends_the_copy_at_once(rig: Rig, opensearch_proxy: FaultProxy, skip: int) -> None:
    opensearch_proxy.on("_bulk", faults.no_permission(), times=10**6, skip=skip)
    with pytest.raises(AccessDeniedError, match=f"OpenSearch refused POST on '/{rig.alias}/_bulk.*403"):
        rig.copy()
    assert opensearch_proxy.count("_bulk") == skip + 1


def test_no_permission_document_by_document_ends_the_copy_and_rejects_nothing(
    rig: Rig, opensearch_proxy: FaultProxy
) -> None:
    reason = "no permissions for [indices:data/write/bulk[s]] and User [name=indexer]"
    opensearch_proxy.on("_bulk", faults.some_documents(lambda _: True, 403, "security_exception", reason), times=10**6)
    with pytest.raises(AccessDeniedError):
        rig.copy()
    assert rig.sink.parts == {}


def test_every_document_says_how_long_it_may_wait_and_that_it_wants_an_alias(
    rig: Rig, opensearch_proxy: FaultProxy
) -> None:
    rig.copy()
    for request in opensearch_proxy.seen("_bulk"):
        assert "require_alias=true" in request.path
        assert "timeout=29" in request.path or "timeout=30000ms" in request.path


def moved_during_the_copy(rig: Rig, proxy: FaultProxy, action: Callable[[], object]) -> None:
    proxy.on("_bulk", faults.after(action), skip=1)


def test_an_alias_that_is_moved_in_the_middle_loses_nothing_and_ends_the_copy(
    rig: Rig, opensearch_proxy: FaultProxy
) -> None:
    other = f"{rig.base}-v2"
    rig.rules_of[other] = {"renames": {"value": "value2"}}
    rig.call(other, "PUT", {"mappings": {"enabled": False}, "settings": {"number_of_replicas": 0}})
    moved_during_the_copy(rig, opensearch_proxy, lambda: rig.swap(other))
    with pytest.raises(AliasMovedError, match=f"alias '{rig.alias}' no longer leads to '{rig.index}'"):
        rig.copy()
    strayed = rig.documents(other)
    assert strayed
    assert all(one["value2"] == "first" and "value" not in one for one in strayed.values())


def test_an_alias_that_is_removed_in_the_middle_creates_no_index(rig: Rig, opensearch_proxy: FaultProxy) -> None:
    action = {"remove": {"index": rig.index, "alias": rig.alias, "must_exist": True}}
    moved_during_the_copy(rig, opensearch_proxy, lambda: rig.call("_aliases", "POST", {"actions": [action]}))
    with pytest.raises(AliasLostError, match="no index was created in its place"):
        rig.copy()
    assert rig.indices() == [rig.index]


def deletes(rig: Rig) -> list[Document]:
    return [rig.builder_for(rig.index).gone(({"S": key},)) for key in ("k0001", "k0002")]


def lose_alias(rig: Rig) -> None:
    rig.call("_aliases", "POST", {"actions": [{"remove": {"index": rig.index, "alias": rig.alias}}]})


def test_deletes_alone_through_an_alias_that_is_gone_create_no_index(rig: Rig) -> None:
    lose_alias(rig)
    with pytest.raises(AliasLostError):
        rig.sender().send([Reading(deletes(rig), rig.clock.time_us(), rig.clock.monotonic_s(), rig.index, 0)])
    assert rig.indices() == [rig.index]


def test_deletes_of_the_indexer_through_an_alias_that_is_gone_create_no_index(rig: Rig) -> None:
    lose_alias(rig)
    offers = [
        Offer(KeyWork([Change("1", one.key, one.id, 10**15, None, True)], 10**15, must_read=False), one)
        for one in deletes(rig)
    ]
    answers = write(rig.cluster, rig.alias, rig.index, offers, 5.0)
    assert {answer.verdict for answer in answers} == {Verdict.NO_INDEX}
    assert rig.indices() == [rig.index]


def test_deletes_alone_arrive(rig: Rig) -> None:
    rig.copy()
    before = rig.documents()
    batch = [Reading(deletes(rig), rig.clock.time_us(), rig.clock.monotonic_s(), rig.index, 0)]
    (result,) = rig.sender().send(batch)
    assert result.report == OfferReport(offered=2, deleted=2)
    assert before.keys() - rig.documents().keys() == {"k0001", "k0002"}
    assert not rig.documents().keys() - before.keys()


def test_an_alias_that_gets_a_second_index_in_the_middle_rejects_nothing(
    rig: Rig, opensearch_proxy: FaultProxy
) -> None:
    other = f"{rig.base}-v2"
    moved_during_the_copy(rig, opensearch_proxy, lambda: rig.create_index(index=other))
    with pytest.raises(AliasAmbiguousError):
        rig.copy()
    assert rig.sink.parts == {}
    assert rig.documents(other) == {}


def test_a_newer_document_of_the_indexer_is_stale_and_stays(rig: Rig) -> None:
    newer = int(time.time() * 1e6)
    rig.boto.put_item(TableName=rig.table, Item=small_item(5, "second"))
    body = {"id": "k0005", "number": 5, "value": "second"}
    rig.call(f"{rig.index}/_doc/k0005?version={newer}&version_type=external", "PUT", body)
    report = rig.copy().report
    assert (report.offer.indexed, report.offer.stale) == (ITEMS - 1, 1)
    assert version_of(rig, "k0005") == newer
    assert rig.differences() == []


def test_a_bulk_that_is_too_large_is_halved(rig: Rig, opensearch_proxy: FaultProxy) -> None:
    def is_large(exchange: Any) -> bool:
        return "_bulk" in exchange.path and len(exchange.body) > 1_500

    refusal = faults.answered(413, b"Request size exceeded 1500 bytes", "text/plain")
    opensearch_proxy.on(is_large, refusal, times=10**6)
    report = rig.copy().report
    assert (report.offer.indexed, report.offer.rejected) == (ITEMS, 0)
    assert rig.differences() == []


def test_opensearch_killed_in_the_middle_and_restarted_ends_complete(
    make_rig: MakeRig, opensearch_for_killing: Server
) -> None:
    rig = make_rig(direct_opensearch=opensearch_for_killing.url, retry=quick_retry(60), limit=20, bulk_bytes=3_000)
    rig.fill(400)
    rig.create_index(settings={"index.translog.durability": "request"})
    saved = rig.store.save

    def save(value: dict[str, Any]) -> None:
        saved(value)
        if value["scanned"] >= 100 and opensearch_for_killing.pid == first_pid:
            opensearch_for_killing.kill()
            opensearch_for_killing.start()

    first_pid = opensearch_for_killing.pid
    rig.store.save = save  # type: ignore[method-assign]
    report = rig.copy(range(1), 1).report
    assert opensearch_for_killing.pid != first_pid
    assert (report.scanned, report.offer.indexed + report.offer.stale, report.offer.rejected) == (400, 400, 0)
    assert report.offer.stale == 0
    assert rig.differences() == []


def test_opensearch_down_for_longer_than_the_retries_ends_the_try_and_the_next_one_goes_on(
    make_rig: MakeRig, opensearch_for_killing: Server
) -> None:
    rig = make_rig(direct_opensearch=opensearch_for_killing.url, retry=quick_retry(1), limit=20, bulk_bytes=3_000)
    rig.fill(300)
    rig.create_index()
    saved = rig.store.save

    def save(value: dict[str, Any]) -> None:
        saved(value)
        if value["scanned"] >= 100 and opensearch_for_killing.is_running:
            opensearch_for_killing.kill()

    rig.store.save = save  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailableError, match="OpenSearch did not complete bulk writes"):
        rig.copy(range(1), 1)
    acknowledged = (rig.store.value or {})["scanned"]
    assert 100 <= acknowledged < 300
    rig.store.save = saved  # type: ignore[method-assign]
    rig.retry = quick_retry(30)
    opensearch_for_killing.start()
    report = rig.copy(range(1), 1).report
    assert (report.scanned, report.offer.indexed) == (300, 300)
    assert rig.differences() == []
