"""The route of the pages: which rights it asks for, which file it reads, and what loading the plugin costs."""

import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from airflow.sdk import ObjectStoragePath
from fastapi import FastAPI, HTTPException

from dynamo_opensearch.core.reconcile.dag_ids import reconcile_dag_id, reconciled_target
from dynamo_opensearch.core.targets.include_folder import INCLUDE_VARIABLE
from dynamo_opensearch.operators.object_storage import path_part
from dynamo_opensearch.operators.reconcile.files import PAGE, run_folder, write_private
from dynamo_opensearch.operators.reconcile.page_link import ReconciliationPageLink, page_path
from dynamo_opensearch.wiring.target_connections import load_target
from tools.local import paths

DAG_ID, RUN_ID = "members_reconcile", "scheduled__2026-03-12T02:30:00+00:00"
CONTENT = b"<!doctype html><title>members</title>"
PATH = f"/reconciliations/{DAG_ID}/scheduled__2026-03-12T02%3A30%3A00%2B00%3A00"


class AuthManager:
    """Airflow's part: knows one token, and keeps what it is asked."""

    def __init__(self) -> None:
        self.allows = True
        self.asked: list[tuple[Any, ...]] = []

    async def get_user_from_token(self, token: str) -> str:
        assert token == "a-token"
        return "vera"

    def is_authorized_dag(self, *, method: str, user: str, access_entity: Any, details: Any) -> bool:
        self.asked.append((method, user, access_entity.value, details.id))
        return self.allows


@pytest.fixture
def pages() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's API brings in Starlette's test client, which warns of its future
        from dynamo_opensearch.web import reconciliation_pages
    return reconciliation_pages


@pytest.fixture
def auth(pages: Any, monkeypatch: pytest.MonkeyPatch) -> AuthManager:
    from airflow.api_fastapi.core_api import security

    manager = AuthManager()
    monkeypatch.setattr(security, "get_auth_manager", lambda: manager)
    monkeypatch.setattr(security, "DagModel", SimpleNamespace(get_team_name=lambda _dag_id: None))
    return manager


@pytest.fixture
def app(pages: Any, auth: AuthManager) -> FastAPI:
    made: FastAPI = pages.make_app()
    return made


@pytest.fixture(autouse=True)
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of one run, and files beside and above its folder that are none of it."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    folder = run_folder(load_target("members"), RUN_ID)
    write_private(folder / PAGE, CONTENT)
    for outside in (folder.parent, folder.parent.parent, folder.parent.parent.parent):
        (outside / PAGE).write_bytes(b"outside")
    return Path(folder.path)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def get(app: FastAPI, path: str, token: str | None = "a-token", method: str = "GET") -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://airflow") as client:
        return await client.request(method, path, headers=headers)


@pytest.mark.anyio
async def test_who_may_see_runs_of_the_dag_gets_the_page(app: FastAPI, auth: AuthManager) -> None:
    answer = await get(app, PATH)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert auth.asked == [("GET", "vera", "RUN", DAG_ID)]


@pytest.mark.anyio
async def test_who_may_not_see_runs_of_the_dag_gets_no_word_of_it(app: FastAPI, auth: AuthManager) -> None:
    auth.allows = False
    for path in (PATH, f"{PATH}x", "/reconciliations/nothing/run"):
        answer = await get(app, path)
        assert (answer.status_code, answer.text) == (403, "Forbidden\n")


@pytest.mark.anyio
async def test_without_a_token_nothing_is_looked_for(app: FastAPI, auth: AuthManager) -> None:
    answer = await get(app, PATH, token=None)
    assert (answer.status_code, answer.text) == (401, "Not authenticated\n")
    assert auth.asked == []


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/"])
async def test_there_is_no_documentation(app: FastAPI, path: str) -> None:
    assert (await get(app, path)).status_code == 404


