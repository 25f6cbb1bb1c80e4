"""Pages of a shard: each asked for before the one before it is worked on, none left out, none believed unseen."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import orjson
import pytest

from dynamo_opensearch.core.compare.digest import content_digest
from dynamo_opensearch.core.compare.index_side import ShardsFailedError, read_shard
from dynamo_opensearch.core.compare.rows import Rows
from dynamo_opensearch.core.compare.shard_pages import FIRST_PAGE, next_page
from dynamo_opensearch.core.compare.table_side import Depth
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from tests.support.rows import Row, row_list

Change = Callable[[dict[str, Any]], str]


def as_it_is(answer: dict[str, Any]) -> str:
    return orjson.dumps(answer).decode()


class Shard:
    """One shard, by the requests that are made of it; ``sorts``: the place of each document in Lucene's order."""

    def __init__(self, sources: Sequence[dict[str, Any]], change: Change = as_it_is) -> None:
        self.sources, self.change = sources, change
        self.sorts = [3 * number for number in range(len(sources))]
        self.searches: list[dict[str, Any]] = []
        self.searched = threading.Condition()
        self.released = 0

    def request(self, method: str, path: str, *, body: Any = None, decode: Any = None, **_: Any) -> Any:
        if path.endswith("/point_in_time"):
            self.released += method == "DELETE"
            return {"pit_id": "p", "_shards": {"failed": 0}}
        with self.searched:
            self.searches.append(body)
            self.searched.notify_all()
        return decode(self.change(self._answer(body)))

    @property
    def pages(self) -> list[dict[str, Any]]:
        """Searches but for the one that asks for the last document's place."""
        return [body for body in self.searches if body["sort"] == ["_doc"]]

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["sort"] == [{"_doc": "desc"}]:
            last = {"_id": "last", "sort": [self.sorts[-1]]}
            return {"timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": [last]}}
        assert body["sort"] == ["_doc"]
        after = body["search_after"][0] if "search_after" in body else -1
        first = sum(place <= after for place in self.sorts)
        chosen = range(first, min(first + body["size"], len(self.sources)))
        total = {"total": {"value": len(self.sources), "relation": "eq"}} if body["track_total_hits"] else {}
        return {
            "timed_out": False,
            "_shards": {"failed": 0},
            "hits": {**total, "hits": [self._hit(one, body) for one in chosen]},
        }

    def _hit(self, number: int, body: dict[str, Any]) -> dict[str, Any]:
        source = {"_source": self.sources[number]} if body["_source"] else {}
        return {"_id": f"k{number}", "_routing": f"r{number}", **source, "sort": [self.sorts[number]]}

    def wait_for_searches(self, count: int) -> bool:
        with self.searched:
            return self.searched.wait_for(lambda: len(self.searches) >= count, timeout=10)


class Kept:
    def __init__(self) -> None:
        self.rows: list[Row] = []

    def write(self, rows: Rows) -> None:
        self.rows += row_list(rows)


def read(shard: Shard, depth: Depth = "keys", on_page: Callable[[], None] = lambda: None) -> list[Row]:
    kept = Kept()
    found = read_shard(cast("PatientCluster", shard), "members-v1", 0, depth, kept, on_page)
    assert found.rows == len(kept.rows)
    assert shard.released == 1
    return kept.rows


@pytest.mark.parametrize(
    "count", [0, 1, FIRST_PAGE, FIRST_PAGE + 1, 5 * FIRST_PAGE, 5 * FIRST_PAGE + 1, 3_000, 6_767, 6_768, 20_000]
)
def test_every_document_is_read_once(count: int) -> None:
    shard = Shard([{}] * count)
    assert sorted(read(shard)) == sorted(Row(f"k{number}", f"r{number}", None) for number in range(count))


