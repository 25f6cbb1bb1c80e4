"""The swap on a real OpenSearch: what is behind the alias afterwards, whatever came between."""

import threading
import time
from typing import Any

import pytest

from dynamo_opensearch.core.errors import ServiceUnavailableError
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.rebuild.deadline import SwapTooSlowError
from dynamo_opensearch.core.rebuild.kept import HOUR_US, load_kept
from dynamo_opensearch.core.rebuild.merge_wait import MERGE_WAIT, SHORT_WAIT
from dynamo_opensearch.core.rebuild.swap import SwapReport, swap
from dynamo_opensearch.core.rebuild.swap_plan import AliasRoutingChangedError, SwapLostError
from dynamo_opensearch.core.rebuild.write_block import (
    BlockNotRemovedError,
    IndexBlockedError,
    check_not_blocked,
    put_write_block_back,
)
from tests.integration.conftest import MakeRig
from tests.support.fakes import quick_retry
from tests.support.rig import Rig
from tests.support.swaps import CutOffCluster, Died, DyingCluster, SwapRig, race
from tools.local.processes import Server


@pytest.fixture
def swapping(make_rig: MakeRig) -> SwapRig:
    return SwapRig(make_rig())


def assert_swapped(swapping: SwapRig) -> None:
    assert swapping.aliases() == {swapping.old: {swapping.previous}, swapping.new: {swapping.alias}}
    assert not swapping.is_blocked(swapping.old)
    assert not swapping.is_blocked(swapping.new)
    assert merge_wait(swapping) is None
    assert swapping.store("swap").load() in (None, {})


def assert_not_swapped(swapping: SwapRig) -> None:
    assert swapping.aliases() == {swapping.old: {swapping.alias}, swapping.new: {swapping.next}}
    assert not swapping.is_blocked(swapping.old)
    assert swapping.store("swap").load() in (None, {})


def merge_wait(swapping: SwapRig) -> str | None:
    """How long a refresh of the new index waits for merges, where that was said."""
    answer = swapping.rig.call(f"{swapping.new}/_settings?flat_settings=true")
    found: str | None = answer[swapping.new]["settings"].get(MERGE_WAIT)
    return found


@pytest.mark.parametrize("uses_write_block", [True, False])
def test_a_swap_moves_the_alias_keeps_the_old_index_and_notes_until_when(
    swapping: SwapRig, uses_write_block: bool
) -> None:
    swapping.create()
    report = swap(swapping.plan(uses_write_block=uses_write_block), swapping.ports())
    assert_swapped(swapping)
    assert (report.was_done_before, report.dropped) == (False, ())
    assert (report.blocked_s > 0) is uses_write_block
    assert swapping.caught_up == 2
    kept = load_kept(swapping.store("kept")).kept
    assert kept is not None
    assert (kept.index, kept.uuid) == (swapping.old, swapping.uuid(swapping.old))
    assert kept.until_us - kept.since_us == 24 * HOUR_US


def test_a_second_run_finds_it_done_and_changes_nothing(swapping: SwapRig) -> None:
    swapping.create()
    swap(swapping.plan(), swapping.ports())
    report = swap(swapping.plan(), swapping.ports())
    assert report.was_done_before
    assert "an earlier try moved it" in str(report)
    assert_swapped(swapping)


def test_there_and_back_and_there_again(swapping: SwapRig) -> None:
    swapping.create()
    swap(swapping.plan(), swapping.ports())
    swap(swapping.back(), swapping.ports())
    assert swapping.aliases() == {swapping.old: {swapping.alias}, swapping.new: {swapping.previous}}
    again = swapping.plan(to_marker=swapping.previous)
    swap(again, swapping.ports())
    assert_swapped(swapping)
    kept = load_kept(swapping.store("kept")).kept
    assert kept is not None
    assert kept.index == swapping.old


def test_the_index_that_was_kept_until_now_loses_its_marker_in_the_same_request_and_is_noted(swapping: SwapRig) -> None:
    swapping.create()
    oldest = swapping.add_index(0, **{swapping.previous: {}})
    report = swap(swapping.plan(), swapping.ports())
    assert report.dropped == (oldest,)
    assert swapping.aliases()[oldest] == set()
    assert swapping.aliases()[swapping.old] == {swapping.previous}
    assert [one.index for one in load_kept(swapping.store("kept")).leaving] == [oldest]


