"""The caller of Airflow's REST API: patient where SQLite made the server give up, and never starting a run twice."""

import urllib.error
from email.message import Message
from typing import Any

import pytest

from tools.local.airflow_api import AirflowApi


class Server:
    """Answers 500 so many times, then as it should; remembers what it was asked to do."""

    def __init__(self, failures: list[int]) -> None:
        self.failures, self.asked = failures, list[tuple[str, Any]]()

    def __call__(self, url: str, *, method: str = "GET", body: Any = None, **_: Any) -> Any:
        if url.endswith("/auth/token"):
            return {"access_token": "t"}
        self.asked.append((method, body))
        if self.failures:
            raise urllib.error.HTTPError(url, self.failures.pop(0), "", Message(), None)
        return {"dag_run_id": "another"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.local.airflow_api.time.sleep", lambda _: None)


def api(monkeypatch: pytest.MonkeyPatch, *failures: int) -> tuple[AirflowApi, Server]:
    server = Server(list(failures))
    monkeypatch.setattr("tools.local.airflow_api.http.call", server)
    return AirflowApi("http://127.0.0.1:1"), server


def test_a_500_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    caller, server = api(monkeypatch, 500, 500)
    caller.unpause("d")
    assert len(server.asked) == 3


def test_a_server_that_goes_on_failing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    caller, server = api(monkeypatch, *[500] * 20)
    with pytest.raises(urllib.error.HTTPError):
        caller.unpause("d")
    assert len(server.asked) == 6


@pytest.mark.parametrize("code", [400, 403, 404])
def test_other_refusals_are_told_at_once(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    caller, server = api(monkeypatch, code)
    with pytest.raises(urllib.error.HTTPError):
        caller.trigger("d")
    assert len(server.asked) == 1


def test_a_run_is_started_once_though_its_request_is_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    caller, server = api(monkeypatch, 500, 409)
    run_id = caller.trigger("d")
    assert {body["dag_run_id"] for _, body in server.asked} == {run_id}
    assert len(server.asked) == 2


def test_a_token_that_has_run_out_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    caller, server = api(monkeypatch, 401)
    caller.unpause("d")
    assert len(server.asked) == 2
