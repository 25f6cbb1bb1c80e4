"""One seed is one world: what goes wrong in it, a rebuild and perhaps the ways back, and what is left of it all."""

import random
from dataclasses import dataclass, replace

from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster
from tests.support.simulated_comparison import compare_and_mend
from tests.support.simulated_follower import SimulatedFollower
from tests.support.simulated_indexer import IndexerRules
from tests.support.simulated_letters import ReplayRules
from tests.support.simulated_rebuild import Rebuild, RebuildRules
from tests.support.simulated_replay import SimulatedReplay
from tests.support.simulated_table import HistoryRules, ReadRules
from tests.support.simulated_threads import simulated_threads
from tests.support.simulated_wire import WireRules
from tests.support.simulated_world import Hazards, World


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Moments in simulated seconds.

    ``follower_dies_s``: when the follower is killed; ``replay_dies_s``: when a consumer of dead letters is.
    ``forgets_s``: when OpenSearch forgets all deletes, as a node does that starts again.
    ``mends``: whether both indices are compared with the table in the end, and mended.
    """

    hazards: Hazards
    rebuild: RebuildRules
    follower_dies_s: tuple[float, ...] = ()
    replay_dies_s: tuple[float, ...] = ()
    forgets_s: tuple[float, ...] = ()
    mends: bool = False

    def with_replay(self, rules: ReplayRules) -> "Mix":
        """The same with another replay of dead letters."""
        return replace(self, hazards=replace(self.hazards, replay=rules))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``lost_live``, ``lost_previous``: how each of the two indices differs from the table. ``said``: what happened.

    ``letters``: dead letters that were left; ``replayed``: looks at their items. ``mended``: by the comparison, which
    came after that; ``left``: how the indices differ after it.
    """

    seed: int
    changes: int
    looks: int
    letters: int
    replayed: int
    simulated_s: float
    lost_live: list[str]
    lost_previous: list[str]
    said: list[str]
    mended: int = 0
    left: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        """Documents that are not what they should be."""
        return len(self.lost_live) + len(self.lost_previous)

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.changes} changes, {self.looks} looks, {self.replayed} at {self.letters} letters"
        ]
        lines += [f"  {one}" for one in self.said]
        lines += [f"  live: {one}" for one in self.lost_live[:5]]
        lines += [f"  previous: {one}" for one in self.lost_previous[:5]]
        return "\n".join(lines)


def random_mix(seed: int) -> Mix:
    """Everything at once, in other measures for each seed; the source of the copy takes turns."""
    chance = random.Random(f"mix {seed}")
    is_rough = chance.random() < 0.5
    hazards = Hazards(
        history=HistoryRules(is_hot=chance.random() < 0.7),
        disorder_s=chance.choice([0.0, 1.5, 1.5]),
        splits=chance.randrange(3),
        wire=WireRules(
            late_share=0.3 if is_rough else 0.05, latest_s=chance.choice([3.0, 10.0]), lost_share=0.03, twice_share=0.15
        ),
        reads=ReadRules(long_share=0.2 if is_rough else 0.03),
        indexer=IndexerRules(lag_share=chance.choice([0.0, 0.05, 0.3]), failing_share=chance.uniform(0.01, 0.35)),
        replay=ReplayRules(later_s=chance.choice([3.0, 40.0, 120.0]), consumers=1 + seed % 2),
    )
    rebuild = RebuildRules(
        source="index" if seed % 2 else "table",
        begins_s=chance.uniform(10, 40),
        copy_takes_s=chance.uniform(1, 15),
        waits_s=chance.uniform(1, 10),
        uses_write_block=chance.random() < 0.8,
        rolls_back_after_s=chance.uniform(3, 25) if chance.random() < 0.7 else None,
        returns_after_s=chance.uniform(3, 20) if chance.random() < 0.4 else None,
        kills_copy_after_s=chance.uniform(0.5, 5) if chance.random() < 0.5 else None,
    )
    dies_s = tuple(chance.uniform(10, 100) for _ in range(chance.randrange(3)))
    replay_dies_s = tuple(chance.uniform(10, 100) for _ in range(chance.randrange(3)))
    return Mix(hazards=hazards, rebuild=rebuild, follower_dies_s=dies_s, replay_dies_s=replay_dies_s)


