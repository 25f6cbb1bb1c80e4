"""The canary on real servers: through the live indexer, lost at each hop, killed at any call, and gone in the end."""

import contextlib
import itertools
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dynamo_opensearch.core.cutover.canary.item import Canary, CanaryUnfitError, mark_of
from dynamo_opensearch.core.cutover.canary.table import CanaryRefusedError, CanaryTakenError
from dynamo_opensearch.core.cutover.canary.trial import CanaryLostError, CanaryReport
from dynamo_opensearch.core.offer.destination import AliasLostError
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.wiring.canary import check_canary, planned_canary, take_canary_back, try_indexer
from tests.integration.conftest import MakeRig
from tests.support import oracle
from tests.support.cutover_rig import FILE, CutoverConnections
from tests.support.dying import Died, Fate
from tests.support.fakes import MemorySink
from tests.support.indexing import IndexingHandler, create_streaming_table, mapped
from tests.support.plain_indexer import PlainIndexer
from tests.support.rig import Rig, small_item
from tools.local.esm_batches import RetrySettings
from tools.local.event_source_mapping import MappingSettings
from tools.local.processes import Server

LEAST_CALLS = 9
"""That change something, or come before, in a flight; each of them is the last of some process."""
MARK = mark_of("local", "members_cutover", "run 1")
ISOLATING = RetrySettings(maximum_retries=0, first_wait_s=0.01)
ROUNDING_S = {"ministack": 1.0, "dynamodb-local": 60.0}
MARGINS_S = {"ministack": 1.5, "dynamodb-local": 65.0}


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return prepared(make_rig())


def prepared(rig: Rig) -> Rig:
    create_streaming_table(rig)
    rig.create_index(FILE.mappings)
    rig.put([small_item(1)])
    return rig


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., CutoverConnections]:
    def make(rig: Rig, fate: Fate | None = None, **more: Any) -> CutoverConnections:
        found: CutoverConnections = CutoverConnections.of_rig(rig, fate, **more)
        found.use(monkeypatch)
        return found

    return make


TRIES = itertools.count(1)


def planned(connections: CutoverConnections) -> Canary:
    """A try of the run's."""
    return planned_canary(connections, MARK, next(TRIES))


def fly(connections: CutoverConnections, wait_s: float = 30.0, mapping: str | None = None) -> CanaryReport:
    """As the task does it."""
    canary = planned(connections)
    check_canary(connections, canary)
    return try_indexer(connections, canary, mapping, wait_s)


def take_back(connections: CutoverConnections) -> tuple[bool, bool]:
    """As its teardown does it."""
    return take_canary_back(connections, planned(connections), lambda _: MemorySink())


def items(rig: Rig) -> list[str]:
    """Keys in the table, by a judge's own client."""
    return sorted(one["id"]["S"] for one in rig.boto.scan(TableName=rig.table, ConsistentRead=True)["Items"])


def canaries(rig: Rig) -> tuple[list[str], list[str]]:
    """The canaries that table and index hold."""
    return (
        [one for one in items(rig) if "canary" in one],
        [one for one in rig.documents() if "canary" in one],
    )


@contextmanager
def indexer(rig: Rig, margin_s: float = 1.5, **settings: Any) -> Iterator[IndexingHandler]:
    handler = IndexingHandler(rig, margin_s)
    with mapped(rig, handler, MappingSettings(retries=ISOLATING, **settings)):
        yield handler


# Through the indexer


@pytest.mark.parametrize("kind", ["ministack", "dynamodb-local"])
def test_an_item_goes_through_the_live_indexer_and_leaves_nothing(
    make_rig: MakeRig, connect: Any, request: pytest.FixtureRequest, kind: str
) -> None:
    server: Server = request.getfixturevalue(f"{kind.replace('-', '_')}_server")
    rig = prepared(make_rig(direct_dynamodb=server.url))
    connections = connect(rig)
    with indexer(rig, MARGINS_S[kind], rounding_s=ROUNDING_S[kind]) as handler:
        report = fly(connections)
    records = [record for record in handler.records if "canary" in record["dynamodb"]["Keys"]["id"]["S"]]
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    assert canaries(rig) == ([], [])
    assert take_back(connections) == (False, False)
    assert rig.differences() == []
    assert "brought a new item into the index after" in str(report)


