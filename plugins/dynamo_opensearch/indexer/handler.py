"""The Lambda function: ``dynamo_opensearch.indexer.handler.handler``."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

import boto3
from opensearchpy import Urllib3AWSV4SignerAuth

from dynamo_opensearch.core.aws.client_config import client_config
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock, SystemClock
from dynamo_opensearch.core.dynamodb.fast_parsing import install_fast_parsing
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from dynamo_opensearch.core.quiet import quiet_client_logs
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.indexer.indexer import Indexer, IndexerPorts
from dynamo_opensearch.indexer.leading_index import LeadingIndex
from dynamo_opensearch.indexer.settings import AUTH, IndexerSettings, IndexerSettingsError, read_settings


class LambdaContext(Protocol):
    """What the function asks of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the invocation."""
        ...


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Index one batch; the answer names the records that failed (``ReportBatchItemFailures`` must be on).

    Raises:
        IndexerSettingsError: the function is not configured as it must be.
        Others: as ``Indexer.index``. Then Lambda takes the whole batch as failed.
    """
    return _cold_start().index(event, context.get_remaining_time_in_millis() / 1000).response()


@cache
def _cold_start() -> Indexer:
    return make_indexer(read_settings(os.environ))


def make_indexer(settings: IndexerSettings, clock: Clock | None = None) -> Indexer:
    """The indexer with its clients; nothing is connected yet.

    Raises:
        IndexerSettingsError: sigv4 finds no credentials.
    """
    quiet_client_logs()
    clock = clock or SystemClock()
    target = settings.target
    opensearch = make_client(settings.url, http_auth=_opensearch_auth(settings), pool_maxsize=2)
    cluster = OpenSearchCluster(opensearch)
    table_client = _table_client(settings)

    def reader_for(retry: RetryPolicy) -> KeyedReader:
        return KeyedReader(TableClient(table_client, target.table, clock, retry), target.key, clock, retry)

    leading = LeadingIndex(cluster, target.alias, target.key, target.documents, clock)
    return Indexer(
        IndexerPorts(cluster=cluster, leading=leading, reader_for=reader_for, clock=clock),
        table=target.table,
        alias=target.alias,
        key_attributes=target.key,
        stamps=StampRule(margin_s=settings.margin_s),
    )


def _opensearch_auth(settings: IndexerSettings) -> Any:
    if settings.auth == "basic":
        return (settings.user, settings.password)
    if settings.auth == "none":
        return None
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise IndexerSettingsError(AUTH, "is sigv4, but boto3 finds no credentials")
    return Urllib3AWSV4SignerAuth(credentials, settings.region, "es")


def _table_client(settings: IndexerSettings) -> Any:
    """The core's reader retries within the time that the invocation has."""
    config = client_config(connect_timeout_s=2, read_timeout_s=5)
    local = {"aws_access_key_id": "local", "aws_secret_access_key": "local"} if settings.dynamodb_url else {}
    client = boto3.client(
        "dynamodb", region_name=settings.table_region, endpoint_url=settings.dynamodb_url, config=config, **local
    )
    install_fast_parsing(client)
    return client
