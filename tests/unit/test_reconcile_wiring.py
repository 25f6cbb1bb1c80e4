"""A reconciliation wired to a target: budgets, waits, lag and what else is asked."""

from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.dead_letters.messages import Depth
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.reconcile.plan import Part
from dynamo_opensearch.core.reconcile.reading import read_part
from dynamo_opensearch.core.targets.environment import DeadLetterSettings, Environment, IndexerSettings
from dynamo_opensearch.core.targets.model import Budgets
from dynamo_opensearch.wiring import reconciling
from tests.support.fakes import FakeClock
from tests.support.reconcile_rig import FolderFiles
from tests.support.reconciled import MemoryRig
from tests.support.reconciled_target import RigConnections, connect_rig
from tests.support.reconciliations import plan, subject
from tests.support.scripted_stream import ARN, ScriptedStream


@pytest.fixture
def rig() -> MemoryRig:
    made = MemoryRig()
    made.fill(["a", "b", "c"])
    return made


class Aws:
    """The hook's clients, by name."""

    def __getattr__(self, name: str) -> Any:
        return lambda: name

    def client(self, service: str) -> str:
        return f"{service}_client"


def connect(monkeypatch: pytest.MonkeyPatch, rig: MemoryRig, environment: Any = None, **changes: Any) -> RigConnections:
    environments = {"local": Environment(**(environment or {}))}
    connections = connect_rig(monkeypatch, rig, {"environments": environments, **changes})
    monkeypatch.setattr(type(connections), "dynamodb", Aws())
    return connections


@pytest.mark.parametrize(
    ("share", "items", "allowed"),
    [(0.01, 0, 0), (0.01, 30, 1), (0.01, 100, 1), (0.01, 101, 2), (0, 1_000_000, 0), (1, 7, 7), (0.01, 10**7, 10**5)],
)
def test_a_share_of_the_table_may_be_mended_unasked(
    monkeypatch: pytest.MonkeyPatch, rig: MemoryRig, share: float, items: int, allowed: int
) -> None:
    connections = connect(monkeypatch, rig, budgets=Budgets(max_repairs=share))
    assert reconciling.allowed_repairs(connections, items) == allowed


@pytest.mark.parametrize(
    ("lag_s", "margin_s", "last"),
    [(None, 6, 24), (10.0, 6, 24), (40.0, 6, 60), (100_000.0, 6, 600), (None, 65, 130), (200.0, 65, 300)],
)
def test_the_waits_are_longer_than_two_margins_and_the_lag_and_end(
    monkeypatch: pytest.MonkeyPatch, rig: MemoryRig, lag_s: float | None, margin_s: float, last: float
) -> None:
    connections = connect(monkeypatch, rig, {"margin_s": margin_s})
    assert reconciling.settle_waits_s(connections, plan(lag_s=lag_s)) == (3, 6, 12, last)


# Counting


def test_the_lag_that_the_plan_was_told_has_grown_since_unless_the_indexer_has_moved(
    monkeypatch: pytest.MonkeyPatch, rig: MemoryRig
) -> None:
    """The count may begin much later than the plan; the indexer's position then is the oldest that it can have."""
    connections = connect(monkeypatch, rig)
    rig.clock.pass_s(90)
    assert reconciling.count_ports(connections, plan(lag_s=20.0)).lag_s == 110
    assert reconciling.count_ports(connections, plan()).lag_s is None


@pytest.mark.parametrize(
    ("rules", "is_filtered"), [({}, False), ({"filter": {"all": [{"attribute": "value", "exists": True}]}}, True)]
)
def test_a_filter_is_known_to_the_count(
    monkeypatch: pytest.MonkeyPatch, rules: dict[str, Any], is_filtered: bool
) -> None:
    ports = reconciling.count_ports(connect(monkeypatch, MemoryRig(**rules)), plan())
    assert ports.is_filtered is is_filtered


def test_both_sides_are_counted_to_the_end_and_the_index_after_a_refresh(
    monkeypatch: pytest.MonkeyPatch, rig: MemoryRig
) -> None:
    rig.fill([f"k{number}" for number in range(100)])
    ports = reconciling.count_ports(connect(monkeypatch, rig), plan(total_segments=3))
    count, read_units = ports.count_table()
    assert (count, ports.count_index()) == (103, 103)
    assert read_units == 0.5 * len(rig.items.scans) > 3
    assert {asked["Select"] for asked in rig.items.scans} == {"COUNT"}


@pytest.mark.parametrize("is_consistent", [True, False])
def test_the_count_reads_as_consistently_as_the_target_wants(
    monkeypatch: pytest.MonkeyPatch, rig: MemoryRig, is_consistent: bool
) -> None:
    connections = connect(monkeypatch, rig, budgets=Budgets(consistent_scan=is_consistent))
    reconciling.count_ports(connections, plan()).count_table()
    assert {asked["ConsistentRead"] for asked in rig.items.scans} == {is_consistent}


