"""The indexer on a cluster in memory: versions, ties, rounds, failures, waits."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedRead
from dynamo_opensearch.core.errors import AccessDeniedError, PassingError, ServiceUnavailableError
from dynamo_opensearch.core.opensearch.alias import AliasAmbiguousError, AliasIsIndexError
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError, OpenSearchRequestError
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.indexer.changes import MalformedEventError
from dynamo_opensearch.indexer.conflict import stored_version
from dynamo_opensearch.indexer.indexer import Indexer, IndexerPorts
from dynamo_opensearch.indexer.leading_index import KNOWN_FOR_S, LeadingIndex
from dynamo_opensearch.indexer.report import BatchReport
from tests.support.fake_cluster import Entry, FakeCluster, actions
from tests.support.fakes import FakeClock
from tests.support.lambda_events import NOW_S, event, keys_only, number, put, removed

S = NOW_S * 1_000_000
MARGIN = 6_000_000
ALIAS = "members-live"
Item = dict[str, dict[str, Any]]


def item(key: str, value: str = "first") -> Item:
    return {"id": {"S": key}, "value": {"S": value}}


class Cluster(FakeCluster):
    """Behind the alias; conflicts tell the stored version as OpenSearch does. ``refused``: ids that are never taken."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.rules: dict[str, dict[str, Any]] = {}
        self.timeouts: list[float] = []

    def request(self, method: str, path: str, **more: Any) -> Any:
        self.timeouts.append(more.get("timeout_s", 60.0))
        return super().request(method, path, **more)

    def answer(self, method: str, path: str, params: Mapping[str, str], body: Any) -> Any:
        if path == f"/{ALIAS}" and path not in self.routes:
            noted = {"_meta": {"dynamo_opensearch": {"field_rules": self.rules.get(self.index)}}}
            return {self.index: {"aliases": {ALIAS: {}}, "mappings": noted if self.index in self.rules else {}}}
        return super().answer(method, path, params, body)

    def apply(self, verb: str, target: dict[str, Any], source: Any) -> Entry:
        if target["_id"] in self.refused:
            reason = "failed to parse field [value] of type [date] in document. Preview of field's value: 'secret'"
            return self.entry(verb, 400, "mapper_parsing_exception", reason)
        before = self.documents.get(target["_id"])
        entry = super().apply(verb, target, source)
        if entry[verb]["status"] == 409:
            assert before is not None
            entry[verb]["error"]["reason"] = conflict(target["_id"], before[0], target["version"])
        return entry

    def source(self, key: str) -> Any:
        return self.documents[key][1]

    @property
    def sent(self) -> list[list[tuple[str, str, int]]]:
        """Verb, id and version of the actions of each bulk request."""
        bulks = [body for _, path, _, body in self.requests if path.endswith("/_bulk")]
        return [[(verb, target["_id"], target["version"]) for verb, target, _ in actions(body)] for body in bulks]


def conflict(key: str, stored: int, offered: int) -> str:
    return f"[{key}]: version conflict, current version [{stored}] is higher or equal to the one provided [{offered}]"


