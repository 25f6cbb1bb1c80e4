"""Swaps there and back, with a writer, the indexer, a reader and the follower beside them."""

from dataclasses import asdict, dataclass
from typing import Any

from tools.bench import sources
from tools.bench.rebuild.beside import running_beside
from tools.bench.rebuild.ground import FIRST, SECOND, Ground
from tools.bench.rebuild.swaps import SwapRun, check_equal, swap_there_and_back, wait_until_done
from tools.bench.rebuild.traffic import TrafficTask
from tools.bench.rebuild.wired import NEXT, Wired
from tools.local import http, members

CHANGES_PER_S = 200.0
CHANGED_KEYS = 2_000


@dataclass(frozen=True, kw_only=True)
class Swapped:
    """``traffic``: what went on meanwhile."""

    swaps: list[SwapRun]
    traffic: dict[str, Any]


def swapped(ground: Ground) -> Swapped:
    """Swap ``settings.swaps`` times; afterwards both indices are held against the table.

    Raises:
        FollowerLateError, DifferenceError: what was measured would not be worth showing.
    """
    ground.say(f"{ground.settings.swaps} swaps of {ground.settings.items:,} documents")
    with ground.table() as table, ground.fresh(FIRST), ground.fresh(SECOND, NEXT):
        client = sources.members_client(table.url)
        members.load(client, members.TABLE, CHANGED_KEYS)
        ground.fill(FIRST)
        ground.fill(SECOND, NEXT)
        _search_as_usual(ground.server.url)
        task = TrafficTask(
            dynamodb=table.url, opensearch=ground.server.url, keys=CHANGED_KEYS, changes_per_s=CHANGES_PER_S
        )
        wired = Wired(table.url, ground.server.url)
        with ground.following(table):
            with running_beside("tools.bench.rebuild.traffic", asdict(task)) as traffic:
                runs = []
                for run in swap_there_and_back(wired, (FIRST, SECOND), ground.settings.swaps):
                    ground.say(f"writers waited {run.blocked_s:.3f} s")
                    runs.append(run)
                said = traffic.stop()
            wait_until_done(wired, wired.clock.time_us())
        for index in (FIRST, SECOND):
            check_equal(client, ground.server.url, index, CHANGED_KEYS)
    return Swapped(swaps=runs, traffic=said)


def _search_as_usual(url: str) -> None:
    settings = {"index.refresh_interval": "1s"}
    http.call(f"{url}/{FIRST},{SECOND}/_settings", method="PUT", body=settings, timeout_s=60)
