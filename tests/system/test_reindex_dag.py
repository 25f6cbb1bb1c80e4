"""The rebuild from end to end in a running Airflow, under traffic, judged by what the servers hold afterwards."""

from collections.abc import Iterator

import pytest

from tests.system.airflow_deployment import Deployment, deployed
from tests.system.live_members import REINDEX, live_members, unpause_all, wait_for_end

ITEMS = 3_000


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("reindex")) as started:
        unpause_all(started)
        yield started


@pytest.fixture(autouse=True)
def filled(deployment: Deployment) -> None:
    deployment.forget_everything(ITEMS)
    assert deployment.finish(deployment.start()) == "success"


def test_rebuild_from_the_table_under_traffic_ends_equal_and_readers_see_no_gap(deployment: Deployment) -> None:
    with live_members(deployment, stable=ITEMS) as live:
        run_id = deployment.airflow.trigger(REINDEX, {"source": "table"})
        assert wait_for_end(deployment, run_id, REINDEX) == "success"
        live.settle()

    live.assert_readers_saw_no_gap()
    live.assert_equal("members-live")
    assert "members-v2" in deployment.search_call("/_alias/members-live")
