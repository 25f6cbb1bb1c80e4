"""What is looked at last before the alias moves: gaps of the stream, and counts of a rollback."""

import pytest

from dynamo_opensearch.core.follow.caught_up import StreamGapError, check_no_gap
from dynamo_opensearch.core.follow.state import FollowState
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.counts import CountsApartError, count_for_rollback, refused_documents
from dynamo_opensearch.core.rebuild.rollback import RollbackPlan
from dynamo_opensearch.core.stream.reader import Gap
from tests.support.fake_cluster import FakeCluster
from tests.support.fakes import FakeClock, quick_retry

PLAN = RollbackPlan(
    target="members",
    alias="members-live",
    from_index="members-v2",
    from_uuid="u2",
    to_index="members-v1",
    to_uuid="u1",
    properties=AliasProperties(),
    uses_write_block=True,
    keep_previous_h=24,
    began_us=1,
)


def state(**more: object) -> FollowState:
    return FollowState(stream_arn="arn", **more)  # type: ignore[arg-type]


def counted(from_count: int, to_count: int) -> PatientCluster:
    cluster = FakeCluster()
    for index, count in ((PLAN.from_index, from_count), (PLAN.to_index, to_count)):
        cluster.routes[f"/{index}/_refresh"] = {"_shards": {"failed": 0}}
        cluster.routes[f"/{index}/_count"] = {"count": count, "_shards": {"failed": 0}}
    return PatientCluster(cluster, FakeClock(), quick_retry())


def test_records_lost_after_the_comparison_stop_the_swap() -> None:
    with pytest.raises(StreamGapError, match="1 gap"):
        check_no_gap(state(gaps=(Gap("shard-1", "17", 2_000),)), "members-v2", 1_000)


def test_records_lost_before_the_comparison_were_found_by_it() -> None:
    check_no_gap(state(gaps=(Gap("shard-1", "17", 999),)), "members-v2", 1_000)
    check_no_gap(None, "members-v2", 1_000)


def test_counts_that_lie_together_let_the_rollback_go_on() -> None:
    counts = count_for_rollback(counted(10_000, 9_810), PLAN, refused=0, max_repairs=0.01)
    assert (counts.from_count, counts.to_count, counts.allowed) == (10_000, 9_810, 200)


@pytest.mark.parametrize("to_count", [9_799, 10_201])
def test_counts_that_lie_apart_stop_it(to_count: int) -> None:
    with pytest.raises(CountsApartError, match="compare_first"):
        count_for_rollback(counted(10_000, to_count), PLAN, refused=0, max_repairs=0.01)


def test_documents_that_the_previous_index_refused_explain_a_lower_count() -> None:
    refused = refused_documents(state(rejects={"members-v1": {"a": 3, "b": 4}, "members-v2": {"a": 9}}), "members-v1")
    assert refused == 7
    count_for_rollback(counted(10_000, 9_793), PLAN, refused=refused, max_repairs=0.01)
