"""The follower on both DynamoDBs' streams and a real OpenSearch, judged by the oracle."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.follow.catch_up import CatchUp
from dynamo_opensearch.core.follow.follower import Follower, FollowPorts
from dynamo_opensearch.core.follow.starts import note_start
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.state.index_store import StateConflictError
from dynamo_opensearch.core.stream.activity import StreamActivity
from tests.integration.conftest import MakeRig
from tests.support import oracle
from tests.support.follow_rig import Changer, FollowRig, all_done_since, at_head_since, run_until
from tests.support.rig import small_item
from tools.local.processes import Server

QUICK = StampRule(stream_rounding_s=1, margin_s=2.5)
"""Clocks of one machine agree, so the margin need not be 6 s; second looks come after 6 s then."""


def now_us() -> int:
    return SystemClock().time_us()


MakeFollowed = Callable[..., FollowRig]


@pytest.fixture
def make_followed(make_rig: MakeRig) -> Iterator[MakeFollowed]:
    made: list[FollowRig] = []

    def make(stamps: StampRule = QUICK, **settings: Any) -> FollowRig:
        made.append(FollowRig(make_rig(**{"bulk_bytes": 1_000_000, **settings}), stamps))
        return made[-1]

    yield make
    for target in made:
        target.close()


def without_extra(document: oracle.Plain) -> oracle.Plain:
    return {name: value for name, value in document.items() if name != "extra"}


def renamed(document: oracle.Plain) -> oracle.Plain:
    return {"text" if name == "value" else name: value for name, value in document.items()}


class Three:
    """A target with an index that is kept, one that is live and one that is being built, by rules of their own."""

    def __init__(self, followed: FollowRig) -> None:
        rig = followed.rig
        self.followed = followed
        self.previous, self.live, self.coming = (f"{rig.base}-v{number}" for number in (1, 2, 3))
        rig.rules_of = {self.previous: {"exclude_fields": ["extra"]}, self.coming: {"renames": {"value": "text"}}}
        followed.create_index(self.previous, f"{rig.alias}-previous")
        followed.create_index(self.live, rig.alias)
        followed.create_index(self.coming, f"{rig.alias}-next")

    def differences(self) -> list[str]:
        kept = self.followed.differences(self.previous, without_extra)
        return kept + self.followed.differences(self.coming, renamed)


def test_the_kept_and_the_coming_index_stay_equal_to_the_table_under_a_live_writer(make_followed: MakeFollowed) -> None:
    followed = make_followed()
    three = Three(followed)
    follower = followed.follower()
    with Changer(followed.rig, 230) as changer:
        run_until(follower, at_head_since(now_us() + 8_000_000))
    assert changer.changes_per_s >= 200
    run_until(follower, all_done_since(now_us()))
    assert three.differences() == []
    assert followed.rig.documents(three.live) == {}
    assert followed.sinks == {}


class AbandonedError(Exception):
    """Stands for a process that is gone."""


class Abandoning:
    """Breaks calls of the follower's ports at random, before or after they were carried out."""

    def __init__(self, port: Any, chance: random.Random, one_in: int, *methods: str) -> None:
        self._port, self._chance, self._one_in, self._methods = port, chance, one_in, methods

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._breaking(found) if name in self._methods else found

    def _breaking(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self._perhaps()
            answer = method(*arguments)
            self._perhaps()
            return answer

        return call

    def _perhaps(self) -> None:
        if self._chance.randrange(self._one_in) == 0:
            raise AbandonedError


def abandoning(ports: FollowPorts, chance: random.Random) -> FollowPorts:
    def sender_for(alias: str, is_fed_by_indexer: bool) -> Any:
        return Abandoning(ports.sender_for(alias, is_fed_by_indexer), chance, 40, "send")

    broken: dict[str, Any] = {
        "stream": Abandoning(ports.stream, chance, 60, "records", "iterator", "list_shards"),
        "reader": Abandoning(ports.reader, chance, 40, "read"),
        "store": Abandoning(ports.store, chance, 15, "load", "save"),
    }
    return replace(ports, sender_for=sender_for, **broken)


def test_a_follower_that_is_abandoned_at_random_points_loses_nothing(make_followed: MakeFollowed) -> None:
    followed = make_followed()
    three = Three(followed)
    chance = random.Random(3)
    abandoned = 0
    follower: Follower | None = None
    with Changer(followed.rig, 230) as changer:
        end_s = time.monotonic() + 12
        while time.monotonic() < end_s:
            try:
                follower = follower or Follower(followed.settings(), abandoning(followed.ports(), chance))
                step = follower.step()
            except AbandonedError:
                abandoned += 1
                follower = None
            else:
                time.sleep(0 if step.has_work else min(step.wait_s, 0.3))
    assert changer.changes_per_s >= 200
    assert abandoned >= 10
    run_until(followed.follower(), all_done_since(now_us()))
    assert three.differences() == []


def test_a_follower_that_is_killed_loses_nothing(make_followed: MakeFollowed, tmp_path: Path) -> None:
    """SIGKILL, each time while it has saved something and goes on working."""
    followed = make_followed()
    three = Three(followed)
    rig = followed.rig
    told = tmp_path / "target.json"
    facts = {"base": rig.base, "arn": followed.arn, "rules_of": rig.rules_of, "margin_s": QUICK.margin_s}
    told.write_bytes(orjson.dumps({**facts, "dynamodb": rig.direct_dynamodb, "opensearch": rig.direct_opensearch}))
    program = [sys.executable, "-m", "tests.support.follow_process", str(told)]
    saved: list[int] = []
    with Changer(rig, 230) as changer:
        for _ in range(4):
            process = subprocess.Popen(program, env={**os.environ, "PYTHONPATH": f".{os.pathsep}plugins"})
            try:
                wait_for_saving_after(followed, saved[-1] if saved else 0)
                time.sleep(random.Random(len(saved)).uniform(0, 1.5))
                assert process.poll() is None
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait(10)
            saved.append((followed.store("follow").load() or {})["at_us"])
    assert changer.changes_per_s >= 50  # beside processes that start
    assert saved == sorted(set(saved))
    run_until(followed.follower(), all_done_since(now_us()))
    assert three.differences() == []


def wait_for_saving_after(followed: FollowRig, at_us: int) -> None:
    end_s = time.monotonic() + 40
    while (followed.store("follow").load() or {"at_us": 0})["at_us"] <= at_us:
        assert time.monotonic() < end_s
        time.sleep(0.1)


def test_dynamodb_local_with_its_clock_of_minutes(make_followed: MakeFollowed, dynamodb_local_server: Server) -> None:
    """First looks keep the index equal; positions wait for the second ones, minutes later."""
    stamps = StampRule(stream_rounding_s=60, margin_s=65)
    followed = make_followed(stamps, direct_dynamodb=dynamodb_local_server.url)
    three = Three(followed)
    follower = followed.follower()
    with Changer(followed.rig, 100):
        run_until(follower, at_head_since(now_us() + 4_000_000))
    run_until(followed.follower(), at_head_since(now_us()))
    assert three.differences() == []
    shards = (followed.store("follow").load() or {})["position"]["shards"]
    assert not any(one["after"] for one in shards.values())


def test_documents_that_a_mapping_refuses_are_on_the_list_of_that_index_only(make_followed: MakeFollowed) -> None:
    followed = make_followed()
    rig = followed.rig
    strict = {"dynamic": "strict", "properties": {"id": {"type": "keyword"}, "number": {"type": "long"}}}
    old, new = f"{rig.base}-v1", f"{rig.base}-v2"
    followed.create_index(old, f"{rig.alias}-previous", mappings=strict)
    followed.create_index(new, f"{rig.alias}-next")
    rig.put([{"id": {"S": "fits"}, "number": {"N": "1"}}, {"id": {"S": "new-field"}, "email": {"S": "secret@x"}}])
    follower = followed.follower()
    run_until(follower, all_done_since(now_us()))
    assert rig.documents(old).keys() == {"fits"}
    assert rig.documents(new).keys() == {"fits", "new-field"}
    assert follower.state.rejects == {old: {"strict_dynamic_mapping_exception, field 'email'": 1}} or (
        list(follower.state.rejects) == [old] and sum(follower.state.rejects[old].values()) == 1
    )
    lines = [orjson.loads(line) for part in followed.sinks[old].parts.values() for line in part.splitlines()]
    assert {line["id"] for line in lines} == {"new-field"}
    assert new not in followed.sinks
    assert "secret" not in str((followed.store("follow").load() or {})["rejects"])


def test_a_swap_under_a_live_writer_loses_nothing(make_followed: MakeFollowed) -> None:
    """Before it the new index is fed as the next one, after it through the alias until paid; the old one takes over."""
    followed = make_followed()
    rig = followed.rig
    old, new = f"{rig.base}-v1", f"{rig.base}-v2"
    old_uuid = followed.create_index(old, rig.alias)
    new_uuid = followed.create_index(new, f"{rig.alias}-next")
    follower = followed.follower()
    with Changer(rig, 220):
        run_until(follower, at_head_since(now_us() + 2_000_000))
        state = follower.state
        catch_up = CatchUp(followed.settings(), followed.ports(), new, f"{rig.alias}-next", state.seen)
        assert catch_up.drain() >= 0
        note_start(followed.store("starts"), old_uuid, state.joined[new_uuid].start)
        add = {"index": new, "alias": rig.alias}
        rig.call(
            "_aliases",
            "POST",
            {
                "actions": [
                    {"remove": {"index": new, "alias": f"{rig.alias}-next", "must_exist": True}},
                    {"remove": {"index": old, "alias": rig.alias, "must_exist": True}},
                    {"add": add},
                    {"add": {"index": old, "alias": f"{rig.alias}-previous"}},
                ]
            },
        )
    run_until(follower, at_head_since(now_us()))
    assert {one.index for one in follower.state.joined.values()} == {old, new}
    assert followed.differences(old) == []
    assert followed.differences(new) == []
    run_until(follower, lambda one, _: {joined.index for joined in one.state.joined.values()} == {old})
    rig.put([small_item(9_999)])
    run_until(follower, at_head_since(now_us()))
    assert followed.differences(old) == []
    assert f"k{9_999}" not in rig.documents(new)


def test_two_followers_the_newer_one_stays(make_followed: MakeFollowed) -> None:
    followed = make_followed()
    Three(followed)
    first = followed.follower()
    run_until(first, at_head_since(now_us()))
    second = followed.follower()
    run_until(second, at_head_since(now_us()))
    with pytest.raises(StateConflictError, match="another process"):
        run_until(first, at_head_since(now_us() + 60_000_000))


def test_without_markers_there_is_nothing_to_do(make_followed: MakeFollowed) -> None:
    followed = make_followed()
    assert not followed.follower().step().is_fed
    followed.create_index(f"{followed.rig.base}-v1", followed.rig.alias)
    assert not followed.follower().step().is_fed


def test_a_trigger_sees_the_first_record_behind_what_was_seen(make_followed: MakeFollowed) -> None:
    followed = make_followed()
    Three(followed)
    followed.rig.put([small_item(1)])
    follower = followed.follower()
    run_until(follower, at_head_since(now_us()))
    activity = StreamActivity(followed.ports().stream, follower.state.seen, followed.rig.clock, 1)
    for _ in range(5):
        assert not activity.has_record()
        time.sleep(0.3)
    followed.rig.put([small_item(2)])
    end_s = time.monotonic() + 10
    while not activity.has_record():
        assert time.monotonic() < end_s
        time.sleep(0.2)
