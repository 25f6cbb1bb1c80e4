"""Reconciliations of 200,000 items with differences put in by hand, and of a table that never rests.

Results in build/soak.json. SOAK_RECONCILE_ITEMS changes the size of the tables (200,000), SOAK_RECONCILE_ROUNDS how
often the table that never rests is reconciled at each depth (20).
"""

import os
import time
from pathlib import Path

import pytest

from tests.integration.conftest import MakeRig
from tests.support.by_hand import ByHand, Sizes, fill, put_all
from tests.support.harm import SHAPES, Harm
from tests.support.reconcile_live import live
from tests.support.reconcile_rig import Reconciling
from tests.support.soak_results import write_results

ITEMS = int(os.environ.get("SOAK_RECONCILE_ITEMS", "200000"))
ROUNDS = int(os.environ.get("SOAK_RECONCILE_ROUNDS", "20"))
MANY = Sizes(items=ITEMS, deleted=500, orphans=300, nested=200, digits=50)
WAITS_S = (3, 6, 12, 24)
"""As in production."""
HARM_EVERY = 4
LEAST_RATE = 200

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("name", SHAPES)
def test_differences_by_hand_are_found_named_and_mended(make_rig: MakeRig, tmp_path: Path, name: str) -> None:
    began_s = time.monotonic()
    by_hand = ByHand.of(make_rig, SHAPES[name], MANY, tmp_path, waits_s=WAITS_S)
    keys = by_hand.judge("keys")
    by_hand.spoil()
    content = by_hand.judge("content")
    left = len(by_hand.differences())
    seconds = round(time.monotonic() - began_s, 1)
    figures = {"keys": keys, "content": content, "differences_afterwards": left, "seconds": seconds}
    write_results(f"reconciliation, differences by hand, {name}", figures)
    assert left == 0


def test_an_index_of_another_table_is_mended_whole(make_rig: MakeRig, tmp_path: Path) -> None:
    """As after an approval: far too much to be looked at again, and every key offered."""
    shape = SHAPES["plain"]
    rig = make_rig(key=shape.key, limit=None, bulk_bytes=1_000_000, requests_in_flight=4, read_timeout_s=60.0)
    fill(rig, shape, ITEMS)
    rig.boto.delete_table(TableName=rig.table)
    rig.create_table()
    put_all(rig, shape, range(ITEMS, 2 * ITEMS))
    one = Reconciling(rig, tmp_path, waits_s=WAITS_S)
    began_s = time.monotonic()
    before, after = one.compare_and_repair()
    left = len(ByHand(one=one, shape=shape, harm=Harm()).differences())
    figures = {
        "missing": before.missing,
        "orphaned": before.orphaned,
        "not_looked_at_again": before.unsettled,
        "mended": after.mended,
        "differences_afterwards": left,
        "seconds": round(time.monotonic() - began_s, 1),
    }
    write_results("reconciliation, an index of another table", figures)
    assert (before.missing, before.orphaned, before.unsettled) == (ITEMS, ITEMS, 2 * ITEMS)
    assert (after.mended, after.differences, left) == (2 * ITEMS, 0, 0)


def test_no_false_alarm_beside_a_writer_and_a_lagging_indexer(make_rig: MakeRig, tmp_path: Path) -> None:
    began_s = time.monotonic()
    with live(make_rig, tmp_path, stable=20_000, quiet=2_000, least_rate=LEAST_RATE, waits_s=WAITS_S) as live_sides:
        for number in range(ROUNDS):
            live_sides.round(number, has_harm=number % HARM_EVERY == HARM_EVERY - 1)
    figures = {"false_alarms": 0, **live_sides.figures(), "seconds": round(time.monotonic() - began_s, 1)}
    write_results("reconciliation, beside a writer and a lagging indexer", figures)
    assert live_sides.found == 3 * (ROUNDS // HARM_EVERY)
    assert live_sides.in_motion["content"] > 0
