"""Both copies of a rebuild, each beside what it is held against."""

from collections.abc import Iterator
from dataclasses import asdict

from tools.bench.course import OURS
from tools.bench.rebuild.ground import FIRST, SECOND, Ground
from tools.bench.rebuild.server_copy import ServerCopyTask
from tools.bench.rebuild.swaps import wait_for_follower
from tools.bench.rebuild.wired import NEXT, Wired
from tools.bench.replay import Replay, replaying
from tools.bench.runs import Contender, Run
from tools.bench.target_index import ALIAS
from tools.local.processes import Server

Slices = int | str
SLICES: tuple[Slices, ...] = ("auto", 2)
BARE = {
    slices: Contender(
        name=f"bare {slices}", title=f"bare _reindex, slices={slices}", module="tools.bench.rebuild.bare_reindex"
    )
    for slices in SLICES
}
BY_REINDEX = {
    slices: Contender(
        name=f"copy {slices}", title=f"source=index, slices={slices}", module="tools.bench.rebuild.server_copy"
    )
    for slices in SLICES
}

OWN = Contender(name="own", title="backfill of an index of its own", module=OURS.module)
INTO_NEXT = Contender(name="next", title="source=table, beside a follower", module=OURS.module)


def server_copies(ground: Ground) -> Iterator[Run]:
    """The old index is made once; a first round, which warms OpenSearch up, does not count."""
    ground.say(f"_reindex of {ground.settings.items:,} documents")
    with ground.fresh(FIRST):
        ground.fill(FIRST)
        for number in range(ground.settings.rounds + 1):
            for slices in SLICES:
                runs = [_server_copy(ground, one[slices], slices) for one in (BARE, BY_REINDEX)]
                yield from runs if number else ()


def _server_copy(ground: Ground, contender: Contender, slices: Slices) -> Run:
    task = ServerCopyTask(opensearch=ground.server.url, from_index=FIRST, to_index=SECOND, slices=slices)
    with ground.fresh(SECOND, NEXT):
        return ground.run(contender, [asdict(task)], SECOND, ground.settings.items)


def table_copies(ground: Ground) -> Iterator[Run]:
    """The recorded table twice in each round: as a backfill does, and as a rebuild, its follower at a silent stream."""
    ground.say("copies from the table")
    with ground.table() as table, replaying(ground.pages) as replay:
        for number in range(ground.settings.rounds + 1):
            runs = [_own_copy(ground, replay), _copy_into_next(ground, replay, table)]
            yield from runs if number else ()


def _own_copy(ground: Ground, replay: Replay) -> Run:
    with ground.fresh(FIRST):
        task = ground.copy_task(replay.url, FIRST, ALIAS)
        return ground.run(OWN, [asdict(task)], FIRST, ground.settings.items, {"source": replay.pid})


def _copy_into_next(ground: Ground, replay: Replay, table: Server) -> Run:
    wired = Wired(table.url, ground.server.url)
    task = ground.copy_task(replay.url, SECOND, NEXT)
    with ground.fresh(FIRST), ground.fresh(SECOND, NEXT), ground.following(table):
        wait_for_follower(wired, SECOND, 0)
        return ground.run(INTO_NEXT, [asdict(task)], SECOND, ground.settings.items, {"source": replay.pid})