def prompt_mix(seed: int, failing_share: float = 0.05) -> Mix:
    """An indexer and a follower without lag, whose writes meet within seconds: there the rules of time matter most."""
    mix = random_mix(seed)
    hazards = replace(
        mix.hazards,
        history=HistoryRules(is_hot=True),
        disorder_s=1.5,
        wire=WireRules(late_share=0.05, lost_share=0.02, twice_share=0.1),
        reads=ReadRules(long_share=0.05),
        indexer=IndexerRules(lag_share=0.0, failing_share=failing_share),
        replay=ReplayRules(later_s=3.0),
    )
    rebuild = replace(
        mix.rebuild, begins_s=20.0, copy_takes_s=8.0, waits_s=2.0, rolls_back_after_s=8.0, returns_after_s=None
    )
    return Mix(hazards=hazards, rebuild=rebuild)


def live_through(url: str, cluster: OpenSearchCluster, seed: int, mix: Mix) -> Outcome:
    """Run the world of this seed to its end: all is written, indexed, replayed and followed.

    The comparison comes after that, if at all, so nothing was mended: the rules must hold without that guard.
    """
    with simulated_threads():
        world = World(url, cluster, seed, mix.hazards)
        try:
            return _live_through(world, mix)
        finally:
            world.close()


def _live_through(world: World, mix: Mix) -> Outcome:
    world.create_index(1, world.alias, {})
    world.fill_first()
    follower = SimulatedFollower(world)
    rebuild = Rebuild(world, follower, mix.rebuild)
    replay = SimulatedReplay(world)

    def is_over() -> bool:
        return world.mapping.is_over and replay.is_over and rebuild.is_over

    def are_all_letters_written() -> bool:
        return world.mapping.is_over

    world.mapping.start()
    replay.start(are_all_letters_written)
    world.simulation.spawn("the rebuild", rebuild.run)
    follower.start(is_over)
    for moment_s in mix.follower_dies_s:
        world.simulation.spawn("the killer", lambda: follower.die(is_over, after_s=3.0), after_s=moment_s)
    for moment_s in mix.replay_dies_s:
        world.simulation.spawn("the killer", lambda: replay.die(are_all_letters_written, after_s=2.0), after_s=moment_s)
    for moment_s in mix.forgets_s:
        world.simulation.spawn("the restart", world.forget_deletes, after_s=moment_s)
    world.simulation.run()
    state = follower.state
    assert state is not None
    assert (follower.sink.parts, replay.sink.parts) == ({}, {}), "nothing of this may be refused"
    assert not replay.parking.parked, "every dead letter is understood, and none is lost by the stream"
    outcome = Outcome(
        seed=world.seed,
        changes=len(world.history.changes),
        looks=state.counts.looks,
        letters=world.letters.queue.sent,
        replayed=replay.looks,
        simulated_s=world.simulation.now_s,
        lost_live=world.differences(world.alias),
        lost_previous=world.differences(f"{world.alias}-previous"),
        said=rebuild.said,
    )
    return _mended(world, outcome) if mix.mends else outcome


def _mended(world: World, outcome: Outcome) -> Outcome:
    aliases = (world.alias, f"{world.alias}-previous")
    reports: list[ComparisonReport] = []
    world.simulation.spawn("comparison", lambda: reports.extend(compare_and_mend(world, alias) for alias in aliases))
    world.simulation.run()
    left = [one for alias in aliases for one in world.differences(alias)]
    return replace(outcome, mended=sum(report.mended for report in reports), left=tuple(left))
