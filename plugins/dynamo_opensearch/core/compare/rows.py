"""What one side holds, as rows in Parquet files: id, routing, digest, and the key where the id does not tell it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias
from zlib import crc32

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from dynamo_opensearch.core.documents.builder import KeyValues

OnPage = Callable[[], None]
"""Called for each page that a reader has got."""


def go_on() -> None:
    """An ``OnPage`` that does nothing."""


ROWS_IN_GROUP = 10_000
"""Rows that a writer waits for before it writes them."""
_LEAST_ROWS_IN_GROUP = 500

SIDE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("routing", pa.string()),
        pa.field("digest", pa.uint64()),
        pa.field("key", pa.string()),
        pa.field("is_refused", pa.bool_(), nullable=False),
    ]
)
"""``digest`` is null where content is not compared; ``key`` (typed JSON values) only where the id is shortened."""
_NOT_REFUSED = pa.scalar(False)

Rows: TypeAlias = pa.RecordBatch
"""Documents that there should be (table side), or are (index side), by ``SIDE_SCHEMA``: by column, so that a page of
them costs no object each."""


def make_rows(
    ids: Sequence[str],
    *,
    routings: Sequence[str | None] | None = None,
    digests: Sequence[int | None] | None = None,
    keys: Sequence[str | None] | None = None,
    refused: Sequence[bool] | None = None,
) -> Rows:
    """Rows of these columns, all of one length. None: no row has a value there, or is refused."""
    columns = [
        pa.nulls(len(ids), field.type) if values is None else pa.array(values, field.type)
        for values, field in zip((ids, routings, digests, keys), SIDE_SCHEMA, strict=False)
    ]
    columns.append(pa.repeat(_NOT_REFUSED, len(ids)) if refused is None else pa.array(refused, pa.bool_()))
    return pa.record_batch(columns, schema=SIDE_SCHEMA)


@dataclass(frozen=True, kw_only=True)
class SideRead:
    """What reading one side, or a part of it, gave. ``skipped``: items that do not belong."""

    rows: int = 0
    skipped: int = 0
    refused: int = 0
    read_units: float = 0.0

    def __add__(self, other: "SideRead") -> "SideRead":
        return SideRead(
            rows=self.rows + other.rows,
            skipped=self.skipped + other.skipped,
            refused=self.refused + other.refused,
            read_units=self.read_units + other.read_units,
        )


class RowSink(Protocol):
    """What takes the rows of a reader."""

    def write(self, rows: Rows) -> None:
        """Add rows."""
        ...


class RowWriter:
    """Writes rows to one file, in groups of a page or more. Not shared by threads; a second run replaces the file.

    ``held``: rows that wait in memory. From then on pyarrow uses the system's memory in this process: its own pool
    keeps what each thread has once had, which doubled the memory of a reading.
    """

    def __init__(self, file: Path, rows_in_group: int = ROWS_IN_GROUP) -> None:
        pa.set_memory_pool(pa.system_memory_pool())
        # No dictionary of ids and digests, which are all different; an encoding that zstd takes less time for.
        self._writer = pq.ParquetWriter(
            file,
            SIDE_SCHEMA,
            compression="zstd",
            use_dictionary=["routing"],
            write_statistics=False,
            column_encoding={"id": "DELTA_LENGTH_BYTE_ARRAY"},
        )
        self._rows: list[Rows] = []
        self._rows_in_group = rows_in_group
        self.held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()

    def write(self, rows: Rows) -> None:
        """Add rows."""
        self._rows.append(rows)
        self.held += rows.num_rows
        if self.held >= self._rows_in_group:
            self._flush()

    def _flush(self) -> None:
        if self.held:
            self._writer.write_table(pa.Table.from_batches(self._rows), row_group_size=self.held)
        self._rows, self.held = [], 0


class PartitionedRowWriter:
    """Writes each row to the file of its partition, so that a partition can be joined without reading the others.

    Not shared by threads; a second run replaces the files. In memory is what ``RowWriter`` waits for: ``ROWS_IN_GROUP``
    rows with few partitions, 500 for each with many.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        rows_in_group = max(_LEAST_ROWS_IN_GROUP, ROWS_IN_GROUP // len(files))
        self._writers = [RowWriter(file, rows_in_group) for file in files]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            for writer in self._writers:
                stack.push(writer)

    def write(self, rows: Rows) -> None:
        """Add rows."""
        for writer, part in zip(self._writers, _divided(rows, len(self._writers)), strict=True):
            writer.write(part)


def _divided(rows: Rows, partitions: int) -> Iterator[Rows]:
    """The rows of each partition: rows are put in order of these, and cut there."""
    if partitions == 1:
        yield rows
        return
    places: list[list[int]] = [[] for _ in range(partitions)]
    for place, document_id in enumerate(rows["id"].to_pylist()):
        places[partition_of(document_id, partitions)].append(place)
    ordered, start = rows.take(pa.array(chain.from_iterable(places), pa.int32())), 0
    for part in places:
        yield ordered.slice(start, len(part))
        start += len(part)


def partition_of(document_id: str, partitions: int) -> int:
    """Which partition an id belongs to: the same in every process, on every machine."""
    return crc32(document_id.encode()) % partitions


def read_rows(file: Path, batch_rows: int) -> Iterator[list[dict[str, Any]]]:
    """A Parquet file's rows, so many at a time."""
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=batch_rows):
            yield batch.to_pylist()


def key_json(key: KeyValues) -> str:
    """Key values as the column ``key`` holds them."""
    return orjson.dumps(key).decode()


def key_from_json(text: str) -> KeyValues:
    """The reverse of ``key_json``."""
    return tuple(orjson.loads(text))
