"""The core's errors as Airflow's: a permanent one is not retried."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from dynamo_opensearch.core.errors import SyncError


@contextmanager
def failures_for_airflow() -> Iterator[None]:
    """Raise AirflowFailException for what a retry does not mend; passing errors go on, so that Airflow retries.

    Raises:
        AirflowFailException: with the permanent error's own text, chained to it.
    """
    try:
        yield
    except SyncError as error:
        if error.is_permanent:
            raise AirflowFailException(str(error)) from error
        raise
