"""Many worlds of a thousand random histories each, with every rule and without; what was lost in build/soak.json.

SOAK_HISTORIES changes how many seeds (200).
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest

from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from tests.support import taken_out
from tests.support.simulated_letters import ReplayRules
from tests.support.simulated_run import Mix, Outcome, live_through, prompt_mix, random_mix
from tests.support.soak_results import write_results
from tools.local.processes import Server

SEEDS = range(1_000, 1_000 + int(os.environ.get("SOAK_HISTORIES", "200")))
PROMPT_SEEDS = range(2, 42, 2)

pytestmark = pytest.mark.soak

Live = Callable[[int, Mix], Outcome]


@pytest.fixture
def live(opensearch_server: Server) -> Iterator[Live]:
    client = make_client(opensearch_server.url, pool_maxsize=4)
    yield lambda seed, mix: live_through(opensearch_server.url, OpenSearchCluster(client), seed, mix)
    client.close()


def test_random_histories_end_equal_seed_after_seed(live: Live) -> None:
    began_s = time.monotonic()
    counts: Counter[str] = Counter()
    lost: list[str] = []
    for seed in SEEDS:
        outcome = live(seed, random_mix(seed))
        counts.update(histories=1_000, changes=outcome.changes, looks=outcome.looks)
        counts.update(dead_letters=outcome.letters, looks_at_dead_letters=outcome.replayed)
        lost += [str(outcome)] if outcome.lost else []
    results = {"seeds": len(SEEDS), **counts, "seeds_with_losses": len(lost), "seconds": _since(began_s)}
    write_results("random_histories", results)
    assert not lost, "\n".join(lost)


def test_each_rule_is_needed(live: Live) -> None:
    began_s = time.monotonic()
    lost: Counter[str] = Counter()
    for seed in PROMPT_SEEDS:
        mix = prompt_mix(seed, failing_share=0.3)
        looks_once = mix.with_replay(replace(ReplayRules(looks_twice=False), later_s=mix.hazards.replay.later_s))
        for name, rule, this in (
            ("every rule", nullcontext(), mix),
            ("without the second look", taken_out.second_look(), mix),
            ("without reading after a tie", taken_out.reading_after_a_tie(), mix),
            ("dead letters looked at once", nullcontext(), looks_once),
        ):
            with rule:
                lost[name] += live(seed, this).lost
    results = {"seeds": len(PROMPT_SEEDS), "documents_lost": dict(lost), "seconds": _since(began_s)}
    write_results("random_histories_without_a_rule", results)
    assert lost.pop("every rule") == 0
    assert all(lost.values()), lost


def test_deletes_that_are_forgotten_are_mended_by_the_comparison(live: Live) -> None:
    began_s = time.monotonic()
    outcomes = [
        live(seed, replace(random_mix(seed), forgets_s=tuple(range(10, 110, 5)), mends=True)) for seed in SEEDS[:20]
    ]
    results = {
        "seeds": len(outcomes),
        "documents_wrong_before": sum(outcome.lost for outcome in outcomes),
        "mended": sum(outcome.mended for outcome in outcomes),
        "documents_wrong_after": sum(len(outcome.left) for outcome in outcomes),
        "seconds": _since(began_s),
    }
    write_results("random_histories_forgotten_deletes", results)
    assert not results["documents_wrong_after"]


def _since(began_s: float) -> float:
    return round(time.monotonic() - began_s, 1)
