"""Telling people of a reconciliation that did not pass."""

from collections.abc import Callable
from typing import Any

from airflow.sdk import Context

from dynamo_opensearch.core.runbook import SIDES_DIFFER
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.operators.notifiers import call_notifiers

_UNKNOWN: dict[str, Any] = {
    "verdict": "unknown",
    "depth": None,
    "table_count": None,
    "index_count": None,
    "differences": None,
    "by_kind": {},
    "mended": 0,
}
"""What is told where the run failed before it had a report."""


def reconciliation_alarm(target: Target, report_task: str) -> Callable[[Context], None]:
    """A callback for the task that fails when the run does: it calls the target's notifiers, all of them.

    Their templated arguments may say ``{{ reconciliation.verdict }}``, ``.depth``, ``.differences``, ``.by_kind``,
    ``.mended``, ``.table_count``, ``.index_count``, ``.target`` and ``.runbook``; numbers are None where the run
    had no report yet.

    Raises:
        Exception: as ``call_notifiers``.
    """

    def tell(context: Context) -> None:
        report = context["ti"].xcom_pull(task_ids=report_task) or {}
        named = {"target": target.name, "runbook": SIDES_DIFFER}
        figures = {name: report.get(name, default) for name, default in _UNKNOWN.items()} | named
        call_notifiers(target, context, "reconciliation", figures)

    return tell
