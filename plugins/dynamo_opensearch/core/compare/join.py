"""Both sides joined by DuckDB, which spills to disk: counts by kind, and the rows that differ."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import duckdb

from dynamo_opensearch.core.compare.rows import key_from_json, read_rows
from dynamo_opensearch.core.documents.builder import KeyValues

_THREADS = 2
"""Each has buffers of its own within the memory limit."""
ROWS_IN_PARTITION = 1_000_000
"""Of both sides together, joined at once; the rest is left to other partitions by the hash of the id."""


class Kind(Enum):
    """What the two sides say about one id."""

    EQUAL = "equal"
    MISSING = "missing"
    """An item whose document is not in the index."""
    ORPHANED = "orphaned"
    """A document without an item that belongs."""
    STALE = "stale"
    """Both are there, and the document is another one than the item makes."""
    REFUSED = "refused"
    """The rules can make no document of the item; another one may be in the index."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """What differed at the first reading. ``key`` is known from the table's row where the id does not tell it."""

    id: str
    routing: str | None
    kind: Kind
    key: KeyValues | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """Counts of one partition. ``refused_with_document``: of ``refused``, those with a document in the index."""

    equal: int = 0
    missing: int = 0
    orphaned: int = 0
    stale: int = 0
    refused: int = 0
    refused_with_document: int = 0

    def __add__(self, other: "Found") -> "Found":
        return Found(
            equal=self.equal + other.equal,
            missing=self.missing + other.missing,
            orphaned=self.orphaned + other.orphaned,
            stale=self.stale + other.stale,
            refused=self.refused + other.refused,
            refused_with_document=self.refused_with_document + other.refused_with_document,
        )

    @property
    def suspects(self) -> int:
        """Rows that a second look may clear."""
        return self.missing + self.orphaned + self.stale


@dataclass(frozen=True, kw_only=True)
class JoinSettings:
    """``memory_bytes``: what the engine may use; beyond that it spills to a folder below ``scratch``."""

    memory_bytes: int
    scratch: Path


def partitions_for(rows: int) -> int:
    """How many partitions keep the joined rows of each below ``ROWS_IN_PARTITION``."""
    return 1 + rows // ROWS_IN_PARTITION


def join_partition(
    table_files: Sequence[Path],
    index_files: Sequence[Path],
    partition: int,
    partitions: int,
    settings: JoinSettings,
    suspects: Path,
) -> Found:
    """Join the rows of one hash partition; what differs goes to the file ``suspects``, which is replaced.

    Files of both sides come from workers with the same DuckDB, whose hash decides about partitions.
    """
    table, index = (_side(files, partition, partitions) for files in (table_files, index_files))
    with _engine(settings) as engine:
        engine.execute(f"COPY ({_DIFFERENT.format(table=table, index=index)}) TO {_text(suspects)} (FORMAT parquet)")
        counted = engine.execute(_BY_KIND.format(suspects=_text(suspects))).fetchall()
        table_rows = _one_number(engine, f"SELECT count(*) FROM {table}")  # noqa: S608 - file names of ours, quoted
    by_kind = {(kind, has_document): count for kind, has_document, count in counted}
    missing = by_kind.get(("missing", False), 0)
    orphaned = by_kind.get(("orphaned", True), 0)
    stale = by_kind.get(("stale", True), 0)
    with_document = by_kind.get(("refused", True), 0)
    refused = with_document + by_kind.get(("refused", False), 0)
    return Found(
        equal=table_rows - missing - stale - refused,
        missing=missing,
        orphaned=orphaned,
        stale=stale,
        refused=refused,
        refused_with_document=with_document,
    )


def read_suspects(file: Path, batch_rows: int) -> Iterator[list[Suspect]]:
    """What ``join_partition`` wrote, so many at a time; refused items are among them."""
    for rows in read_rows(file, batch_rows):
        yield [
            Suspect(row["id"], row["routing"], Kind(row["kind"]), key_from_json(row["key"]) if row["key"] else None)
            for row in rows
        ]


_DIFFERENT = """
SELECT coalesce(t.id, i.id) AS id, coalesce(t.routing, i.routing) AS routing, t.key AS key,
    i.id IS NOT NULL AS has_document,
    CASE WHEN t.id IS NULL THEN 'orphaned' WHEN t.is_refused THEN 'refused'
        WHEN i.id IS NULL THEN 'missing' ELSE 'stale' END AS kind
FROM {table} t FULL OUTER JOIN {index} i ON t.id = i.id AND t.routing IS NOT DISTINCT FROM i.routing
WHERE t.id IS NULL OR i.id IS NULL OR t.is_refused OR t.digest IS DISTINCT FROM i.digest
"""

_BY_KIND = "SELECT kind, has_document, count(*) FROM read_parquet({suspects}) GROUP BY ALL"


@contextmanager
def _engine(settings: JoinSettings) -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine of its own, within the memory and the folder that it may use, without extensions from elsewhere."""
    spill = settings.scratch / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{settings.memory_bytes // 1_000_000}MB",
        "temp_directory": str(spill),
        "threads": _THREADS,
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=config) as engine:
        engine.execute("SET enable_progress_bar = false")  # it would draw into the task's log
        yield engine


def _side(files: Sequence[Path], partition: int, partitions: int) -> str:
    names = ", ".join(map(_text, files))
    chosen = f" WHERE hash(id) % {partitions} = {partition}" if partitions > 1 else ""
    return f"(SELECT * FROM read_parquet([{names}]){chosen})"  # noqa: S608 - file names of ours, quoted


def _text(value: object) -> str:
    """An SQL literal."""
    return "'" + str(value).replace("'", "''") + "'"


def _one_number(engine: duckdb.DuckDBPyConnection, query: str) -> int:
    row = engine.execute(query).fetchone()
    return int(row[0]) if row else 0
