"""An environment of a target, wired to its servers for the checks before going live."""

from functools import cache

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.opensearch.mapping_file import read_mapping_file
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.include_folder import environment_name, include_folder
from dynamo_opensearch.hooks.connection_rules import check_connection, check_place
from dynamo_opensearch.hooks.dynamodb import DynamoDbTableHook
from dynamo_opensearch.hooks.opensearch import OpenSearchHook
from dynamo_opensearch.wiring.target_connections import load_target

PATIENCE_S = 30.0
"""Who asks whether something answers does not wait for minutes."""


def side_of(name: str, environment: str | None = None) -> Side:
    """One environment of a target by its connections; None: this deployment's. Connects to nothing.

    Raises:
        UnknownTargetError, TargetFilesError, UnknownEnvironmentError: as ``load_target``.
        MappingFileError: the mapping file cannot be used.
        ConnectionMissingError: this Airflow does not have its connections.
        OpenSearchConnectionError, LiteralCredentialsError, LoginInAddressError: a connection cannot be used.
    """
    chosen = environment or environment_name()
    target = load_target(name, chosen)
    settings = target.environments[chosen]
    for conn_id in (settings.aws_conn_id, settings.opensearch_conn_id):
        check_connection(conn_id)
    for place in (settings.reports, settings.dead_letters and settings.dead_letters.parking):
        check_place(place or "")
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