def test_an_indexer_without_versions_is_tried_the_same_way(make_rig: MakeRig, connect: Any) -> None:
    rig = prepared(make_rig(unversioned=True))
    with mapped(rig, PlainIndexer(rig.direct_opensearch, rig.alias)):
        fly(connect(rig))
    assert canaries(rig) == ([], [])


def test_a_document_with_fields_of_the_indexers_own_is_the_canarys_all_the_same(
    make_rig: MakeRig, connect: Any
) -> None:
    rig = make_rig()
    create_streaming_table(rig)
    types = {**FILE.mappings["properties"], "indexedAt": {"type": "date"}}
    file = MappingFile("rig.json", {"dynamic": "strict", "properties": types}, FILE.settings)
    rig.create_index(file.mappings)
    handler = IndexingHandler(rig, 1.5)

    def stamping(event: Any, context: Any) -> Any:
        for record in event["Records"]:
            if "NewImage" in record["dynamodb"]:
                record["dynamodb"]["NewImage"]["indexedAt"] = {"S": "2026-01-01"}
        return handler(event, context)

    with mapped(rig, stamping):
        fly(connect(rig, mapping_file=file))
    assert canaries(rig) == ([], [])


def test_a_composite_key_with_a_filter_and_routing_flies_as_well(make_rig: MakeRig, connect: Any) -> None:
    rules = {"filter": {"all": [{"attribute": "id", "begins_with": "A|"}]}, "routing": "id"}
    rig = make_rig(rules=rules)
    create_streaming_table(rig)
    rig.create_index({**FILE.mappings, "_routing": {"required": True}}, {"number_of_shards": 3})
    file = MappingFile("rig.json", {**FILE.mappings, "_routing": {"required": True}}, {"index.number_of_shards": 3})
    connections = connect(rig, mapping_file=file, documents=rules)
    assert planned(connections).first["id"]["S"].startswith("A|")
    with indexer(rig):
        fly(connections)
    assert canaries(rig) == ([], [])


# Lost on its way


@pytest.mark.parametrize(
    ("event", "hop", "seen"),
    [
        ("INSERT", "written", "there is no such document"),
        ("MODIFY", "changed", "its document is there, with other values in value"),
        ("REMOVE", "removed", "its document is there"),
    ],
)
def test_a_change_that_does_not_arrive_is_told_with_what_to_look_at_and_the_canary_goes(
    rig: Rig, connect: Any, event: str, hop: str, seen: str
) -> None:
    connections = connect(rig)
    with indexer(rig, fails=lambda record: record["eventName"] == event):
        with pytest.raises(CanaryLostError) as lost:
            fly(connections, wait_s=3.0)
        assert lost.value.hop == hop
        for part in (
            f"the canary was {hop} in the table, and 3 s later alias '{rig.alias}' does not show it: {seen}",
            f"is in queue rig-dlq: start {rig.base}_dlq_replay with dry_run",
            "/aws/lambda/rig-indexer",
            "index_mapping of",
            "clear this task",
        ):
            assert part in str(lost.value)
        assert "canary-" not in str(lost.value), "nothing of the item is in a message"
        was = (event != "REMOVE", event != "INSERT")
        assert take_back(connections) == was
    assert canaries(rig) == ([], [])
    assert items(rig) == ["k0001"]
    assert take_back(connections) == (False, False)