PROPERTIES = {
    "filter": {"term": {"tier": "gold"}},
    "index_routing": "a",
    "search_routing": "a,b",
    "is_write_index": True,
}


def test_the_alias_keeps_filter_routing_and_is_write_index_and_the_marker_its_routing(swapping: SwapRig) -> None:
    swapping.create(PROPERTIES)
    swap(swapping.plan(properties=AliasProperties.from_json(PROPERTIES)), swapping.ports())
    assert swapping.properties(swapping.new, swapping.alias) == PROPERTIES
    assert swapping.properties(swapping.old, swapping.previous) == {"index_routing": "a"}
    swap(swapping.back(properties=AliasProperties.from_json(PROPERTIES)), swapping.ports())
    assert swapping.properties(swapping.old, swapping.alias) == PROPERTIES
    assert swapping.properties(swapping.new, swapping.previous) == {"index_routing": "a"}


def test_a_filter_that_was_changed_since_the_plan_goes_over_as_it_is_now(swapping: SwapRig) -> None:
    swapping.create({"filter": {"term": {"tier": "gold"}}})
    plan = swapping.plan(properties=AliasProperties(filter={"term": {"tier": "gold"}}))
    now = {"filter": {"term": {"tier": "silver"}}}
    add = {"add": {"index": swapping.old, "alias": swapping.alias, **now}}
    swapping.rig.call("_aliases", "POST", {"actions": [add]})
    swap(plan, swapping.ports())
    assert swapping.properties(swapping.new, swapping.alias) == now


def test_a_routing_that_was_changed_since_the_plan_is_refused(swapping: SwapRig) -> None:
    swapping.create({"index_routing": "b"})
    with pytest.raises(AliasRoutingChangedError, match="index_routing 'b', the index to swap to was filled with 'a'"):
        swap(swapping.plan(properties=AliasProperties(index_routing="a")), swapping.ports())
    assert_not_swapped(swapping)


# Races


def test_a_swap_whose_marker_was_taken_changes_nothing(swapping: SwapRig) -> None:
    swapping.create()
    remove = {"remove": {"index": swapping.new, "alias": swapping.next}}

    def take_the_marker() -> int:
        if swapping.next in swapping.aliases()[swapping.new]:
            swapping.rig.call("_aliases", "POST", {"actions": [remove]})
        return 0

    with pytest.raises(SwapLostError) as error:
        swap(swapping.plan(), swapping.ports(catch_up=take_the_marker))
    assert f"the alias is on '{swapping.old}', the marker on no index" in str(error.value)
    assert swapping.aliases() == {swapping.old: {swapping.alias}, swapping.new: set()}
    assert not swapping.is_blocked(swapping.old)


def test_a_rebuild_whose_index_is_no_longer_behind_the_alias_fails_cleanly(swapping: SwapRig) -> None:
    swapping.create()
    other = swapping.add_index(3)
    swapping.rig.swap(other)
    before = swapping.aliases()
    with pytest.raises(SwapLostError, match=f"now the alias is on '{other}'"):
        swap(swapping.plan(), swapping.ports())
    assert swapping.aliases() == before
    assert swapping.caught_up == 0


def test_the_marker_is_removed_in_the_request_itself_not_by_what_was_seen_before(swapping: SwapRig) -> None:
    """The clean-up comes after the last look: only ``must_exist`` can tell."""
    swapping.create()
    remove = {"remove": {"index": swapping.new, "alias": swapping.next, "must_exist": True}}
    cluster = Meddling(swapping, {"actions": [remove]})
    with pytest.raises(SwapLostError):
        swap(swapping.plan(), swapping.ports(cluster))
    assert cluster.meddled
    assert swapping.aliases() == {swapping.old: {swapping.alias}, swapping.new: set()}
    assert not swapping.is_blocked(swapping.old)


def test_an_index_that_is_deleted_while_its_swap_begins_is_told_as_lost(swapping: SwapRig) -> None:
    swapping.create()

    def delete() -> int:
        swapping.rig.call(swapping.new, "DELETE")
        return 0

    with pytest.raises(SwapLostError, match="the marker on no index"):
        swap(swapping.plan(), swapping.ports(catch_up=delete))
    assert not swapping.is_blocked(swapping.old)


