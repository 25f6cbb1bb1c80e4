"""A running Airflow: the link from a task to its page, and who is shown the page."""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.covered import uncovered
from tests.support.recorded_runs import folder_for_calls, recording_variables
from tests.system.airflow_deployment import wait_for
from tools.local import airflow, http, ministack, paths
from tools.local.airflow_api import FINISHED, AirflowApi
from tools.local.connections import aws_client, aws_connection

DAG_ID = "members_reconcile"
RUN_ID = "manual__2026-03-12T02:30:00+00:00"
STORE, BUCKET = "pages_store", "pages"
USERS = {"ada": "admin", "vera": "viewer", "nobody": ""}
OTHERS = ("..", ".", "%2E%2E", "..%2F..%2Fmembers%2F" + quote(RUN_ID), "%252E%252E%252Fmembers", "a%00b", "x" * 400)


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: Message


@dataclass(frozen=True)
class Running:
    """Airflow, and its users' tokens."""

    url: str
    home: Path
    aws_url: str

    def get(self, path: str, user: str | None = "ada", *, cookie: bool = False, method: str = "GET") -> Answer:
        """What a reader gets, as a browser sends the path."""
        headers = {} if user is None else {"Authorization": f"Bearer {self.token(user)}"}
        if user is not None and cookie:
            headers = {"Cookie": f"_token={self.token(user)}"}
        request = urllib.request.Request(f"{self.url}{path}", headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.read().decode(), answer.headers)
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(), error.headers)

    def page(self, run_id: str, user: str | None = "ada", dag_id: str = DAG_ID) -> Answer:
        """The page of a run; the ids as they stand in an address."""
        return self.get(f"/dynamo-opensearch/reconciliations/{dag_id}/{run_id}", user)

    def token(self, user: str) -> str:
        """A token as the login gives it."""
        body = {"username": user, "password": f"{user}'s"}
        return str(http.call(f"{self.url}/auth/token", method="POST", body=body)["access_token"])