def test_what_lambda_says_of_the_mapping_is_in_the_message(rig: Rig, connect: Any) -> None:
    functions = oracle.client(rig.direct_dynamodb, "lambda")
    uuid = "9e471faa-d716-4725-925a-03fb5b2057ef"
    connections = connect(rig)
    with pytest.raises(CanaryLostError) as lost:
        fly(connections, wait_s=0.1, mapping=uuid)
    assert f"Event source mapping {uuid} could not be asked (lambda has no '{uuid}'" in str(lost.value)
    functions.close()
    take_back(connections)


class Meddler:
    """Does something in the table right before or after a call of the canary's."""

    def __init__(self, connections: CutoverConnections) -> None:
        self._plane = connections.plane
        self.before: dict[int, Callable[[], object]] = {}
        self.after: dict[int, Callable[[], object]] = {}
        self._puts = 0
        object.__setattr__(connections, "plane", self)

    def ask(self, service: str, call: str, resource: str, /, **arguments: Any) -> Any:
        """By the number of the PutItem."""
        self._puts += call == "put_item"
        is_put = call == "put_item"
        if is_put and self._puts in self.before:
            self.before[self._puts]()
        answer = self._plane.ask(service, call, resource, **arguments)
        if is_put and self._puts in self.after:
            self.after[self._puts]()
        return answer


def test_an_item_that_somebody_removes_meanwhile_is_said_to_be_gone(rig: Rig, connect: Any) -> None:
    connections = connect(rig)
    key = planned(connections).key_of_item
    Meddler(connections).after[1] = lambda: rig.boto.delete_item(TableName=rig.table, Key=key)
    with pytest.raises(CanaryLostError, match="the table has the item no more: somebody, or its expiry"):
        fly(connections, wait_s=0.5)


def test_an_alias_that_is_away_is_told_at_once(rig: Rig, connect: Any) -> None:
    connections = connect(rig)
    canary = planned(connections)
    rig.call(rig.index, "DELETE")
    with pytest.raises(AliasLostError):
        check_canary(connections, canary)
    with pytest.raises(AliasLostError):
        try_indexer(connections, canary, None, 30.0)
    assert take_back(connections) == (True, False), "the item goes where there is no index, too"


# Nobody else's item


def test_an_item_under_its_key_that_is_not_its_own_is_left_alone(rig: Rig, connect: Any) -> None:
    connections = connect(rig)
    key = planned(connections).key_of_item
    somebodys: dict[str, Any] = {**key, "value": {"S": "somebody's"}}
    rig.put([somebodys])
    with indexer(rig):
        with pytest.raises(CanaryTakenError, match="could not be written"):
            fly(connections)
        with pytest.raises(CanaryTakenError, match="could not be removed"):
            take_back(connections)
    assert rig.boto.get_item(TableName=rig.table, Key=key)["Item"] == somebodys


@pytest.mark.parametrize(("when", "seen"), [("before", "could not be changed"), ("after", "somebody has changed the")])
def test_an_item_that_somebody_changes_meanwhile_is_left_alone(rig: Rig, connect: Any, when: str, seen: str) -> None:
    connections = connect(rig)
    canary = planned(connections)
    somebodys: dict[str, Any] = {**canary.first, "value": {"S": "somebody's"}}
    getattr(Meddler(connections), when)[2] = lambda: rig.put([somebodys])
    with indexer(rig), pytest.raises((CanaryTakenError, CanaryLostError), match=seen):
        fly(connections, wait_s=3.0)
    with pytest.raises(CanaryTakenError, match="could not be removed"):
        take_back(connections)
    assert rig.boto.get_item(TableName=rig.table, Key=canary.key_of_item)["Item"] == somebodys


def test_what_the_mapping_would_refuse_is_never_written(rig: Rig, connect: Any) -> None:
    connections = connect(rig, indexer={"function": "rig-indexer", "canary": {"number": "many", "value": "x"}})
    with indexer(rig) as handler:
        with pytest.raises(CanaryUnfitError, match="field 'number', expected long"):
            fly(connections)
        time.sleep(0.5)
    assert all("canary" not in record["dynamodb"]["Keys"]["id"]["S"] for record in handler.records)
    assert canaries(rig) == ([], [])


