"""The core's errors as Airflow's: a permanent one is not retried; a refusal is told of which DAG it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import get_current_context

from dynamo_opensearch.core.errors import OfMissingRight, SyncError


@contextmanager
def failures_for_airflow() -> Iterator[None]:
    """Raise AirflowFailException for what a retry does not mend; passing errors go on, so that Airflow retries.

    Raises:
        AirflowFailException: with the permanent error's own text, chained to it.
    """
    try:
        with refusals_of_dag(current_dag_id()):
            yield
    except SyncError as error:
        if error.is_permanent:
            raise AirflowFailException(str(error)) from error
        raise


@contextmanager
def refusals_of_dag(dag_id: str | None) -> Iterator[None]:
    """Let a refusal go on, told whose task it was."""
    try:
        yield
    except SyncError as error:
        if isinstance(error, OfMissingRight):
            error.dag_id = error.dag_id or dag_id
        raise


def current_dag_id() -> str | None:
    """Of the task that runs; None outside of one."""
    try:
        return str(get_current_context()["ti"].dag_id)
    except RuntimeError:
        return None
