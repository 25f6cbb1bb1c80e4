"""Airflow's four components side by side, as `airflow standalone` runs them, on loopback only.

`standalone` itself also starts two log servers, which listen on all interfaces and which
nobody needs where all log files are on one disk. Run by `airflow.py` as a script.
"""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

AIRFLOW = (sys.executable, "-m", "airflow")
COMPONENTS = (
    ("scheduler", "--skip-serve-logs"),
    ("dag-processor",),
    ("api-server",),
    ("triggerer", "--skip-serve-logs"),
)


def main() -> int:
    """Bring the metadata database up to date, start the components, and end when one of them does.

    The supervisor then ends the others.
    """
    subprocess.run((*AIRFLOW, "db", "migrate"), check=True)
    _let_readers_and_writers_pass_each_other(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db")
    components = {subprocess.Popen((*AIRFLOW, *component)).pid: component[0] for component in COMPONENTS}
    pid, status = os.wait()
    print(f"{components[pid]} ended with {os.waitstatus_to_exitcode(status)}", flush=True)
    return 1


def _let_readers_and_writers_pass_each_other(database: Path) -> None:
    """A write-ahead log: with SQLite's usual journal each reader blocks all writers, and the other way round.

    On a busy disk requests waited for more than half a minute then. The database keeps the mode.
    """
    with closing(sqlite3.connect(database)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise RuntimeError(f"SQLite keeps {database} in journal mode {mode!r}, a write-ahead log is needed")


if __name__ == "__main__":
    sys.exit(main())
