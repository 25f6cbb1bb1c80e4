"""A run that was stopped halfway must not end green."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BaseOperator, Context


class ConfirmResultOperator(BaseOperator):
    """Fail, and with it the run, unless other tasks have succeeded. Use as a teardown that has no setup.

    When a person marks a run as failed, Airflow skips what has not run yet, runs the teardowns, and then judges the
    run by its leaves: skipped ones alone make it a success (seen on 3.3.2). This teardown is the leaf that says no.
    With a setup, it would be skipped together with that. States are asked for, since a result of an earlier pass
    outlives a clear.

    :param needs: the tasks whose success says that the run has done its work; of a dry run, its plan.
    """

    template_fields: Sequence[str] = ("needs",)

    def __init__(self, *, needs: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.needs = tuple(needs)

    def execute(self, context: Context) -> None:
        """Raise AirflowFailException where one of them has not succeeded."""
        instance = context["ti"]
        found = instance.get_task_states(
            dag_id=instance.dag_id, task_ids=list(self.needs), run_ids=[instance.run_id]
        ).get(instance.run_id, {})
        missing = [
            f"{name!r} ({found.get(name) or 'has not run'})"
            for name in dict.fromkeys(self.needs)
            if found.get(name) != "success"
        ]
        if missing:
            raise AirflowFailException(
                f"without success: {', '.join(missing)}. The run failed or was stopped before its end. "
                "What to do stands in the log of the task that failed; a new run of this DAG begins anew."
            )
