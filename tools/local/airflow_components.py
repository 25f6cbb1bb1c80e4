"""Airflow's four components side by side, as `airflow standalone` runs them, on loopback only.

`standalone` itself also starts two log servers, which listen on all interfaces and which
nobody needs where all log files are on one disk. Run by `airflow.py` as a script.
"""

import os
import subprocess
import sys

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
    components = {subprocess.Popen((*AIRFLOW, *component)).pid: component[0] for component in COMPONENTS}
    pid, status = os.wait()
    print(f"{components[pid]} ended with {os.waitstatus_to_exitcode(status)}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
