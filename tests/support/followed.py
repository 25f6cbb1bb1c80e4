"""A target in memory whose stream is followed: table, scripted stream, a cluster with aliases, and a state store."""

import copy
import threading
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.follow.follower import Follower, FollowPorts, FollowSettings, FollowStep
from dynamo_opensearch.core.follow.starts import note_start
from dynamo_opensearch.core.follow.state import FollowState
from dynamo_opensearch.core.offer.destination import Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.sender import BulkSender, Sender
from dynamo_opensearch.core.opensearch.alias import write_aliases
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.state.index_store import StateConflictError
from dynamo_opensearch.core.stream.position import StreamPosition
from tests.support.fake_cluster import actions, guard_entries
from tests.support.fakes import FakeClock, MemorySink, quick_retry
from tests.support.readings import MemoryTable, item
from tests.support.scripted_stream import ARN, ScriptedStream

ALIAS = "members-live"
NEXT, PREVIOUS = write_aliases(ALIAS)[1:]
Document = dict[str, Any] | None


class SharedState:
    """One state document; ``handle`` gives a store of one process, which loses when another has saved since."""

    def __init__(self) -> None:
        self.value: dict[str, Any] | None = None
        self.saved: list[dict[str, Any]] = []
        self.version = 0

    def handle(self) -> "StateHandle":
        return StateHandle(self)


class StateHandle:
    """A StateStore with the guard of the real one."""

    def __init__(self, shared: SharedState) -> None:
        self.shared, self.version = shared, 0

    def load(self) -> dict[str, Any] | None:
        self.version = self.shared.version
        return copy.deepcopy(self.shared.value)

    def save(self, value: dict[str, Any]) -> None:
        if self.version != self.shared.version:
            raise StateConflictError("follow")
        self.shared.version += 1
        self.version = self.shared.version
        self.shared.value = orjson.loads(orjson.dumps(value))
        self.shared.saved.append(self.shared.value)


class AliasCluster:
    """Indices with aliases in memory; versions as OpenSearch treats them, deletes remembered for ever.

    ``refused``: ids that an index refuses for good. ``before_bulk`` is called before each bulk request is carried out.
    """

    def __init__(self) -> None:
        self.indices: dict[str, dict[str, tuple[int, Document]]] = {}
        self.uuids: dict[str, str] = {}
        self.aliases: dict[str, set[str]] = {}
        self.refused: dict[str, set[str]] = {}
        self.bulks: list[tuple[str, list[str]]] = []
        self.before_bulk: Callable[[str, list[str]], None] = lambda alias, ids: None
        self._serial = 0
        self._lock = threading.RLock()

    def create(self, index: str, *aliases: str) -> str:
        self._serial += 1
        self.indices[index] = {}
        self.uuids[index] = f"uuid-{self._serial}"
        self.aliases[index] = set(aliases)
        return self.uuids[index]

    def delete(self, index: str) -> None:
        for kept in (self.indices, self.uuids, self.aliases):
            kept.pop(index)

    def documents(self, index: str) -> dict[str, Document]:
        return {name: source for name, (_, source) in self.indices[index].items() if source is not None}

    def behind(self, alias: str) -> str | None:
        return next((index for index, aliases in self.aliases.items() if alias in aliases), None)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | dict[str, Any] | None = None,
        timeout_s: float = 60.0,
        decode: Any = None,
    ) -> Any:
        if path.endswith("/_bulk"):
            assert isinstance(body, bytes)
            answer = self._bulk(path.split("/")[1], actions(body))
            return {"items": guard_entries(body) + answer["items"]}
        wanted = set(path.strip("/").split(","))
        if (method, len(wanted)) != ("GET", 3):
            raise OpenSearchRequestError(404, f"{method} {path}", "index_not_found_exception", "no such index")
        return {
            index: {"aliases": {one: {} for one in aliases}, "settings": {"index": {"uuid": self.uuids[index]}}}
            for index, aliases in self.aliases.items()
            if aliases & wanted
        }

    def _bulk(self, alias: str, wanted: list[tuple[str, dict[str, Any], Any]]) -> dict[str, Any]:
        with self._lock:
            ids = [target["_id"] for _, target, _ in wanted]
            self.before_bulk(alias, ids)
            self.bulks.append((alias, ids))
            index = self.behind(alias)
            return {"items": [self._apply(index, *action) for action in wanted]}

    def _apply(self, index: str | None, verb: str, target: dict[str, Any], source: Any) -> dict[str, Any]:
        if index is None:
            error = {"type": "index_not_found_exception", "reason": "no such index"}
            return {verb: {"_index": "none", "status": 404, "error": error}}
        name, version = target["_id"], target["version"]
        if name in self.refused.get(index, ()):
            error = {"type": "mapper_parsing_exception", "reason": "failed to parse field [value] of type [date]"}
            return {verb: {"_index": index, "status": 400, "error": error}}
        stored = self.indices[index].get(name)
        if stored and (stored[0] > version or (stored[0] == version and target["version_type"] == "external")):
            return {verb: {"_index": index, "status": 409, "error": {"type": "version_conflict_engine_exception"}}}
        self.indices[index][name] = (version, source)
        return {verb: {"_index": index, "status": 200}}