def test_a_clean_up_of_the_index_kept_before_does_not_fail_the_swap(swapping: SwapRig) -> None:
    swapping.create()
    oldest = swapping.add_index(0, **{swapping.previous: {}})
    remove = {"remove": {"index": oldest, "alias": swapping.previous, "must_exist": True}}
    cluster = Meddling(swapping, {"actions": [remove]})
    report = swap(swapping.plan(), swapping.ports(cluster))
    assert cluster.meddled
    assert report.dropped == ()
    assert swapping.aliases()[swapping.new] == {swapping.alias}


class Meddling:
    """Does something to the aliases between the swap's last look and its request."""

    def __init__(self, swapping: SwapRig, actions: Any) -> None:
        self._swapping, self._actions, self.meddled = swapping, actions, False

    def request(self, method: str, path: str, **more: Any) -> Any:
        if path == "/_aliases" and not self.meddled:
            self.meddled = True
            self._swapping.rig.call("_aliases", "POST", self._actions)
        return self._swapping.rig.cluster.request(method, path, **more)


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_swaps_to_different_indices_exactly_one_wins(swapping: SwapRig, attempt: int) -> None:
    swapping.create()
    third = swapping.add_index(3, **{swapping.next: {}})
    plans = [swapping.plan(run_id="a"), swapping.plan(run_id="b", to_index=third)]
    outcomes = race([lambda plan=plan: swap(plan, swapping.ports()) for plan in plans])  # type: ignore[misc]
    winners = [number for number, one in enumerate(outcomes) if isinstance(one, SwapReport)]
    assert len(winners) == 1, outcomes
    assert isinstance(outcomes[1 - winners[0]], SwapLostError), outcomes
    won, lost = (plans[number].to_index for number in (winners[0], 1 - winners[0]))
    aliases = swapping.aliases()
    assert aliases == {swapping.old: {swapping.previous}, won: {swapping.alias}, lost: {swapping.next}}
    assert not swapping.is_blocked(swapping.old)
    assert swapping.store("swap").load() in (None, {})


def test_two_tries_of_one_swap_at_once_both_find_it_done(swapping: SwapRig) -> None:
    swapping.create()
    outcomes = race([lambda: swap(swapping.plan(), swapping.ports())] * 2)
    assert [one.to_index for one in outcomes] == [swapping.new] * 2, outcomes
    assert_swapped(swapping)


# A refresh that writers wait for, waits for no merge


def test_no_refresh_waits_for_merges_while_it_is_swapped_to(swapping: SwapRig) -> None:
    swapping.create()
    seen: list[str | None] = []

    def catch_up() -> int:
        seen.append(merge_wait(swapping))
        return 0

    swap(swapping.plan(), swapping.ports(catch_up=catch_up))
    assert seen == [SHORT_WAIT] * 2
    assert_swapped(swapping)


def test_an_index_that_says_itself_how_long_it_waits_for_merges_keeps_that(swapping: SwapRig) -> None:
    swapping.create()
    swapping.rig.call(f"{swapping.new}/_settings", "PUT", {MERGE_WAIT: "3s"})
    swap(swapping.plan(), swapping.ports(catch_up=lambda: int(merge_wait(swapping) != "3s")))
    assert merge_wait(swapping) == "3s"
    assert swapping.aliases()[swapping.new] == {swapping.alias}


def test_a_swap_that_fails_puts_the_wait_for_merges_back(swapping: SwapRig) -> None:
    swapping.create()
    swapping.rig.call(f"{swapping.new}/_settings", "PUT", {MERGE_WAIT: SHORT_WAIT})  # of one that was killed

    def catch_up() -> int:
        raise ServiceUnavailableError("a service", "a call", 1, 1.0, "gone")

    with pytest.raises(ServiceUnavailableError):
        swap(swapping.plan(), swapping.ports(catch_up=catch_up))
    assert merge_wait(swapping) is None
    assert_not_swapped(swapping)


def test_a_cluster_that_does_not_know_the_wait_for_merges_is_swapped_all_the_same(swapping: SwapRig) -> None:
    swapping.create()

    class Unknowing(CutOffCluster):
        def request(self, method: str, path: str, **more: Any) -> Any:
            body = more.get("body")
            if isinstance(body, dict) and MERGE_WAIT in body:
                raise OpenSearchRequestError(400, f"{method} {path}", "illegal_argument_exception", "unknown setting")
            return self.cluster.request(method, path, **more)

    swap(swapping.plan(), swapping.ports(Unknowing(swapping.rig.cluster, "", is_carried_out=False)))
    assert_swapped(swapping)


