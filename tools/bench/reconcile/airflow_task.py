"""Contender: one task of a reconciliation, in a process that has loaded what an Airflow task process loads.

Its files are on an ObjectStoragePath, as the operators have them. The step ``empty`` loads nothing else and does
nothing: the difference to its peak is what the others need.
"""

import importlib
from typing import Any

from tools.bench.contender import Work, contend_with
from tools.bench.memory import load_task_modules


def prepare(said: dict[str, Any]) -> Work:
    """Load it, and build what the task builds."""
    load_task_modules()
    if said["step"] == "empty":
        return lambda: 0
    from airflow.sdk import ObjectStoragePath

    importlib.import_module("dynamo_opensearch.operators.reconcile.comparing")
    from dynamo_opensearch.operators.reconcile.files import ObjectStorageWorkFiles
    from tools.bench.reconcile.task import work_of
    from tools.bench.reconcile.wired import ReconcileTask

    task = ReconcileTask(**said)
    return work_of(task, ObjectStorageWorkFiles(ObjectStoragePath(f"file://{task.folder}")))


if __name__ == "__main__":
    contend_with(prepare)