class Followed:
    """All of it. ``put`` and ``remove`` change the table and its stream as one."""

    def __init__(self, rounding_s: float = 1.0, margin_s: float = 6.0, **settings: Any) -> None:
        self.clock = FakeClock()
        self.stream = ScriptedStream(self.clock, rounding_s)
        self.stream.add_shard("s1")
        self.table = MemoryTable(self.clock)
        self.cluster = AliasCluster()
        self.rules: dict[str, dict[str, Any]] = {}
        self.state, self.starts = SharedState(), SharedState()
        self.sinks: dict[str, MemorySink] = {}
        self.stamps = StampRule(stream_rounding_s=rounding_s, margin_s=margin_s)
        self.settings = FollowSettings(
            alias=ALIAS,
            index_base="members",
            stream_arn=ARN,
            stamps=self.stamps,
            bulk_bytes=100_000,
            requests_in_flight=2,
            **settings,
        )
        self.senders: list[tuple[str, bool]] = []

    def put(self, key: str, value: str = "1", shard: str = "s1", disorder_s: float = 0.0) -> str:
        self.table.items[key] = item(key, value)
        return self.stream.change(shard, key, disorder_s=disorder_s)

    def remove(self, key: str, shard: str = "s1") -> str:
        self.table.items.pop(key, None)
        return self.stream.change(shard, key, "REMOVE")

    def start_at(self, index: str, position: StreamPosition) -> None:
        note_start(self.starts.handle(), self.cluster.uuids[index], position)

    def builder_for(self, index: str) -> DocumentBuilder:
        if index not in self.cluster.indices:
            raise OpenSearchRequestError(404, f"GET /{index}", "index_not_found_exception", "no such index")
        return DocumentBuilder(("id",), FieldRules.model_validate(self.rules.get(index, {})))

    def sender_for(self, alias: str, is_fed_by_indexer: bool) -> Sender:
        self.senders.append((alias, is_fed_by_indexer))
        refresher = Refresher(self.table, self.builder_for, self.stamps)  # type: ignore[arg-type]
        destination = Destination(alias=alias, index_behind=lambda: self.cluster.behind(alias))
        return BulkSender(self.cluster, destination, refresher, InFlightLimit(4), self.clock, quick_retry())

    def ports(self) -> FollowPorts:
        return FollowPorts(
            stream=StreamClient(self.stream, ARN, self.clock, quick_retry()),
            reader=self.table,  # type: ignore[arg-type]
            patient=PatientCluster(self.cluster, self.clock, quick_retry()),
            sender_for=self.sender_for,
            builder_for=self.builder_for,
            store=self.state.handle(),
            starts=self.starts.handle(),
            sink_for=lambda index: self.sinks.setdefault(index, MemorySink()),
            clock=self.clock,
        )

    def follower(self) -> Follower:
        """A new process."""
        return Follower(self.settings, self.ports())

    def run(self, follower: Follower, seconds: float) -> FollowStep:
        """Step for so long, waiting as it says."""
        end_s = self.clock.monotonic_s() + seconds
        while True:
            step = follower.step()
            if not step.is_fed or self.clock.monotonic_s() >= end_s:
                return step
            if not step.has_work:
                self.clock.pass_s(max(0.001, min(step.wait_s, end_s - self.clock.monotonic_s())))

    def saved(self) -> FollowState:
        assert self.state.value is not None
        return FollowState.from_json(self.state.value)

    def expected(self) -> dict[str, dict[str, Any]]:
        return {key: {name: one["S"] for name, one in values.items()} for key, values in self.table.items.items()}
