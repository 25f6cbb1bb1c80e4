"""A shard that is read from three places at once, on the real OpenSearch: every document once, whatever was deleted."""

import pytest

from dynamo_opensearch.core.compare.index_side import read_shard
from dynamo_opensearch.core.compare.rows import Rows
from tests.integration.conftest import MakeRig
from tests.support.harm import Document, delete_documents, write_documents
from tests.support.rig import Rig
from tests.support.rows import row_list

PARTS, IN_PART = 4, 12_000
WINDOWS = 3
"""28,000 documents are left: at most 9,900 in each."""


class Ids:
    def __init__(self) -> None:
        self.found: list[str] = []

    def write(self, rows: Rows) -> None:
        self.found += [row.id for row in row_list(rows)]


def read(rig: Rig) -> tuple[list[str], list[int]]:
    """Ids, sorted, and behind which places pages were asked for."""
    ids, places = Ids(), list[int]()
    ask = rig.patient.request

    def noted(method: str, path: str, **request: object) -> object:
        body = request.get("body")
        if isinstance(body, dict) and "search_after" in body:
            places.append(body["search_after"][0])
        return ask(method, path, **request)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rig.patient, "request", noted)
        found = read_shard(rig.patient, rig.index, 0, "keys", ids)
    assert found.rows == len(ids.found)
    return sorted(ids.found), places


def test_segments_and_deletes_leave_nothing_out_and_give_nothing_twice(make_rig: MakeRig) -> None:
    rig = make_rig()
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}
    rig.call(rig.index, "PUT", {"settings": {"index": settings}, "mappings": {"dynamic": False}})
    everything = [Document(f"d{number:05}", None, {"number": number}) for number in range(PARTS * IN_PART)]
    for part in range(PARTS):
        write_documents(rig.direct_opensearch, rig.index, everything[part * IN_PART : (part + 1) * IN_PART])
        rig.call(f"{rig.index}/_refresh", "POST")
    gone = everything[::3] + everything[12_000:16_000]
    delete_documents(rig.direct_opensearch, rig.index, list({one.id: one for one in gone}.values()))
    rig.call(f"{rig.index}/_refresh", "POST")
    left = sorted({one.id for one in everything} - {one.id for one in gone})
    ids, places = read(rig)
    assert ids == left
    assert len(places) == len(set(places))
    begun_at = [places[0] + (PARTS * IN_PART - 1 - places[0]) * number // WINDOWS for number in range(WINDOWS)]
    assert set(begun_at) <= set(places)
