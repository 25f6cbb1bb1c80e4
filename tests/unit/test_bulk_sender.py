"""The sender of stamped offers, against a cluster in memory whose answers are scripted."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from dynamo_opensearch.core.offer.delivery import PAGE_AGE_LIMIT_S
from dynamo_opensearch.core.offer.destination import AliasLostError, BulkAnswerError, Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.reading import Batch
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.sender import BulkSender
from dynamo_opensearch.core.offer.tally import TicketResult
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError, OpenSearchRequestError
from dynamo_opensearch.core.reports import OfferReport
from tests.support.fake_cluster import FakeCluster, actions
from tests.support.fakes import FakeClock, quick_retry
from tests.support.readings import INDEX, STAMPS, MemoryTable, builder, item, reading

KEYS = ("a", "b", "c", "d")


class Bench:
    """A sender and all that it works with."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster()
        self.table = MemoryTable(self.clock, [item(key) for key in KEYS])
        self.behind: str | None = INDEX
        self.builders: dict[str, DocumentBuilder] = {}
        self.limit = InFlightLimit(4)
        refresher = Refresher(self.table, lambda index: self.builders.get(index, builder()), STAMPS)  # type: ignore[arg-type]
        destination = Destination(alias="members-live", index_behind=lambda: self.behind)
        self.sender = BulkSender(self.cluster, destination, refresher, self.limit, self.clock, quick_retry())

    def batch(self, *keys: str) -> Batch:
        return [reading([item(key) for key in keys or KEYS], self.clock)]

    def send(self, batch: Batch | None = None) -> OfferReport:
        (result,) = self.results(batch)
        return result.report

    def results(self, batch: Batch | None = None) -> list[TicketResult]:
        return self.sender.send(batch or self.batch())

    def bodies(self) -> list[Any]:
        return [actions(body) for _, path, _, body in self.cluster.requests if path.endswith("/_bulk")]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def refuse(keys: str, status: int, error_type: str, reason: str = "", index: str = "") -> Callable[..., Any]:
    """Answer these documents with an error, carry the others out."""

    def step(cluster: FakeCluster, _method: str, _path: str, _params: Any, body: bytes) -> Any:
        return {
            "items": [
                cluster.entry(verb, status, error_type, reason, index)
                if target["_id"] in keys
                else cluster.apply(verb, target, source)
                for verb, target, source in actions(body)
            ]
        }

    return step


def fail(error: Exception, *, applied: bool = False) -> Callable[..., Any]:
    """Break the request, before or after it was carried out."""

    def step(cluster: FakeCluster, method: str, path: str, params: Any, body: bytes) -> Any:
        if applied:
            cluster.answer(method, path, params, body)
        raise error

    return step


def request_error(status: int, error_type: str = "some_exception", reason: str = "") -> OpenSearchRequestError:
    return OpenSearchRequestError(status, "POST /members-live/_bulk", error_type, reason)


def test_documents_are_indexed_with_the_stamp_of_their_read(bench: Bench) -> None:
    assert bench.send() == OfferReport(offered=4, indexed=4)
    stamp = STAMPS.read_stamp_us(bench.clock.time_us())
    assert {key: version for key, (version, _) in bench.cluster.documents.items()} == dict.fromkeys(KEYS, stamp)


def test_every_request_requires_an_alias_and_says_how_long_it_may_wait(bench: Bench) -> None:
    batch = bench.batch()
    bench.clock.pass_s(10)
    bench.send(batch)
    ((_, path, params, _),) = bench.cluster.requests
    assert path == "/members-live/_bulk"
    assert (params["require_alias"], params["timeout"]) == ("true", "20000ms")


def test_only_the_documents_that_were_refused_as_busy_are_sent_again(bench: Bench) -> None:
    bench.cluster.steps = [
        refuse("bd", 429, "rejected_execution_exception"),
        refuse("d", 503, "unavailable_shards_exception"),
    ]
    assert bench.send() == OfferReport(offered=4, indexed=4, resent=3)
    assert bench.cluster.bulk_ids == [["a", "b", "c", "d"], ["b", "d"], ["d"]]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_write_block_and_a_servers_fault_are_waited_out(bench: Bench, status: int) -> None:
    bench.cluster.steps = [
        refuse("a", 403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/8/index write (api)];"),
        refuse("a", status, "some_exception"),
    ]
    assert bench.send() == OfferReport(offered=4, indexed=4, resent=2)


def test_stale_write_is_counted_and_not_an_error(bench: Bench) -> None:
    bench.cluster.documents["b"] = (bench.clock.time_us(), {"newer": True})
    assert bench.send() == OfferReport(offered=4, indexed=3, stale=1)
    assert bench.cluster.documents["b"][1] == {"newer": True}


def test_deletes_are_counted_whether_or_not_the_document_was_there(bench: Bench) -> None:
    batch = bench.batch("a")
    batch.append(batch[0].with_documents([builder().gone(({"S": "gone"},))]))
    assert bench.send(batch) == OfferReport(offered=2, indexed=1, deleted=1)


