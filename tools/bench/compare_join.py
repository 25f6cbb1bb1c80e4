"""Memory and time of the comparison's join: `python -m tools.bench.compare_join 300000 1000000 3000000`.

Rows are made up: both sides hold them all but for one in a thousand on either, and one in a thousand differs. Each
number is taken in a process of its own; what it needs more than one with 1,000 rows is the join's.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

from dynamo_opensearch.core.compare.join import Found, JoinSettings, join_partition, partitions_for
from dynamo_opensearch.core.compare.rows import RowWriter, make_rows

MEMORY_BYTES = 150_000_000


def write_side(file: Path, rows: int, left_out: int, changed: int) -> None:
    """One side's rows: ids as long as a UUID, digests of 64 bits."""
    with RowWriter(file) as writer:
        for start in range(0, rows, 10_000):
            numbers = [number for number in range(start, min(rows, start + 10_000)) if number % 1000 != left_out]
            ids = [f"{number * 2654435761 % 2**32:08x}-e0d0-5940-b4b9-{number:012x}" for number in numbers]
            writer.write(make_rows(ids, digests=[_digest(number, changed) for number in numbers]))


def _digest(number: int, changed: int) -> int:
    return (number * 0x9E3779B97F4A7C15 + (number % 1000 == changed)) % 2**64


def join(rows: int) -> tuple[Found, float, float]:
    """Counts, seconds of the join, and the process's largest resident size in MB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table, index = folder / "table.parquet", folder / "index.parquet"
        write_side(table, rows, 1, -1)
        write_side(index, rows, 2, 3)
        began_s = time.monotonic()
        partitions = partitions_for(2 * rows)
        settings = JoinSettings(memory_bytes=MEMORY_BYTES, scratch=folder)
        found = Found()
        for partition in range(partitions):
            found += join_partition([table], [index], partition, partitions, settings, folder / "suspects.parquet")
        seconds = time.monotonic() - began_s
    return found, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main(rows: list[int]) -> int:
    """Print one line for each number of rows."""
    context = multiprocessing.get_context("spawn")
    baseline_mb = 0.0
    for count in [1_000, *rows]:
        with context.Pool(1) as pool:
            found, seconds, resident_mb = pool.apply(join, (count,))
        baseline_mb = baseline_mb or resident_mb
        print(
            f"{count:>12,} rows: {seconds:6.2f} s, {resident_mb - baseline_mb:6.0f} MB above {baseline_mb:.0f}; {found}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main([int(text) for text in sys.argv[1:]] or [300_000, 1_000_000]))
