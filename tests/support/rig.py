"""A table, an index and the package between them, on real servers, with everything that a test may want to turn."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config

from dynamo_opensearch.core.backfill.copy import CopyPorts, CopySettings, copy_segments
from dynamo_opensearch.core.backfill.progress import CopyIdentity, CopyProgress
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock, SystemClock
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.dynamodb.fast_parsing import install_fast_parsing
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.scan import ScanSettings
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.dynamodb.table_description import check_key, describe_table
from dynamo_opensearch.core.offer.conditional import ConditionalSender
from dynamo_opensearch.core.offer.destination import Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.sender import BulkSender, Sender
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.stamps import StampRule
from tests.support import oracle
from tests.support.fakes import MemorySink, MemoryStore, quick_retry
from tools.local import http
from tools.local.ministack import REGION

Item = dict[str, dict[str, Any]]
ANYTHING: dict[str, Any] = {"enabled": False}
"""A mapping that looks into nothing, so that any document is taken."""


@dataclass
class Rig:
    """Names are unique. ``*_url`` may be a proxy's; ``direct_*`` is the server, for oracles and other writers."""

    direct_dynamodb: str
    direct_opensearch: str
    dynamodb_url: str = ""
    opensearch_url: str = ""
    key: tuple[str, ...] = ("id",)
    rules: dict[str, Any] = field(default_factory=dict)
    rules_of: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of indices that have rules of their own."""
    retry: RetryPolicy = field(default_factory=lambda: quick_retry(10))
    clock: Clock = field(default_factory=SystemClock)
    answer_timeout_s: float = 60.0
    read_timeout_s: float = 3.0
    unversioned: bool = False
    requests_in_flight: int = 2
    bulk_bytes: int = 100_000
    limit: int | None = 50
    store: MemoryStore = field(default_factory=MemoryStore)
    sink: MemorySink = field(default_factory=MemorySink)
    base: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")

    def __post_init__(self) -> None:
        self.table, self.alias, self.index = f"table-{self.base}", f"{self.base}-live", f"{self.base}-v1"
        self.stamps = StampRule()
        self.boto = oracle.client(self.direct_dynamodb)
        client = boto3.client(
            "dynamodb",
            endpoint_url=self.dynamodb_url or self.direct_dynamodb,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=self.read_timeout_s),
        )
        install_fast_parsing(client)
        self.client = client
        self.table_client = TableClient(client, self.table, self.clock, self.retry)
        self.opensearch = make_client(self.opensearch_url or self.direct_opensearch, pool_maxsize=8)
        self.cluster = OpenSearchCluster(self.opensearch)
        self.patient = PatientCluster(self.cluster, self.clock, self.retry)

    def close(self) -> None:
        """Close connections, and remove what the test made."""
        self.opensearch.close()
        self.client.close()
        http.call(f"{self.direct_opensearch}/{self.base}*?expand_wildcards=all", method="DELETE", timeout_s=60)
        if self.table in self.boto.list_tables()["TableNames"]:
            self.boto.delete_table(TableName=self.table)
        self.boto.close()

    # What the servers hold

    def create_table(self, *kinds: str, stream: bool = False) -> None:
        """The table, with keys of these types (all S when none are named)."""
        typed = list(zip(self.key, kinds or ("S",) * len(self.key), ("HASH", "RANGE"), strict=False))
        self.boto.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": name, "KeyType": role} for name, _, role in typed],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind, _ in typed],
            BillingMode="PAY_PER_REQUEST",
            **({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}} if stream else {}),
        )
        self.boto.get_waiter("table_exists").wait(TableName=self.table, WaiterConfig={"Delay": 1, "MaxAttempts": 30})

    def put(self, items: Sequence[Item]) -> None:
        """Items, 25 at a time."""
        for start in range(0, len(items), 25):
            requests = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
            assert not self.boto.batch_write_item(RequestItems={self.table: requests})["UnprocessedItems"]

    def fill(self, count: int) -> None:
        """A table of so many small items, ``k0000`` on."""
        self.create_table()
        self.put([small_item(number) for number in range(count)])

    def create_index(
        self, mappings: dict[str, Any] = ANYTHING, settings: dict[str, Any] | None = None, index: str = "", **more: Any
    ) -> None:
        """The index behind its alias, without replicas."""
        body = {
            "mappings": mappings,
            "settings": {"number_of_shards": 1, "number_of_replicas": 0, **(settings or {})},
            "aliases": {self.alias: {}},
            **more,
        }
        self.call(index or self.index, "PUT", body)

    def call(self, path: str, method: str = "GET", body: object = None) -> Any:
        """Plain HTTP to OpenSearch itself."""
        return http.call(f"{self.direct_opensearch}/{path}", method=method, body=body, timeout_s=30)

    def swap(self, to: str) -> None:
        """Let the alias lead to another index, in one step."""
        actions = [{"remove": {"index": self.index, "alias": self.alias}}, {"add": {"index": to, "alias": self.alias}}]
        self.call("_aliases", "POST", {"actions": actions})

    def indices(self) -> list[str]:
        """All that the test has made."""
        return sorted(self.call(f"{self.base}*?expand_wildcards=all"))

    def documents(self, index: str = "") -> dict[str, oracle.Plain]:
        """What an index holds, by the oracle."""
        return oracle.documents(self.direct_opensearch, index or self.index)

    def differences(self, document_id: Callable[[oracle.Plain], str] = lambda item: str(item["id"])) -> list[str]:
        """Every way in which index and table are not equal, by the oracle."""
        return oracle.differences(oracle.expected(self.boto, self.table, document_id), self.documents())

    # The package

    def builder_for(self, index: str) -> DocumentBuilder:
        """By the index's own rules, or the target's."""
        return DocumentBuilder(self.key, FieldRules.model_validate(self.rules_of.get(index, self.rules)))

    def look_up(self) -> str | None:
        """The index behind the alias now."""
        return index_behind(self.patient, self.alias, self.base)

    def sender(self, limit: InFlightLimit | None = None) -> Sender:
        """What the target's indexer requires."""
        kind = ConditionalSender if self.unversioned else BulkSender
        reader = KeyedReader(self.table_client, self.key, self.clock, self.retry)
        return kind(
            self.cluster,
            Destination(alias=self.alias, index_behind=self.look_up),
            Refresher(reader, self.builder_for, self.stamps),
            limit or InFlightLimit(self.requests_in_flight),
            self.clock,
            self.retry,
            self.answer_timeout_s,
        )

    def copy(self, segments: range = range(2), total_segments: int = 2, save_every_s: float = 0.0) -> CopyProgress:
        """One task's copy, from where the last one on this rig was acknowledged."""
        description = describe_table(self.table_client)
        check_key(description, self.key)
        limit = InFlightLimit(self.requests_in_flight)
        builder = self.builder_for(self.index)
        settings = CopySettings(
            alias=self.alias,
            index=self.index,
            segments=segments,
            scan=ScanSettings(total_segments=total_segments, limit=self.limit),
            stamps=self.stamps,
            bulk_bytes=self.bulk_bytes,
            requests_in_flight=self.requests_in_flight,
            read_units_per_s=None,
            items_estimated=0,
            save_every_s=save_every_s,
        )
        ports = CopyPorts(
            table=self.table_client,
            builder=builder,
            sender=self.sender(limit),
            limit=limit,
            store=self.store,
            sink=self.sink,
            clock=self.clock,
        )
        identity = CopyIdentity(
            table_id=description.table_id,
            index_uuid=self.call(f"{self.index}/_settings")[self.index]["settings"]["index"]["uuid"],
            rules=builder.fingerprint(),
            segments=segments,
            total_segments=total_segments,
        )
        return copy_segments(settings, ports, identity)


def small_item(number: int, value: str = "first") -> Item:
    """Item ``number``."""
    return {"id": {"S": f"k{number:04}"}, "number": {"N": str(number)}, "value": {"S": value}}
