"""The tasks of a rebuild around the core: what they push, skip, ask, and how they fail."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Asset

from dynamo_opensearch.core.compare.comparison import ComparisonSettings
from dynamo_opensearch.core.compare.join import Found
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.opensearch.errors import ErrorSummary
from dynamo_opensearch.core.rebuild.plan import RebuildPlan
from dynamo_opensearch.core.rebuild.swap import SwapReport
from dynamo_opensearch.core.rebuild.swap_plan import SwapPlan
from dynamo_opensearch.core.rebuild.verdict import IndexNotEqualError
from dynamo_opensearch.core.reports import OfferReport
from dynamo_opensearch.core.state.holder import REBUILD
from dynamo_opensearch.core.stream.position import StreamPosition
from dynamo_opensearch.operators import approval, backfill, compare, rebuild, server_copy, swap
from tests.support.adapters import RUN_ID, FakeConnections, FakeInstance, connect
from tests.support.fakes import NOW_US

PLAN = RebuildPlan(
    target="members",
    source="table",
    table="members",
    table_id="id-1",
    stream_arn="arn",
    items_estimated=3,
    size_bytes=300,
    alias="members-live",
    marker="members-live-next",
    from_index="members-v1",
    from_uuid="uuid-1",
    to_index="members-v2",
    mapping_file="members.json",
    mapping_fingerprint="m",
    rules_fingerprint="r",
    resumes=False,
    follow_from_us=NOW_US - 5,
    began_us=NOW_US,
    keep_previous_h=24.0,
    uses_write_block=True,
)
PREPARED = {"index": "members-v2", "uuid": "uuid-2", "is_loosened": True}
SECRET = "ada@example.org"


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeConnections:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    return connect(monkeypatch)


@pytest.fixture
def instance() -> FakeInstance:
    return FakeInstance()


# Plan, copies


def test_the_plan_of_the_swap_is_pushed_beside_that_of_the_rebuild(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "rebuild_plan_ports", lambda *_: None)
    monkeypatch.setattr(rebuild, "plan_rebuild", lambda *_: PLAN)
    returned = rebuild.PlanRebuildOperator(task_id="plan", target="members").execute(instance.context)
    assert RebuildPlan.from_json(returned) == PLAN
    planned = SwapPlan.from_json(instance.pushed["swap"])
    assert planned == PLAN.swap_plan(RUN_ID)
    assert (planned.from_index, planned.to_index, planned.keep_h) == ("members-v1", "members-v2", 24.0)


def test_what_the_form_says_reaches_the_plan(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def planned(*arguments: Any) -> RebuildPlan:
        asked.append(arguments)
        return PLAN

    monkeypatch.setattr(rebuild, "rebuild_plan_ports", lambda *_: None)
    monkeypatch.setattr(rebuild, "plan_rebuild", planned)
    operator = rebuild.PlanRebuildOperator(
        task_id="plan", target="members", source="index", mapping="orders.json", keep_previous_h="1.5"
    )
    operator.execute(instance.context)
    _, mapping, _, _, wishes, run_id, _ = asked[0]
    assert mapping.file == "orders.json"
    assert (wishes.source, wishes.keep_previous_h, run_id) == ("index", 1.5, RUN_ID)


def test_where_the_follower_begins_is_noted_before_the_marker_shows_it_the_index(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[Any] = []

    def make(*_: Any) -> Any:
        noted.append(connections.state("starts").load())
        return SimpleNamespace(to_json=lambda: PREPARED)

    monkeypatch.setattr(rebuild, "make_next_index", make)
    operator = rebuild.MakeNextIndexOperator(task_id="make_index", target="members", plan=PLAN.to_json())
    assert operator.execute(instance.context) == PREPARED
    start = StreamPosition(not_before_us=PLAN.follow_from_us).to_json()
    assert noted == [{"members-v2": start}]


def test_the_copy_that_is_not_wanted_is_skipped_and_asks_nothing(
    connections: FakeConnections, instance: FakeInstance
) -> None:
    by_server = server_copy.CopyIndexOperator(
        task_id="copy_index", target="members", plan={}, prepared={}, is_wanted=False
    )
    with pytest.raises(AirflowSkipException):
        by_server.execute(instance.context)
    from_table = backfill.PlanBackfillOperator(task_id="plan_copy", target="members", is_wanted=False)
    assert from_table.execute(instance.context) == []
    assert connections.servers.requests == []
    assert instance.pushed == {}


def test_a_killed_copy_by_the_server_is_cancelled_and_one_that_never_began_is_not(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[tuple[str, str]] = []

    def cancel(settings: Any, _: Any) -> int:
        cancelled.append((settings.run_id, settings.to_index))
        return 1

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(server_copy, "cancel_reindex", cancel)
    monkeypatch.setattr(server_copy, "copy_by_reindex", killed)
    operator = server_copy.CopyIndexOperator(
        task_id="copy_index", target="members", plan=PLAN.to_json(), prepared=PREPARED
    )
    operator.on_kill()
    assert cancelled == []
    with pytest.raises(KeyboardInterrupt):
        operator.execute(instance.context)
    operator.on_kill()
    assert cancelled == [(RUN_ID, "members-v2")]


# Comparison


def report(**counts: int) -> ComparisonReport:
    """Three items; ``counts`` of what stays different."""
    missing, stale, orphaned = (counts.get(kind, 0) for kind in ("missing", "stale", "orphaned"))
    return ComparisonReport(
        index="members-v2",
        depth="content",
        table_count=3,
        index_count=3 - missing + orphaned,
        skipped=0,
        found=Found(equal=3 - missing - stale, missing=missing, stale=stale, orphaned=orphaned),
        missing=missing,
        orphaned=orphaned,
        stale=stale,
        refused_later=0,
        in_motion=0,
        mended=0,
        unsettled=counts.get("unsettled", 0),
        rejected=counts.get("rejected", 0),
        offers=OfferReport(),
        read_units=1.5,
        seconds=0.1,
        samples={"missing": (SECRET,)} if missing else {},
    )


Offer = Callable[[Callable[[Sequence[Reject]], None]], None]


def compared(
    monkeypatch: pytest.MonkeyPatch, instance: FakeInstance, found: ComparisonReport, offer: Offer = lambda _: None
) -> Any:
    """What the operator makes of a comparison that found this; ``offer`` gets where rejects are stored."""
    stored: list[Callable[[Sequence[Reject]], None]] = []
    settings = ComparisonSettings(index="members-v2", depth="content", max_mends=1_000)
    monkeypatch.setattr(compare, "comparison_settings", lambda *_: settings)
    monkeypatch.setattr(compare, "comparison_ports", lambda _c, _i, on_rejects: stored.append(on_rejects))

    def looked(*_: Any) -> ComparisonReport:
        offer(stored[0])
        return found

    monkeypatch.setattr(compare, "compare", looked)
    operator = compare.CompareIndexOperator(task_id="compare", target="members", index="members-v2")
    return operator.execute(instance.context)


def reject(document_id: str) -> Reject:
    return Reject(
        key=({"S": document_id},),
        document=Document(document_id, None, b'{"email":"x"}', ({"S": document_id},)),
        index="members-v2",
        stamp_us=NOW_US,
        summary=ErrorSummary("mapper_parsing_exception", "points", "integer"),
        reason="cannot be parsed",
    )


def rejected_ids(folder: Path) -> list[str]:
    return [
        line.split('"id":"')[1].split('"')[0]
        for file in sorted(folder.rglob("part-*.ndjson"))
        for line in file.read_text().splitlines()
    ]


def test_equal_sides_pass_and_the_comparison_is_handed_on_as_text(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = compared(monkeypatch, instance, report())
    assert value["is_equal"]
    assert instance.pushed == {"began_us": connections.clock.time_us(), "text": str(report())}


def test_no_comparison_is_made_where_none_is_wanted(connections: FakeConnections, instance: FakeInstance) -> None:
    operator = compare.CompareIndexOperator(
        task_id="compare_before", target="members", index="members-v2", is_wanted=False
    )
    assert operator.execute(instance.context) is None
    assert connections.servers.requests == []
    assert instance.pushed == {}


@pytest.mark.parametrize(("allowed", "different"), [(0, 1), (2, 3)])
def test_more_differences_than_allowed_fail_for_good_and_the_text_is_there_all_the_same(
    monkeypatch: pytest.MonkeyPatch, instance: FakeInstance, tmp_path: Path, allowed: int, different: int
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    connections = connect(monkeypatch)
    budgets = connections.target.budgets.model_copy(update={"max_rejects": allowed})
    connect(monkeypatch, {"budgets": budgets})
    with pytest.raises(AirflowFailException, match=f"{different} missing in the index") as failed:
        compared(monkeypatch, instance, report(missing=different))
    assert isinstance(failed.value.__cause__, IndexNotEqualError)
    assert "missing in the index" in instance.pushed["text"]


@pytest.mark.parametrize(
    ("counts", "says", "says_not"),
    [
        ({"missing": 1}, ["looked at again and again", "Correct the items", "the indexer runs"], ["reconciliation"]),
        ({"orphaned": 1}, ["At most 1,000 documents", "depth `keys` and repair `apply`"], ["refused", "Correct"]),
        ({"missing": 1, "orphaned": 1}, ["reconciliation", "Correct the items"], []),
        ({"missing": 2, "unsettled": 2}, ["2 of them were not settled"], ["again and again"]),
    ],
)
def test_the_message_says_what_to_do_about_each_kind_of_difference(
    connections: FakeConnections,
    instance: FakeInstance,
    monkeypatch: pytest.MonkeyPatch,
    counts: dict[str, int],
    says: list[str],
    says_not: list[str],
) -> None:
    with pytest.raises(AirflowFailException) as failed:
        compared(monkeypatch, instance, report(**counts))
    assert [words for words in says if words not in str(failed.value)] == []
    assert [words for words in says_not if words in str(failed.value)] == []


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({}, ("members-v2", "content", None)),
        ({"depth": "keys", "read_units_per_s": "2.5"}, ("members-v2", "keys", 2.5)),
    ],
)
def test_the_depth_is_content_unless_keys_are_asked_for_and_the_runs_own_pace_is_handed_on(
    connections: FakeConnections,
    instance: FakeInstance,
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, Any],
    asked: tuple[str, str, float | None],
) -> None:
    seen: list[Any] = []

    def settings(_: Any, *wishes: Any) -> ComparisonSettings:
        seen.append(wishes)
        return ComparisonSettings(index="members-v2", depth="keys")

    monkeypatch.setattr(compare, "comparison_settings", settings)
    monkeypatch.setattr(compare, "comparison_ports", lambda *_: None)
    monkeypatch.setattr(compare, "compare", lambda *_: report())
    operator = compare.CompareIndexOperator(task_id="compare", target="members", index="members-v2", **arguments)
    operator.execute(instance.context)
    assert seen == [asked]


def test_as_many_differences_as_allowed_pass(monkeypatch: pytest.MonkeyPatch, instance: FakeInstance) -> None:
    connections = connect(monkeypatch)
    connect(monkeypatch, {"budgets": connections.target.budgets.model_copy(update={"max_rejects": 2})})
    assert compared(monkeypatch, instance, report(missing=2))["missing"] == 2


def test_ids_are_neither_logged_nor_pushed_as_they_are(
    connections: FakeConnections,
    instance: FakeInstance,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(AirflowFailException) as failed:
        compared(monkeypatch, instance, report(missing=1))
    logged = capsys.readouterr().out
    assert "missing, for example: " in logged
    assert SECRET not in logged + str(failed.value) + str(instance.pushed)


@pytest.mark.parametrize("show_keys", [True, False])
def test_ids_are_shown_where_the_target_says_so(
    monkeypatch: pytest.MonkeyPatch, instance: FakeInstance, show_keys: bool
) -> None:
    connections = connect(monkeypatch)
    budgets = connections.target.budgets.model_copy(update={"max_rejects": 5})
    connect(monkeypatch, {"budgets": budgets, "show_keys": show_keys})
    value = compared(monkeypatch, instance, report(missing=1))
    assert (SECRET in value["samples"]["missing"]) == show_keys
    assert len(value["samples"]["missing"][0]) == (len(SECRET) if show_keys else 12)


def test_what_the_index_refuses_is_stored_for_its_owner_and_the_message_says_where(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offer(store: Callable[[Sequence[Reject]], None]) -> None:
        store([reject("a"), reject("b")])
        store([reject("c")])

    with pytest.raises(AirflowFailException) as failed:
        compared(monkeypatch, instance, report(missing=3, rejected=3), offer)
    assert rejected_ids(tmp_path / "reports") == ["a", "b", "c"]
    (folder,) = {file.parent for file in (tmp_path / "reports").rglob("part-*")}
    assert str(folder) in str(failed.value)
    assert folder.stat().st_mode & 0o077 == 0


def test_the_rejects_of_an_earlier_try_do_not_stay(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def earlier(store: Callable[[Sequence[Reject]], None]) -> None:
        store([reject("a")])
        store([reject("b")])

    with pytest.raises(AirflowFailException):
        compared(monkeypatch, instance, report(missing=2, rejected=2), earlier)
    with pytest.raises(AirflowFailException):
        compared(monkeypatch, instance, report(missing=1, rejected=1), lambda store: store([reject("c")]))
    assert rejected_ids(tmp_path / "reports") == ["c"]
    compared(monkeypatch, instance, report())
    assert rejected_ids(tmp_path / "reports") == []


# Approval


def approve(*, is_wanted: bool = True) -> approval.ApproveSwapOperator:
    return approval.ApproveSwapOperator(
        task_id="approve",
        target="members",
        plan=PLAN.to_json(),
        prepared=PREPARED,
        is_wanted=is_wanted,
        subject="Swap?",
    )


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """The indices that were removed: marker, name, UUID."""
    done: list[tuple[str, str, str]] = []
    monkeypatch.setattr(approval, "remove_next_index", lambda _, *which: done.append(which))
    return done


def answered(option: str) -> dict[str, Any]:
    """As Airflow hands on a person's answer."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return {"chosen_options": [option], "params_input": {}, "responded_at": at, "responded_by_user": None}


