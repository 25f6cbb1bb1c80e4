"""Parallel scans: the pages of one segment, the next one fetched while the last is worked on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from dynamo_opensearch.core.documents.attribute_values import AttributeValue, Item
from dynamo_opensearch.core.dynamodb.keys import request_key
from dynamo_opensearch.core.dynamodb.pacing import ReadUnitPacer
from dynamo_opensearch.core.dynamodb.table_client import TableClient

StartKey = dict[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class ScanPage:
    """One page. ``began_us``, ``began_s``: when its request began; ``last_key`` is None on a segment's last page."""

    items: list[Item]
    count: int
    last_key: StartKey | None
    began_us: int
    began_s: float
    read_units: float


@dataclass(frozen=True, kw_only=True)
class ScanSettings:
    """How to scan. ``limit``: items that one page evaluates at most; ``consistent`` costs twice the read units."""

    total_segments: int = 1
    limit: int | None = None
    consistent: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    """Further arguments of Scan, such as a FilterExpression or ``Select``."""


def scan_segment(
    table: TableClient,
    segment: int,
    settings: ScanSettings,
    pacer: ReadUnitPacer,
    start_key: StartKey | None = None,
) -> Iterator[ScanPage]:
    """The pages of one segment, from after ``start_key`` on, in order. Reading again gives the items as they are then.

    Raises:
        AccessDeniedError, TableMissingError, DynamoDbRequestError, ServiceUnavailableError, WorkerClockError:
            as ``TableClient.call``.
    """
    reader = ThreadPoolExecutor(1, thread_name_prefix=f"scan-{segment}")
    try:
        coming = reader.submit(_read_page, table, segment, settings, pacer, start_key)
        while True:
            page = coming.result()
            if page.last_key is not None:
                coming = reader.submit(_read_page, table, segment, settings, pacer, page.last_key)
            yield page
            if page.last_key is None:
                return
    finally:
        reader.shutdown(wait=False, cancel_futures=True)  # a caller that stops does not wait for a page it won't use


def _read_page(
    table: TableClient, segment: int, settings: ScanSettings, pacer: ReadUnitPacer, start_key: StartKey | None
) -> ScanPage:
    pacer.wait()
    answer = table.scan(**_arguments(segment, settings, start_key))
    pacer.spend(answer.read_units)
    content = answer.content
    return ScanPage(
        content.get("Items", []),
        content["Count"],
        content.get("LastEvaluatedKey") or None,
        answer.began_us,
        answer.began_s,
        answer.read_units,
    )


def _arguments(segment: int, settings: ScanSettings, start_key: StartKey | None) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "Segment": segment,
        "TotalSegments": settings.total_segments,
        "ReturnConsumedCapacity": "TOTAL",
        "ConsistentRead": settings.consistent,
        **settings.extra,
    }
    if settings.limit is not None:
        arguments["Limit"] = settings.limit
    if start_key is not None:
        arguments["ExclusiveStartKey"] = request_key(start_key)
    return arguments


def count_items(
    table: TableClient, settings: ScanSettings, read_units_per_s: float | None, clock: Any
) -> tuple[int, float]:
    """Items of the whole table (those that a FilterExpression in ``settings.extra`` leaves), and read units used.

    All pages of all segments are asked for; segments are read side by side, four at a time. Costs what a full scan
    costs.
    """
    counting = ScanSettings(
        total_segments=settings.total_segments,
        consistent=settings.consistent,
        extra={**settings.extra, "Select": "COUNT"},
    )
    readers = min(4, settings.total_segments)
    share = None if read_units_per_s is None else read_units_per_s / readers

    def count(first: int) -> tuple[int, float]:
        pacer = ReadUnitPacer(share, clock)
        items, read_units = 0, 0.0
        for segment in range(first, settings.total_segments, readers):
            for page in scan_segment(table, segment, counting, pacer):
                items += page.count
                read_units += page.read_units
        return items, read_units

    with ThreadPoolExecutor(readers, thread_name_prefix="count") as pool:
        parts = list(pool.map(count, range(readers)))
    return sum(items for items, _ in parts), sum(units for _, units in parts)
