"""Copies by ``_reindex`` on the real server: nothing older wins, nothing is lost, and one try goes on for another."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest

from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError
from dynamo_opensearch.core.opensearch.index_life import loosen_settings
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.reindex_tasks import find_reindex
from dynamo_opensearch.core.rebuild import server_copy
from dynamo_opensearch.core.rebuild.next_index import remove_next_index
from dynamo_opensearch.core.rebuild.server_copy import (
    ServerCopyPorts,
    ServerCopySettings,
    cancel_reindex,
    copy_by_reindex,
)
from dynamo_opensearch.core.rebuild.server_copy_errors import (
    EmptySourceError,
    ServerCopyCanceledError,
    ServerCopyIncompleteError,
    ServerCopyInterruptedError,
    ServerCopyLostError,
    ServerCopyRefusedError,
)
from dynamo_opensearch.core.rebuild.server_copy_result import ServerCopyReport
from tests.integration.conftest import MakeRig
from tests.support import oracle
from tests.support.fakes import MemoryStore, quick_retry
from tests.support.rig import ANYTHING, Rig
from tools.local.processes import Server

Hook = Callable[[str, str, Any], Any]
BIG = 12345678901234567890123456789012345678
SMALL = "0.12345678901234567890123456789012345678"


class Killed(BaseException):
    """The process of a try goes away."""


@dataclass
class Wire:
    """A Cluster in front of the real one: counts starts, and lets a test step in before and after a request."""

    real: Cluster
    before: Hook | None = None
    after: Hook | None = None
    starts: int = 0
    paths: list[str] = field(default_factory=list)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        timeout_s: float = 60.0,
        decode: Callable[[str], Any] | None = None,
    ) -> Any:
        self.paths.append(f"{method} {path}")
        body = (self.before and self.before(method, path, body)) or body
        self.starts += path == "/_reindex"
        answer = self.real.request(method, path, params=params, body=body, timeout_s=timeout_s, decode=decode)
        if self.after:
            self.after(method, path, answer)
        return answer


@dataclass
class Copy:
    """An old and a new index, and what a try needs to copy from one to the other."""

    rig: Rig
    wire: Wire
    rate: float | None = None
    store: MemoryStore = field(default_factory=MemoryStore)
    slices: int | str = "auto"
    run_id: str = "run 1"
    on_wish: Callable[[], None] = lambda: None

    @property
    def old(self) -> str:
        return self.rig.index

    @property
    def new(self) -> str:
        return f"{self.rig.base}-v2"

    @property
    def settings(self) -> ServerCopySettings:
        return ServerCopySettings(
            run_id=self.run_id,
            from_index=self.old,
            from_uuid=read_index(self.rig.patient, self.old).uuid,
            to_index=self.new,
            to_uuid=read_index(self.rig.patient, self.new).uuid,
            alias=self.rig.alias,
            marker=f"{self.rig.alias}-next",
            slices=self.slices,
            bulk_bytes=500,  # so that a batch is ten documents, and a slow copy moves in small steps
            poll_s=0.05,
            look_s=0.1,
        )

    def run(self) -> ServerCopyReport:
        patient = type(self.rig.patient)(self.wire, self.rig.clock, self.rig.retry)
        ports = ServerCopyPorts(
            cluster=self.wire, patient=patient, store=self.store, clock=self.rig.clock, wish=self._wish
        )
        return copy_by_reindex(self.settings, ports)

    def _wish(self) -> float | None:
        self.on_wish()
        return self.rate

    def fill(self, count: int, version: int = 1_000, **more: Any) -> None:
        """Documents k0000 on in the old index, with external versions."""
        self.write(self.old, {f"k{number:04}": {"number": number, **more} for number in range(count)}, version)

    def write(self, index: str, documents: Mapping[str, Any], version: int) -> None:
        """Write, or delete where there is None, as an indexer or follower does."""
        lines: list[bytes] = []
        for one, document in documents.items():
            target = {"_id": one, "version": version, "version_type": "external"}
            lines.append(orjson.dumps({"delete" if document is None else "index": target}))
            lines += [] if document is None else [orjson.dumps(document)]
        answer = self.rig.cluster.request("POST", f"/{index}/_bulk", body=b"\n".join(lines) + b"\n")
        assert not [
            one for item in answer["items"] for one in item.values() if one["status"] not in (200, 201, 404, 409)
        ]

    def running(self) -> list[str]:
        return find_reindex(self.rig.patient, self.settings.description)

    def copied(self) -> int:
        self.rig.call(f"{self.new}/_refresh", "POST")
        return int(self.rig.call(f"{self.new}/_count")["count"])

    def until(self, is_so: Callable[[], Any]) -> None:
        for _ in range(400):
            if is_so():
                return
            time.sleep(0.05)
        pytest.fail("it did not come to that within 20 s")

    def when(self, is_so: Callable[[], Any], then: Callable[[], None]) -> None:
        """Once, when a try asks for its pace and this is so."""
        done: list[int] = []

        def look() -> None:
            if not done and self.running() and is_so():
                done.append(1)
                then()

        self.on_wish = look


@pytest.fixture
def make_copy(make_rig: MakeRig) -> Callable[..., Copy]:
    def make(mappings: dict[str, Any] = ANYTHING, shards: int = 2, **settings: Any) -> Copy:
        rig = make_rig(**settings)
        copy = Copy(rig, Wire(rig.cluster))
        rig.create_index(ANYTHING, {"number_of_shards": shards, "refresh_interval": "-1"})
        rig.create_index(mappings, {"number_of_shards": shards}, index=copy.new, aliases={f"{rig.alias}-next": {}})
        loosen_settings(rig.patient, copy.new)
        return copy

    return make


MakeCopy = Callable[..., Copy]


@pytest.mark.parametrize("slices", ["auto", 1, 3])
def test_documents_versions_and_numbers_come_along_whole(make_copy: MakeCopy, slices: int | str) -> None:
    copy = make_copy()
    copy.slices = slices
    copy.fill(120)
    body = f'{{"big": {BIG}, "small": {SMALL}, "list": [{BIG}]}}'.encode()
    path = f"/{copy.old}/_doc/exact"
    params = {"routing": "elsewhere", "version": "1800000000000000", "version_type": "external"}
    copy.rig.cluster.request("PUT", path, params=params, body=body)
    report = copy.run()
    assert (report.total, report.created, report.counted, report.starts) == (121, 121, 121, 1)
    assert ServerCopyReport.from_json(report.to_json()) == report
    assert copy.rig.documents(copy.new) == copy.rig.documents(copy.old)
    exact = oracle.exact_call(f"{copy.rig.direct_opensearch}/{copy.new}/_doc/exact?routing=elsewhere")
    assert exact["_source"]["big"] == BIG
    assert str(exact["_source"]["small"]) == SMALL
    assert (exact["_version"], exact["_routing"]) == (1_800_000_000_000_000, "elsewhere")


def test_an_old_index_that_was_never_refreshed_is_copied_whole(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(50)
    assert copy.rig.call(f"{copy.old}/_count")["count"] == 0
    assert copy.run().created == 50


def test_what_is_newer_in_the_new_index_stays_and_what_the_follower_deleted_stays_away(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(200)
    copy.rate = 100
    newer = {f"k{number:04}": {"number": "newer"} for number in range(0, 200, 4)}
    gone = {f"k{number:04}": None for number in range(1, 200, 4)}
    appeared = {f"n{number}": {"number": "new"} for number in range(10)}

    def follow() -> None:
        copy.write(copy.new, {**newer, **gone, **appeared}, 2_000)

    copy.when(copy.copied, follow)
    report = copy.run()
    assert report.stale >= 50
    assert report.total == report.created + report.updated + report.stale == 200
    expected = {one: copy.rig.documents(copy.old)[one] for one in copy.rig.documents(copy.old) if one not in gone}
    assert oracle.differences({**expected, **newer, **appeared}, copy.rig.documents(copy.new)) == []


def test_a_delete_is_remembered_for_as_long_as_the_copy_takes(make_copy: MakeCopy) -> None:
    copy = make_copy(shards=1)
    copy.rig.call(f"{copy.new}/_settings", "PUT", {"index.gc_deletes": "1s"})
    copy.fill(200)
    copy.rate = 20
    gone = {f"k{number:04}": None for number in range(200)}

    def delete_and_wait() -> None:
        copy.write(copy.new, gone, 2_000)
        for _ in range(4):  # tombstones go when they are old enough and something is refreshed
            time.sleep(0.8)
            copy.write(copy.new, {"other": {"number": 1}}, time.time_ns())
            copy.rig.call(f"{copy.new}/_refresh", "POST")
        copy.rate = None

    copy.when(copy.copied, delete_and_wait)
    report = copy.run()
    assert report.stale > 0
    assert set(copy.rig.documents(copy.new)) == {"other"}


@pytest.mark.parametrize("killed", ["while it watches", "before the task was saved"])
def test_the_next_try_reconnects_to_the_copy_of_one_that_was_killed(make_copy: MakeCopy, killed: str) -> None:
    copy = make_copy()
    copy.fill(150)
    copy.rate = 50
    if killed == "while it watches":
        copy.when(copy.copied, _die)
    else:
        copy.wire.after = lambda method, path, answer: _die() if path == "/_reindex" else None
    with pytest.raises(Killed):
        copy.run()
    before = copy.running()
    assert len(before) == 1
    copy.wire.after, copy.on_wish, copy.rate = None, lambda: None, None
    report = copy.run()
    assert copy.wire.starts == report.starts == 1
    assert (report.total, report.created) == (150, 150)
    assert (copy.store.value or {})["task_id"] == before[0]


def test_a_copy_that_ended_while_nobody_watched_is_reported_and_not_made_again(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(60)
    copy.rate = 50
    copy.when(copy.copied, _die)
    with pytest.raises(Killed):
        copy.run()
    copy.until(lambda: not copy.running())
    first = copy.run()
    assert copy.run() == first
    assert (copy.wire.starts, first.created) == (1, 60)
    copy.run_id = "run 2"
    assert (copy.run().stale, copy.wire.starts) == (60, 2)


def test_a_start_whose_answer_was_lost_is_found_and_not_sent_again(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(100)
    copy.rate = 100

    def lose(method: str, path: str, answer: Any) -> None:
        if path == "/_reindex":
            raise ConnectionLostError("ReadTimeoutError")

    copy.wire.after = lose
    assert copy.run().created == 100
    assert copy.wire.starts == 1


def test_a_start_that_did_not_arrive_is_sent_again(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(20)
    lost: list[int] = []

    def lose(method: str, path: str, body: Any) -> None:
        if path == "/_reindex" and not lost:
            lost.append(1)
            raise ConnectionLostError("ConnectTimeoutError")

    copy.wire.before = lose
    assert copy.run().created == 20
    assert lost == [1]
    assert copy.wire.starts == 1


def test_the_pace_is_changed_while_it_runs(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(300)
    copy.rate = 10
    seen: list[float] = []

    def hasten() -> None:
        seen.extend(_paces(copy))
        copy.rate = None

    copy.when(copy.copied, hasten)
    assert copy.run().created == 300
    assert sum(seen) == pytest.approx(10)
    assert copy.rig.call(f"_tasks/{(copy.store.value or {})['task_id']}")["response"]["requests_per_second"] == -1
    assert len([one for one in copy.wire.paths if one.endswith("_rethrottle")]) == 1


def test_a_cancelled_copy_stops_its_task_and_the_next_try_begins_anew(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(150)
    copy.rate = 50
    copy.when(
        copy.copied, lambda: None if cancel_reindex(copy.settings, copy.rig.patient) == 1 else pytest.fail("none")
    )
    with pytest.raises(ServerCopyCanceledError, match="by user request"):
        copy.run()
    assert copy.running() == []
    there = copy.copied()
    assert 0 < there < 150
    copy.rate = None
    report = copy.run()
    assert (report.stale, report.created) == (there, 150 - there)
    assert cancel_reindex(copy.settings, copy.rig.patient) == 0


def test_a_copy_that_another_run_left_is_cancelled_and_not_waited_for(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(150)
    copy.rate = 10
    copy.when(copy.copied, _die)
    with pytest.raises(Killed):
        copy.run()
    (left,) = copy.running()
    copy.run_id, copy.rate, copy.on_wish = "run 2", None, lambda: None
    assert copy.run().total == 150
    assert copy.rig.call(f"_tasks/{left}")["response"]["canceled"] == "by user request"


def test_opensearch_killed_in_the_middle_costs_a_new_beginning_and_no_document(
    make_copy: MakeCopy, opensearch_for_killing: Server
) -> None:
    copy = make_copy(direct_opensearch=opensearch_for_killing.url, retry=quick_retry(60))
    copy.fill(200)
    copy.rate = 50

    def kill() -> None:
        opensearch_for_killing.restart()
        copy.rate = None

    copy.when(copy.copied, kill)
    report = copy.run()
    assert (report.starts, report.total) == (2, 200)
    assert 0 < report.stale < 200
    assert copy.rig.documents(copy.new) == copy.rig.documents(copy.old)


def test_one_that_is_broken_off_each_time_ends_with_a_passing_error(
    make_copy: MakeCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = make_copy()
    copy.fill(10)
    monkeypatch.setattr(server_copy, "read_task", lambda *_: None)
    with pytest.raises(ServerCopyInterruptedError, match="begun 5 times"):
        copy.run()


def test_success_with_fewer_documents_is_an_error(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(100)

    def narrow(method: str, path: str, body: Any) -> Any:
        query = {"ids": {"values": [f"k{number:04}" for number in range(40)]}}
        return {**body, "source": {**body["source"], "query": query}} if path == "/_reindex" else None

    copy.wire.before = narrow
    with pytest.raises(ServerCopyIncompleteError, match="success with 40 documents, 100 were expected"):
        copy.run()


def test_documents_deleted_before_the_snapshot_are_not_missed(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(100)

    def delete(method: str, path: str, body: Any) -> None:
        if path == "/_reindex":
            copy.write(copy.old, {f"k{number:04}": None for number in range(30)}, 2_000)
            copy.rig.call(f"{copy.old}/_refresh", "POST")

    copy.wire.before = delete
    report = copy.run()
    assert (report.counted, report.total) == (100, 70)


def test_an_index_without_documents_is_not_copied(make_copy: MakeCopy) -> None:
    copy = make_copy()
    with pytest.raises(EmptySourceError, match="source=table"):
        copy.run()
    assert copy.wire.starts == 0


def test_a_document_that_the_new_index_refuses_ends_the_copy_without_its_values(make_copy: MakeCopy) -> None:
    copy = make_copy({"properties": {"number": {"type": "long"}}})
    copy.fill(30)
    copy.write(copy.old, {"bad": {"number": "secret"}}, 1_000)
    with pytest.raises(ServerCopyRefusedError) as refused:
        copy.run()
    assert "1 x mapper_parsing_exception, field 'number', expected long" in str(refused.value)
    assert "secret" not in str(refused.value) + repr(refused.value.args)
    assert "source=table" in str(refused.value)


@pytest.mark.parametrize("taken", ["marker", "index"])
def test_a_new_index_that_is_taken_away_ends_the_copy_and_is_not_made_again(make_copy: MakeCopy, taken: str) -> None:
    copy = make_copy()
    copy.fill(150)
    copy.rate = 50
    settings = copy.settings

    def take() -> None:
        if taken == "marker":
            copy.rig.call(f"{copy.new}/_alias/{settings.marker}", "DELETE")
        else:
            remove_next_index(copy.rig.patient, settings.marker, copy.new, settings.to_uuid)

    other_run = threading.Thread(target=take)
    copy.when(copy.copied, other_run.start)
    with pytest.raises(ServerCopyLostError, match=r"lost its alias|was deleted"):
        copy.run()
    other_run.join()
    assert find_reindex(copy.rig.patient, settings.description) == []
    if taken == "index":
        assert copy.rig.indices() == [copy.old]


def test_removing_an_index_cancels_a_copy_that_nobody_watches_any_more(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(300)
    copy.rate = 20
    copy.when(copy.copied, _die)
    with pytest.raises(Killed):
        copy.run()
    settings = copy.settings
    remove_next_index(copy.rig.patient, settings.marker, copy.new, settings.to_uuid)
    assert find_reindex(copy.rig.patient, settings.description) == []  # it would have made the index anew
    assert copy.rig.indices() == [copy.old]


def test_a_try_repeated_after_the_swap_reports_the_copy(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(30)
    first = copy.run()
    copy.rig.swap(copy.new)
    copy.rig.call(f"{copy.new}/_alias/{copy.settings.marker}", "DELETE")
    assert copy.run() == first


def test_state_of_another_index_is_not_gone_on_with(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.fill(30)
    copy.run()
    assert copy.store.value is not None
    copy.store.value["identity"][2] = "of another index"
    assert (copy.run().stale, copy.wire.starts) == (30, 2)
    assert replace(copy.settings, run_id="x") != copy.settings


def _die() -> None:
    raise Killed


def _paces(copy: Copy) -> list[float]:
    tasks = copy.rig.call("_tasks?actions=*reindex&detailed=true&group_by=none")["tasks"]
    return [one["status"]["requests_per_second"] for one in tasks if "parent_task_id" in one]
