"""Recorded Scan pages, and which of them answers a request: pure, so that the replay costs next to nothing.

The pages of one recorded scan are dealt to as many segments as a request asks for, in neighbouring runs. A table
larger than the recording is the same pages again, each cycle with keys of its own.
"""

import json
import zlib
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.local.members import HASH_KEY

_COMPACT = (",", ":")
_KEY_BEGINS = f'"{HASH_KEY}":{{"S":"'.encode()


class NoSuchPageError(LookupError):
    """A start key that no page ends with."""


@dataclass(frozen=True, slots=True)
class RecordedPage:
    """One answer of Scan, as DynamoDB writes it; ``last_key`` is the key of its last item."""

    body: bytes
    count: int
    last_key: str

    @property
    def last_body(self) -> bytes:
        """The same page as the last one of its segment: without LastEvaluatedKey."""
        answer = json.loads(self.body)
        del answer["LastEvaluatedKey"]
        return compact(answer)

    def projected(self, attributes: Set[str]) -> "RecordedPage":
        """The same page as a ProjectionExpression of these attributes leaves it."""
        answer = json.loads(self.body)
        items = [{name: value for name, value in item.items() if name in attributes} for item in answer["Items"]]
        return RecordedPage(compact({**answer, "Items": items}), self.count, self.last_key)


def compact(answer: dict[str, Any]) -> bytes:
    """JSON as DynamoDB writes it: no spaces, no escaped letters."""
    return json.dumps(answer, separators=_COMPACT, ensure_ascii=False).encode()


def recorded_page(answer: dict[str, Any]) -> RecordedPage:
    """One answer of Scan, kept with a LastEvaluatedKey even where it was the last one."""
    last_key = answer["Items"][-1][HASH_KEY]
    whole = {**answer, "LastEvaluatedKey": {HASH_KEY: last_key}}
    return RecordedPage(compact(whole), len(answer["Items"]), last_key["S"])


def projected_attributes(request: dict[str, Any]) -> frozenset[str] | None:
    """The attributes that a request's ProjectionExpression names, which must not be nested; None: all."""
    expression = request.get("ProjectionExpression")
    if expression is None:
        return None
    names = request.get("ExpressionAttributeNames", {})
    return frozenset(names.get(name, name) for name in expression.split(","))


def save_pages(pages: Sequence[RecordedPage], folder: Path) -> None:
    """One file a page."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(pages):
        (folder / f"{number:05}.json").write_bytes(page.body)


def read_pages(folder: Path) -> list[RecordedPage]:
    """What ``save_pages`` wrote, in order."""
    return [recorded_page(json.loads(path.read_bytes())) for path in sorted(folder.glob("*.json"))]


class PageBook:
    """Answers for every page of a table of ``cycles`` times the recording."""

    def __init__(self, pages: Sequence[RecordedPage], cycles: int = 1) -> None:
        self._pages, self._cycles = list(pages), cycles
        self._last_bodies = [page.last_body for page in pages]
        self._number_after = {page.last_key: number + 1 for number, page in enumerate(pages)}

    def projected(self, attributes: Set[str]) -> "PageBook":
        """The same table, as a ProjectionExpression leaves its items."""
        return PageBook([page.projected(attributes) for page in self._pages], self._cycles)

    @property
    def page_count(self) -> int:
        """Pages of the whole table."""
        return len(self._pages) * self._cycles

    @property
    def item_count(self) -> int:
        """Items of the whole table."""
        return sum(page.count for page in self._pages) * self._cycles

    def segment_pages(self, segment: int, total_segments: int) -> range:
        """The numbers of a segment's pages."""
        return range(self.page_count * segment // total_segments, self.page_count * (segment + 1) // total_segments)

    def page_number(self, segment: int, total_segments: int, start_key: str | None) -> int:
        """The page that follows a start key, or the segment's first.

        Raises:
            NoSuchPageError: the segment has no page after that key.
        """
        numbers = self.segment_pages(segment, total_segments)
        number = numbers.start if start_key is None else self._after(start_key)
        if number not in numbers:
            raise NoSuchPageError(f"segment {segment} of {total_segments} has no page after {start_key!r}")
        return number

    def body(self, number: int, *, is_last: bool) -> bytes:
        """The answer for a page; with keys of its own in each cycle after the first."""
        cycle, recorded = divmod(number, len(self._pages))
        body = self._last_bodies[recorded] if is_last else self._pages[recorded].body
        return body.replace(_KEY_BEGINS, _KEY_BEGINS + cycle_prefix(cycle)) if cycle else body

    def answer(self, request: dict[str, Any]) -> bytes:
        """The answer to a Scan request.

        Raises:
            NoSuchPageError: see ``page_number``.
        """
        segment, total_segments = request.get("Segment", 0), request.get("TotalSegments", 1)
        start_key = request.get("ExclusiveStartKey")
        number = self.page_number(segment, total_segments, start_key and start_key[HASH_KEY]["S"])
        return self.body(number, is_last=number == self.segment_pages(segment, total_segments)[-1])

    def _after(self, key: str) -> int:
        cycle_text, mark, recorded_key = key.rpartition("~")
        number = self._number_after.get(recorded_key)
        if number is None:
            return -1
        return number + (int(cycle_text) if mark else 0) * len(self._pages)

    def answers(self) -> Iterator[tuple[int, bool, bytes]]:
        """Every answer of the first cycle, both as a middle and as a last page."""
        for number in range(len(self._pages)):
            yield number, False, self.body(number, is_last=False)
            yield number, True, self.body(number, is_last=True)


def cycle_prefix(cycle: int) -> bytes:
    """What the keys of a cycle begin with; nothing in the first."""
    return f"{cycle}~".encode() if cycle else b""


def http_answer(body: bytes, date: str) -> bytes:
    """The whole answer, with the headers of DynamoDB that clients look at."""
    return http_head(len(body), zlib.crc32(body), date) + body


def http_head(length: int, crc32: int, date: str) -> bytes:
    """Status line and headers."""
    return (
        "HTTP/1.1 200 OK\r\nServer: Server\r\n"
        f"Date: {date}\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {length}\r\nConnection: keep-alive\r\nx-amz-crc32: {crc32}\r\n\r\n"
    ).encode()
