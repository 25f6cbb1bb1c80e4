"""Documents that no key leads to, on the real servers: named as orphaned, removed by a repair, unless written since."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from dynamo_opensearch.core.compare.join import Kind, Suspect
from dynamo_opensearch.core.compare.removing import StrayRemover
from tests.integration.conftest import MakeRig
from tests.support.reconcile_rig import Reconciling

NO_KEYS = ["50%", "a%zz", "lower%7c", "white|space", "%7C%"]
"""None of them is what some string of one part is escaped to."""
LOST = "x" * 440 + "%~" + "0" * 64
"""As the id of a long key, whose document does not tell the key."""
Make = Callable[..., Reconciling]


@pytest.fixture
def reconciling(make_rig: MakeRig, tmp_path: Path) -> Make:
    def make(**settings: Any) -> Reconciling:
        rig = make_rig(limit=None, bulk_bytes=1_000_000, **settings)
        rig.fill(50)
        rig.create_index(settings={"number_of_shards": 3})
        rig.copy()
        return Reconciling(rig, tmp_path)

    return make


def put(one: Reconciling, document_id: str, routing: str = "") -> None:
    one.rig.call(
        f"{one.rig.index}/_doc/{quote(document_id, safe='')}{f'?routing={routing}' if routing else ''}",
        "PUT",
        {"id": document_id},
    )


def ids_and_routings(one: Reconciling) -> set[tuple[str, str | None]]:
    one.rig.call(f"{one.rig.index}/_refresh", "POST")
    found = one.rig.call(f"{one.rig.index}/_search?size=1000")["hits"]["hits"]
    return {(hit["_id"], hit.get("_routing")) for hit in found}


@pytest.mark.parametrize("unversioned", [False, True])
def test_an_id_that_no_key_has_is_orphaned_and_removed(reconciling: Make, unversioned: bool) -> None:
    one = reconciling(unversioned=unversioned)
    before = ids_and_routings(one)
    for document_id in NO_KEYS:
        put(one, document_id)

    found, after = one.compare_and_repair()

    assert (found.orphaned, found.missing, found.stale) == (len(NO_KEYS), 0, 0)
    assert (after.differences, after.mended) == (0, len(NO_KEYS))
    assert after.offers.deleted == len(NO_KEYS)
    assert ids_and_routings(one) == before


def test_a_document_of_a_living_key_that_lies_on_another_shard_is_removed_and_the_right_one_stays(
    reconciling: Make,
) -> None:
    one = reconciling()
    before = ids_and_routings(one)
    for number in range(10):
        put(one, f"k{number:04}", "elsewhere")
    astray, replaced = ids_and_routings(one) - before, before - ids_and_routings(one)
    assert len(astray) > len(replaced) > 0, "some lie beside the right one, some on the right one's shard in its place"

    found, after = one.compare_and_repair()

    assert (found.orphaned, found.missing) == (len(astray), len(replaced))
    assert (after.differences, after.mended) == (0, len(astray) + len(replaced))
    assert ids_and_routings(one) == before
    assert one.rig.differences() == []


def test_one_whose_key_cannot_be_told_is_left_alone_and_stays_a_difference(reconciling: Make) -> None:
    one = reconciling()
    before = ids_and_routings(one)
    put(one, LOST)

    found, after = one.compare_and_repair()

    assert (found.orphaned, after.orphaned, after.unsettled, after.mended) == (1, 1, 1, 0)
    assert ids_and_routings(one) - before == {(LOST, None)}


def test_one_that_was_written_since_it_was_seen_stays(reconciling: Make) -> None:
    one = reconciling()
    put(one, "50%")
    plan = one.plan("keys", "apply")
    before = one.settle(plan, one.read_all(plan), one.join_all(plan)).comparison
    (look,) = one.looker(plan).look([_suspect("50%")])
    put(one, "50%")

    report = _remover(one).remove([look])

    assert (before.orphaned, report.offered, report.stale, report.deleted) == (1, 1, 1, 0)
    assert ("50%", None) in ids_and_routings(one)


def test_a_second_run_finds_nothing_to_remove(reconciling: Make) -> None:
    one = reconciling()
    put(one, "50%")
    plan = one.plan("keys", "apply")
    (look,) = one.looker(plan).look([_suspect("50%")])

    first, second = (_remover(one).remove([look]) for _ in range(2))

    assert (first.deleted, second.deleted, second.stale) == (1, 0, 1)


def _suspect(document_id: str) -> Suspect:
    return Suspect(document_id, None, Kind.ORPHANED, None)


def _remover(one: Reconciling) -> StrayRemover:
    return StrayRemover(one.rig.index, one.rig.patient)
