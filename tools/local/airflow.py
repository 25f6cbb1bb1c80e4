"""Airflow: LocalExecutor, SQLite, everybody an administrator; this repository's DAGs and plugins."""

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.local import http, paths, ports
from tools.local.processes import Launch, Server, running

COMPONENTS = Path(__file__).with_name("airflow_components.py")
HEALTHY = {"metadatabase", "scheduler", "triggerer", "dag_processor"}
TASKS_AT_ONCE = 4


@contextmanager
def started(folder: Path, environment: Mapping[str, str] | None = None, *, port: int | None = None) -> Iterator[Server]:
    """Run Airflow with its AIRFLOW_HOME in the folder; 30 to 60 seconds until it is healthy.

    Args:
        folder: AIRFLOW_HOME; started again on it, Airflow has its runs back.
        environment: settings and connections on top of `settings`, which they may replace.
        port: of the API server and UI; a free one when None.

    Raises:
        ServerError: it did not start, or something of it is left.
    """
    launch = plan_launch(folder.absolute(), port or ports.free_port(), environment or {})
    with running(launch) as server:
        yield server


def plan_launch(folder: Path, port: int, environment: Mapping[str, str]) -> Launch:
    """How to start Airflow on a port."""
    return Launch(
        title="airflow",
        folder=folder,
        command=(sys.executable, str(COMPONENTS)),
        environment=settings(folder, port) | dict(environment),
        ports=(port,),
        is_ready=lambda _pid: _is_ready(f"http://{ports.HOST}:{port}"),
        start_timeout_s=240.0,
        stop_timeout_s=20.0,
    )


def settings(folder: Path, port: int) -> dict[str, str]:
    """The environment variables that an Airflow in the folder needs, commands of a shell included."""
    url = f"http://{ports.HOST}:{port}"
    sections: dict[str, dict[str, object]] = {
        "CORE": {
            "DAGS_FOLDER": paths.ROOT / "dags",
            "PLUGINS_FOLDER": paths.ROOT / "plugins",
            "LOAD_EXAMPLES": False,
            "EXECUTOR": "LocalExecutor",
            "PARALLELISM": TASKS_AT_ONCE,
            "EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": folder / "passwords.json",
            "TEST_CONNECTION": "Enabled",
        },
        # Who finds SQLite locked waits for ten seconds instead of five. Not for longer: the API server may wait for
        # itself (see AirflowApi), and a task that starts meanwhile must outlast that.
        "DATABASE": {"SQL_ALCHEMY_CONN": f"sqlite:///{folder.absolute()}/airflow.db?timeout=10"},
        "WORKERS": {"EXECUTION_API_TIMEOUT": 30},
        "API": {
            "HOST": ports.HOST,
            "PORT": port,
            "BASE_URL": url,
            "WORKERS": 1,
            "SECRET_KEY": secrets.token_hex(),
        },
        "API_AUTH": {"JWT_SECRET": secrets.token_hex()},
        "DAG_PROCESSOR": {"MIN_FILE_PROCESS_INTERVAL": 30, "REFRESH_INTERVAL": 10, "PARSING_PROCESSES": 1},
    }
    named = {f"AIRFLOW__{name}__{key}": str(value) for name, keys in sections.items() for key, value in keys.items()}
    return named | {
        "AIRFLOW_HOME": str(folder),
        "DYNAMO_OPENSEARCH_INCLUDE": str(paths.ROOT / "include"),
        # For the connection form: it finds the type `opensearch` by the dist-info there.
        "PYTHONPATH": str(paths.ROOT / "plugins"),
        # In front of everything, so that the components and a shell find this environment's `airflow`.
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
    }


def _is_ready(url: str) -> bool:
    health = http.call(f"{url}/api/v2/monitor/health")
    return all(health[part]["status"] == "healthy" for part in HEALTHY)
