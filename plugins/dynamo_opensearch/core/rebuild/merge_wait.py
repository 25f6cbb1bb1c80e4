"""Refreshes that wait for no merge, while writers wait for a refresh.

A refresh merges small segments first, and OpenSearch lets it wait up to 10 s for that: seen on 3.8.0, a refresh under
the write block of 0.6 to 2.5 s, its thread in ``IndexWriter.finishGetReaderMerge``.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.patient import PatientCluster

log = logging.getLogger(__name__)

MERGE_WAIT = "index.merge_on_flush.max_full_flush_merge_wait_time"
SHORT_WAIT = "1ms"
"""Nobody else would choose it, so where it stands it is ours, left by a swap that was killed."""


@contextmanager
def short_merge_wait(patient: PatientCluster, index: str) -> Iterator[None]:
    """While the body runs, merges go on beside a refresh. An index whose mapping file sets that time keeps it.

    Raises:
        ServiceUnavailableError, AccessDeniedError: as ``PatientCluster.request``.
    """
    is_ours = _value(patient, index) in (None, SHORT_WAIT) and _put(patient, index, SHORT_WAIT)
    try:
        yield
    finally:
        if is_ours:
            _put(patient, index, None)


def put_merge_wait_back(patient: PatientCluster, index: str) -> None:
    """Undo what a swap that was killed has left. Safe to run again. Raises as ``short_merge_wait``."""
    if _value(patient, index) == SHORT_WAIT:
        _put(patient, index, None)


def _value(patient: PatientCluster, index: str) -> str | None:
    try:
        return read_index(patient, index).settings.get(MERGE_WAIT)
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise
        return None


def _put(patient: PatientCluster, index: str, value: str | None) -> bool:
    """Whether it is set now: a cluster that does not know the setting does not wait, one without the index neither."""
    try:
        patient.request("PUT", f"/{index}/_settings", body={MERGE_WAIT: value})
    except OpenSearchRequestError as error:
        if error.status not in (400, 404):
            raise
        log.info("%s of index %s is left as it is: %s", MERGE_WAIT, index, error.summary)
        return False
    return True
