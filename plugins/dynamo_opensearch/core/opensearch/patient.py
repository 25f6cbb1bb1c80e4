"""Requests that may be carried out twice, sent until they are answered while their failures may pass."""

import logging
from collections.abc import Mapping
from typing import Any

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import ServiceUnavailableError
from dynamo_opensearch.core.opensearch.cluster import PASSING_STATUSES, Cluster, Decode, Json
from dynamo_opensearch.core.opensearch.errors import SERVICE, ConnectionLostError, OpenSearchRequestError

log = logging.getLogger(__name__)


class PatientCluster:
    """A cluster with patience. Only for requests whose second execution does no harm. Thread-safe."""

    def __init__(self, cluster: Cluster, clock: Clock, retry: RetryPolicy) -> None:
        self._cluster, self._clock, self._retry = cluster, clock, retry

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Json | None = None,
        timeout_s: float = 60.0,
        decode: Decode | None = None,
    ) -> Any:
        """The decoded answer of a 2xx; ``decode`` as ``Cluster.request``.

        Raises:
            ServiceUnavailableError: failures that may pass went on for longer than the retry policy waits.
            OpenSearchRequestError, AccessDeniedError: as ``Cluster.request``, for what does not pass.
        """
        backoff = Backoff(self._retry, self._clock)
        while True:
            cause: Exception
            try:
                return self._cluster.request(method, path, params=params, body=body, timeout_s=timeout_s, decode=decode)
            except ConnectionLostError as error:
                problem, cause = error.problem, error
            except OpenSearchRequestError as error:
                if error.status not in PASSING_STATUSES:
                    raise
                problem, cause = f"{error.status} {error.summary}", error
            if not backoff.wait():
                raise ServiceUnavailableError(
                    SERVICE, f"{method} {path}", backoff.attempts, backoff.waited_s, problem
                ) from cause
            log.info("OpenSearch %s %s: %s, attempt %d follows", method, path, problem, backoff.attempts + 1)
