"""The pages of one shard at a point in time, in Lucene's own order (``_doc``), from several places at once.

Places are whole numbers from 0 up to the last document's; what was deleted leaves gaps. So a shard can be read from its
beginning and from places within it at once. Slices would be slower: each reads the stored fields of all blocks.

``_source`` must not go through ``filter_path``: OpenSearch then writes it anew and cuts numbers to doubles.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson

from dynamo_opensearch.core.compare.digest import decode_exact, plain_integer
from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster

KEEP_ALIVE = "5m"
FIRST_PAGE = 100
"""Documents of a shard's first page."""
KEYS_FIELDS = "timed_out,_shards.failed,hits.total.value,hits.hits._id,hits.hits._routing,hits.hits.sort"

_PAGE_BYTES = 1_000_000
"""What an answer should have: with its decoded values it is several times that."""
_SENT_AFTER_S = 0.001
"""How long the next request may take to be sent before the last answer is worked on: beside work it would wait for its
turn, up to 5 ms for each piece that is sent."""
_LARGEST_CONTENT_PAGE, _LARGEST_KEYS_PAGE = 2_000, 10_000
_READERS = 3
_IN_WINDOW = 9_900
"""Documents of a part of a shard, about: one page of ids, also where a few less than elsewhere were deleted."""
_NOT_FOUND = 404
_BEGINNING = -1
_SORT, _ROUTING = '"sort":', '"_routing":'


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


@dataclass(frozen=True, slots=True)
class Window:
    """The places of a shard behind ``after``, up to and with ``until``."""

    after: int
    until: int


@dataclass(frozen=True, slots=True)
class Page:
    """An answer that is not decoded yet. ``last``: the place of its last document, None where it has none.

    ``until``: what lies behind that place belongs to another window.
    """

    text: str
    last: int | None
    until: int

    @property
    def has_routing(self) -> bool:
        """Whether a document of it may have a routing."""
        return _ROUTING in self.text


