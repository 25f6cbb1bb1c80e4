"""A table that is scanned and an index that is searched, in memory: what a reconciliation reads, joins and mends.

``MemoryRig`` has what ``tests.support.reconcile_rig`` takes of a rig on real servers. It stands in for the wire; what
the servers really do is for the integration tests.
"""

from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import orjson

from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from tests.support.fakes import FakeClock, quick_retry
from tests.support.followed import AliasCluster, Document

TABLE, ALIAS, INDEX = "members", "members-live", "members-v1"
Item = dict[str, dict[str, Any]]
_NO_SHARD_FAILED = {"failed": 0}


class ScannedTable:
    """What a TableClient takes for boto3's client. ``on_scan`` is called before each page, with the segment."""

    meta = SimpleNamespace(region_name="eu-central-1")

    def __init__(self, clock: FakeClock, page_items: int = 7) -> None:
        self.clock, self.page_items = clock, page_items
        self.items: dict[str, Item] = {}
        self.description: dict[str, Any] = {
            "TableStatus": "ACTIVE",
            "TableId": "table-1",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "ItemCount": 0,
            "TableSizeBytes": 0,
            "LatestStreamArn": "stream-1",
            "StreamSpecification": {"StreamEnabled": True},
        }
        self.scans: list[dict[str, Any]] = []
        self.on_scan: Callable[[int], object] = lambda segment: None

    def put(self, *names: str, value: str = "1") -> None:
        self.items |= {name: {"id": {"S": name}, "value": {"S": value}} for name in names}

    def describe_table(self, **_: Any) -> dict[str, Any]:
        return self._dated({"Table": self.description})

    def scan(self, **asked: Any) -> dict[str, Any]:
        self.on_scan(asked["Segment"])
        self.scans.append(asked)
        start = asked.get("ExclusiveStartKey", {"id": {"S": ""}})["id"]["S"]
        names = sorted(
            name
            for name in self.items
            if crc32(name.encode()) % asked["TotalSegments"] == asked["Segment"] and name > start
        )
        page, units = names[: self.page_items], 1.0 if asked["ConsistentRead"] else 0.5
        wanted = set(asked.get("ExpressionAttributeNames", {}).values())
        items = [
            {name: value for name, value in self.items[one].items() if not wanted or name in wanted} for one in page
        ]
        answer: dict[str, Any] = {"Items": items, "Count": len(items), "ConsumedCapacity": {"CapacityUnits": units}}
        if len(names) > len(page):
            answer["LastEvaluatedKey"] = {"id": {"S": page[-1]}}
        return self._dated(answer)

    def batch_get_item(self, **asked: Any) -> dict[str, Any]:
        (wanted,) = asked["RequestItems"].values()
        assert wanted["ConsistentRead"]
        found = [self.items[key["id"]["S"]] for key in wanted["Keys"] if key["id"]["S"] in self.items]
        return self._dated({"Responses": {TABLE: found}, "ConsumedCapacity": [{"CapacityUnits": len(wanted["Keys"])}]})

    def _dated(self, answer: dict[str, Any]) -> dict[str, Any]:
        date = formatdate(self.clock.time_us() / 1e6, usegmt=True)
        return {**answer, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}


