"""The sender for indexers without versions, against a model of sequence numbers; real ones: tests/integration."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.errors import ServiceUnavailableError
from dynamo_opensearch.core.offer.conditional import MOST_ROUNDS, ConditionalSender
from dynamo_opensearch.core.offer.delivery import PAGE_AGE_LIMIT_S
from dynamo_opensearch.core.offer.destination import AliasLostError, Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.reading import Batch
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError
from dynamo_opensearch.core.reports import OfferReport
from tests.support.fake_cluster import actions
from tests.support.fakes import FakeClock, quick_retry
from tests.support.readings import INDEX, STAMPS, MemoryTable, builder, item, reading


class SequencedCluster:
    """One index with sequence numbers. ``before`` runs ahead of each request, named by its last path part."""

    def __init__(self) -> None:
        self.documents: dict[str, tuple[int, Any]] = {}
        self.seq_no = 0
        self.before: Callable[[str], None] = lambda _what: None
        self.failures: list[Exception] = []
        self.answers: list[Any] = []

    def put(self, key: str, source: Any) -> None:
        """The indexer's own write: whatever stands there."""
        self.seq_no += 1
        self.documents[key] = self.seq_no, source

    def delete(self, key: str) -> None:
        self.seq_no += 1
        self.documents.pop(key, None)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        timeout_s: float = 60.0,
        decode: Any = None,
    ) -> Any:
        what = path.rpartition("/")[2]
        self.before(what)
        if self.answers:
            return self.answers.pop(0)
        if what == "_mget":
            return {"docs": [self._state(one["_id"]) for one in orjson.loads(body)["docs"]]}
        answer = {"items": [self._apply(verb, target, source) for verb, target, source in actions(body)]}
        if self.failures:
            raise self.failures.pop(0)
        return answer

    def _state(self, key: str) -> dict[str, Any]:
        if key not in self.documents:
            return {"_id": key}
        return {"_id": key, "_seq_no": self.documents[key][0], "_primary_term": 1}

    def _apply(self, verb: str, target: dict[str, Any], source: Any) -> dict[str, Any]:
        stored = self.documents.get(target["_id"])
        expected = target.get("if_seq_no")
        if (verb == "create" and stored) or (verb != "create" and (stored is None or stored[0] != expected)):
            error = {"type": "version_conflict_engine_exception", "reason": ""}
            return {verb: {"_index": INDEX, "status": 409, "error": error}}
        if verb == "delete":
            self.delete(target["_id"])
        else:
            self.put(target["_id"], source)
        return {verb: {"_index": INDEX, "status": 200}}


