"""Airflow's API server alone: its form has the connection type, and its test button reaches the cluster."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tools.local import airflow, http, opensearch, ports
from tools.local.airflow_api import AirflowApi
from tools.local.processes import Launch, Server, running


@dataclass(frozen=True)
class Form:
    """The API server, and the cluster beside it."""

    api: AirflowApi
    search: Server

    def page(self, path: str) -> Any:
        """What the UI itself asks for."""
        token = http.call(f"{self.api.url}/auth/token")["access_token"]
        return http.call(f"{self.api.url}/ui{path}", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Form]:
    folder = tmp_path_factory.mktemp("airflow")
    port = ports.free_port()
    settings = airflow.settings(folder, port)
    command = (sys.executable, "-m", "airflow")
    subprocess.run((*command, "db", "migrate"), env=settings, check=True, stdout=subprocess.DEVNULL)
    launch = Launch(
        title="api-server",
        folder=folder,
        command=(*command, "api-server"),
        environment=settings,
        ports=(port,),
        is_ready=lambda _pid: http.status(f"http://{ports.HOST}:{port}/api/v2/version") == 200,
        start_timeout_s=120.0,
    )
    with opensearch.started(tmp_path_factory.mktemp("search"), heap="512m") as search, running(launch) as server:
        yield Form(AirflowApi(server.url), search)


def test_the_form_offers_the_type_with_its_own_hints(form: Form) -> None:
    offered = {one["connection_type"]: one for one in form.page("/connections/hook_meta")}
    assert offered["opensearch"]["hook_name"] == "OpenSearch (DynamoDB operations)"
    assert offered["opensearch"]["standard_fields"]["url_schema"]["title"] == "http or https"


@pytest.mark.parametrize("is_well", [True, False], ids=["there", "not-there"])
def test_the_button_tells_whether_the_cluster_answers(form: Form, is_well: bool) -> None:
    body = {
        "connection_id": "tried",
        "conn_type": "opensearch",
        "host": form.search.host,
        "port": form.search.port if is_well else ports.free_port(),
        "schema": "http",
        "extra": '{"auth": "none"}',
    }
    answer = form.api.call("/connections/test", method="POST", body=body)
    assert answer["status"] is is_well
    assert ("opensearch 3.8.0 answered" if is_well else "no complete answer") in answer["message"]