UNANSWERED = {"error": "The response timeout has passed.", "error_type": "timeout"}


def test_nobody_is_asked_where_no_approval_is_wanted(
    instance: FakeInstance, monkeypatch: pytest.MonkeyPatch, removed: list[Any]
) -> None:
    def asked(*_: Any) -> None:
        pytest.fail("somebody was asked")

    monkeypatch.setattr(ApprovalOperator, "execute", asked)
    assert approve(is_wanted=False).execute(instance.context) is None
    assert removed == []


def test_somebody_is_asked_where_an_approval_is_wanted(instance: FakeInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ApprovalOperator, "execute", lambda self, _: asked.append(self.task_id))
    approve().execute(instance.context)
    assert asked == ["approve"]


def test_an_approval_lets_the_swap_follow(
    connections: FakeConnections, instance: FakeInstance, removed: list[Any]
) -> None:
    approve().execute_complete(instance.context, answered("Approve"))
    assert removed == []


@pytest.mark.parametrize(
    ("event", "cause", "words"),
    [
        (answered("Reject"), HITLRejectException, "was rejected"),
        (UNANSWERED, HITLTimeoutError, "was not answered in time"),
    ],
    ids=["rejected", "unanswered"],
)
def test_without_an_approval_the_new_index_is_removed_and_the_task_fails_once(
    connections: FakeConnections,
    instance: FakeInstance,
    removed: list[Any],
    event: dict[str, Any],
    cause: type[Exception],
    words: str,
) -> None:
    with pytest.raises(AirflowFailException, match=words) as failed:
        approve().execute_complete(instance.context, event)
    assert isinstance(failed.value.__cause__, cause)
    assert "still leads to 'members-v1'" in str(failed.value)
    assert removed == [("members-live-next", "members-v2", "uuid-2")]


