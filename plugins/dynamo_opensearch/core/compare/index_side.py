"""The index's side: every document of a shard at one point in time.

One point in time for each shard, in Lucene's own order (``_doc``): it works on every version with points in time
(``_shard_doc`` came late). The primary is asked, since a replica that copies segments may lag behind a refresh.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any
from urllib.parse import quote

from dynamo_opensearch.core.compare.digest import value_digest
from dynamo_opensearch.core.compare.rows import OnPage, Rows, RowSink, SideRead, go_on, make_rows
from dynamo_opensearch.core.compare.shard_pages import (
    FIRST_PAGE,
    KEEP_ALIVE,
    Page,
    ShardPages,
    ShardsFailedError,
    check_shards,
    one_ahead,
)
from dynamo_opensearch.core.compare.table_side import Depth
from dynamo_opensearch.core.errors import SyncError
from dynamo_opensearch.core.opensearch.patient import PatientCluster

__all__ = ["ShardsFailedError", "count_shards", "point_in_time", "read_shard", "refresh", "routing_of_aliases"]

log = logging.getLogger(__name__)


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
    check_shards(answer, index, "refresh")


def read_shard(
    cluster: PatientCluster, index: str, shard: int, depth: Depth, sink: RowSink, on_page: OnPage = go_on
) -> SideRead:
    """Read all documents of one shard, as they are now, page by page, into a sink; in no order.

    What ``on_page`` raises ends it.

    Raises:
        ShardsFailedError: the shard did not answer, or not for all of its documents.
        ServiceUnavailableError, AccessDeniedError, OpenSearchRequestError: as ``PatientCluster.request``.
    """
    has_content, rows = depth == "content", 0
    with point_in_time(cluster, index, shard) as pit:
        pages = ShardPages(cluster, index, pit, has_content=has_content)
        first, expected = pages.first()
        for page in chain([first], _further(pages, first, expected, f"index-{shard}")):
            on_page()
            hits = pages.hits(page)
            sink.write(_rows(hits, has_content, page.has_routing))
            rows += len(hits)
    if rows != expected:
        raise ShardsFailedError(index, "search", f"{rows} documents came, {expected} were counted")
    return SideRead(rows=rows)


def _further(pages: ShardPages, first: Page, expected: int, name: str) -> Iterator[Page]:
    """What comes after the first page."""
    if first.last is None or expected <= FIRST_PAGE:
        return
    yield from one_ahead(pages.readers(first, expected - FIRST_PAGE), name)


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
            "keep_alive": KEEP_ALIVE,
            "preference": f"_shards:{shard}|_primary",
            "allow_partial_pit_creation": "false",
        },
    )
    pit = str(answer["pit_id"])
    try:
        check_shards(answer, index, "point in time")
        yield pit
    finally:
        _release(cluster, pit)


def _release(cluster: PatientCluster, pit: str) -> None:
    try:
        cluster.request("DELETE", "/_search/point_in_time", body={"pit_id": [pit]})
    except SyncError as error:  # it must not hide why the reading failed, and the point in time ends by itself
        log.warning("a point in time was not released, it ends by itself in %s: %s", KEEP_ALIVE, error)


def _rows(hits: list[dict[str, Any]], has_content: bool, has_routing: bool) -> Rows:
    return make_rows(
        [hit["_id"] for hit in hits],
        routings=[hit.get("_routing") for hit in hits] if has_routing else None,
        digests=[value_digest(hit["_source"]) for hit in hits] if has_content else None,
    )
