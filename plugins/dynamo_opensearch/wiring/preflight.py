"""An environment of a target, wired to its servers for the checks before going live."""

from functools import cache

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.opensearch.mapping_file import read_mapping_file
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.include_folder import environment_name, include_folder
from dynamo_opensearch.hooks.dynamodb import DynamoDbTableHook
from dynamo_opensearch.hooks.opensearch import OpenSearchHook
from dynamo_opensearch.wiring.target_connections import load_target

PATIENCE_S = 30.0
"""Who asks whether something answers does not wait for minutes."""

_DEFAULT_AWS = "aws_default"
"""May be missing: boto3's chain is what is meant."""


class ConnectionMissingError(PermanentError):
    """An environment names a connection that this Airflow does not have."""

    def __init__(self, conn_id: str) -> None:
        super().__init__(conn_id)
        self.conn_id = conn_id

    def __str__(self) -> str:
        return f"this Airflow has no connection {self.conn_id!r}. Define it, or correct its name in the target file."


def side_of(name: str, environment: str | None = None) -> Side:
    """One environment of a target by its connections; None: this deployment's. Connects to nothing.

    Raises:
        UnknownTargetError, TargetFilesError, UnknownEnvironmentError: as ``load_target``.
        MappingFileError: the mapping file cannot be used.
        ConnectionMissingError: this Airflow does not have its connections.
        OpenSearchConnectionError, LiteralCredentialsError: a connection cannot be used.
    """
    chosen = environment or environment_name()
    target = load_target(name, chosen)
    settings = target.environments[chosen]
    for conn_id in (settings.aws_conn_id, settings.opensearch_conn_id):
        check_connection(conn_id)
    clock, retry = SystemClock(), RetryPolicy(give_up_after_s=PATIENCE_S)
    hook = DynamoDbTableHook(settings.aws_conn_id, settings.region)
    search = OpenSearchHook(settings.opensearch_conn_id)
    endpoint, is_signed = search.endpoint()
    client_of = cache(hook.client)
    return Side(
        name=chosen,
        target=target,
        environment=settings,
        mapping=read_mapping_file(include_folder() / "mappings" / target.mapping),
        aws=BotoControlPlane(client_of, clock, retry),
        cluster=PatientCluster(search.cluster(), clock, retry),
        clock=clock,
        retry=retry,
        region=str(client_of("dynamodb").meta.region_name),
        endpoint=endpoint,
        is_signed=is_signed,
        aws_url_of=hook.conn_config.get_service_endpoint_url,
    )


def check_connection(conn_id: str) -> None:
    """Refuse a connection that is not there: for one of AWS the provider would take whatever credentials it finds.

    Raises:
        ConnectionMissingError: this Airflow does not have it.
    """
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        if conn_id != _DEFAULT_AWS:
            raise ConnectionMissingError(conn_id) from error
