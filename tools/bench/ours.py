"""Contender b: this package's `copy_segments`, as a mapped task of `members_backfill` runs it."""

import sys
from typing import Any

import boto3

from tools.bench.contender import Task, Work, contend
from tools.local import paths
from tools.local.ministack import REGION

sys.path.append(str(paths.ROOT / "plugins"))

from dynamo_opensearch.core.aws.client_config import client_config
from dynamo_opensearch.core.backfill.copy import CopyPorts, CopySettings, copy_segments
from dynamo_opensearch.core.backfill.progress import CopyIdentity
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.dynamodb.fast_parsing import install_fast_parsing
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.scan import ScanSettings
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.offer.destination import Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.sender import BulkSender
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.targets.loading import load_targets
from dynamo_opensearch.core.targets.model import Target

STAMPS = StampRule()


class MemoryStore:
    """Progress that dies with the process."""

    def __init__(self) -> None:
        self._value: dict[str, Any] | None = None

    def load(self) -> dict[str, Any] | None:
        """What was saved last."""
        return self._value

    def save(self, value: dict[str, Any]) -> None:
        """Replace it."""
        self._value = value


class NoRejects:
    """A sink for a benchmark in which nothing may be refused."""

    def write(self, part: int, lines: bytes) -> None:
        """Fail.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"rejects, part {part}: {lines[:500]!r}")

    def forget_from(self, part: int) -> None:
        """Nothing was written."""


def members_target() -> Target:
    """The target file of the members."""
    return load_targets(paths.ROOT / "include").targets["members"]


def aws_client(url: str, service: str = "dynamodb") -> Any:
    """boto3's client as the package sets it up, the fast path installed."""
    client = boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=client_config(),
    )
    install_fast_parsing(client)
    return client


def prepare(task: Task) -> Work:
    """Build what a task builds."""
    target, clock, retry = members_target(), SystemClock(), RetryPolicy()
    table = TableClient(aws_client(task.source), task.table, clock, retry)
    builder = DocumentBuilder(target.key, target.documents)
    in_flight = target.budgets.requests_in_flight
    limit = InFlightLimit(in_flight)
    sender = BulkSender(
        OpenSearchCluster(make_client(task.target, pool_maxsize=in_flight)),
        Destination(alias=task.alias, index_behind=lambda: task.index),
        Refresher(KeyedReader(table, target.key, clock, retry), lambda _index: builder, STAMPS),
        limit,
        clock,
        retry,
    )
    ports = CopyPorts(
        table=table, builder=builder, sender=sender, limit=limit, store=MemoryStore(), sink=NoRejects(), clock=clock
    )
    settings = CopySettings(
        alias=task.alias,
        index=task.index,
        segments=task.segments,
        scan=ScanSettings(total_segments=task.total_segments, limit=task.scan_limit),
        stamps=STAMPS,
        bulk_bytes=target.budgets.bulk_bytes,
        requests_in_flight=in_flight,
        read_units_per_s=None,
        items_estimated=0,
    )
    identity = CopyIdentity(
        table_id="bench",
        index_uuid="bench",
        rules=builder.fingerprint(),
        segments=task.segments,
        total_segments=task.total_segments,
    )
    return lambda: copy_segments(settings, ports, identity).report.offer.indexed


if __name__ == "__main__":
    contend(prepare)
