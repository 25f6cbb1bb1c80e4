"""Rows of either side, one by one."""

from collections.abc import Sequence
from typing import NamedTuple

from dynamo_opensearch.core.compare.rows import Rows, make_rows


class Row(NamedTuple):
    id: str
    routing: str | None
    digest: int | None
    key: str | None = None
    is_refused: bool = False


def rows_of(rows: Sequence[Row]) -> Rows:
    return make_rows(
        [row.id for row in rows],
        routings=[row.routing for row in rows],
        digests=[row.digest for row in rows],
        keys=[row.key for row in rows],
        refused=[row.is_refused for row in rows],
    )


def row_list(rows: Rows) -> list[Row]:
    return [Row(**row) for row in rows.to_pylist()]
