"""Airflow's REST API, as much of it as the demo and the tests need. Plain HTTP."""

import json
import time
import urllib.error
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tools.local import http

FINISHED = frozenset({"success", "failed"})
FAILED = frozenset({"failed", "upstream_failed"})
_PAGE = 100
_TIMEOUT_S = 60.0
_TRIES = 6
_FAILED, _CONFLICT, _UNAUTHORIZED = 500, 409, 401


class DagMissingError(RuntimeError):
    """Airflow does not know the DAG."""

    def __init__(self, dag_id: str, waited_s: float, import_errors: list[str]) -> None:
        super().__init__(dag_id, waited_s, import_errors)
        self.dag_id, self.waited_s, self.import_errors = dag_id, waited_s, import_errors

    def __str__(self) -> str:
        why = "\n".join(self.import_errors) or "No file had an import error."
        return f"Airflow has no DAG {self.dag_id!r} after {self.waited_s:.0f} s. {why}"


class AirflowApi:
    """A caller with a token of its own.

    All methods raise urllib.error.HTTPError for a status of 400 or above.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._token = ""

    def call(self, path: str, *, method: str = "GET", body: object = None) -> Any:
        """One request below /api/v2, and the answer's JSON; a token that has run out is renewed."""
        try:
            return self._patiently(path, method, body)
        except urllib.error.HTTPError as error:
            if error.code != _UNAUTHORIZED:
                raise
            self._token = ""
            return self._patiently(path, method, body)

    def wait_for_dag(self, dag_id: str, timeout_s: float = 120.0) -> None:
        """Wait until Airflow has parsed the DAG.

        Raises:
            DagMissingError: it has not in that time; carries the import errors.
        """
        deadline = time.monotonic() + timeout_s
        while not self._has_dag(dag_id):
            if time.monotonic() > deadline:
                raise DagMissingError(dag_id, timeout_s, self.import_errors())
            time.sleep(1)

    def import_errors(self) -> list[str]:
        """What the DAG files raised, one text for each file."""
        errors = self.call("/importErrors")["import_errors"]
        return [f"{error['filename']}:\n{error['stack_trace']}" for error in errors]

    def unpause(self, dag_id: str) -> None:
        """Let the DAG's runs start."""
        self.call(f"/dags/{dag_id}", method="PATCH", body={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None) -> str:
        """Start a run by hand and return its id."""
        # An id of our own: a request that is sent again does not start a second run.
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        try:
            self.call(f"/dags/{dag_id}/dagRuns", method="POST", body=body)
        except urllib.error.HTTPError as error:
            if error.code != _CONFLICT:
                raise
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The run's state; it has ended when that is one of `FINISHED`."""
        return str(self.call(_run_path(dag_id, run_id))["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All task instances of the run, mapped ones each by itself."""
        found: list[dict[str, Any]] = []
        while True:
            window = f"limit={_PAGE}&offset={len(found)}&order_by=map_index"
            page = self.call(f"{_run_path(dag_id, run_id)}/taskInstances?{window}")
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found

    def state(self, task_instance: Mapping[str, Any], key: str) -> Any:
        """A value of the task state store; None when the task has not written it."""
        path = f"{_task_path(task_instance)}/state-store/{key}?map_index={task_instance['map_index']}"
        try:
            return self.call(path)["value"]
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def returned(
        self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, key: str = "return_value"
    ) -> Any:
        """What a task returned, or pushed under another key."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}?map_index={map_index}"
        value = self.call(path)["value"]
        return json.loads(value) if isinstance(value, str) else value

    def log_lines(self, task_instance: Mapping[str, Any]) -> list[str]:
        """What the task's last try logged, errors with their messages."""
        number = max(1, task_instance["try_number"])
        path = f"{_task_path(task_instance)}/logs/{number}?map_index={task_instance['map_index']}"
        return [_log_line(entry) for entry in self.call(path)["content"]]

    def _patiently(self, path: str, method: str, body: object) -> Any:
        """Send it again after a 500.

        The API server of 3.3.2 writes its log of actions on its event loop. On SQLite that waits for a task's open
        transaction, which in turn waits for the event loop to be ended, until SQLite's time-out: the one that gives up
        answers 500, and has written nothing.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._call(path, method, body)
            except urllib.error.HTTPError as error:
                if error.code != _FAILED or not tries_left:
                    raise
            time.sleep(1)
        raise AssertionError("the last try returns or raises")

    def _call(self, path: str, method: str, body: object) -> Any:
        if not self._token:
            self._token = http.call(f"{self.url}/auth/token")["access_token"]
        headers = {"Authorization": f"Bearer {self._token}"}
        return http.call(f"{self.url}/api/v2{path}", method=method, body=body, headers=headers, timeout_s=_TIMEOUT_S)

    def _has_dag(self, dag_id: str) -> bool:
        try:
            self.call(f"/dags/{dag_id}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return False
        return True


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}"


def _task_path(task_instance: Mapping[str, Any]) -> str:
    run = _run_path(task_instance["dag_id"], task_instance["dag_run_id"])
    return f"{run}/taskInstances/{task_instance['task_id']}"


def _log_line(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    raised = (f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or ())
    return " | ".join((str(entry.get("event", "")), *raised))
