"""The table's side: what the index should hold, by the rules of that index."""

from typing import Any, Literal

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.compare.digest import content_digest
from dynamo_opensearch.core.compare.key_of_id import is_shortened
from dynamo_opensearch.core.compare.rows import OnPage, Row, RowSink, SideRead, go_on, key_json
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import Document, DocumentBuilder
from dynamo_opensearch.core.dynamodb.pacing import ReadUnitPacer
from dynamo_opensearch.core.dynamodb.scan import ScanSettings, scan_segment
from dynamo_opensearch.core.dynamodb.table_client import TableClient

Depth = Literal["keys", "content"]

_Rows = tuple[list[Row], int]
"""Rows, and how many items do not belong."""


class ItemRows:
    """Items to rows. Pure."""

    def __init__(self, builder: DocumentBuilder, depth: Depth, index_routing: str | None) -> None:
        self._builder, self._index_routing = builder, index_routing
        self._belongs = builder.rules.filter.item_test() if builder.rules.filter else None
        self.of = self._with_content if depth == "content" else self._keys_only
        self.scan_arguments: dict[str, Any] = {} if depth == "content" else _projection(builder)

    def _keys_only(self, items: list[Item]) -> _Rows:
        belongs, builder = self._belongs, self._builder
        mine = items if belongs is None else [item for item in items if belongs(item)]
        rows = [self._row(builder.gone(builder.key_of(item)), None) for item in mine]
        return rows, len(items) - len(mine)

    def _with_content(self, items: list[Item]) -> _Rows:
        built = self._builder.build(items)
        rows = [self._row(one, content_digest(one.source or b"null")) for one in built.documents]
        rows += [self._row(self._builder.gone(one.key), None, is_refused=True) for one in built.refused]
        return rows, built.skipped

    def _row(self, document: Document, digest: int | None, is_refused: bool = False) -> Row:
        key = key_json(document.key) if is_shortened(document.id) else None
        return Row(document.id, document.routing or self._index_routing, digest, key, is_refused)


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
            found, skipped = rows.of(page.items)
            sink.write(found)
            refused = sum(row.is_refused for row in found)
            read += SideRead(rows=len(found), skipped=skipped, refused=refused, read_units=page.read_units)
    return read


def _projection(builder: DocumentBuilder) -> dict[str, Any]:
    """Only what the id and the filter need: as many read units, but far less to receive and to parse."""
    conditions = builder.rules.filter.all if builder.rules.filter else ()
    wanted = dict.fromkeys([*builder.key_attributes, *(condition.attribute for condition in conditions)])
    names = {f"#a{number}": attribute for number, attribute in enumerate(wanted)}
    return {"ProjectionExpression": ",".join(names), "ExpressionAttributeNames": names}