def test_a_lost_answer_is_sent_again_so_that_it_meets_its_own_version_as_indexed(bench: Bench) -> None:
    bench.cluster.steps = [fail(ConnectionLostError("ReadTimeoutError"), applied=True)]
    assert bench.send() == OfferReport(offered=4, indexed=4, resent=4)
    types = [{target["version_type"] for _, target, _ in body} for body in bench.bodies()]
    assert types == [{"external"}, {"external_gte"}]


def test_external_gte_is_used_after_a_lost_answer_only(bench: Bench) -> None:
    bench.cluster.steps = [refuse("a", 429, "busy"), fail(request_error(429)), fail(request_error(503))]
    bench.send()
    assert {target["version_type"] for body in bench.bodies() for _, target, _ in body} == {"external"}


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_gateway_that_lost_sight_of_the_request_counts_as_a_lost_answer(bench: Bench, status: int) -> None:
    bench.cluster.steps = [fail(request_error(status), applied=True)]
    assert bench.send() == OfferReport(offered=4, indexed=4, resent=4)


@pytest.mark.parametrize("status", [400, 413])
def test_a_request_refused_as_a_whole_is_bisected_to_the_one_bad_document(bench: Bench, status: int) -> None:
    def step(cluster: FakeCluster, method: str, path: str, params: Any, body: bytes) -> Any:
        cluster.steps.append(step)
        if b'"c"' in body:
            raise request_error(status, "illegal_argument_exception", "id is too long, secret")
        return cluster.answer(method, path, params, body)

    bench.cluster.steps = [step]
    (result,) = bench.results()
    assert result.report == OfferReport(offered=4, indexed=3, rejected=1)
    assert [reject.document.id for reject in result.rejects] == ["c"]


def test_a_refused_document_is_kept_whole_and_its_summary_quotes_nothing(bench: Bench) -> None:
    reason = "failed to parse field [value] of type [long] in document with id 'a'. Preview of field's value: 'secret'"
    bench.cluster.steps = [refuse("a", 400, "mapper_parsing_exception", reason)]
    (result,) = bench.results()
    (reject,) = result.rejects
    assert str(reject.summary) == "mapper_parsing_exception, field 'value', expected long"
    assert (reject.reason, reject.document.source) == (reason, b'{"id":"a","value":"1"}')


def test_an_old_page_is_read_again_before_it_is_sent(bench: Bench) -> None:
    batch = bench.batch()
    bench.table.items = {"a": item("a", "new")}
    bench.clock.pass_s(PAGE_AGE_LIMIT_S + 1)
    assert bench.send(batch) == OfferReport(offered=4, indexed=1, deleted=3, reread=4)
    assert bench.cluster.documents["a"] == (STAMPS.read_stamp_us(bench.clock.time_us()), {"id": "a", "value": "new"})
    assert bench.cluster.bulk_ids == [["a", "b", "c", "d"]]


def test_a_page_that_grows_old_while_it_waits_is_read_again(bench: Bench) -> None:
    batch = bench.batch("a")
    bench.table.items = {}

    def step(cluster: FakeCluster, *_: Any) -> Any:
        bench.clock.pass_s(PAGE_AGE_LIMIT_S + 1)
        raise request_error(429)

    bench.cluster.steps = [step]
    assert bench.send(batch) == OfferReport(offered=1, deleted=1, resent=1, reread=1)


def test_an_item_that_cannot_be_made_into_a_document_any_more_is_rejected(bench: Bench) -> None:
    batch = bench.batch("a")
    bench.table.items = {"a": {"id": {"S": "a"}, "value": {"N": "secret"}}}
    bench.clock.pass_s(PAGE_AGE_LIMIT_S + 1)
    (result,) = bench.results(batch)
    assert result.report == OfferReport(offered=1, rejected=1, reread=1)
    assert "secret" not in str(result.rejects[0].summary)


def test_what_another_index_took_is_read_again_and_offered_by_that_indexs_rules(bench: Bench) -> None:
    bench.builders["members-v2"] = builder(renames={"value": "v2"})

    def swapped(cluster: FakeCluster, method: str, path: str, params: Any, body: bytes) -> Any:
        cluster.index = "members-v2"
        return cluster.answer(method, path, params, body)

    bench.cluster.steps = [swapped]
    bench.table.items = {key: item(key) for key in "abc"}
    batch = bench.batch()
    bench.clock.pass_s(1)
    assert bench.send(batch) == OfferReport(offered=4, indexed=3, deleted=1, strayed=4)
    assert bench.cluster.documents["a"][1] == {"id": "a", "v2": "1"}


def test_a_conflict_or_refusal_by_another_index_is_not_final_either(bench: Bench) -> None:
    bench.cluster.steps = [refuse("a", 409, "version_conflict_engine_exception", index="members-v2")]
    bench.cluster.index = INDEX
    batch = bench.batch("a")
    bench.builders["members-v2"] = builder()

    def second(cluster: FakeCluster, method: str, path: str, params: Any, body: bytes) -> Any:
        cluster.index = "members-v2"
        return cluster.answer(method, path, params, body)

    bench.cluster.steps.append(second)
    assert bench.send(batch) == OfferReport(offered=1, indexed=1, strayed=1)


