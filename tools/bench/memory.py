"""The memory of a task: contender b in a process that has loaded what an Airflow task process loads.

With no segments it copies nothing: its peak is what an empty task needs, and the difference is the copy's.
"""

import importlib

from tools.bench import contender

_TASK_MODULES = (
    "airflow.sdk",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.amazon.aws.hooks.dynamodb",
    "airflow.providers.common.compat.sdk",
    "opensearchpy",
)


def load_task_modules() -> None:
    """What a task process has loaded before it does anything."""
    for module in _TASK_MODULES:
        importlib.import_module(module)


def prepare(task: contender.Task) -> contender.Work:
    """Load it, and build what a task builds if there is something to copy."""
    load_task_modules()
    if not task.segments:
        return lambda: 0
    from tools.bench import ours

    return ours.prepare(task)


if __name__ == "__main__":
    contender.contend(prepare)
