"""A table that is written all the time and an indexer that is behind are no alarm; a real difference is."""

from pathlib import Path

from tests.integration.conftest import MakeRig
from tests.support.reconcile_live import live

ROUNDS = 2
WAITS_S = (1, 2, 3, 4)
"""Together longer than the indexer's lag, as far as this machine lets it be."""


def test_no_false_alarm_beside_a_writer_and_a_lagging_indexer(make_rig: MakeRig, tmp_path: Path) -> None:
    """The same with 20 rounds and the waits of production: `make soak`."""
    with live(make_rig, tmp_path, stable=1_500, quiet=500, least_rate=100, waits_s=WAITS_S) as live_sides:
        for number in range(ROUNDS):
            live_sides.round(number, has_harm=number == ROUNDS - 1)

    assert live_sides.found == 3
    assert live_sides.runs["content"] == live_sides.runs["keys"] == live_sides.runs["count"] == ROUNDS
    assert live_sides.in_motion["content"] > 0, "the writer was not seen: the test shows nothing"
