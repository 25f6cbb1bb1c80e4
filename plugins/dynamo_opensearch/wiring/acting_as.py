"""The first line of a run's log: account, role, region, OpenSearch's address and environment."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowException

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane
from dynamo_opensearch.core.aws.errors import describe
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.errors import PermanentError, SyncError
from dynamo_opensearch.core.preflight.identity import ActingAs, caller_of
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.hooks.dynamodb import DynamoDbTableHook
from dynamo_opensearch.hooks.opensearch import OpenSearchHook
from dynamo_opensearch.wiring.target_connections import load_target

ASK_TIMEOUT_S = 3.0
"""A line of the log is not worth more of a run's time."""

_ONCE = RetryPolicy(give_up_after_s=0.0)
_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_SAFE_TO_QUOTE = (SyncError, AirflowException)


class StsAbsentError(PermanentError):
    """An AWS connection has an endpoint of its own for DynamoDB and none for STS: AWS's would not know its caller."""

    def __init__(self, conn_id: str) -> None:
        super().__init__(conn_id)
        self.conn_id = conn_id

    def __str__(self) -> str:
        return f"connection {self.conn_id!r} leads to a DynamoDB that is not AWS's, and names no endpoint for sts"


class Log(Protocol):
    """Of an operator."""

    def info(self, message: Any, /, *args: Any) -> Any:
        """As logging's."""
        ...


def tell_acting_as(target: str, log: Log, environment: str | None = None) -> None:
    """Say whom a run acts as, and on what; called first in the first task of each DAG. Never fails, never waits long.

    What cannot be told is said so, with the reason. The run goes on: what needs it says so by itself.

    :param target: name of the target.
    :param log: of the operator.
    :param environment: one of the target's environments; None: this deployment's.
    """
    chosen = environment or environment_name()
    try:
        identity = identity_of(target, chosen)
    except Exception as error:  # noqa: BLE001 - this line is no reason for a run to fail
        log.info("target %s: on what this run acts is not known (%s); environment %s", target, _reason(error), chosen)
        return
    log.info("target %s %s", target, identity)


def identity_of(target: str, environment: str) -> ActingAs:
    """What can be found out by one request to STS. Reads no mapping file.

    Raises:
        UnknownTargetError, TargetFilesError, UnknownEnvironmentError: as ``load_target``.
    """
    settings = load_target(target, environment).environments[environment]
    hook = DynamoDbTableHook(settings.aws_conn_id, settings.region, timeout_s=ASK_TIMEOUT_S)
    account, caller, region, endpoint = None, None, None, None
    unknown: dict[str, str] = {}
    with _noting(unknown, "account"):
        region = hook.region_name
        client = _sts_client(hook)
        region = client.meta.region_name
        known = caller_of(BotoControlPlane(lambda _service: client, SystemClock(), _ONCE))
        account, caller = known.account, known.arn
    with _noting(unknown, "endpoint"):
        endpoint, _ = OpenSearchHook(settings.opensearch_conn_id).endpoint()
    return ActingAs(
        account=account,
        caller=caller,
        region=region,
        endpoint=endpoint,
        environment=environment,
        unknown=unknown,
    )


@contextmanager
def _noting(unknown: dict[str, str], field: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a connection can be wrong in ways that its provider does not foresee
        unknown[field] = _reason(error)


def _sts_client(hook: DynamoDbTableHook) -> Any:
    """A client of STS, unless the connection leads to a server of its own beside which there is no STS."""
    table = hook.conn_config.get_service_endpoint_url("dynamodb")
    if table is not None and hook.conn_config.get_service_endpoint_url("sts") is None and not _is_aws(table):
        raise StsAbsentError(str(hook.aws_conn_id))
    return hook.client("sts")


def _is_aws(url: str) -> bool:
    return (urlsplit(url).hostname or "").endswith(_AWS)


def _reason(error: Exception) -> str:
    """What happened, without what to do: the task that needs it says that. Others' texts may quote values."""
    if isinstance(error, _SAFE_TO_QUOTE):
        return str(error).partition(". ")[0].removesuffix(".")
    return describe(error)
