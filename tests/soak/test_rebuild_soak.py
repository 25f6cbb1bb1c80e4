"""Long rebuilds and rollbacks under traffic, an indexer that lags and fails, kills and restarts; what came of them.

Results in build/soak.json. SOAK_REBUILD_ITEMS changes the size of the table (10,000).
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.live_traffic import lags_up_to
from tests.support.soak_results import write_results
from tests.system.airflow_deployment import Deployment, deployed, wait_for
from tests.system.live_members import CLEAN_UP, REINDEX, ROLLBACK, LiveMembers, live_members, unpause_all
from tests.system.rebuilds import (
    assert_written_all_the_time,
    behind,
    kill_each_step,
    rebuild,
    roll_back,
)
from tools.local.airflow_api import FINISHED
from tools.local.esm_faults import FailingShare

ITEMS = int(os.environ.get("SOAK_REBUILD_ITEMS", "10000"))
LEAST_RATE = 200
LONGEST_LAG_S = 30.0
STEPS = {
    "table": (
        "hold",
        "plan",
        "make_index",
        "plan_copy",
        "copy",
        "restore_settings",
        "compare",
        "swap",
        "compare_after",
    ),
    "index": ("hold", "plan", "make_index", "copy_index", "restore_settings", "compare", "swap", "compare_after"),
}

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("rebuild-soak")) as started:
        started.change_target(lambda text: text.replace("retry_delay_s: 1", "retry_delay_s: 1\n  retries: 20"))
        unpause_all(started)
        yield started


@pytest.fixture(autouse=True)
def filled(deployment: Deployment) -> Iterator[None]:
    mapping = deployment.include / "mappings" / "members.json"
    before = mapping.read_text()
    deployment.forget_everything(ITEMS)
    assert deployment.finish(deployment.start()) == "success"
    yield
    mapping.write_text(before)


@pytest.mark.parametrize("source", ["table", "index"])
def test_rebuild_and_rollbacks_under_a_lagging_and_failing_indexer(deployment: Deployment, source: str) -> None:
    with live(deployment) as members:
        first = rebuild(deployment, source=source)
        time.sleep(60)
        back = roll_back(deployment)
        forward = roll_back(deployment, compare_first=True)
        members.settle()

    runs = ((first, REINDEX), (back, ROLLBACK), (forward, ROLLBACK))
    judge(members, f"rebuild from {source}, rolled back a minute later, and forward again", runs)


@pytest.mark.parametrize("source", ["table", "index"])
def test_every_step_killed_once(deployment: Deployment, source: str) -> None:
    with live(deployment) as members:
        run_id = deployment.airflow.trigger(REINDEX, {"source": source})
        killed = kill_each_step(deployment, run_id, STEPS[source])
        assert deployment.finish(run_id, 900, REINDEX) == "success"
        members.settle()

    assert killed == set(STEPS[source])
    judge(members, f"rebuild from {source}, every step killed once", ((run_id, REINDEX),), killed=sorted(killed))


@pytest.mark.parametrize("source", ["table", "index"])
def test_deletes_forgotten_after_a_second_and_opensearch_killed_in_the_middle(
    deployment: Deployment, source: str
) -> None:
    mapping = deployment.include / "mappings" / "members.json"
    mapping.write_text(
        mapping.read_text().replace('"refresh_interval": "1s"', '"refresh_interval": "1s", "gc_deletes": "1s"')
    )
    deployment.search_call("/members-v1/_settings", "PUT", {"index.gc_deletes": "1s"})
    with live(deployment) as members:
        run_id = deployment.airflow.trigger(REINDEX, {"source": source})
        copying = "copy" if source == "table" else "copy_index"
        wait_for(lambda: "running" in deployment.states(run_id, REINDEX).get(copying, set()) or None, 300, "the copy")
        members.reader.tolerates = lambda: True
        deployment.search.kill()
        time.sleep(5)
        deployment.search.start()
        wait_for(lambda: deployment.search_call("/members-live/_count") or None, 60, "OpenSearch")
        members.reader.tolerates = lambda: False
        assert deployment.finish(run_id, 900, REINDEX) == "success"
        back = roll_back(deployment)
        members.settle()

    runs = ((run_id, REINDEX), (back, ROLLBACK))
    judge(members, f"rebuild from {source}, gc_deletes of 1 s, OpenSearch killed in the middle, rolled back", runs)


def test_a_rollback_takes_the_target_from_a_rebuild_and_a_clean_up_races_with_another(deployment: Deployment) -> None:
    with live(deployment) as members:
        rebuild(deployment)
        pre_empted = deployment.airflow.trigger(REINDEX, {"source": "index"})
        wait_for(
            lambda: deployment.states(pre_empted, REINDEX).get("make_index") == {"success"} or None, 300, "a new index"
        )
        back = deployment.airflow.trigger(ROLLBACK, {})
        assert deployment.finish(back, 600, ROLLBACK) == "success"
        assert deployment.finish(pre_empted, 900, REINDEX) == "failed"
        assert behind(deployment, "members-live") == {"members-v1"}
        forward = deployment.airflow.trigger(ROLLBACK, {})
        cleaning = deployment.airflow.trigger(CLEAN_UP)
        assert deployment.finish(forward, 600, ROLLBACK) == "success"
        assert deployment.finish(cleaning, 300, CLEAN_UP) == "success"
        assert behind(deployment, "members-live") == {"members-v2"}
        members.settle()

    judge(members, "rollback against a rebuild, and against a clean-up", ((back, ROLLBACK), (forward, ROLLBACK)))


def test_rolled_back_at_the_end_of_a_shortened_day(deployment: Deployment) -> None:
    keep_h = 300 / 3_600
    with live(deployment) as members:
        run_id = rebuild(deployment, keep_previous_h=keep_h)
        cleanings = []
        ends_s = time.monotonic() + 180
        while time.monotonic() < ends_s:
            cleanings.append(deployment.airflow.trigger(CLEAN_UP))
            wait_for(
                lambda: deployment.airflow.run_state(CLEAN_UP, cleanings[-1]) in FINISHED or None, 120, "a clean-up"
            )
            time.sleep(20)
        assert behind(deployment, "members-live-previous") == {"members-v1"}
        back = roll_back(deployment)
        members.settle()

    judge(members, "rolled back at the end of a shortened day", ((run_id, REINDEX), (back, ROLLBACK)))


def live(deployment: Deployment) -> Any:
    """Traffic as the issue asks for it."""
    return live_members(
        deployment,
        stable=ITEMS,
        churned=2_000,
        per_s=280,
        lag_s=lags_up_to(LONGEST_LAG_S),
        fails=FailingShare(rate=0.01),
    )


def judge(members: LiveMembers, what: str, runs: tuple[tuple[str, str], ...], **more: object) -> None:
    """Both indices equal the table, readers saw nothing, there was traffic all the time; written down."""
    deployment = members.deployment
    members.wait_until_followed(600)
    indices = members.living_indices()
    reader, counts = members.reader, members.mapping.counts
    write_results(
        what,
        {
            "items": ITEMS,
            "writes": members.traffic.kinds.total(),
            "writes_per_s": round(members.traffic.rate(members.traffic.moments[0], members.traffic.moments[-1]), 1),
            "dead_letters_replayed": members.replayed,
            "indexed_records": counts.delivered,
            "searches": reader.searches,
            "gets": reader.gets,
            "errors_that_readers_saw": len(reader.errors),
            "members_that_vanished": len(reader.vanished),
            "differences": {index: len(members.differences(index)) for index in indices},
            "swaps": [deployment.returned(run_id, "swap", dag_id=dag_id)["blocked_s"] for run_id, dag_id in runs],
            **more,
        },
    )
    members.assert_readers_saw_no_gap()
    for run_id, dag_id in runs:
        assert_written_all_the_time(members, run_id, dag_id, LEAST_RATE)
    for index in indices:
        members.assert_equal(index)
