"""A thousand items with random histories at once, the real code, a real index: table and indices are equal in the end.

Time is simulated (tests/support/simulation.py): reads and writes can be minutes apart in an instant, and a seed repeats
its run. Nothing is mended by the comparison that a rebuild ends with, unless a test says so: the rules must hold
without that guard. `make soak` runs many more seeds.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from tests.support import taken_out
from tests.support.simulated_letters import ReplayRules
from tests.support.simulated_run import Mix, Outcome, live_through, prompt_mix, random_mix
from tools.local.processes import Server

Live = Callable[[int, Mix], Outcome]
SEEDS = (1, 2, 3, 4, 5, 6)
PROMPT_SEED = 2
MISSED = "the test does not notice that the rule is missing"


@pytest.fixture
def live(opensearch_server: Server) -> Iterator[Live]:
    client = make_client(opensearch_server.url, pool_maxsize=4)
    yield lambda seed, mix: live_through(opensearch_server.url, OpenSearchCluster(client), seed, mix)
    client.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_histories_end_equal(live: Live, seed: int) -> None:
    outcome = live(seed, random_mix(seed))
    assert outcome.lost == 0, str(outcome)


@pytest.mark.parametrize("failing_share", [0.05, 0.3])
def test_histories_whose_writers_meet_within_seconds_end_equal(live: Live, failing_share: float) -> None:
    outcome = live(PROMPT_SEED, prompt_mix(PROMPT_SEED, failing_share))
    assert outcome.lost == 0, str(outcome)


def test_the_same_histories_lose_updates_without_the_second_look_and_the_comparison_mends_each(live: Live) -> None:
    with taken_out.second_look():
        outcome = live(PROMPT_SEED, replace(prompt_mix(PROMPT_SEED), mends=True))
    assert outcome.lost > 0, MISSED
    assert (outcome.mended, outcome.left) == (outcome.lost, ())


@pytest.mark.parametrize("rule", [taken_out.reading_after_a_tie], ids=["reading after a tie"])
def test_the_same_histories_lose_updates_without(live: Live, rule: Callable[[], AbstractContextManager[None]]) -> None:
    with rule():
        outcome = live(PROMPT_SEED, prompt_mix(PROMPT_SEED))
    assert outcome.lost > 0, MISSED


def test_the_same_histories_lose_updates_when_dead_letters_are_looked_at_once(live: Live) -> None:
    mix = prompt_mix(PROMPT_SEED, failing_share=0.3)
    outcome = live(PROMPT_SEED, mix.with_replay(ReplayRules(later_s=mix.hazards.replay.later_s, looks_twice=False)))
    assert outcome.lost > 0, MISSED


def test_whatever_deletes_are_forgotten_the_comparison_leaves_both_indices_equal(live: Live) -> None:
    outcome = live(4, replace(random_mix(4), forgets_s=tuple(range(15, 100, 10)), mends=True))
    assert outcome.left == (), str(outcome)
    assert outcome.mended == outcome.lost
