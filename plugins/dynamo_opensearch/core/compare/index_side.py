"""The index's side: every document of a shard at one point in time.

One point in time for each shard, in Lucene's own order (``_doc``): no slices are needed, no two readers share
anything, and it works on every version with points in time (``_shard_doc`` came late). The primary is asked, since a
replica that copies segments may lag behind a refresh.

``_source`` must not go through ``filter_path``: OpenSearch then writes it anew and cuts numbers to doubles.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import orjson

from dynamo_opensearch.core.compare.digest import decode_exact, plain_integer, value_digest
from dynamo_opensearch.core.compare.rows import OnPage, Rows, RowSink, SideRead, go_on, make_rows
from dynamo_opensearch.core.compare.table_side import Depth
from dynamo_opensearch.core.errors import PassingError, SyncError
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster

log = logging.getLogger(__name__)

_KEEP_ALIVE = "5m"
_PAGE_BYTES = 1_000_000
"""What an answer should have: with its decoded values it is several times that."""
FIRST_PAGE = 100
"""Documents of a shard's first page."""
_SENT_AFTER_S = 0.001
"""How long the next request may take to be sent before the last answer is worked on: beside work it would wait for its
turn, up to 5 ms for each piece that is sent."""
_LARGEST_CONTENT_PAGE, _LARGEST_KEYS_PAGE = 2_000, 10_000
_NOT_FOUND = 404
_SORT, _ROUTING = '"sort":', '"_routing":'
KEYS_FIELDS = "timed_out,_shards.failed,hits.total.value,hits.hits._id,hits.hits._routing,hits.hits.sort"


class ShardsFailedError(PassingError):
    """OpenSearch answered for some shards only, gave fewer documents than it had counted, or lost the point in time."""

    def __init__(self, index: str, request: str, problem: str) -> None:
        super().__init__(index, request, problem)
        self.index, self.request, self.problem = index, request, problem

    def __str__(self) -> str:
        return (
            f"index {self.index!r} was not read completely: {self.request}: {self.problem}. Nothing was concluded "
            "from the part that came. Look at the index's health. The task tries again."
        )


def count_shards(cluster: PatientCluster, index: str) -> int:
    """Primary shards of the index.

    Raises:
        OpenSearchRequestError: 404 when it is not there.
    """
    answer = cluster.request(
        "GET", f"/{quote(index)}/_settings/index.number_of_shards", params={"flat_settings": "true"}
    )
    return int(answer[index]["settings"]["index.number_of_shards"])


def routing_of_aliases(cluster: PatientCluster, index: str) -> str | None:
    """The routing that its aliases put on what is written through them; None where they leave it alone."""
    aliases = cluster.request("GET", f"/{quote(index)}/_alias")[index]["aliases"].values()
    return next((alias["index_routing"] for alias in aliases if alias.get("index_routing")), None)


def refresh(cluster: PatientCluster, index: str) -> None:
    """Make everything that was written visible.

    Raises:
        ShardsFailedError: not on all shards.
    """
    answer = cluster.request("POST", f"/{quote(index)}/_refresh", timeout_s=600)
    _check_shards(answer, index, "refresh")


def read_shard(
    cluster: PatientCluster, index: str, shard: int, depth: Depth, sink: RowSink, on_page: OnPage = go_on
) -> SideRead:
    """Read all documents of one shard, as they are now, page by page, into a sink.

    What ``on_page`` raises ends it.

    Raises:
        ShardsFailedError: the shard did not answer, or not for all of its documents.
        ServiceUnavailableError, AccessDeniedError, OpenSearchRequestError: as ``PatientCluster.request``.
    """
    has_content = depth == "content"
    rows = expected = 0
    with point_in_time(cluster, index, shard) as pit:
        for text in _one_ahead(_answers(cluster, index, pit, has_content), f"index-{shard}"):
            on_page()
            found = _decoded(text, index, has_content).get("hits", {})
            hits = found.get("hits", [])
            expected = plain_integer(found["total"]["value"]) if "total" in found else expected
            sink.write(_rows(hits, has_content, _ROUTING in text))
            rows += len(hits)
    if rows != expected:
        raise ShardsFailedError(index, "search", f"{rows} documents came, {expected} were counted")
    return SideRead(rows=rows)


@contextmanager
def point_in_time(cluster: PatientCluster, index: str, shard: int) -> Iterator[str]:
    """A point in time of one shard, released in all cases.

    Raises:
        ShardsFailedError: the shard does not answer.
    """
    answer = cluster.request(
        "POST",
        f"/{quote(index)}/_search/point_in_time",
        params={
            "keep_alive": _KEEP_ALIVE,
            "preference": f"_shards:{shard}|_primary",
            "allow_partial_pit_creation": "false",
        },
    )
    pit = str(answer["pit_id"])
    try:
        _check_shards(answer, index, "point in time")
        yield pit
    finally:
        _release(cluster, pit)