@pytest.mark.parametrize("depth", ["keys", "content"])
@pytest.mark.parametrize("gone", [range(0), range(200, 36_000), range(13_000, 14_100), range(30_000, 47_999)])
def test_a_large_shard_is_read_in_parts_wherever_documents_were_deleted(depth: Depth, gone: range) -> None:
    shard = Shard([{"number": number} for number in range(48_000)])
    places = [place for place in range(48_000) if place not in gone]
    shard.sources, shard.sorts = [shard.sources[place] for place in places], places
    rows = read(shard, depth)
    assert sorted(int(row.id[1:]) for row in rows) == list(range(len(places)))
    begun_at = {body["search_after"][0] for body in shard.pages if "search_after" in body}
    behind, until, parts = places[FIRST_PAGE - 1], places[-1], math.ceil((len(places) - FIRST_PAGE) / 9_900)
    assert {behind + (until - behind) * number // parts for number in range(parts)} <= begun_at


def test_where_nothing_was_deleted_each_part_is_one_page_of_ids() -> None:
    shard = Shard([{}] * 48_000)
    shard.sorts = list(range(48_000))
    read(shard)
    assert len(shard.pages) == 1 + math.ceil((48_000 - FIRST_PAGE) / 9_900)


def test_what_a_slow_reader_does_not_come_to_others_read() -> None:
    class SlowAtFirst(Shard):
        def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
            if body.get("search_after") == [self.sorts[FIRST_PAGE - 1]]:
                assert self.wait_for_searches(2 + math.ceil((48_000 - FIRST_PAGE) / 9_900))
            return super()._answer(body)

    shard = SlowAtFirst([{}] * 48_000)
    shard.sorts = list(range(48_000))
    assert len(read(shard)) == 48_000


@pytest.mark.parametrize("length", [690, 720, 740, 760])
def test_the_end_of_a_part_makes_the_next_page_no_smaller(length: int) -> None:
    shard = Shard([{"text": "x" * length}] * 40_000)
    shard.sorts = list(range(40_000))
    read(shard, "content")
    first, until, parts = FIRST_PAGE - 1, 39_999, math.ceil((40_000 - FIRST_PAGE) / 9_900)
    ends = {first + (until - first) * number // parts for number in range(1, parts + 1)}
    pages = [(body["search_after"][0], body["size"]) for body in shard.pages if "search_after" in body]
    small = [size for after, size in pages if size < 1_000 and after + size not in ends]
    assert small == [4 * FIRST_PAGE] * len(small)
    assert len(small) <= 3


def test_a_small_shard_is_read_by_one_reader() -> None:
    shard = Shard([{}] * 6_000)
    read(shard)
    asked = [body["search_after"][0] for body in shard.pages if "search_after" in body]
    assert asked == sorted(asked)


def test_no_page_is_asked_for_after_the_last_document() -> None:
    shard = Shard([{}] * 5 * FIRST_PAGE)
    read(shard)
    assert [body["size"] for body in shard.pages] == [FIRST_PAGE, 3 * 4 * FIRST_PAGE]


def test_a_field_with_the_name_of_the_sort_does_not_lead_astray() -> None:
    sources = [{"sort": [10**9], "text": f'"sort":[{number}]', "in": {"sort": "]"}} for number in range(1_000)]
    rows = read(Shard(sources), "content")
    by_id = {row.id: row.digest for row in rows}
    assert by_id == {f"k{number}": content_digest(orjson.dumps(source)) for number, source in enumerate(sources)}


def test_the_next_page_is_asked_for_before_the_last_one_is_worked_on() -> None:
    shard = Shard([{}] * 3_000)
    pages: list[bool] = []

    def on_page() -> None:
        if pages:  # before the first one, nobody knows that there is more
            assert shard.wait_for_searches(min(len(pages) + 3, 5))
        pages.append(True)

    read(shard, "content", on_page=on_page)
    assert len(pages) == 4
    assert len(shard.searches) == 5


@pytest.mark.parametrize("depth", ["keys", "content"])
def test_fewer_documents_than_were_counted_are_an_error(depth: Depth) -> None:
    def without_one(answer: dict[str, Any]) -> str:
        if "total" not in answer["hits"] and len(answer["hits"]["hits"]) > 7:
            del answer["hits"]["hits"][7]
        return as_it_is(answer)

    with pytest.raises(ShardsFailedError, match="299 documents came, 300 were counted"):
        read(Shard([{}] * 300, without_one), depth)


def test_a_page_without_documents_before_the_last_one_is_an_error() -> None:
    def empty_later(answer: dict[str, Any]) -> str:
        if "total" not in answer["hits"] and len(answer["hits"]["hits"]) > 1:
            del answer["hits"]
        return as_it_is(answer)

    with pytest.raises(ShardsFailedError, match="100 documents came, 900 were counted"):
        read(Shard([{}] * 900, empty_later))


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("problem", [{"_shards": {"failed": 1}}, {"timed_out": True}])
def test_a_page_that_is_not_of_the_whole_shard_is_an_error(problem: dict[str, Any], is_first: bool) -> None:
    def failing(answer: dict[str, Any]) -> str:
        return as_it_is(answer | problem if ("total" in answer["hits"]) == is_first else answer)

    shard = Shard([{}] * 300, failing)
    with pytest.raises(ShardsFailedError):
        read(shard)
    assert shard.released == 1


def test_an_answer_that_ends_too_early_is_for_whoever_retries_requests() -> None:
    with pytest.raises(ValueError, match="cut off"):
        read(Shard([{}] * 10, lambda answer: as_it_is(answer)[:-1] + "]"))


def test_an_answer_that_ends_too_early_with_a_brace_is_an_error_as_well() -> None:
    with pytest.raises(ShardsFailedError, match="cut off"):
        read(Shard([{}] * 10, lambda answer: as_it_is(answer)[:-1]))


def test_the_point_in_time_is_released_when_what_is_done_with_a_page_fails() -> None:
    def fail() -> None:
        raise RuntimeError("stop")

    shard = Shard([{}] * 3_000)
    with pytest.raises(RuntimeError, match="stop"):
        read(shard, on_page=fail)
    assert shard.released == 1
    assert len(shard.searches) == 1


def test_pages_grow_to_a_megabyte_and_no_further() -> None:
    assert next_page(100, 6_400, has_content=False) == 10_000
    assert next_page(100, 50_000, has_content=False) == 2_000
    assert next_page(100, 1_000, has_content=True) == 400
    assert next_page(1_000, 500_000, has_content=True) == 2_000
    assert next_page(2_000, 4_000_000, has_content=True) == 500
    assert next_page(1, 50_000_000, has_content=True) == 1
