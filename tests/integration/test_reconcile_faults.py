"""A reconciliation whose servers fail: no verdict from a part, points in time released, and the next try is right."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.compare.index_side import ShardsFailedError
from dynamo_opensearch.core.compare.table_side import Depth
from dynamo_opensearch.core.errors import ServiceUnavailableError
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.reconcile.plan import Part, ReconcilePlan
from tests.integration.conftest import MakeRig
from tests.support.by_hand import Sizes, fill, listed
from tests.support.fakes import quick_retry
from tests.support.fault_proxy import Exchange, Fault, FaultProxy, fault_proxy
from tests.support.faults import answer_changed, cut_off, opensearch_error, reset_in_mid_answer, then, unavailable
from tests.support.harm import SHAPES, Harm
from tests.support.reconcile_rig import Reconciling
from tests.support.rig import Rig
from tools.local import http
from tools.local.processes import Server

DEPTHS: tuple[Depth, ...] = ("keys", "content")
PLAIN = SHAPES["plain"]
FEW = Sizes(items=900, deleted=5, orphans=4, nested=3, digits=2)
EXPIRED = opensearch_error(404, "search_phase_execution_exception", "all shards failed")
"""What a search answers whose point in time is over (seen on 3.8.0)."""


@pytest.fixture(autouse=True)
def no_point_in_time_is_left(opensearch_server: Server) -> Iterator[None]:
    yield
    assert points_in_time(opensearch_server.url) == []


def spoilt(rig: Rig, scratch: Path) -> tuple[Reconciling, Harm]:
    """Two shards of a few pages each, and differences."""
    fill(rig, PLAIN, FEW.items)
    counts = {kind: getattr(FEW, kind) for kind in ("deleted", "orphans", "nested", "digits")}
    harm = Harm.among(PLAIN, FEW.items, **counts)
    harm.do(PLAIN, rig.direct_opensearch, rig.index)
    return Reconciling(rig, scratch), harm


def points_in_time(url: str) -> list[Any]:
    """Those that are open on the server."""
    return list((http.call(f"{url}/_search/point_in_time/_all") or {}).get("pits", []))


def index_part(plan: ReconcilePlan) -> Part:
    return next(part for part in plan.parts if part.side == "index")


def is_search(exchange: Exchange) -> bool:
    return exchange.path.startswith("/_search?")


def failed_shard(answer: dict[str, Any]) -> None:
    answer["_shards"] |= {"successful": 0, "failed": 1}


@pytest.mark.parametrize(
    ("fault", "skip"),
    [
        (answer_changed(failed_shard), 0),
        (answer_changed(failed_shard), 1),
        (answer_changed(lambda answer: answer.update(timed_out=True)), 1),
        (answer_changed(lambda answer: answer["hits"].update(hits=[])), 1),
        (EXPIRED, 1),
        (unavailable(), 1),
    ],
)
def test_a_shard_that_fails_or_a_point_in_time_that_is_over_is_tried_again_and_gives_no_verdict(
    make_rig: MakeRig, tmp_path: Path, opensearch_proxy: FaultProxy, fault: Fault, skip: int
) -> None:
    one, harm = spoilt(make_rig(key=PLAIN.key, opensearch_url=opensearch_proxy.url, retry=quick_retry(0.5)), tmp_path)
    for depth in DEPTHS:
        plan = one.plan(depth)
        opensearch_proxy.on(is_search, fault, skip=skip, times=10_000)
        with pytest.raises((ShardsFailedError, ServiceUnavailableError)) as failure:
            one.read(plan, index_part(plan))
        assert not failure.value.is_permanent
        assert list(one.files.folder.iterdir()) == [], "a part that was not read leaves nothing to conclude from"
        opensearch_proxy.clear()
        one.compare(depth)
        assert listed(one.list_file) == harm.differences(PLAIN, depth)
        shutil.rmtree(one.files.folder)


def test_answers_that_are_cut_off_or_lost_are_asked_for_again(
    make_rig: MakeRig, tmp_path: Path, opensearch_proxy: FaultProxy
) -> None:
    one, harm = spoilt(make_rig(key=PLAIN.key, opensearch_url=opensearch_proxy.url), tmp_path)
    for fault in (cut_off(), reset_in_mid_answer(), unavailable()):
        opensearch_proxy.on(is_search, fault, skip=1)
        opensearch_proxy.on("_mget", fault)
        one.compare()
        assert listed(one.list_file) == harm.differences(PLAIN)
        opensearch_proxy.clear()


def test_the_index_deleted_while_it_is_read_is_no_empty_index_and_not_tried_again(
    make_rig: MakeRig, tmp_path: Path, opensearch_proxy: FaultProxy
) -> None:
    one, _ = spoilt(make_rig(key=PLAIN.key, opensearch_url=opensearch_proxy.url), tmp_path)
    plan = one.plan()
    opensearch_proxy.on(is_search, then(lambda: one.rig.call(one.rig.index, "DELETE")))
    with pytest.raises(OpenSearchRequestError, match="404: index_not_found_exception"):
        one.read(plan, index_part(plan))


@pytest.mark.parametrize("depth", DEPTHS)
def test_opensearch_killed_while_it_is_read_fails_that_try_and_the_next_one_finds_the_same(
    make_rig: MakeRig, tmp_path: Path, opensearch_for_killing: Server, depth: Depth
) -> None:
    with fault_proxy(opensearch_for_killing.url) as proxy:
        rig = make_rig(
            key=PLAIN.key, direct_opensearch=opensearch_for_killing.url, opensearch_url=proxy.url, retry=quick_retry(60)
        )
        one, harm = spoilt(rig, tmp_path)
        plan = one.plan(depth)
        first_pid = opensearch_for_killing.pid

        def restart() -> None:
            opensearch_for_killing.kill()
            opensearch_for_killing.start()

        proxy.on(is_search, then(restart))
        with pytest.raises(ShardsFailedError, match="point in time"):
            one.read(plan, index_part(plan))
        assert opensearch_for_killing.pid != first_pid

        reads, found = one.read_all(plan), one.join_all(plan)
        one.settle(plan, reads, found)
        assert listed(one.list_file) == harm.differences(PLAIN, depth)
        assert points_in_time(opensearch_for_killing.url) == []