class ShardPages:
    """Searches of one point in time. Thread-safe."""

    def __init__(self, cluster: PatientCluster, index: str, pit: str, *, has_content: bool) -> None:
        self._cluster, self._index, self._pit, self._has_content = cluster, index, pit, has_content

    def first(self) -> tuple[Page, int]:
        """The first page, and how many documents there are.

        Raises:
            ShardsFailedError: the shard did not answer.
            ServiceUnavailableError, AccessDeniedError, OpenSearchRequestError: as ``PatientCluster.request``.
        """
        text = self._search(FIRST_PAGE, track_total_hits=True)
        count = plain_integer(self._decoded(text)["hits"]["total"]["value"])
        last = last_place(text)
        return Page(text, last, until=_BEGINNING if last is None else last), count

    def readers(self, first: Page, left: int) -> list[Iterator[Page]]:
        """What lies behind the first page, by several readers. ``left``: how many documents that are.

        Raises as ``first``; so do the readers.
        """
        windows = self._windows(first.until, left)
        count = min(_READERS, len(windows))
        return [self._pages(windows, first) for _ in range(count)]

    def _windows(self, after: int, documents: int) -> deque[Window]:
        """What lies behind a place, in parts of about as many documents each."""
        found = self._decoded(self._search(1, sort=[{"_doc": "desc"}], _source=False))
        last = after if (hits := self._hits(found)) == [] else plain_integer(hits[0]["sort"][0])
        count = math.ceil(documents / _IN_WINDOW)
        cuts = [after + (last - after) * number // count for number in range(count + 1)]
        return deque(Window(*both) for both in pairwise(cuts))

    def _pages(self, windows: deque[Window], before: Page) -> Iterator[Page]:
        """Pages of one window after the other, as long as there are any; each asked for when it is wanted.

        ``windows``: shared by all readers, so that none is left with much when the others are done. ``before``: tells
        how large documents are.
        """
        size, answer_bytes = FIRST_PAGE, len(before.text)
        while True:
            try:
                window = windows.popleft()
            except IndexError:  # none is left
                return
            after: int | None = window.after
            while after is not None and after < window.until:
                wanted = next_page(size, answer_bytes, self._has_content)
                asked = min(wanted, window.until - after)
                text = self._search(asked, search_after=[after])
                after = last_place(text)
                if asked == wanted:  # what is left of a window says less
                    size, answer_bytes = asked, len(text)
                yield Page(text, after, window.until)

    def hits(self, page: Page) -> list[dict[str, Any]]:
        """Its documents that belong to its window.

        Raises:
            ShardsFailedError: it is not an answer of the whole shard.
        """
        hits = self._hits(self._decoded(page.text))
        if page.last is None or page.last <= page.until:
            return hits
        return [hit for hit in hits if plain_integer(hit["sort"][0]) <= page.until]

    def _search(self, size: int, **more: Any) -> str:
        body: dict[str, Any] = {
            "pit": {"id": self._pit, "keep_alive": KEEP_ALIVE},
            "size": size,
            "sort": ["_doc"],
            "_source": self._has_content,
            "track_total_hits": False,
            **more,
        }
        params = {"allow_partial_search_results": "false"}
        if not self._has_content:
            params["filter_path"] = KEYS_FIELDS
        try:
            return str(self._cluster.request("POST", "/_search", params=params, body=body, decode=_whole))
        except OpenSearchRequestError as error:
            if error.status != _NOT_FOUND or error.error_type == "index_not_found_exception":
                raise
            problem = "the point in time is over, as after a restart of the node that held it"
            raise ShardsFailedError(self._index, "search", problem) from error

    def _decoded(self, text: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = decode_exact(text) if self._has_content else orjson.loads(text)
        except ValueError as error:
            raise ShardsFailedError(self._index, "search", "the answer was cut off") from error
        check_shards(answer, self._index, "search")
        return answer

    @staticmethod
    def _hits(answer: dict[str, Any]) -> list[dict[str, Any]]:
        """None is an answer as well: ``filter_path`` leaves out what is empty."""
        hits: list[dict[str, Any]] = answer.get("hits", {}).get("hits", [])
        return hits


def one_ahead(readers: Sequence[Iterator[Page]], name: str) -> Iterator[Page]:
    """The pages of all readers as they come, of each the next one fetched while the last is worked on."""
    threads = ThreadPoolExecutor(max(1, len(readers)), thread_name_prefix=name)
    coming: dict[Future[Page | None], Iterator[Page]] = {}

    def ask(reader: Iterator[Page]) -> Future[Page | None]:
        future = threads.submit(next, reader, None)
        coming[future] = reader
        return future

    try:
        for reader in readers:
            ask(reader)
        while coming:
            done, _ = wait(coming, return_when=FIRST_COMPLETED)
            for future in done:
                reader = coming.pop(future)
                if (page := future.result()) is not None:
                    wait([ask(reader)], timeout=_SENT_AFTER_S)
                    yield page
    finally:
        threads.shutdown(wait=False, cancel_futures=True)  # a caller that stops does not wait for a page it won't use


def next_page(size: int, answer_bytes: int, has_content: bool) -> int:
    """As many documents as fit into a page. ``answer_bytes``: what the last ``size`` ones had.

    With content it grows fourfold at most, since the next ones may be larger. An id has 512 bytes at most, a
    routing, which is a key's value, 2,048.
    """
    most = min(size * 4, _LARGEST_CONTENT_PAGE) if has_content else _LARGEST_KEYS_PAGE
    return max(1, min(_PAGE_BYTES * size // answer_bytes, most))


def last_place(text: str) -> int | None:
    """The place of an answer's last document: a hit's ``sort`` follows its ``_source``. None: there is no hit.

    A wrong one would leave documents out or give them twice, which shows in their count.
    """
    start = text.rfind(_SORT)
    if start < 0:
        return None
    (place,) = orjson.loads(text[start + len(_SORT) : text.index("]", start) + 1])
    return int(place)


def check_shards(answer: dict[str, Any], index: str, request: str) -> None:
    """Raises ShardsFailedError unless all shards answered in time."""
    failed = plain_integer(answer["_shards"]["failed"])
    if failed or answer.get("timed_out"):
        raise ShardsFailedError(index, request, "timed out" if answer.get("timed_out") else f"{failed} shards failed")


def _whole(text: str) -> str:
    """The text itself.

    Raises:
        ValueError: it was cut off.
    """
    if not text.endswith("}"):
        raise ValueError("cut off")
    return text