@pytest.mark.anyio
@pytest.mark.parametrize("path", [PATH, f"{PATH}x", f"{PATH}/x"])
@pytest.mark.parametrize("token", [None, "a-token"])
async def test_every_answer_forbids_to_load_anything(app: FastAPI, path: str, token: str | None) -> None:
    answer = await get(app, path, token)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "text", ["..", ".", "...", "../members", "..\\..", "/etc/passwd", "a/b", "a\x00b", "x" * 251, "x" * 300]
)
def test_no_run_id_leads_out_of_the_folder(pages: Any, text: str) -> None:
    with pytest.raises(HTTPException) as raised:
        pages.stored_page(DAG_ID, text)
    assert raised.value.status_code == 404


@pytest.mark.parametrize(
    "dag_id", ["members", "orders_reconcile", "members_backfill", "../members_reconcile", "_reconcile", ""]
)
def test_a_dag_that_reconciles_no_target_has_no_page(pages: Any, dag_id: str) -> None:
    with pytest.raises(HTTPException) as raised:
        pages.stored_page(dag_id, RUN_ID)
    assert raised.value.status_code == 404


def test_a_target_file_with_mistakes_is_told_without_its_content(
    pages: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "include" / "targets").mkdir(parents=True)
    (tmp_path / "include" / "targets" / "members.yaml").write_text("name: members\nsecret: 42\n")
    monkeypatch.setenv(INCLUDE_VARIABLE, str(tmp_path / "include"))
    with pytest.raises(HTTPException) as raised:
        pages.stored_page(DAG_ID, RUN_ID)
    assert raised.value.status_code == 404
    assert "secret" not in raised.value.detail
    assert "import errors" in raised.value.detail


def test_a_place_that_may_not_be_read_is_told(pages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_path: ObjectStoragePath) -> bytes:
        raise PermissionError(13, "Access Denied", "s3://bucket/secret")

    monkeypatch.setattr(ObjectStoragePath, "read_bytes", forbidden)
    with pytest.raises(HTTPException) as raised:
        pages.stored_page(DAG_ID, RUN_ID)
    assert raised.value.status_code == 503
    assert "may not read" in raised.value.detail
    assert "secret" not in raised.value.detail


@pytest.mark.parametrize("text", ["..", ".", "...", "", "../..", "a/b", "a\\b", "a:b+c", "ä.b", "%2e%2e"])
def test_a_part_of_a_path_is_one_part_and_stays_below(tmp_path: Path, text: str) -> None:
    part = path_part(text)
    assert (tmp_path / part).resolve().parent == tmp_path.resolve()


def test_run_ids_of_airflow_keep_their_folders() -> None:
    assert path_part(RUN_ID) == "scheduled__2026-03-12T02_30_00+00_00"


def test_a_dag_and_its_target_know_each_other() -> None:
    for target in ("members", "a_reconcile", "x"):
        assert reconciled_target(reconcile_dag_id(target)) == target
    assert reconciled_target("members_backfill") is None


def test_the_links_path_is_that_of_the_route_below_airflows_own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    key = SimpleNamespace(dag_id=DAG_ID, run_id=RUN_ID)
    operator: Any = None
    expected = f"/dynamo-opensearch{PATH}"
    for base_url, below in (
        ("", ""),
        ("/", ""),
        ("http://airflow:8080", ""),
        ("https://host.example/team/airflow/", "/team/airflow"),
    ):
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
        assert ReconciliationPageLink().get_link(operator, ti_key=key) == below + expected  # type: ignore[arg-type]
        assert page_path(DAG_ID, RUN_ID) == below + expected


LOADED = """
import sys
sys.path.insert(0, sys.argv[1])
from dynamo_opensearch_plugin import DynamoOpenSearchPlugin
plugin = DynamoOpenSearchPlugin()
print(sorted({"fastapi", "duckdb", "pyarrow", "boto3", "opensearchpy"} & set(sys.modules)))
(app,) = plugin.fastapi_apps
print(sorted({"duckdb", "pyarrow", "boto3", "opensearchpy"} & set(sys.modules)))
print(app["url_prefix"], [route.path for route in app["app"].routes])
"""


def test_loading_the_plugin_brings_in_no_server_and_its_app_no_client(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(paths.ROOT / "plugins")],
        env={"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if "[warning" not in line]  # Airflow's own
    assert lines == ["[]", "[]", "/dynamo-opensearch ['/reconciliations/{dag_id}/{run_id}']"], done.stderr
