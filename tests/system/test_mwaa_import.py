"""The bundle in an empty folder, with the newest Airflow that Amazon's managed service is known to offer.

The environment is made from the lock in tests/dags: Airflow 3.2.1 with the packages of its time and the bundle's own
requirements. Nothing of the project but the bundle is in reach.
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tools.local import connections, http, members, ministack, opensearch, paths
from tools.mwaa_bundle import make_bundle

AIRFLOW_VERSION = "3.2.1"
LOCK = paths.ROOT / "tests" / "dags" / f"airflow-{AIRFLOW_VERSION}.txt"
ITEMS = 1_500

LOOK = """
import json, sys
from importlib.metadata import version
from airflow.dag_processing.dagbag import DagBag
from airflow.providers_manager import ProvidersManager
import dynamo_opensearch

bag = DagBag(sys.argv[1], include_examples=False)
hook = ProvidersManager().hooks["opensearch"]
print("FOUND " + json.dumps({
    "airflow": version("apache-airflow"),
    "package": dynamo_opensearch.__file__,
    "errors": {name: str(error) for name, error in bag.import_errors.items()},
    "dags": sorted(bag.dags),
    "hook": hook and [hook.hook_name, hook.hook_class_name],
}))
"""


def uv() -> Path:
    """The environment's own uv, or the one that made the environment."""
    candidates = [Path(sys.executable).with_name("uv"), paths.BUILD / "bootstrap" / "bin" / "uv"]
    return next(path for path in candidates if path.exists())


class ManagedAirflow:
    """An unpacked bundle and the interpreter that runs it, as the service lays them out."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "airflow"
        self.python = folder / "environment" / "bin" / "python"
        bundle = make_bundle(folder / "bundle")
        self.home.mkdir()
        (bundle.folder / "dags").rename(self.home / "dags")
        with zipfile.ZipFile(bundle.plugins) as archive:
            archive.extractall(self.home / "plugins")

    def install(self) -> None:
        """Make the environment; wheels come from the project's cache when they are there."""
        cache = {"UV_CACHE_DIR": str(paths.BUILD / "cache" / "uv"), "UV_NO_CONFIG": "1", "UV_LINK_MODE": "copy"}
        environment = self.python.parents[1]
        make = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
        subprocess.run(make, check=True)
        sync = [str(uv()), "pip", "sync", "--quiet", "--require-hashes", "--strict", "--python", str(self.python)]
        subprocess.run([*sync, str(LOCK)], check=True, env=os.environ | cache)

    def run(self, *arguments: str, **variables: str) -> str:
        """What the interpreter prints, in an environment of which the shell knows nothing.

        Raises:
            AssertionError: it failed; carries the end of its output.
        """
        settings = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "1",
            "HOME": str(self.home),
            "PATH": f"{self.python.parent}:/usr/bin:/bin",
            "PYTHONPATH": str(self.home / "plugins"),
        }
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.home,
            env=settings | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6_000:]
        return done.stdout


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> ManagedAirflow:
    airflow = ManagedAirflow(tmp_path_factory.mktemp("mwaa"))
    airflow.install()
    return airflow


def look(managed: ManagedAirflow) -> dict[str, Any]:
    printed = managed.run("-c", LOOK, str(managed.home / "dags"))
    line = next(line for line in printed.splitlines() if line.startswith("FOUND "))
    found: dict[str, Any] = json.loads(line.removeprefix("FOUND "))
    return found


def test_every_dag_is_imported_from_the_bundle_alone(managed: ManagedAirflow) -> None:
    found = look(managed)
    assert found["airflow"] == AIRFLOW_VERSION
    assert found["package"].startswith(str(managed.home / "plugins"))
    assert found["errors"] == {}
    assert found["dags"] == [
        "members_backfill",
        "members_cutover",
        "members_dlq_replay",
        "members_preflight",
        "members_reconcile",
        "members_reindex",
        "members_rollback_index",
        "members_rollback_service",
        "sync_follow",
        "sync_index_cleanup",
    ]
    assert found["hook"] == [
        "OpenSearch (DynamoDB operations)",
        "dynamo_opensearch.hooks.opensearch.OpenSearchHook",
    ]


def test_a_backfill_runs_there_with_its_progress_in_the_state_index(managed: ManagedAirflow, tmp_path: Path) -> None:
    with (
        ministack.started(tmp_path / "ministack") as aws,
        opensearch.started(tmp_path / "search", heap="512m") as search,
    ):
        client = connections.aws_client("dynamodb", aws.url)
        members.create_table(client)
        members.load(client, members.TABLE, ITEMS)
        variables = connections.connections(aws, search)
        managed.run("-m", "airflow", "db", "migrate")
        printed = managed.run("-m", "airflow", "dags", "test", "members_backfill", **variables)
        count = http.call(f"{search.url}/members-live/_count")["count"]
        states = http.call(f"{search.url}/.dynamo-opensearch-state/_search")["hits"]["hits"]
    assert count == ITEMS, printed[-6_000:]
    assert states
    assert all(hit["_source"]["key"].startswith("progress|members_backfill|") for hit in states)