def _release(cluster: PatientCluster, pit: str) -> None:
    try:
        cluster.request("DELETE", "/_search/point_in_time", body={"pit_id": [pit]})
    except SyncError as error:  # it must not hide why the reading failed, and the point in time ends by itself
        log.warning("a point in time was not released, it ends by itself in %s: %s", _KEEP_ALIVE, error)


def _one_ahead(answers: Iterator[str], name: str) -> Iterator[str]:
    """The same answers, the next one fetched while the last is worked on."""
    reader = ThreadPoolExecutor(1, thread_name_prefix=name)
    try:
        coming = reader.submit(next, answers, None)
        while (answer := coming.result()) is not None:
            coming = reader.submit(next, answers, None)
            wait([coming], timeout=_SENT_AFTER_S)
            yield answer
    finally:
        reader.shutdown(wait=False, cancel_futures=True)  # a caller that stops does not wait for a page it won't use


def _answers(cluster: PatientCluster, index: str, pit: str, has_content: bool) -> Iterator[str]:
    """Answers, page by page, as many as the shard's count asks for, each asked for before the last is decoded."""
    size, text = FIRST_PAGE, _search(cluster, index, pit, has_content, FIRST_PAGE, None)
    left = plain_integer(_decoded(text, index, has_content)["hits"]["total"]["value"])
    while True:
        yield text
        left -= size
        after = _last_sort(text)
        if left <= 0 or after is None:
            return
        size = next_page(size, len(text), has_content)
        text = _search(cluster, index, pit, has_content, size, after)


def _search(
    cluster: PatientCluster, index: str, pit: str, has_content: bool, size: int, after: list[Any] | None
) -> str:
    """One page after ``after``."""
    body: dict[str, Any] = {
        "pit": {"id": pit, "keep_alive": _KEEP_ALIVE},
        "size": size,
        "sort": ["_doc"],
        "_source": has_content,
        "track_total_hits": after is None,
    }
    if after is not None:
        body["search_after"] = after
    params = {"allow_partial_search_results": "false"} | ({} if has_content else {"filter_path": KEYS_FIELDS})
    try:
        return str(cluster.request("POST", "/_search", params=params, body=body, decode=_whole))
    except OpenSearchRequestError as error:
        if error.status != _NOT_FOUND or error.error_type == "index_not_found_exception":
            raise
        problem = "the point in time is over, as after a restart of the node that held it"
        raise ShardsFailedError(index, "search", problem) from error


def _whole(text: str) -> str:
    """The text itself.

    Raises:
        ValueError: it was cut off.
    """
    if not text.endswith("}"):
        raise ValueError("cut off")
    return text


def _last_sort(text: str) -> list[Any] | None:
    """What the next page comes after: a hit's ``sort`` follows its ``_source``. None: there is no hit.

    A wrong one would leave documents out or give them twice, which ``read_shard`` counts.
    """
    start = text.rfind(_SORT)
    if start < 0:
        return None
    after: list[Any] = orjson.loads(text[start + len(_SORT) : text.index("]", start) + 1])
    return after


def _decoded(text: str, index: str, has_content: bool) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = decode_exact(text) if has_content else orjson.loads(text)
    except ValueError as error:
        raise ShardsFailedError(index, "search", "the answer was cut off") from error
    _check_shards(answer, index, "search")
    return answer


def next_page(size: int, answer_bytes: int, has_content: bool) -> int:
    """As many documents as fit into a page, growing fourfold at most: the next ones may be larger.

    ``answer_bytes``: what the last ``size`` ones had.
    """
    largest = _LARGEST_CONTENT_PAGE if has_content else _LARGEST_KEYS_PAGE
    return max(1, min(_PAGE_BYTES * size // answer_bytes, size * 4, largest))


def _rows(hits: list[dict[str, Any]], has_content: bool, has_routing: bool) -> Rows:
    return make_rows(
        [hit["_id"] for hit in hits],
        routings=[hit.get("_routing") for hit in hits] if has_routing else None,
        digests=[value_digest(hit["_source"]) for hit in hits] if has_content else None,
    )


def _check_shards(answer: dict[str, Any], index: str, request: str) -> None:
    failed = plain_integer(answer["_shards"]["failed"])
    if failed or answer.get("timed_out"):
        raise ShardsFailedError(index, request, "timed out" if answer.get("timed_out") else f"{failed} shards failed")
