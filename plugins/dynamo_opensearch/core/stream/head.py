"""Up to when a shard was read: a stream has no word for its end, so there is only evidence."""

from collections import deque

from dynamo_opensearch.core.dynamodb.stream_client import RecordsPage

_PAGES_AT_HEAD = 3
"""A page that is not full is not the end; several in a row are taken for it."""

_DISORDER_US = 3_500_000
"""Times of records are out of order by up to 1.5 s, and the worker's clock may be 2 s off."""


class HeadEvidence:
    """What the pages of one shard say about how far it was read, in the worker's time (microseconds since 1970)."""

    def __init__(self) -> None:
        self._not_full: deque[int] = deque(maxlen=_PAGES_AT_HEAD)
        self.head_us = 0
        self.is_at_head = False
        """Whether the last page was not full."""

    def add(self, page: RecordsPage) -> None:
        """Take a page into account."""
        self.is_at_head = not page.is_full
        if page.is_full:
            self._not_full.clear()
        else:
            self._not_full.append(page.began_us)
        if page.records:
            self.head_us = max(self.head_us, page.records[-1].created_us - _DISORDER_US)
        if len(self._not_full) == _PAGES_AT_HEAD:
            self.head_us = max(self.head_us, self._not_full[0])