class Table:
    """The table as a reader finds it."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.items: dict[str, Item] = {}
        self.reads: list[list[str]] = []
        self.error: PassingError | None = None

    def read(self, keys: Sequence[KeyValues]) -> Iterator[KeyedRead]:
        self.reads.append([key[0]["S"] for key in keys])
        if self.error:
            raise self.error
        found: list[Mapping[str, Any]] = [self.items[key[0]["S"]] for key in keys if key[0]["S"] in self.items]
        yield KeyedRead(tuple(keys), found, self.clock.time_us(), self.clock.monotonic_s())


class Bench:
    """An indexer between a table and a cluster."""

    def __init__(self, **rules: Any) -> None:
        self.clock, self.cluster = FakeClock(), Cluster()
        self.table = Table(self.clock)
        leading = LeadingIndex(self.cluster, ALIAS, ["id"], FieldRules.model_validate(rules), self.clock)
        ports = IndexerPorts(
            cluster=self.cluster, leading=leading, reader_for=lambda _retry: self.table, clock=self.clock
        )
        self.indexer = Indexer(
            ports, table="members", alias=ALIAS, key_attributes=["id"], stamps=StampRule(margin_s=6.0)
        )

    def index(self, *records: dict[str, Any], remaining_s: float = 60.0) -> BatchReport:
        return self.indexer.index(event(*records), remaining_s)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Versions


def test_records_are_written_at_their_creation_time_through_the_alias(bench: Bench) -> None:
    report = bench.index(put(1, item("a")), removed(2, "b", NOW_S - 1), put(3, item("c"), NOW_S - 0.5))
    assert bench.cluster.sent == [[("index", "a", S), ("delete", "b", S - 1_000_000), ("index", "c", S - 500_000)]]
    assert (report.records, report.keys, report.indexed, report.deleted, report.failures) == (3, 3, 2, 1, ())
    method, path, params, body = bench.cluster.requests[-1]
    assert (method, path, params["require_alias"]) == ("POST", f"/{ALIAS}/_bulk", "true")
    assert b'"version_type":"external"' in body
    assert b"gte" not in body
    assert bench.table.reads == []


def test_an_item_that_ttl_removes_is_deleted(bench: Bench) -> None:
    bench.cluster.documents["a"] = (S - 10, {})
    assert bench.index(removed(1, "a", by_ttl=True)).deleted == 1
    assert bench.cluster.documents["a"] == (S, None)


def test_an_item_that_stops_matching_the_filter_is_deleted() -> None:
    bench = Bench(filter={"all": [{"attribute": "value", "equals": "first"}]})
    report = bench.index(put(1, item("a")), put(2, item("b", "other")))
    assert (report.indexed, report.deleted) == (1, 1)
    assert [one[:2] for one in bench.cluster.sent[0]] == [("index", "a"), ("delete", "b")]


def test_a_record_without_image_is_resolved_by_a_read(bench: Bench) -> None:
    bench.table.items["a"] = item("a", "now")
    report = bench.index(keys_only(1, "a"), keys_only(2, "gone"))
    assert bench.table.reads == [["a", "gone"]]
    assert bench.cluster.sent == [[("index", "a", S), ("delete", "gone", S)]]
    assert (report.indexed, report.deleted) == (1, 1)


# Ties and conflicts


def test_several_records_of_a_key_in_one_batch_become_the_last_one(bench: Bench) -> None:
    records = [put(one, item("a", f"v{one}")) for one in range(50)]
    report = bench.index(*records, removed(50, "b"), put(51, item("b", "back")))
    assert bench.cluster.sent == [[("index", "a", S), ("index", "b", S)]]
    assert bench.cluster.source("a")["value"] == "v49"
    assert bench.cluster.source("b")["value"] == "back"
    assert (report.records, report.keys) == (52, 2)


def test_the_latest_time_of_a_keys_records_is_its_version_when_they_are_out_of_order(bench: Bench) -> None:
    bench.index(put(1, item("a", "older"), NOW_S), put(2, item("a", "newer"), NOW_S - 1))
    assert bench.cluster.documents["a"] == (S, {"id": "a", "value": "newer"})


def test_a_tie_within_a_second_is_settled_by_a_read_and_one_version_more(bench: Bench) -> None:
    bench.index(put(1, item("a", "older")))
    bench.table.items["a"] = item("a", "newest")
    report = bench.index(put(2, item("a", "newer")))
    assert bench.table.reads == [["a"]]
    assert bench.cluster.documents["a"] == (S + 1, {"id": "a", "value": "newest"})
    assert (report.indexed, report.settled, report.failures) == (1, 1, ())


def test_a_tie_with_an_item_that_is_gone_ends_in_a_delete(bench: Bench) -> None:
    bench.index(put(1, item("a")))
    report = bench.index(removed(2, "a"))
    assert bench.cluster.documents["a"] == (S + 1, None)
    assert report.deleted == 1


@pytest.mark.parametrize(("ahead_us", "is_settled"), [(MARGIN - 1, True), (MARGIN, False), (MARGIN + 1, False)])
def test_the_tie_rule_reaches_to_the_margin_and_no_further(bench: Bench, ahead_us: int, is_settled: bool) -> None:
    bench.cluster.documents["a"] = (S + ahead_us, {"value": "stands"})
    bench.table.items["a"] = item("a", "read")
    report = bench.index(put(1, item("a")))
    assert (report.settled, report.stale) == ((1, 0) if is_settled else (0, 1))
    assert bench.cluster.source("a")["value"] == ("read" if is_settled else "stands")
    assert report.failures == ()


def test_a_key_that_conflicts_in_five_rounds_fails_and_not_before(bench: Bench) -> None:
    def someone_else_writes(cluster: FakeCluster, *request: Any) -> Any:
        stored = cluster.documents.get("a", (S, {}))[0]
        cluster.documents["a"] = (stored + 10, {"value": "theirs"})
        return cluster.answer(*request)

    bench.table.items["a"] = item("a")
    bench.cluster.steps = [looked_up, *[someone_else_writes] * 5]
    assert bench.index(put(1, item("a"))).indexed == 1
    assert len(bench.table.reads) == 5

    bench.cluster.steps = [someone_else_writes] * 6
    report = bench.index(put(2, item("a")), put(3, item("a")), put(4, item("b")))
    assert report.failures == (number(2), number(3))
    assert report.indexed == 1


def test_a_conflict_whose_text_is_another_fails_the_record_and_no_other(bench: Bench) -> None:
    bench.cluster.steps = [
        looked_up,
        lambda cluster, *_: {
            "items": [
                cluster.entry("index", 409, "version_conflict_engine_exception", "in other words"),
                cluster.entry("index", 201),
            ]
        },
    ]
    report = bench.index(put(1, item("a")), put(2, item("b")))
    assert (report.failures, report.indexed) == ((number(1),), 1)
    assert bench.table.reads == []


@pytest.mark.parametrize(
    ("reason", "version"),
    [
        (conflict("a", S, S), S),
        (conflict("]: version conflict, current version [7] is higher than the one provided [6]", S, S), S),
        ("[a]: version conflict, current version [8] is higher than the one provided [7]", 8),
        ("[a]: version conflict, document already exists (current version [8])", None),
        (conflict("a", S, S) + ".", None),
        ("", None),
    ],
)
def test_the_stored_version_is_read_from_the_end_of_the_text(reason: str, version: int | None) -> None:
    assert stored_version(reason) == version


# Failures


def test_a_refused_document_is_reported_without_values_and_the_others_are_indexed(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.cluster.refused = {"key-b"}
    with caplog.at_level(logging.DEBUG):
        report = bench.index(put(1, item("key-a")), put(2, item("key-b", "secret")), put(3, item("key-c")))
    assert (report.failures, report.indexed) == ((number(2),), 2)
    assert number(2) in caplog.text
    assert "mapper_parsing_exception, field 'value', expected date" in caplog.text
    assert "secret" not in caplog.text
    assert "key-" not in caplog.text


def test_behind_a_refused_record_of_a_key_the_one_before_it_is_indexed() -> None:
    bench = Bench(transform="tests.support.transforms:raising")
    bench.table.items["a"] = item("a")
    good, bad = item("a") | {"name": {"S": "good"}}, item("a") | {"name": {"S": "bad"}}
    report = bench.index(put(1, good, NOW_S - 1), put(2, bad), put(3, bad))
    assert report.failures == (number(2), number(3))
    assert bench.cluster.documents["a"][0] == S - 1_000_000
    assert bench.cluster.source("a")["name"] == "good"


@pytest.mark.parametrize(
    "change",
    [
        {"Keys": {}},
        {"Keys": None},
        {"Keys": {"id": {"S": None}}},
        {"Keys": {"id": {"BOOL": True}}},
        {"NewImage": {"id": {"S": "another"}}},
        {"NewImage": {"id": {"S": "bad"}, "value": None}},
        {"NewImage": {"id": {"S": "bad"}, "value": {"N": "seven"}}},
        {"NewImage": {"id": {"S": "bad"}, "value": {"X": "y"}}},
        {"NewImage": ["bad"]},
        {"ApproximateCreationDateTime": None},
        {"ApproximateCreationDateTime": "2026-01-01"},
        {"ApproximateCreationDateTime": NOW_S * 1000},
        {"ApproximateCreationDateTime": NOW_S + 7},
        {"ApproximateCreationDateTime": 0},
    ],
    ids=str,
)
def test_a_malformed_record_is_reported_and_the_others_are_indexed(bench: Bench, change: dict[str, Any]) -> None:
    bad = put(2, item("bad"))
    bad["dynamodb"] |= change
    report = bench.index(put(1, item("a")), bad, put(3, item("c")))
    assert (report.failures, report.indexed) == ((number(2),), 2)
    assert sorted(bench.cluster.documents) == ["a", "c"]


@pytest.mark.parametrize("change", [{"eventName": "PURGE"}, {"eventSourceARN": "arn:aws:dynamodb:x:1:table/other/s"}])
def test_a_record_of_something_else_is_reported(bench: Bench, change: dict[str, Any]) -> None:
    assert bench.index(put(1, item("a")) | change).failures == (number(1),)


@pytest.mark.parametrize(
    "batch",
    [{}, {"Records": []}, {"Records": {}}, {"Records": [{}]}, {"Records": [{"dynamodb": {"SequenceNumber": 7}}]}],
    ids=str,
)
def test_an_event_that_cannot_be_answered_is_an_error(bench: Bench, batch: dict[str, Any]) -> None:
    with pytest.raises(MalformedEventError):
        bench.indexer.index(batch, 60)


def test_failures_are_reported_in_the_streams_order_whatever_their_length(bench: Bench) -> None:
    bench.cluster.refused = {"a", "b", "c"}
    records = [put(1, item("a")), put(2, item("b")), put(3, item("c"))]
    for record, sequence_number in zip(records, ("9", "100", "0020"), strict=True):
        record["dynamodb"]["SequenceNumber"] = sequence_number
    report = bench.index(*records)
    assert report.failures == ("9", "0020", "100")
    assert report.response() == {"batchItemFailures": [{"itemIdentifier": one} for one in ("9", "0020", "100")]}


def test_keys_that_cannot_be_read_fail_and_the_others_are_indexed(bench: Bench) -> None:
    bench.table.error = ServiceUnavailableError("DynamoDB", "BatchGetItem", 3, 1.0, "500")
    report = bench.index(put(1, item("a")), keys_only(2, "b"))
    assert (report.failures, report.indexed) == ((number(2),), 1)


def test_a_refused_identity_is_raised_so_that_the_function_is_seen_to_fail(bench: Bench) -> None:
    bench.cluster.steps = [
        looked_up,
        lambda cluster, *_: {"items": [cluster.entry("index", 403, "security_exception", "no permissions")]},
    ]
    with pytest.raises(AccessDeniedError):
        bench.index(put(1, item("a")))


# Waits


def lost(*_: Any) -> Any:
    raise ConnectionLostError("ReadTimeoutError")


def lost_afterwards(cluster: FakeCluster, *request: Any) -> Any:
    cluster.answer(*request)
    raise ConnectionLostError("ReadTimeoutError")


def refused_with(status: int, error_type: str, reason: str = "") -> Any:
    def step(*_: Any) -> Any:
        raise OpenSearchRequestError(status, "POST /members-live/_bulk", error_type, reason)

    return step


def entry_with(status: int, error_type: str, reason: str = "") -> Any:
    return lambda cluster, *_: {"items": [cluster.entry("index", status, error_type, reason)]}


def looked_up(cluster: FakeCluster, *request: Any) -> Any:
    return cluster.answer(*request)


BLOCK = "index [members-v1] blocked by: [FORBIDDEN/8/index write (api)];"


@pytest.mark.parametrize(
    "step",
    [
        lost,
        refused_with(503, "unreadable_error"),
        refused_with(429, "rejected_execution_exception"),
        refused_with(403, "cluster_block_exception", BLOCK),
        entry_with(429, "rejected_execution_exception"),
        entry_with(403, "cluster_block_exception", BLOCK),
        entry_with(404, "index_not_found_exception", "no such index [members-live]"),
    ],
    ids=["lost", "503", "429", "block", "429 entry", "block entry", "no index entry"],
)
def test_what_passes_is_waited_out(bench: Bench, step: Any) -> None:
    bench.cluster.steps = [looked_up, step, looked_up, step]
    report = bench.index(put(1, item("a")))
    assert (report.indexed, report.failures) == (1, ())
    assert len(bench.clock.slept) == 2
    assert bench.cluster.documents["a"][0] == S


def test_a_write_that_was_carried_out_without_an_answer_is_settled_as_a_tie(bench: Bench) -> None:
    bench.cluster.steps = [looked_up, lost_afterwards]
    bench.table.items["a"] = item("a", "newest")
    report = bench.index(put(1, item("a")), removed(2, "b"))
    assert report.failures == ()
    assert bench.cluster.documents == {"a": (S + 1, {"id": "a", "value": "newest"}), "b": (S + 1, None)}


def test_a_wait_ends_before_lambda_does_and_every_record_that_waited_is_reported(bench: Bench) -> None:
    bench.cluster.steps = [looked_up, *[refused_with(403, "cluster_block_exception", BLOCK), looked_up] * 100]
    began_s = bench.clock.steady_s
    report = bench.index(put(1, item("a", "older")), put(2, item("a")), removed(3, "b"), remaining_s=20)
    assert report.failures == (number(1), number(2), number(3))
    assert 10 < bench.clock.steady_s - began_s < 18.5
    assert max(bench.cluster.timeouts) <= 10.5


def test_an_alias_that_is_not_there_is_waited_for(bench: Bench) -> None:
    bench.cluster.steps = [refused_with(404, "index_not_found_exception")]
    assert bench.index(put(1, item("a"))).indexed == 1


def test_a_request_refused_as_a_whole_is_cut_until_the_one_to_blame_is_found(bench: Bench) -> None:
    def refuse_b(cluster: FakeCluster, method: str, path: str, params: Any, body: Any) -> Any:
        cluster.steps.insert(0, refuse_b)
        if path.endswith("_bulk") and any(target["_id"] == "b" for _, target, _ in actions(body)):
            raise OpenSearchRequestError(400, "POST", "illegal_argument_exception", "an id too long")
        return cluster.answer(method, path, params, body)

    bench.cluster.steps = [refuse_b]
    report = bench.index(*(put(place, item(key)) for place, key in enumerate("abcd")))
    assert (report.failures, report.indexed) == ((number(1),), 3)
    assert sorted(bench.cluster.documents) == ["a", "c", "d"]


# The index behind the alias


def test_documents_are_made_by_the_rules_that_the_index_notes() -> None:
    bench = Bench(renames={"value": "of_target"})
    bench.cluster.rules["members-v1"] = {"renames": {"value": "of_index"}}
    bench.index(put(1, item("a")))
    assert bench.cluster.source("a") == {"id": "a", "of_index": "first"}


def test_an_index_without_a_note_gets_the_targets_rules() -> None:
    bench = Bench(renames={"value": "of_target"})
    bench.index(put(1, item("a")))
    assert bench.cluster.source("a") == {"id": "a", "of_target": "first"}


def test_when_the_alias_moved_the_document_is_made_again_by_the_other_indexs_rules(bench: Bench) -> None:
    bench.index(put(1, item("a")))
    bench.cluster.index = "members-v2"
    bench.cluster.documents = {}
    bench.cluster.rules["members-v2"] = {"renames": {"value": "text"}}
    bench.table.items["b"] = item("b", "now")
    report = bench.index(put(2, item("b")))
    assert bench.cluster.documents == {"b": (S + 1, {"id": "b", "text": "now"})}
    assert (report.indexed, report.failures) == (1, ())


def test_a_document_that_the_other_index_refuses_in_its_old_form_is_not_poison(bench: Bench) -> None:
    bench.index(put(1, item("a")))
    bench.cluster.index = "members-v2"
    bench.cluster.steps = [entry_with(400, "strict_dynamic_mapping_exception")]
    assert bench.index(put(2, item("b"))).indexed == 1


def test_the_alias_is_looked_up_again_after_some_seconds(bench: Bench) -> None:
    for _ in range(3):
        bench.index(put(1, item("a")))
    looks = [one for one in bench.cluster.requests if one[0] == "GET"]
    assert len(looks) == 1
    bench.clock.pass_s(KNOWN_FOR_S)
    bench.index(put(1, item("a")))
    assert len([one for one in bench.cluster.requests if one[0] == "GET"]) == 2


def test_of_several_indices_behind_the_alias_the_write_index_leads(bench: Bench) -> None:
    bench.cluster.index = "members-v2"
    bench.cluster.routes[f"/{ALIAS}"] = {
        "members-v1": {"aliases": {ALIAS: {}}},
        "members-v2": {"aliases": {ALIAS: {"is_write_index": True}}},
    }
    assert bench.index(put(1, item("a"))).indexed == 1


@pytest.mark.parametrize(
    ("found", "error"),
    [
        ({ALIAS: {"aliases": {}}}, AliasIsIndexError),
        ({"v1": {"aliases": {ALIAS: {}}}, "v2": {"aliases": {ALIAS: {}}}}, AliasAmbiguousError),
    ],
    ids=["index", "ambiguous"],
)
def test_an_alias_that_cannot_be_written_to_is_an_error(
    bench: Bench, found: dict[str, Any], error: type[Exception]
) -> None:
    bench.cluster.routes[f"/{ALIAS}"] = found
    with pytest.raises(error):
        bench.index(put(1, item("a")))