# Answers that get lost, and processes that die


@pytest.mark.parametrize("path", ["_aliases", "_block/write", "_settings", "_refresh", "_alias/", "-state/_doc"])
@pytest.mark.parametrize("is_carried_out", [True, False])
def test_a_lost_answer_is_resolved(swapping: SwapRig, path: str, is_carried_out: bool) -> None:
    swapping.create()
    cluster = CutOffCluster(swapping.rig.cluster, path, is_carried_out, times=2)
    swap(swapping.plan(), swapping.ports(cluster))
    assert_swapped(swapping)
    assert cluster.times < 2


def test_a_swap_killed_after_any_change_is_undone_by_the_teardown_and_finished_by_the_next_try(
    make_rig: MakeRig,
) -> None:
    rehearsal = SwapRig(make_rig())
    rehearsal.create()
    cluster = DyingCluster(rehearsal.rig.cluster, survived=1_000)
    swap(rehearsal.plan(), rehearsal.ports(cluster))
    assert len(cluster.changes) > 8
    for survived in range(len(cluster.changes)):
        swapping = SwapRig(make_rig())
        swapping.create()
        with pytest.raises(Died):
            swap(swapping.plan(), swapping.ports(DyingCluster(swapping.rig.cluster, survived)))
        put_write_block_back(swapping.ports().blocking, "run 1")
        assert not swapping.is_blocked(swapping.old), survived
        assert swapping.aliases()[swapping.old] in ({swapping.alias}, {swapping.previous}), survived
        swap(swapping.plan(), swapping.ports())
        assert_swapped(swapping)
        kept = load_kept(swapping.store("kept")).kept
        assert kept is not None, survived
        assert kept.index == swapping.old


def test_a_next_try_takes_over_the_block_of_the_one_that_was_killed(swapping: SwapRig) -> None:
    swapping.create()
    with pytest.raises(Died):
        swap(swapping.plan(), swapping.ports(dies_under_the_block(swapping)))
    assert swapping.is_blocked(swapping.old)
    check_not_blocked(swapping.rig.patient, swapping.old, swapping.store("swap"))
    with pytest.raises(IndexBlockedError):
        check_not_blocked(swapping.rig.patient, swapping.old)
    swap(swapping.plan(run_id="run 7"), swapping.ports())
    assert_swapped(swapping)


def dies_under_the_block(swapping: SwapRig) -> DyingCluster:
    """A cluster that dies with the answer to the block."""

    class Dies(DyingCluster):
        def request(self, method: str, path: str, **more: Any) -> Any:
            if path.endswith("/_block/write"):
                self.survived = len(self.changes)
            return super().request(method, path, **more)

    return Dies(swapping.rig.cluster, survived=1_000)


def test_a_teardown_takes_away_only_the_block_of_its_own_run(swapping: SwapRig) -> None:
    swapping.create()
    with pytest.raises(Died):
        swap(swapping.plan(), swapping.ports(dies_under_the_block(swapping)))
    assert put_write_block_back(swapping.ports().blocking, "another run") is None
    assert swapping.is_blocked(swapping.old)
    assert put_write_block_back(swapping.ports().blocking) == swapping.old
    assert put_write_block_back(swapping.ports().blocking) is None
    assert_not_swapped(swapping)


def test_a_block_of_somebody_else_is_refused_and_left_alone(swapping: SwapRig) -> None:
    swapping.create()
    swapping.rig.call(f"{swapping.old}/_settings", "PUT", {"index.blocks.write": True})
    with pytest.raises(IndexBlockedError, match=r"index\.blocks\.write"):
        swap(swapping.plan(), swapping.ports())
    assert put_write_block_back(swapping.ports().blocking) is None
    assert swapping.is_blocked(swapping.old)
    assert swapping.aliases()[swapping.old] == {swapping.alias}


@pytest.mark.parametrize("block", ["read_only", "read_only_allow_delete", "metadata"])
def test_every_block_that_would_fail_a_swap_is_found(swapping: SwapRig, block: str) -> None:
    swapping.create()
    swapping.rig.call(f"{swapping.old}/_settings", "PUT", {f"index.blocks.{block}": True})
    try:
        with pytest.raises(IndexBlockedError, match=block):
            check_not_blocked(swapping.rig.patient, swapping.old)
    finally:
        swapping.rig.call(f"{swapping.old}/_settings", "PUT", {f"index.blocks.{block}": None})
    check_not_blocked(swapping.rig.patient, swapping.old)