class SearchedCluster(AliasCluster):
    """Indices that are searched as the last refresh left them, by points in time of one shard; _mget is real-time.

    ``gaps``: how many documents of a shard no search hands over. ``before_page`` and ``before_mget`` are called before
    each.
    """

    def __init__(self, shards: int = 2) -> None:
        super().__init__()
        self.shards, self.gaps, self.version = shards, 0, "2.13.0"
        self.visible: dict[str, dict[str, Document]] = {}
        self.pits: dict[str, list[tuple[str, Document]]] = {}
        self.requested: list[tuple[str, str]] = []
        self.before_page: Callable[[], object] = lambda: None
        self.before_mget: Callable[[], object] = lambda: None
        self._pit_serial = 0

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
        self.requested.append((method, path))
        parts = path.strip("/").split("/")
        answer = self._search(method, parts, dict(params or {}), body)
        if answer is None:
            return super().request(method, path, params=params, body=body)
        text = orjson.dumps(answer).decode()
        return decode(text) if decode else orjson.loads(text)

    def _search(self, method: str, parts: list[str], params: dict[str, str], body: Any) -> dict[str, Any] | None:
        match (method, *parts):
            case ("GET", ""):
                return {"version": {"distribution": "opensearch", "number": self.version}}
            case ("GET", "_nodes"):
                return {"nodes": {"n": {"version": self.version}}}
            case ("GET", "_alias", alias):
                return self._behind_alias(alias)
            case ("GET", index) if index in self.indices:
                settings = {"index.uuid": self.uuids[index]}
                return {index: {"settings": settings, "mappings": {}}}
            case ("GET", index, "_alias"):
                return {index: {"aliases": {alias: {} for alias in self.aliases[index]}}}
            case ("GET", index, "_settings", _):
                return {index: {"settings": {"index.number_of_shards": str(self.shards)}}}
            case ("POST", index, "_refresh"):
                self.visible[index] = dict(self.documents(index))
                return {"_shards": _NO_SHARD_FAILED}
            case ("GET", index, "_count"):
                return {"count": len(self.visible.get(index, {})), "_shards": _NO_SHARD_FAILED}
            case ("POST", index, "_search", "point_in_time"):
                return self._open(index, int(params["preference"].split("|")[0].removeprefix("_shards:")))
            case ("DELETE", "_search", "point_in_time"):
                self.pits = {pit: found for pit, found in self.pits.items() if pit not in body["pit_id"]}
                return {}
            case ("POST", "_search"):
                self.before_page()
                return self._page(body)
            case ("POST", index, "_search"):
                return {"hits": {"hits": [{"_version": version} for version, _ in self.indices[index].values()]}}
            case ("POST", index, "_mget"):
                self.before_mget()
                return {"docs": [self._get(index, one) for one in orjson.loads(body)["docs"]]}
        return None

    def _behind_alias(self, alias: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            index: {"aliases": {alias: {}}} for index, aliases in self.aliases.items() if alias in aliases
        }
        if not found:
            raise OpenSearchRequestError(404, f"GET /_alias/{alias}", "aliases_not_found_exception", "missing")
        return found

    def _open(self, index: str, shard: int) -> dict[str, Any]:
        self._pit_serial += 1
        pit = f"pit-{self._pit_serial}"
        self.pits[pit] = [
            (name, document)
            for name, document in self.visible.get(index, {}).items()
            if crc32(name.encode()) // 64 % self.shards == shard
        ]
        return {"pit_id": pit, "_shards": _NO_SHARD_FAILED}

    def _page(self, body: dict[str, Any]) -> dict[str, Any]:
        asked = orjson.loads(orjson.dumps(body))
        found = self.pits[asked["pit"]["id"]]
        start = asked.get("search_after", [-1])[0] + 1
        end = min(start + asked["size"], len(found) - self.gaps)
        hits = [
            {"_id": name, "sort": [start + place]} | ({"_source": document} if asked["_source"] else {})
            for place, (name, document) in enumerate(found[start:end])
        ]
        return {"_shards": _NO_SHARD_FAILED, "timed_out": False, "hits": {"total": {"value": len(found)}, "hits": hits}}

    def _get(self, index: str, wanted: dict[str, Any]) -> dict[str, Any]:
        version, document = self.indices[index].get(wanted["_id"], (0, None))
        if document is None:
            return {"_id": wanted["_id"], "found": False}
        source = {"_source": document} if wanted["_source"] else {}
        return {"_id": wanted["_id"], "found": True, "_seq_no": version, "_primary_term": 1} | source


class MemoryRig:
    """A table and the index ``members-v1`` behind ``members-live``, in two shards."""

    def __init__(self, shards: int = 2, **rules: Any) -> None:
        self.table, self.alias, self.index, self.base = TABLE, ALIAS, INDEX, "members"
        self.key, self.rules, self.unversioned = ("id",), rules, False
        self.bulk_bytes, self.requests_in_flight = 100_000, 1
        self.clock, self.retry = FakeClock(), quick_retry()
        self.items = ScannedTable(self.clock)
        self.cluster = SearchedCluster(shards)
        self.cluster.create(INDEX, ALIAS)
        self.table_client = TableClient(self.items, TABLE, self.clock, self.retry)
        self.patient = PatientCluster(self.cluster, self.clock, self.retry)

    def builder_for(self, index: str) -> DocumentBuilder:
        return DocumentBuilder(self.key, FieldRules.model_validate(self.rules))

    def hold(self, name: str, value: str = "1", *, index: str = INDEX, version: int = 5) -> None:
        """A document, past the package."""
        self.cluster.indices[index][name] = (version, {"id": name, "value": value})

    def drop(self, *names: str, index: str = INDEX) -> None:
        """Documents away, past the package."""
        for name in names:
            self.cluster.indices[index].pop(name, None)

    def fill(self, names: Sequence[str]) -> None:
        """Both sides with the same."""
        self.items.put(*names)
        for name in names:
            self.hold(name)

    def expected(self) -> dict[str, Document]:
        """What the index should hold, where no rules change it."""
        return {
            name: {field: next(iter(value.values())) for field, value in item.items()}
            for name, item in self.items.items.items()
        }