def test_an_index_that_cannot_be_removed_now_does_not_make_a_rejection_an_approval(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise PassingError("away")

    monkeypatch.setattr(approval, "remove_next_index", away)
    with pytest.raises(PassingError):
        approve().execute_complete(instance.context, answered("Reject"))


# Swap


def test_the_swap_notes_where_the_replaced_index_is_followed_from_before_it_moves_the_alias(
    connections: FakeConnections, instance: FakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = SwapReport(alias="members-live", from_index="members-v1", to_index="members-v2", blocked_s=0.1)
    steps: list[str] = []

    def move(*_: Any) -> SwapReport:
        steps.append("moved")
        return done

    monkeypatch.setattr(swap, "note_previous_start", lambda *_: steps.append("noted"))
    monkeypatch.setattr(swap, "swap_ports", lambda *_: None)
    monkeypatch.setattr(swap, "swap", move)
    asset = Asset(name="members-live")
    operator = swap.SwapAliasOperator(
        task_id="swap",
        target="members",
        purpose=REBUILD,
        swap_plan=PLAN.swap_plan(RUN_ID).to_json(),
        outlets=[asset],
    )
    events = {asset: SimpleNamespace(extra={})}
    context: Any = {**instance.context, "outlet_events": events}
    assert operator.execute(context) == asdict(done)
    assert steps == ["noted", "moved"]
    assert events[asset].extra == asdict(done)
    assert connections.state("holder").load()["run_id"] == RUN_ID
