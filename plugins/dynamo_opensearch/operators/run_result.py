"""A run that was stopped halfway must not end green."""

from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BaseOperator, Context


class ConfirmResultOperator(BaseOperator):
    """Fail, and with it the run, unless another task has returned its result. Use as a teardown.

    When a person marks a run as failed, Airflow skips what has not run yet, runs the teardowns, and then judges the
    run by its leaves: skipped ones alone make it a success (seen on 3.3.2). This teardown is the leaf that says no.

    :param result_of: the task whose return value says that the run has done its work.
    """

    def __init__(self, *, result_of: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.result_of = result_of

    def execute(self, context: Context) -> None:
        """Raise AirflowFailException where there is no result."""
        if context["ti"].xcom_pull(task_ids=self.result_of) is None:
            raise AirflowFailException(
                f"task {self.result_of!r} has no result: the run failed or was stopped before its end. "
                "What to do stands in the log of the task that failed; a new run of this DAG begins anew."
            )
