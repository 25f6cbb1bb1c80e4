"""The table's side: what the index should hold, by the rules of that index."""

from typing import Any, Literal

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.compare.digest import content_digest
from dynamo_opensearch.core.compare.key_of_id import is_shortened
from dynamo_opensearch.core.compare.rows import OnPage, Rows, RowSink, SideRead, go_on, key_json, make_rows
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import DocumentBuilder, KeyValues
from dynamo_opensearch.core.documents.ids import document_ids
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
        keys = list(map(self._builder.key_of, mine))
        return self._make(keys, document_ids(keys))

    def _with_content(self, items: list[Item]) -> Rows:
        documents, _, refused = self._builder.build(items)
        return self._make(
            [one.key for one in documents] + [one.key for one in refused],
            [one.id for one in documents] + [one.id for one in refused],
            [content_digest(one.source or b"null") for one in documents] + [None] * len(refused),
            [False] * len(documents) + [True] * len(refused),
        )

    def _make(
        self,
        keys: list[KeyValues],
        ids: list[str],
        digests: list[int | None] | None = None,
        refused: list[bool] | None = None,
    ) -> Rows:
        shortened: list[str | None] | None = None
        if any(map(is_shortened, ids)):
            shortened = [key_json(key) if is_shortened(one) else None for one, key in zip(ids, keys, strict=True)]
        return make_rows(ids, routings=self._routings(keys), digests=digests, keys=shortened, refused=refused)

    def _routings(self, keys: list[KeyValues]) -> list[str | None] | None:
        if self._builder.rules.routing is not None:
            return [self._builder.routing_of(key) or self._index_routing for key in keys]
        return None if self._index_routing is None else [self._index_routing] * len(keys)


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