def test_an_alias_that_is_gone_stops_the_run_and_creates_nothing(bench: Bench) -> None:
    bench.behind = None
    bench.cluster.steps = [refuse("abcd", 404, "index_not_found_exception", index="members-live")]
    with pytest.raises(AliasLostError, match="alias 'members-live' was removed"):
        bench.send()
    assert bench.cluster.documents == {}


def test_an_alias_that_is_back_takes_the_documents(bench: Bench) -> None:
    bench.cluster.steps = [refuse("abcd", 404, "index_not_found_exception", index="members-live")]
    assert bench.send() == OfferReport(offered=4, indexed=4, resent=4)


def test_an_alias_over_two_indices_is_looked_up_again_and_rejects_nothing(bench: Bench) -> None:
    def ambiguous() -> str | None:
        raise AliasLostError("two indices")

    bench.sender._delivery._destination = Destination(alias="members-live", index_behind=ambiguous)
    reason = "no write index is defined for alias [members-live]. The write index may be explicitly disabled"
    bench.cluster.steps = [refuse("abcd", 400, "illegal_argument_exception", reason, index="members-live")]
    with pytest.raises(AliasLostError, match="two indices"):
        bench.send()


def test_no_permission_for_some_documents_stops_the_run_instead_of_rejecting_them(bench: Bench) -> None:
    bench.cluster.steps = [refuse("abcd", 403, "security_exception", "no permissions for [indices:data/write/bulk[s]]")]
    with pytest.raises(AccessDeniedError, match="OpenSearch refused bulk writes on 'members-v1'"):
        bench.send()


def test_patience_ends_with_the_last_problem(bench: Bench) -> None:
    bench.cluster.steps = [fail(request_error(503, "cluster_manager_not_discovered_exception"))] * 1000
    with pytest.raises(
        ServiceUnavailableError, match=r"did not complete bulk writes to 'members-live': \d+ attempts in 5 s"
    ):
        bench.send()


def test_patience_ends_although_pages_are_read_again_meanwhile(bench: Bench) -> None:
    def down(cluster: FakeCluster, *_: Any) -> Any:
        bench.clock.pass_s(PAGE_AGE_LIMIT_S + 1)
        cluster.steps.append(down)
        raise ConnectionLostError("ConnectTimeoutError")

    bench.cluster.steps = [down]
    with pytest.raises(ServiceUnavailableError):
        bench.send()


def test_progress_gives_new_patience(bench: Bench) -> None:
    def slowly(cluster: FakeCluster, method: str, path: str, params: Any, body: bytes) -> Any:
        bench.clock.pass_s(4)
        remaining = [target["_id"] for _, target, _ in actions(body)][1:]
        if remaining:
            cluster.steps.append(slowly)
        return refuse("".join(remaining), 429, "busy")(cluster, method, path, params, body)

    bench.cluster.steps = [slowly]
    assert bench.send() == OfferReport(offered=4, indexed=4, resent=6)


def test_an_answer_that_does_not_fit_its_request_is_refused(bench: Bench) -> None:
    bench.cluster.steps = [lambda *_: {"items": []}]
    with pytest.raises(BulkAnswerError, match="answered 0 of 4 actions"):
        bench.send()


@pytest.mark.parametrize("answer", ["", "<html>not OpenSearch</html>", None])
def test_an_answer_that_is_none_counts_as_lost(bench: Bench, answer: object) -> None:
    bench.cluster.steps = [lambda *_: answer]
    assert bench.send() == OfferReport(offered=4, indexed=4, resent=4)


def test_another_refusal_of_the_whole_request_is_raised_without_values(bench: Bench) -> None:
    bench.cluster.steps = [fail(request_error(405, "some_exception", "secret"))]
    with pytest.raises(OpenSearchRequestError) as error:
        bench.send()
    assert "secret" not in str(error.value)


def test_nothing_of_a_document_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench.cluster.steps = [
        refuse("a", 429, "busy", "secret"),
        fail(ConnectionLostError("ReadTimeoutError")),
        refuse("a", 400, "mapper_parsing_exception", "Preview of field's value: 'secret'"),
    ]
    bench.send()
    assert caplog.text
    assert "secret" not in caplog.text


def test_every_page_gets_its_own_counts(bench: Bench) -> None:
    batch = [reading([item("a"), item("b")], bench.clock, 7), reading([item("c")], bench.clock, 8)]
    bench.cluster.steps = [
        refuse("b", 400, "mapper_parsing_exception"),
    ]
    reports = {result.ticket: result.report for result in bench.results(batch)}
    assert reports == {7: OfferReport(offered=2, indexed=1, rejected=1), 8: OfferReport(offered=1, indexed=1)}


def test_pressure_narrows_what_is_in_flight(bench: Bench) -> None:
    bench.cluster.steps = [refuse("a", 429, "busy")]
    bench.send()
    assert bench.limit.width < 4
