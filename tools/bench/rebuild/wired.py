"""The members' target on the benchmark's servers, with ports as a task of the package has them."""

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.dynamodb.table_description import describe_table
from dynamo_opensearch.core.follow.follower import Follower
from dynamo_opensearch.core.follow.settings import FollowPorts, FollowSettings
from dynamo_opensearch.core.follow.state import FollowState
from dynamo_opensearch.core.offer.destination import Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.sender import BulkSender, Sender
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.state.index_store import IndexStateStore
from tools.bench.ours import NoRejects, aws_client, members_target
from tools.bench.target_index import ALIAS
from tools.local import http

NEXT, PREVIOUS = f"{ALIAS}-next", f"{ALIAS}-previous"
STATE_INDEX = ".bench-state"


class Wired:
    """Not thread-safe; nothing is asked of the servers before it is used. ``margin_s``: that of the stamps."""

    def __init__(self, dynamodb_url: str, opensearch_url: str, margin_s: float = StampRule().margin_s) -> None:
        self.target = members_target()
        self.clock, self.retry = SystemClock(), RetryPolicy()
        self.stamps = StampRule(margin_s=margin_s)
        self.builder = DocumentBuilder(self.target.key, self.target.documents)
        in_flight = self.target.budgets.requests_in_flight
        self._limit = InFlightLimit(in_flight)
        self._streams = aws_client(dynamodb_url, "dynamodbstreams")
        self.table = TableClient(aws_client(dynamodb_url), self.target.table, self.clock, self.retry)
        self.reader = KeyedReader(self.table, self.target.key, self.clock, self.retry)
        self.cluster = OpenSearchCluster(make_client(opensearch_url, pool_maxsize=2 * in_flight))
        self.patient = PatientCluster(self.cluster, self.clock, self.retry)

    def state(self, kind: str, patient: PatientCluster | None = None) -> IndexStateStore:
        """A state document of the target."""
        return IndexStateStore(patient or self.patient, STATE_INDEX, f"{kind}|{ALIAS}")

    def follow_settings(self) -> FollowSettings:
        """What the target says of following."""
        return FollowSettings(
            alias=ALIAS,
            index_base="bench",
            stream_arn=self.stream_arn,
            stamps=self.stamps,
            bulk_bytes=self.target.budgets.bulk_bytes,
            requests_in_flight=self.target.budgets.requests_in_flight,
        )

    def follow_ports(self) -> FollowPorts:
        """What a follower works with."""
        return FollowPorts(
            stream=StreamClient(self._streams, self.stream_arn, self.clock, self.retry),
            reader=self.reader,
            patient=self.patient,
            sender_for=self._sender_for,
            builder_for=lambda _index: self.builder,
            store=self.state("follow"),
            starts=self.state("starts"),
            sink_for=lambda _index: NoRejects(),
            clock=self.clock,
        )

    def follower(self) -> Follower:
        """From where the last one saved."""
        return Follower(self.follow_settings(), self.follow_ports())

    def follow_state(self) -> FollowState | None:
        """What the follower saved last."""
        saved = self.state("follow").load()
        return None if saved is None else FollowState.from_json(saved)

    @property
    def stream_arn(self) -> str:
        """The table's stream."""
        return str(describe_table(self.table).stream_arn)

    def _sender_for(self, alias: str, _is_fed_by_indexer: bool) -> Sender:
        destination = Destination(alias=alias, index_behind=lambda: index_behind(self.patient, alias, "bench"))
        refresher = Refresher(self.reader, lambda _index: self.builder, self.stamps)
        return BulkSender(self.cluster, destination, refresher, self._limit, self.clock, self.retry)


def forget_state(opensearch_url: str) -> None:
    """Remove the state documents: the next follower begins at the stream's horizon."""
    http.call(f"{opensearch_url}/{STATE_INDEX}?ignore_unavailable=true", method="DELETE", timeout_s=60)
