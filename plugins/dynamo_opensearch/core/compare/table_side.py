"""The table's side: what the index should hold, by the rules of that index."""

from collections.abc import Callable
from typing import Any, Literal

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.compare.digest import content_digest
from dynamo_opensearch.core.compare.key_of_id import is_shortened
from dynamo_opensearch.core.compare.rows import OnPage, Rows, RowSink, SideRead, go_on, key_json, make_rows
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import DocumentBuilder, KeyValues
from dynamo_opensearch.core.dynamodb.pacing import ReadUnitPacer
from dynamo_opensearch.core.dynamodb.scan import ScanSettings, scan_segment
from dynamo_opensearch.core.dynamodb.table_client import TableClient

Depth = Literal["keys", "content"]


class ItemRows:
    """Items to rows. Pure."""

    def __init__(self, builder: DocumentBuilder, depth: Depth, index_routing: str | None) -> None:
        self._builder, self._index_routing = builder, index_routing
        self._belongs = builder.rules.filter.item_test() if builder.rules.filter else None
        self._rows_of = self._with_content if depth == "content" else self._keys_only
        self.scan_arguments: dict[str, Any] = {} if depth == "content" else _projection(builder)

    def of(self, items: list[Item]) -> Rows:
        """Rows of those that belong.

        Raises:
            KeyError: an item lacks a key attribute.
        """
        return self._rows_of(items)

    def _keys_only(self, items: list[Item]) -> Rows:
        belongs = self._belongs
        mine = items if belongs is None else [item for item in items if belongs(item)]

        def keys() -> list[KeyValues]:
            return list(map(self._builder.key_of, mine))

        if (plain := self._builder.plain_ids(mine)) is not None:  # none of which is shortened
            return make_rows(plain, routings=self._routings(len(plain), keys))
        return self._make(self._builder.ids_of(mine), keys)

    def _with_content(self, items: list[Item]) -> Rows:
        documents, _, refused = self._builder.build(items)
        return self._make(
            [one.id for one in documents] + [one.id for one in refused],
            lambda: [one.key for one in documents] + [one.key for one in refused],
            [content_digest(one.source or b"null") for one in documents] + [None] * len(refused),
            [False] * len(documents) + [True] * len(refused),
        )

    def _make(
        self,
        ids: list[str],
        make_keys: Callable[[], list[KeyValues]],
        digests: list[int | None] | None = None,
        refused: list[bool] | None = None,
    ) -> Rows:
        """``make_keys``: called where keys are needed beside the ids, which is seldom."""
        keys: list[str | None] | None = None
        if is_shortened("".join(ids)):
            both = zip(ids, make_keys(), strict=True)
            keys = [key_json(key) if is_shortened(one) else None for one, key in both]
        routings = self._routings(len(ids), make_keys)
        return make_rows(ids, routings=routings, digests=digests, keys=keys, refused=refused)

    def _routings(self, rows: int, make_keys: Callable[[], list[KeyValues]]) -> list[str | None] | None:
        if self._builder.rules.routing is not None:
            return [self._builder.routing_of(key) or self._index_routing for key in make_keys()]
        return None if self._index_routing is None else [self._index_routing] * rows


def read_segments(
    table: TableClient,
    segments: range,
    scan: ScanSettings,
    rows: ItemRows,
    read_units_per_s: float | None,
    clock: Clock,
    sink: RowSink,
    on_page: OnPage = go_on,
) -> SideRead:
    """Read segments of the table, page by page, into a sink. What ``on_page`` raises ends it.

    Raises:
        AccessDeniedError, TableMissingError, ServiceUnavailableError, WorkerClockError: as ``scan_segment``.
    """
    pacer = ReadUnitPacer(read_units_per_s, clock)
    read = SideRead()
    for segment in segments:
        for page in scan_segment(table, segment, scan, pacer):
            on_page()
            found = rows.of(page.items)
            sink.write(found)
            read += SideRead(
                rows=found.num_rows,
                skipped=len(page.items) - found.num_rows,
                refused=found["is_refused"].true_count,
                read_units=page.read_units,
            )
    return read


def _projection(builder: DocumentBuilder) -> dict[str, Any]:
    """Only what the id and the filter need: as many read units, but far less to receive and to parse."""
    conditions = builder.rules.filter.all if builder.rules.filter else ()
    wanted = dict.fromkeys([*builder.key_attributes, *(condition.attribute for condition in conditions)])
    names = {f"#a{number}": attribute for number, attribute in enumerate(wanted)}
    return {"ProjectionExpression": ",".join(names), "ExpressionAttributeNames": names}
