"""From a target's name to the core's ports: the file is read and connections are opened when a task runs."""

from dataclasses import dataclass
from functools import cached_property

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock, SystemClock
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.offer.conditional import ConditionalSender
from dynamo_opensearch.core.offer.destination import Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.sender import BulkSender, Sender
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile, read_mapping_file
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.state.index_store import IndexStateStore
from dynamo_opensearch.core.targets.environment import Environment
from dynamo_opensearch.core.targets.include_folder import environment_name, include_folder
from dynamo_opensearch.core.targets.loading import TargetFilesError, load_targets
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.hooks.dynamodb import DynamoDbTableHook
from dynamo_opensearch.hooks.opensearch import OpenSearchHook
from dynamo_opensearch.wiring.deployment import state_index


class UnknownTargetError(PermanentError):
    """A task names a target that has no file any more."""

    def __init__(self, target: str, known: tuple[str, ...]) -> None:
        super().__init__(target, known)
        self.target, self.known = target, known

    def __str__(self) -> str:
        return f"no target file is named {self.target!r}; there are {', '.join(self.known) or 'none'}"


def load_target(name: str, environment: str | None = None) -> Target:
    """The target as its file is now, in an environment; None: this deployment's.

    Raises:
        UnknownTargetError: there is none of that name.
        TargetFilesError: its file has mistakes.
        UnknownEnvironmentError: it has no such environment.
    """
    loaded = load_targets(include_folder())
    if name not in loaded.targets:
        if loaded.problems:
            raise TargetFilesError(loaded.problems)
        raise UnknownTargetError(name, tuple(loaded.targets))
    return loaded.targets[name].in_environment(environment or environment_name())


@dataclass(frozen=True)
class TargetConnections:
    """All that a task of one target works with, made when first asked for."""

    target: Target
    clock: Clock
    retry: RetryPolicy

    @classmethod
    def of(cls, name: str) -> "TargetConnections":
        """For a target by its name.

        Raises:
            UnknownTargetError, TargetFilesError, UnknownEnvironmentError: as ``load_target``.
        """
        return cls(load_target(name), SystemClock(), RetryPolicy())

    @property
    def environment(self) -> Environment:
        """This deployment's entry of the target's environments."""
        return self.target.environments[environment_name()]

    @property
    def stamps(self) -> StampRule:
        """How reads are stamped here."""
        return StampRule(stream_rounding_s=self.environment.stream_rounding_s, margin_s=self.environment.margin_s)

    @cached_property
    def dynamodb(self) -> DynamoDbTableHook:
        """The AWS connection."""
        return DynamoDbTableHook(self.environment.aws_conn_id, self.environment.region)

    @cached_property
    def table(self) -> TableClient:
        """The target's table."""
        return TableClient(self.dynamodb.table_client(), self.target.table, self.clock, self.retry)

    @cached_property
    def cluster(self) -> OpenSearchCluster:
        """OpenSearch, one request at a time, for the bulk writes."""
        most = self.target.budgets.requests_in_flight
        return OpenSearchHook(self.environment.opensearch_conn_id, connections=most + 2).cluster()

    @cached_property
    def patient(self) -> PatientCluster:
        """OpenSearch with patience, for everything else."""
        return PatientCluster(self.cluster, self.clock, self.retry)

    @cached_property
    def builder(self) -> DocumentBuilder:
        """Documents by the target's rules."""
        return DocumentBuilder(self.target.key, self.target.documents)

    def mapping(self, file: str | None = None) -> MappingFile:
        """The target's mapping file, or another one beside it.

        Raises:
            MappingFileError: it cannot be used.
        """
        return read_mapping_file(include_folder() / "mappings" / (file or self.target.mapping))

    def state(self, kind: str) -> IndexStateStore:
        """A state document of the alias, such as ``follow``, ``holder``, ``kept``, ``services`` or ``swap``."""
        return IndexStateStore(self.patient, state_index(), f"{kind}|{self.target.alias}")

    def builder_for(self, index: str) -> DocumentBuilder:
        """Documents by an index's own rules; the target's, where the index does not say."""
        rules = read_index(self.patient, index).field_rules
        return self.builder if rules is None else DocumentBuilder(self.target.key, rules)

    def sender(self, alias: str, limit: InFlightLimit, *, is_fed_by_indexer: bool) -> Sender:
        """What writes through ``alias``, and reports to ``limit``.

        An index that an indexer without versions feeds is written to on conditions; any other by external versions.
        """
        reader = KeyedReader(self.table, self.target.key, self.clock, self.retry)
        destination = Destination(
            alias=alias, index_behind=lambda: index_behind(self.patient, alias, self.target.index_base)
        )
        refresher = Refresher(reader, self.builder_for, self.stamps)
        is_conditional = is_fed_by_indexer and self.target.indexer_writes == "unversioned"
        kind = ConditionalSender if is_conditional else BulkSender
        return kind(self.cluster, destination, refresher, limit, self.clock, self.retry)
