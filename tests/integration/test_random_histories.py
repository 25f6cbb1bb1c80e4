"""A thousand items with random histories at once, the real code, a real index: table and indices are equal in the end.

Time is simulated (tests/support/simulation.py), so that reads and writes are minutes apart in an instant, and so that
a seed repeats its run. The comparison that a rebuild ends with is left out: it would mend what the rules lose.
A seed that fails: ``pytest tests/integration/test_random_histories.py -k "equal and 17"``; `make soak` runs many more.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from tests.support import taken_out
from tests.support.simulated_replay import ReplayRules
from tests.support.simulated_run import Mix, Outcome, live_through, prompt_mix, random_mix
from tools.local.processes import Server

Live = Callable[[int, Mix], Outcome]
SEEDS = (1, 2, 3, 4, 5, 6)
PROMPT_SEED = 2


@pytest.fixture
def live(opensearch_server: Server) -> Iterator[Live]:
    client = make_client(opensearch_server.url, pool_maxsize=4)
    yield lambda seed, mix: live_through(opensearch_server.url, OpenSearchCluster(client), seed, mix)
    client.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_histories_end_equal(live: Live, seed: int) -> None:
    outcome = live(seed, random_mix(seed))
    assert outcome.lost == 0, str(outcome)


def test_histories_whose_writers_meet_within_seconds_end_equal(live: Live) -> None:
    outcome = live(PROMPT_SEED, prompt_mix(PROMPT_SEED))
    assert outcome.lost == 0, str(outcome)


@pytest.mark.parametrize("rule", [taken_out.second_look, taken_out.reading_after_a_tie], ids=lambda rule: rule.__name__)
def test_the_same_histories_lose_updates_without(live: Live, rule: Callable[[], AbstractContextManager[None]]) -> None:
    with rule():
        outcome = live(PROMPT_SEED, prompt_mix(PROMPT_SEED))
    assert outcome.lost > 0, "the test does not notice that the rule is missing"


def test_the_same_histories_lose_updates_when_dead_letters_are_looked_at_once(live: Live) -> None:
    mix = prompt_mix(PROMPT_SEED)
    outcome = live(PROMPT_SEED, mix.with_replay(ReplayRules(later_s=mix.hazards.replay.later_s, looks_twice=False)))
    assert outcome.lost > 0, "the test does not notice that the rule is missing"
