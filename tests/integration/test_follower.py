"""The follower on both DynamoDBs' streams and a real OpenSearch, judged by the oracle."""

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_opensearch.core.stamps import StampRule
from tests.integration.conftest import MakeRig
from tests.support import oracle
from tests.support.follow_rig import Changer, FollowRig, all_done_since, at_head_since, run_until
from tools.local.processes import Server


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture
def followed(make_rig: MakeRig) -> Iterator[FollowRig]:
    target = FollowRig(make_rig(bulk_bytes=1_000_000), StampRule(stream_rounding_s=1, margin_s=2.5))
    yield target
    target.close()


def without_extra(document: oracle.Plain) -> oracle.Plain:
    return {name: value for name, value in document.items() if name != "extra"}


def renamed(document: oracle.Plain) -> oracle.Plain:
    return {"text" if name == "value" else name: value for name, value in document.items()}


def test_it_keeps_the_next_and_the_previous_index_equal_to_the_table_under_a_live_writer(followed: FollowRig) -> None:
    rig = followed.rig
    previous, now, coming = (f"{rig.base}-v{number}" for number in (1, 2, 3))
    rig.rules_of = {previous: {"exclude_fields": ["extra"]}, coming: {"renames": {"value": "text"}}}
    followed.create_index(previous, f"{rig.alias}-previous")
    followed.create_index(now, rig.alias)
    followed.create_index(coming, f"{rig.alias}-next")
    follower = followed.follower()
    with Changer(rig, 220) as changer:
        run_until(follower, at_head_since(now_us() + 8_000_000))
    assert changer.changes_per_s >= 200
    run_until(follower, all_done_since(now_us()))
    assert followed.differences(previous, without_extra) == []
    assert followed.differences(coming, renamed) == []
    assert rig.documents(now) == {}
    print(follower.state.counts, changer.changes_per_s)