class Bench:
    """A sender, a table, and an indexer that carries each change of the table over when told to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = SequencedCluster()
        self.table = MemoryTable(self.clock, [item("a")])
        self.behind: str | None = INDEX
        refresher = Refresher(self.table, lambda _index: builder(), STAMPS)  # type: ignore[arg-type]
        destination = Destination(alias="members-live", index_behind=lambda: self.behind)
        self.sender = ConditionalSender(
            self.cluster, destination, refresher, InFlightLimit(2), self.clock, quick_retry()
        )

    def change(self, key: str, value: str | None) -> None:
        """The table only."""
        if value is None:
            self.table.items.pop(key, None)
        else:
            self.table.items[key] = item(key, value)

    def carry(self, key: str, value: str | None) -> None:
        """The indexer, for a change that it has got."""
        if value is None:
            self.cluster.delete(key)
        else:
            self.cluster.put(key, {"id": key, "value": value})

    def page(self, *keys: str) -> Batch:
        return [reading([self.table.items[key] for key in keys or ("a",)], self.clock)]

    def send(self, batch: Batch) -> OfferReport:
        (result,) = self.sender.send(batch)
        return result.report

    @property
    def index(self) -> dict[str, str]:
        return {key: source["value"] for key, (_, source) in self.cluster.documents.items()}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_document_that_is_not_there_is_created(bench: Bench) -> None:
    assert bench.send(bench.page()) == OfferReport(offered=1, indexed=1)
    assert bench.index == {"a": "1"}


def test_a_document_that_is_there_is_replaced_as_it_was_seen(bench: Bench) -> None:
    bench.carry("a", "old")
    assert bench.send(bench.page()) == OfferReport(offered=1, indexed=1)
    assert bench.index == {"a": "1"}


def test_an_update_that_the_indexer_carried_over_since_the_page_is_not_undone(bench: Bench) -> None:
    page = bench.page()
    bench.change("a", "2")
    bench.carry("a", "2")
    bench.send(page)
    assert bench.index == {"a": "2"}


def test_an_item_deleted_since_the_page_does_not_come_back(bench: Bench) -> None:
    page = bench.page()
    bench.change("a", None)
    bench.carry("a", None)
    assert bench.send(page) == OfferReport(offered=1, deleted=1)
    assert bench.index == {}


def test_what_the_indexer_writes_between_look_and_write_stays(bench: Bench) -> None:
    bench.carry("a", "old")
    written: list[str] = []

    def before(what: str) -> None:
        if what == "_bulk" and bench.table.reads and not written:
            written.append("2")
            bench.change("a", "2")
            bench.carry("a", "2")

    bench.cluster.before = before
    assert bench.send(bench.page()) == OfferReport(offered=1, indexed=1)
    assert bench.index == {"a": "2"}


def test_an_item_that_is_gone_deletes_a_document_that_is_there(bench: Bench) -> None:
    bench.carry("a", "1")
    batch = bench.page()
    bench.change("a", None)
    gone = [batch[0].with_documents([builder().gone(batch[0].documents[0].key)])]
    assert bench.send(gone) == OfferReport(offered=1, deleted=1)
    assert bench.index == {}
    assert bench.send(gone) == OfferReport(offered=1, deleted=1)


def test_a_document_written_under_every_round_is_the_indexers(bench: Bench) -> None:
    bench.carry("a", "0")
    rounds = iter(range(100))

    def before(what: str) -> None:
        if what == "_bulk":
            bench.carry("a", f"newer {next(rounds)}")

    bench.cluster.before = before
    assert bench.send(bench.page()) == OfferReport(offered=1, stale=1)
    assert next(rounds) == MOST_ROUNDS


def test_an_item_that_changes_under_every_round_ends_as_written(bench: Bench) -> None:
    numbers = iter(range(100))

    def before(what: str) -> None:
        if what == "_bulk":
            bench.change("a", f"v{next(numbers)}")

    page = bench.page()
    bench.cluster.before = before
    assert bench.send(page) == OfferReport(offered=1, indexed=1)
    assert next(numbers) == MOST_ROUNDS


def test_documents_are_looked_at_before_their_items_are_read(bench: Bench) -> None:
    bench.carry("a", "0")
    numbers = iter(range(100))

    def before(what: str) -> None:
        if what == "_mget":
            value = f"v{next(numbers)}"
            bench.change("a", value)
            bench.carry("a", value)

    page = bench.page()
    bench.cluster.before = before
    bench.send(page)
    assert bench.index["a"] == bench.table.items["a"]["value"]["S"]


def test_a_lost_answer_meets_its_own_write_and_counts_once(bench: Bench) -> None:
    bench.cluster.failures = [ConnectionLostError("ReadTimeoutError")]
    assert bench.send(bench.page()) == OfferReport(offered=1, indexed=1, resent=1)
    assert bench.index == {"a": "1"}


def test_an_old_page_is_not_sent_but_read_again(bench: Bench) -> None:
    page = bench.page()
    bench.clock.pass_s(PAGE_AGE_LIMIT_S + 1)
    bench.change("a", "2")
    assert bench.send(page) == OfferReport(offered=1, indexed=1, reread=1)
    assert bench.index == {"a": "2"}


def test_a_look_that_fails_for_a_shard_is_repeated(bench: Bench) -> None:
    bench.carry("a", "0")
    failure = {"docs": [{"_id": "a", "error": {"type": "no_shard_available_action_exception", "reason": ""}}]}
    seen: list[str] = []

    def before(what: str) -> None:
        if what == "_mget" and not seen:
            seen.append(what)
            bench.cluster.answers = [failure]

    bench.cluster.before = before
    assert bench.send(bench.page()) == OfferReport(offered=1, indexed=1)


def test_a_look_at_an_alias_that_is_gone_stops_the_run(bench: Bench) -> None:
    bench.carry("a", "0")
    error = {"type": "index_not_found_exception", "reason": "no such index [members-live]"}

    def before(what: str) -> None:
        if what == "_mget":
            bench.behind = None
            bench.cluster.answers = [{"docs": [{"_id": "a", "error": error}]}]

    bench.cluster.before = before
    with pytest.raises(AliasLostError):
        bench.send(bench.page())


def test_a_look_that_never_succeeds_ends_with_the_patience(bench: Bench) -> None:
    bench.carry("a", "0")
    error = {"type": "no_shard_available_action_exception", "reason": ""}

    def before(what: str) -> None:
        if what == "_mget":
            bench.cluster.answers = [{"docs": [{"_id": "a", "error": error}]}]

    bench.cluster.before = before
    with pytest.raises(ServiceUnavailableError, match="no_shard_available_action_exception"):
        bench.send(bench.page())


def test_an_item_that_cannot_be_a_document_any_more_is_rejected_once(bench: Bench) -> None:
    page = bench.page()
    bench.table.items["a"] = {"id": {"S": "a"}, "value": {"N": "x"}}
    assert bench.send(page) == OfferReport(offered=1, rejected=1)


Change = tuple[str, str | None]
CHANGES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "2", "3", None])), max_size=12)


@settings(max_examples=300)
@given(CHANGES, CHANGES, st.lists(st.booleans(), max_size=40), st.booleans())
def test_in_any_interleaving_with_an_ordered_indexer_the_index_ends_as_the_table(
    earlier: list[tuple[str, str | None]],
    later: list[tuple[str, str | None]],
    choices: list[bool],
    before_the_indexer: bool,
) -> None:
    bench = Bench()
    stream: list[Change] = []
    for key, value in earlier:
        bench.change(key, value)
        if not before_the_indexer:
            stream.append((key, value))
    page = [reading(bench.table.items.values(), bench.clock)]
    turns = iter(choices)
    coming = iter(later)

    def before(_what: str) -> None:
        """Between any two requests the table may change, and the indexer may get on."""
        while next(turns, False):
            if (change := next(coming, None)) is not None:
                bench.change(*change)
                stream.append(change)
            if next(turns, False) and stream:
                bench.carry(*stream.pop(0))

    bench.cluster.before = before
    bench.sender.send(page)
    for change in coming:
        bench.change(*change)
        stream.append(change)
    for change in stream:
        bench.carry(*change)
    assert bench.index == {key: one["value"]["S"] for key, one in bench.table.items.items()}
