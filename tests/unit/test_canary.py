"""The canary's way over a table and an index in memory: what an earlier try left on its way is not this one's."""

from collections import deque
from typing import Any, cast

import orjson
import pytest

from dynamo_opensearch.core.cutover.canary.item import Canary, CanaryWish, documents_of, plan_canary
from dynamo_opensearch.core.cutover.canary.table import CanaryTable
from dynamo_opensearch.core.cutover.canary.trial import (
    CanaryIndex,
    CanaryLeftError,
    CanaryLostError,
    CanaryPorts,
    CanaryReport,
    fly_canary,
    remove_canary,
)
from dynamo_opensearch.core.cutover.canary.way import where_to_look
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.targets.environment import Environment
from dynamo_opensearch.core.targets.model import Target
from tests.support.fakes import FakeClock, quick_retry
from tests.support.scripted_control_plane import ScriptedControlPlane

MAPPINGS = {"properties": {"note": {"type": "text"}}}


class Way:
    """A table with a stream, and an index into which an indexer brings one record for each look at it, in order."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.stream: deque[Item | None] = deque()
        self.item: Item | None = None
        self.document: dict[str, Any] | None = None
        self.works = True
        self.target = Target.model_validate(
            {
                "name": "things",
                "table": "things",
                "key": ["id"],
                "alias": "things-live",
                "mapping": "things.json",
                "indexer_writes": "versioned",
                "environments": {"local": {}},
            }
        )
        self.builder = DocumentBuilder(("id",), self.target.documents)
        self.table = CanaryTable(self, "things", self.canary(0))
        self.index = CanaryIndex(PatientCluster(cast("Any", self), self.clock, quick_retry()), "things-live")

    def canary(self, attempt: int) -> Canary:
        wish = CanaryWish(
            target=self.target, key_types="S", mappings=MAPPINGS, given={}, mark="ab" * 16, attempt=attempt
        )
        return plan_canary(wish, self.builder)

    def ask(self, service: str, call: str, resource: str, /, **arguments: Any) -> dict[str, Any]:
        """As ``ControlPlane.ask``; conditions are for the integration tests."""
        assert (service, resource) == ("dynamodb", "things")
        if call == "get_item":
            return {"Item": self.item} if self.item else {}
        assert "attribute_not_exists(#key)" in arguments["ConditionExpression"] or self.item
        was, self.item = self.item, arguments.get("Item")
        if was != self.item:
            self.stream.append(self.item)
        return {"Attributes": was} if was else {}

    def request(self, method: str, path: str, **_: Any) -> Any:
        """As ``Cluster.request``."""
        assert (method, path) == ("POST", "/things-live/_mget")
        if self.works and self.stream:
            self._index(self.stream.popleft())
        found = {"found": self.document is not None}
        return {"docs": [found | ({"_source": self.document} if self.document else {})]}

    def _index(self, item: Item | None) -> None:
        self.document = None
        if item is not None:
            (document,) = self.builder.build([item]).documents
            self.document = orjson.loads(document.source or b"")

    def fly(self, attempt: int, wait_s: float = 10.0) -> CanaryReport:
        canary = self.canary(attempt)
        ports = CanaryPorts(
            table=CanaryTable(self, "things", canary),
            index=self.index,
            look_at=lambda: "Look at the queue.",
            clock=self.clock,
        )
        return fly_canary(canary, documents_of(canary, self.builder), "things-live", wait_s, ports)


@pytest.fixture
def way() -> Way:
    return Way()


def test_each_change_is_waited_for_and_timed(way: Way) -> None:
    report = way.fly(1)
    assert (way.item, way.document, list(way.stream)) == (None, None, [])
    assert set(report.to_json()) == {"written_s", "changed_s", "removed_s"}
    assert str(report).startswith("the indexer brought a new item into the index after 0.0 s")


def test_records_that_an_earlier_try_left_on_their_way_are_not_taken_for_this_ones(way: Way) -> None:
    """The earlier one has done everything and was killed; its records arrive during the next one."""
    earlier = CanaryTable(way, "things", way.canary(1))
    earlier.put_first()
    earlier.put_second()
    earlier.remove()
    way.fly(2)
    assert (way.item, way.document, list(way.stream)) == (None, None, []), "it ended when its own removal had arrived"


@pytest.mark.parametrize("changes", [1, 2])
def test_an_item_that_an_earlier_try_left_is_taken_on(way: Way, changes: int) -> None:
    earlier = CanaryTable(way, "things", way.canary(1))
    earlier.put_first()
    if changes == 2:
        earlier.put_second()
    way.fly(2)
    assert (way.item, way.document, list(way.stream)) == (None, None, [])


def test_its_time_is_bounded_and_counts_from_the_change(way: Way) -> None:
    way.works = False
    with pytest.raises(CanaryLostError) as lost:
        way.fly(1, wait_s=7.0)
    assert 7.0 <= lost.value.waited_s < 8.0
    assert "Look at the queue." in str(lost.value)
    assert way.item is not None, "the teardown removes it"


def test_what_was_left_is_removed_and_the_document_offered_as_a_delete(way: Way) -> None:
    way.works = False
    with pytest.raises(CanaryLostError):
        way.fly(1, wait_s=1.0)
    canary = way.canary(1)
    document, _ = documents_of(canary, way.builder)
    way.document = {"id": document.id}
    offered: list[str] = []

    def offer() -> None:
        offered.append("gone" if way.item is None else "there")
        way.document = None

    table = CanaryTable(way, "things", canary)
    assert remove_canary(document, "things-live", table, way.index, offer) == (True, True)
    assert offered == ["gone"], "after the item, so that it is a delete"
    assert remove_canary(document, "things-live", table, way.index, offer) == (False, False)
    assert remove_canary(document, "things-live", table, None, offer) == (False, False)
    assert len(offered) == 1


def test_a_document_that_stays_is_left_to_another_try(way: Way) -> None:
    document, _ = documents_of(way.canary(1), way.builder)
    way.document = {"id": document.id}
    with pytest.raises(CanaryLeftError, match="still behind alias 'things-live'"):
        remove_canary(document, "things-live", way.table, way.index, lambda: None)


FULL = {
    "indexer": {"function": "arn:aws:lambda:eu-central-1:123456789012:function:things-indexer"},
    "dead_letters": {"queue": "https://sqs.eu-central-1.amazonaws.com/123456789012/things-dlq"},
}


def told(answer: Any, environment: dict[str, Any], mapping: str | None) -> str:
    plane = ScriptedControlPlane({"lambda.get_event_source_mapping": answer})
    return where_to_look(plane, "things", Environment.model_validate(environment), mapping)


def test_the_parts_on_its_way_are_named_as_far_as_the_file_names_them() -> None:
    text = told({"State": "Enabled", "LastProcessingResult": "PROBLEM: Function call failed"}, FULL, "u-1")
    for part in (
        "Event source mapping u-1 is Enabled, its last result 'PROBLEM: Function call failed'.",
        "What the indexer failed on is in queue things-dlq: start things_dlq_replay with dry_run.",
        "Its own log is /aws/lambda/things-indexer.",
        "of things_preflight",
    ):
        assert part in text
    assert told({}, {}, None).startswith("The checks event_source_mapping")
    assert "mapping u-1 is Disabled." in told({"State": "Disabled"}, FULL, "u-1")


def test_a_mapping_that_may_not_be_asked_about_hides_nothing_else() -> None:
    refused = AccessDeniedError("lambda", "lambda:GetEventSourceMapping", "u-1", "AccessDenied")
    text = told(refused, FULL, "u-1")
    assert "could not be asked (lambda refused lambda:GetEventSourceMapping on 'u-1'" in text
    assert "things-dlq" in text
