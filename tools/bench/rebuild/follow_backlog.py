"""Contender: the follower, with a stream full of changes before it, until all of them are done."""

import time
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.follow.follower import Follower
from tools.bench.contender import Done, Work, contend_with
from tools.bench.rebuild.wired import Wired


@dataclass(frozen=True, kw_only=True)
class FollowTask:
    """``margin_s`` decides how old a change must be to need one look only: twice that, and the stream's rounding."""

    dynamodb: str
    opensearch: str
    changes: int
    margin_s: float


def prepare(said: dict[str, Any]) -> Work:
    """Build what the task builds."""
    task = FollowTask(**said)
    follower = Wired(task.dynamodb, task.opensearch, task.margin_s).follower()
    return lambda: follow(follower, task.changes)


def follow(follower: Follower, changes: int) -> Done:
    """Step until every change is done. Not counted: the time in which only second looks are left, and none is due."""
    waited_s = 0.0
    while not _is_done(follower, changes):
        looks, began_s = follower.state.counts.looks, time.monotonic()
        step = follower.step()
        if follower.state.counts.looks > looks:
            began_s = time.monotonic()
        if not step.has_work:
            time.sleep(step.wait_s)
        if follower.state.counts.first >= changes:
            waited_s += time.monotonic() - began_s
    return Done(documents=changes, waited_s=waited_s)


def _is_done(follower: Follower, changes: int) -> bool:
    state = follower.state
    return state.counts.records >= changes and state.position.shards == state.seen.shards


if __name__ == "__main__":
    contend_with(prepare)