# Time


def test_a_catch_up_that_hangs_under_the_block_is_given_up_and_writes_go_on(swapping: SwapRig) -> None:
    swapping.create()
    release, calls = threading.Event(), list[bool]()

    def hangs_the_second_time() -> int:
        calls.append(swapping.is_blocked(swapping.old))
        if len(calls) == 2:
            release.wait(30)
        return 0

    began_s = time.monotonic()
    try:
        with pytest.raises(SwapTooSlowError, match="catching up"):
            swap(swapping.plan(block_limit_s=0.5), swapping.ports(catch_up=hangs_the_second_time))
        assert time.monotonic() - began_s < 10
        assert calls == [False, True]
        assert_not_swapped(swapping)
    finally:
        release.set()


def test_a_catch_up_that_fails_under_the_block_leaves_everything_as_it_was(swapping: SwapRig) -> None:
    swapping.create()
    outcomes = iter([0])

    def fails_the_second_time() -> int:
        return next(outcomes, None) or fail()

    def fail() -> int:
        if swapping.is_blocked(swapping.old):
            raise ServiceUnavailableError("DynamoDB", "GetRecords", 3, 1.0, "503")
        return 0

    with pytest.raises(ServiceUnavailableError):
        swap(swapping.plan(), swapping.ports(catch_up=fails_the_second_time))
    assert_not_swapped(swapping)


def test_an_alias_that_cannot_be_moved_in_time_is_left_and_writes_go_on(swapping: SwapRig) -> None:
    swapping.create()
    cluster = CutOffCluster(swapping.rig.cluster, "/_aliases", is_carried_out=False, times=1_000)
    with pytest.raises(SwapTooSlowError, match="moving the alias"):
        swap(swapping.plan(block_limit_s=0.7), swapping.ports(cluster))
    assert_not_swapped(swapping)


def test_a_block_that_cannot_be_taken_away_is_told_with_the_command(
    swapping: SwapRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapping.create()

    class Refuses(CutOffCluster):
        def request(self, method: str, path: str, **more: Any) -> Any:
            if method == "PUT" and path.endswith("/_settings"):
                raise OpenSearchRequestError(400, f"{method} {path}", "illegal_argument_exception", "no")
            return super().request(method, path, **more)

    with pytest.raises(BlockNotRemovedError) as error:
        swap(swapping.plan(), swapping.ports(Refuses(swapping.rig.cluster, "nothing", True)))
    assert f"curl -X PUT $OPENSEARCH/{swapping.old}/_settings" in str(error.value)
    assert put_write_block_back(swapping.ports().blocking, "run 1") == swapping.old
    assert swap(swapping.plan(), swapping.ports()).was_done_before
    assert_swapped(swapping)


def test_an_opensearch_that_restarts_under_the_block_is_waited_for_and_no_block_stays(
    make_rig: MakeRig, opensearch_for_killing: Server
) -> None:
    swapping = SwapRig(make_rig(direct_opensearch=opensearch_for_killing.url, retry=quick_retry(60)))
    swapping.create()
    restarts: list[threading.Thread] = []

    def restart_under_the_block() -> int:
        if swapping.is_blocked(swapping.old) and not restarts:
            opensearch_for_killing.kill()
            restarts.append(threading.Thread(target=opensearch_for_killing.start))
            restarts[0].start()
        return 0

    try:
        with pytest.raises((SwapTooSlowError, ServiceUnavailableError)):
            swap(swapping.plan(block_limit_s=2.0), swapping.ports(catch_up=restart_under_the_block))
    finally:
        restarts[0].join()
    assert_not_swapped(swapping)
    swap(swapping.plan(), swapping.ports())
    assert_swapped(swapping)


def test_what_was_caught_up_is_visible_the_moment_readers_see_the_new_index(swapping: SwapRig) -> None:
    swapping.create()
    rig: Rig = swapping.rig
    rig.call(f"{swapping.new}/_settings", "PUT", {"index.refresh_interval": "-1"})
    calls = iter(range(10))

    def write_one_more() -> int:
        rig.call(f"{swapping.new}/_doc/{next(calls)}", "PUT", {})
        return 1

    report = swap(swapping.plan(), swapping.ports(catch_up=write_one_more))
    assert rig.call(f"{swapping.alias}/_count")["count"] == 2
    assert report.caught_up == (1, 1)
