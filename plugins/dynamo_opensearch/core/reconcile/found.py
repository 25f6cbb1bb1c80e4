"""What stood still after the settling time: as a file that a repair works off, and as a list for people."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import orjson
import pendulum
import pyarrow as pa
import pyarrow.parquet as pq

from dynamo_opensearch.core.compare.join import Kind, Suspect
from dynamo_opensearch.core.compare.looking import Look
from dynamo_opensearch.core.compare.rows import key_json

_SCHEMA = pa.schema([pa.field(name, pa.string()) for name in ("id", "routing", "kind", "key")])
_ROWS_IN_GROUP = 5_000
MOST_KNOWN = 100_000
"""Ids of an earlier list that are remembered."""


class FoundWriter:
    """Writes differences to two files, which are replaced. Not shared by threads.

    ``since_us``: by id, since when an earlier run's list has it (microseconds since 1970); others are new.

    The list has a line of JSON for each difference: ``id``, ``routing``, ``kind``, ``key`` (typed values, null where
    nothing tells them), ``field`` (the first one that differs), ``since`` (when a run first found it), ``is_settled``
    (false where it was not looked at again, so that it may only have been late).
    """

    def __init__(self, parquet: Path, lines: Path, since_us: Mapping[str, int], now_us: int) -> None:
        self._since_us, self._now_us = since_us, now_us
        self._parquet, self._lines_file = pq.ParquetWriter(parquet, _SCHEMA), lines
        self._rows: list[dict[str, str | None]] = []
        self._lines: IO[bytes] | None = None
        self.oldest_us: int | None = None
        self.known = 0

    def __enter__(self) -> Self:
        self._lines = self._lines_file.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._parquet.close()
        if self._lines is not None:
            self._lines.close()

    def add(self, suspect: Suspect, look: Look | None) -> None:
        """Write one; ``look``: the last one at it, None where there was none."""
        kind = (suspect if look is None else look).kind.value
        key = suspect.key if look is None else look.key
        since_us = self._since_us.get(suspect.id, self._now_us)
        self.known += suspect.id in self._since_us
        self.oldest_us = since_us if self.oldest_us is None else min(self.oldest_us, since_us)
        self._rows.append(
            {"id": suspect.id, "routing": suspect.routing, "kind": kind, "key": key_json(key) if key else None}
        )
        line = {
            "id": suspect.id,
            "routing": suspect.routing,
            "kind": kind,
            "key": key,
            "field": None if look is None else look.field,
            "since": _time(since_us),
            "is_settled": suspect.kind is Kind.REFUSED or (look is not None and not look.is_key_unknown),
        }
        if self._lines is not None:
            self._lines.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        if len(self._rows) >= _ROWS_IN_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._parquet.write_table(pa.Table.from_pylist(self._rows, schema=_SCHEMA))
            self._rows = []


def read_since(lines: Iterable[bytes]) -> dict[str, int]:
    """By id, since when an earlier list has it, in microseconds since 1970; ``MOST_KNOWN`` of them at most."""
    known: dict[str, int] = {}
    for line in lines:
        if len(known) >= MOST_KNOWN:
            break
        entry: dict[str, Any] = orjson.loads(line)
        moment = pendulum.parse(entry["since"])
        if isinstance(moment, pendulum.DateTime):
            known[entry["id"]] = round(moment.timestamp() * 1e6)
    return known


Lines = Callable[[str], Iterator[bytes]]
"""The lines of an earlier list, by where it is; none where it is gone."""


def _time(moment_us: int) -> str:
    return pendulum.from_timestamp(moment_us / 1e6).isoformat(timespec="seconds")
