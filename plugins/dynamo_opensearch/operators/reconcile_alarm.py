"""Telling people of a reconciliation that did not pass."""

import logging
from collections.abc import Callable
from typing import Any, cast

from airflow.sdk import Context

from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import make_notifier

log = logging.getLogger(__name__)

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
    ``.mended``, ``.table_count``, ``.index_count`` and ``.target``; numbers are None where the run had no report yet.

    Raises:
        Exception: what the first notifier failed of; the others were called all the same.
    """

    def tell(context: Context) -> None:
        report = context["ti"].xcom_pull(task_ids=report_task) or {}
        figures = {name: report.get(name, default) for name, default in _UNKNOWN.items()} | {"target": target.name}
        failures: list[Exception] = []
        for one in target.airflow.notifiers:
            # A notifier renders its own fields and adds them to the context: each gets a context of its own.
            try:
                make_notifier(one)(cast("Any", {**context, "reconciliation": dict(figures)}))
            except Exception as error:  # noqa: BLE001 - raised below, when all have been called
                failures.append(error)
        log.warning("%d notifiers called", len(target.airflow.notifiers) - len(failures))
        if failures:
            raise failures[0]

    return tell