class Api(AirflowApi):
    """The REST API, as the administrator."""

    def __init__(self, running: Running) -> None:
        super().__init__(running.url)
        self._token = running.token("ada")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("pages")
    home, dags = folder / "airflow", folder / "dags"
    home.mkdir()
    dags.mkdir()
    shutil.copy(Path(__file__).with_name("scratch_dags.py"), dags)
    (home / "passwords.json").write_text(json.dumps({user: f"{user}'s" for user in USERS}))
    calls = folder_for_calls()
    changes = {
        **recording_variables(calls, str(paths.ROOT / "plugins")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
    }
    include = paths.ROOT / "include"
    shutil.copytree(include, folder / "include")
    orders = (include / "targets" / "orders.yaml").read_text()
    in_s3 = orders.replace("  local:\n", f"  local:\n    reports: s3://{STORE}@{BUCKET}/prod\n")
    (folder / "include" / "targets" / "orders.yaml").write_text(in_s3)
    with (
        ministack.started(folder / "ministack") as aws,
        airflow.started(home, changes | {"DYNAMO_OPENSEARCH_INCLUDE": str(folder / "include")}) as server,
    ):
        running = Running(server.url, home, aws.url)
        api = Api(running)
        api.wait_for_dag(DAG_ID)
        api.unpause(DAG_ID)
        yield running
    assert uncovered(calls) == [], "calls that no policy of docs/iam.md covers"


@pytest.mark.parametrize("ends", ["success", "failed", "skipped"])
def test_the_link_of_a_task_leads_to_the_page_of_its_run_however_it_ends(running: Running, ends: str) -> None:
    api = Api(running)
    run_id = api.trigger(DAG_ID, {"ends": ends})
    wait_for(lambda: one if (one := api.run_state(DAG_ID, run_id)) in FINISHED else None, 120, "the run to end")
    (task,) = api.task_instances(DAG_ID, run_id)
    assert task["state"] == ends
    path = f"/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}/taskInstances/report/links"
    link = wait_for(lambda: api.call(path)["extra_links"]["Reconciliation page"], 20, "the link")
    assert link == f"/dynamo-opensearch/reconciliations/{DAG_ID}/{quote(run_id, safe='')}"
    answer = running.get(link, "vera")
    assert (answer.status, answer.text) == (200, f"<!doctype html><p>{run_id}")


@pytest.fixture(scope="module")
def page(running: Running) -> str:
    """A stored page's content; its run is of no interest to Airflow."""
    folder = running.home / "reports" / "reconcile" / "members" / "manual__2026-03-12T02_30_00+00_00"
    folder.mkdir(parents=True)
    content = "<!doctype html><title>members</title>"
    (folder / "page.html").write_text(content)
    for outside in (folder.parent, folder.parents[1]):
        (outside / "page.html").write_text("what lies outside of the run's folder")
    return content


@pytest.mark.parametrize("run_id", [RUN_ID, quote(RUN_ID), quote(RUN_ID, safe="")])
@pytest.mark.parametrize(("user", "status"), [(None, 401), ("nobody", 403), ("vera", 200), ("ada", 200)], ids=str)
def test_a_page_is_shown_to_whoever_may_see_the_dags_runs(
    running: Running, page: str, run_id: str, user: str | None, status: int
) -> None:
    answer = running.page(run_id, user)
    assert answer.status == status
    assert (page in answer.text) == (status == 200)


def test_the_cookie_of_the_ui_is_enough(running: Running, page: str) -> None:
    path = f"/dynamo-opensearch/reconciliations/{DAG_ID}/{quote(RUN_ID, safe='')}"
    assert running.get(path, "vera", cookie=True).text == page


@pytest.mark.parametrize("user", [None, "nobody", "ada"], ids=str)
def test_what_is_shown_may_load_and_run_nothing_and_is_not_kept(running: Running, page: str, user: str | None) -> None:
    headers = running.page(RUN_ID, user).headers
    policy = {part.strip() for part in str(headers["Content-Security-Policy"]).split(";")}
    assert {"default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "frame-ancestors 'self'"} <= policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers.get_content_type() == ("text/html" if user == "ada" else "text/plain")


def test_a_page_in_s3_is_read_by_a_connection_that_airflow_keeps(running: Running) -> None:
    connection = json.loads(aws_connection(running.aws_url))
    body = connection | {"connection_id": STORE, "extra": json.dumps(connection["extra"])}
    Api(running).call("/connections", method="POST", body=body)
    store = aws_client("s3", running.aws_url)
    store.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": ministack.REGION})
    folder = "prod/reconcile/orders/manual__2026-03-12T02_30_00+00_00"
    store.put_object(Bucket=BUCKET, Key=f"{folder}/page.html", Body=b"<!doctype html><p>orders")
    store.put_object(Bucket=BUCKET, Key="prod/reconcile/page.html", Body=b"what lies outside of the run's folder")
    found = running.page(RUN_ID, "vera", "orders_reconcile")
    assert (found.status, found.text) == (200, "<!doctype html><p>orders")
    for run_id in ("..", "%2E%2E", "manual__2026-03-13T02:30:00+00:00"):
        assert running.page(run_id, "vera", "orders_reconcile").status == 404


@pytest.mark.parametrize("run_id", OTHERS, ids=lambda run_id: run_id[:30])
def test_a_run_without_a_page_is_not_found_and_no_other_file_is_read(running: Running, page: str, run_id: str) -> None:
    answer = running.page(run_id)
    assert answer.status == 404
    assert "outside" not in answer.text
    assert page not in answer.text


@pytest.mark.parametrize("dag_id", ["nothing_reconcile", "members_backfill", "~", "..", "%2E%2E_reconcile", "members"])
def test_a_dag_that_reconciles_no_target_is_not_found(running: Running, page: str, dag_id: str) -> None:
    answer = running.page(quote(RUN_ID, safe=""), dag_id=dag_id)
    assert answer.status == 404
    assert page not in answer.text


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/", "/reconciliations", "/reconciliations/x"])
def test_nothing_else_is_there(running: Running, path: str) -> None:
    for user in (None, "ada"):
        assert running.get(f"/dynamo-opensearch{path}", user).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_sent(running: Running, page: str, method: str) -> None:
    path = f"/dynamo-opensearch/reconciliations/{DAG_ID}/{quote(RUN_ID, safe='')}"
    assert running.get(path, method=method).status == 405