def test_what_dynamodb_refuses_is_told_with_what_to_give(make_rig: MakeRig, connect: Any) -> None:
    rig = make_rig()
    rig.boto.create_table(
        TableName=rig.table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "value", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-value",
                "KeySchema": [{"AttributeName": "value", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    rig.create_index(FILE.mappings)
    with pytest.raises(
        CanaryRefusedError, match="a key attribute, of the table or of an index, must have another type"
    ):
        fly(connect(rig))


# Killed


def test_a_canary_that_is_killed_at_any_call_is_taken_up_again_and_leaves_nothing(rig: Rig, connect: Any) -> None:
    with indexer(rig):
        for survived in itertools.count():
            fate = Fate(survived)
            try:
                fly(connect(rig, fate))
            except Died:
                fly(connect(rig))
            assert canaries(rig) == ([], []), f"killed after {survived} calls"
            if not fate.is_dead:
                break
    assert survived > LEAST_CALLS
    assert rig.differences() == []


def test_a_canary_that_is_killed_at_any_call_is_removed_by_its_teardown(rig: Rig, connect: Any) -> None:
    with indexer(rig) as handler:
        for survived in itertools.count():
            fate = Fate(survived)
            with contextlib.suppress(Died):
                fly(connect(rig, fate))
            take_back(connect(rig))
            assert [one for one in items(rig) if "canary" in one] == [], f"killed after {survived} calls"
            if not fate.is_dead:
                break
        wait_for(lambda: canaries(rig) == ([], []))
    names = Counter(one["eventName"] for one in handler.records if "canary" in one["dynamodb"]["Keys"]["id"]["S"])
    assert names == {"INSERT": 4, "MODIFY": 3, "REMOVE": 4}, "killed after each of the three changes, and not at all"
    assert rig.differences() == []


def test_a_teardown_that_is_killed_at_any_call_ends_its_work_when_it_is_tried_again(rig: Rig, connect: Any) -> None:
    for survived in itertools.count():
        fate = Fate(survived)
        with indexer(rig, fails=lambda record: record["eventName"] == "REMOVE"):
            with pytest.raises(CanaryLostError):
                fly(connect(rig), wait_s=1.5)
            with contextlib.suppress(Died):
                take_back(connect(rig, fate))
            take_back(connect(rig))
            assert canaries(rig) == ([], []), f"killed after {survived} calls"
        if not fate.is_dead:
            break
    assert survived > 5


def wait_for(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_that_is_killed_with_its_item_in_the_table_is_followed_by_one_that_goes_on(
    rig: Rig, connect: Any
) -> None:
    """The indexer does not run yet, so the process waits for the first document when it is killed."""
    command = [sys.executable, "-m", "tests.support.canary_process", *rig_arguments(rig), MARK]
    environment = {"PYTHONPATH": ".:plugins"}
    with subprocess.Popen([*command, "1"], stdout=subprocess.PIPE, text=True, env=environment) as first:
        wait_for(lambda: canaries(rig)[0] != [], 60)
        first.send_signal(signal.SIGKILL)
    assert first.returncode == -signal.SIGKILL
    (key,) = canaries(rig)[0]
    with indexer(rig) as handler:
        again = subprocess.run([*command, "2"], capture_output=True, text=True, env=environment, timeout=90, check=True)
    assert again.stdout.startswith("written ")
    assert canaries(rig) == ([], [])
    records = [record for record in handler.records if record["dynamodb"]["Keys"]["id"]["S"] == key]
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"], "written once"


def rig_arguments(rig: Rig) -> list[str]:
    """By which another process finds the rig."""
    return [rig.direct_dynamodb, rig.direct_opensearch, rig.base]