@pytest.mark.parametrize("is_consistent", [True, False])
def test_a_reading_task_reads_as_consistently_as_the_target_wants(
    monkeypatch: pytest.MonkeyPatch, rig: MemoryRig, tmp_path: Path, is_consistent: bool
) -> None:
    connections = connect(monkeypatch, rig, budgets=Budgets(consistent_scan=is_consistent))
    ports = reconciling.read_ports(connections, plan(), FolderFiles(tmp_path))
    read = read_part(plan(total_segments=1), Part(side="table", number=0, first=0, last=0), ports)
    assert read.rows == 3
    assert {asked["ConsistentRead"] for asked in rig.items.scans} == {is_consistent}


def test_a_large_table_is_counted_in_few_segments(monkeypatch: pytest.MonkeyPatch, rig: MemoryRig) -> None:
    reconciling.count_ports(connect(monkeypatch, rig), plan(total_segments=5_000)).count_table()
    assert {asked["TotalSegments"] for asked in rig.items.scans} == {reconciling.MOST_COUNTING_SEGMENTS}


def test_the_stream_is_asked_since_earlier_by_a_margin_and_what_its_times_are_rounded_by(
    monkeypatch: pytest.MonkeyPatch, rig: MemoryRig
) -> None:
    """An eventually consistent scan, and a worker's clock, are a margin off at most."""
    stream = ScriptedStream(FakeClock())
    stream.add_shard("s1")
    connections = connect(monkeypatch, rig, {"stream_rounding_s": 60, "margin_s": 65})
    monkeypatch.setattr(Aws, "streams_client", lambda _: stream, raising=False)
    for before_s in (126, 124):
        stream.change("s1", f"{before_s}", "INSERT", disorder_s=-before_s)
    changes_since = reconciling.count_ports(connections, plan(subject=subject(stream_arn=ARN))).changes_since
    assert changes_since is not None
    assert changes_since(stream.clock.time_us())().inserted == 1


def test_without_a_stream_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, rig: MemoryRig) -> None:
    connections = connect(monkeypatch, rig)
    assert reconciling.count_ports(connections, plan(subject=subject(stream_arn=None))).changes_since is None


# What else is wrong

INDEXER = IndexerSettings(function="indexer", event_source_mapping="uuid-1")
LETTERS = DeadLetterSettings(queue="letters")


def test_the_mapping_and_the_queue_are_asked_where_the_target_names_them(
    monkeypatch: pytest.MonkeyPatch, rig: MemoryRig
) -> None:
    connections = connect(monkeypatch, rig, {"indexer": INDEXER, "dead_letters": LETTERS})
    asked: list[Any] = []

    def state(client: str, uuid: str, *_: Any) -> str:
        asked.append((client, uuid))
        return "Disabled"

    monkeypatch.setattr(reconciling, "mapping_state", state)
    monkeypatch.setattr(reconciling, "dead_letter_depth", lambda _: Depth(visible=7, in_flight=2))
    seen = reconciling.look_around(connections, plan(lag_s=3.0))
    assert asked == [("lambda_client", "uuid-1")]
    assert (seen.lag_s, seen.mapping_state, seen.dead_letters, seen.problems) == (3.0, "Disabled", 7, ())


@pytest.mark.parametrize("indexer", [None, IndexerSettings(function="indexer")])
def test_nothing_is_asked_where_the_target_names_nothing(
    monkeypatch: pytest.MonkeyPatch, rig: MemoryRig, indexer: IndexerSettings | None
) -> None:
    for name in ("mapping_state", "dead_letter_depth"):
        monkeypatch.setattr(reconciling, name, lambda *_: pytest.fail("asked"))
    seen = reconciling.look_around(connect(monkeypatch, rig, {"indexer": indexer}), plan())
    assert (seen.mapping_state, seen.dead_letters, seen.problems) == (None, None, ())


def test_what_cannot_be_asked_is_said_and_hides_nothing_else(monkeypatch: pytest.MonkeyPatch, rig: MemoryRig) -> None:
    connections = connect(monkeypatch, rig, {"indexer": INDEXER, "dead_letters": LETTERS})

    def refuse(*_: Any) -> Any:
        raise AccessDeniedError("Lambda", "lambda:GetEventSourceMapping", "uuid-1", "403")

    monkeypatch.setattr(reconciling, "mapping_state", refuse)
    monkeypatch.setattr(reconciling, "dead_letter_depth", lambda _: Depth(visible=7, in_flight=0))
    seen = reconciling.look_around(connections, plan())
    assert (seen.mapping_state, seen.dead_letters) == (None, 7)
    (problem,) = seen.problems
    assert "event source mapping could not be asked: Lambda refused lambda:GetEventSourceMapping" in problem
    monkeypatch.setattr(reconciling, "dead_letter_depth", refuse)
    assert len(reconciling.look_around(connections, plan()).problems) == 2
