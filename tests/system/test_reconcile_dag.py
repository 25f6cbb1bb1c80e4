"""Reconciliations from end to end in a running Airflow, judged by what the servers hold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import oracle
from tests.system.airflow_deployment import Deployment, deployed
from tests.system.live_members import wait_for_end
from tools.local import members

RECONCILE = "members_reconcile"
ITEMS = 3_000
INDEX = "members-v1"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("reconcile")) as started:
        started.airflow.wait_for_dag(RECONCILE)
        started.airflow.unpause(RECONCILE)
        yield started


@pytest.fixture(autouse=True)
def filled(deployment: Deployment) -> None:
    deployment.forget_everything(ITEMS)
    assert deployment.finish(deployment.start()) == "success"


def reconcile(deployment: Deployment, **conf: object) -> tuple[str, str, dict[str, Any]]:
    """A run: its id, its state and its report."""
    run_id = deployment.airflow.trigger(RECONCILE, conf)
    state = wait_for_end(deployment, run_id, RECONCILE)
    return run_id, state, deployment.returned(run_id, "report", dag_id=RECONCILE)


def spoil(deployment: Deployment) -> None:
    """Past the package: 12 documents deleted, 7 orphans, 5 with another city."""
    for number in range(12):
        deployment.search_call(f"/{INDEX}/_doc/{members.member_id(number)}", method="DELETE")
    for number in range(7):
        deployment.search_call(f"/{INDEX}/_doc/ghost-{number}", method="PUT", body={"memberId": f"ghost-{number}"})
    for number in range(20, 25):
        body = {"script": {"source": "ctx._source.address.city = 'Atlantis'"}}
        deployment.search_call(f"/{INDEX}/_update/{members.member_id(number)}", method="POST", body=body)
    deployment.search_call(f"/{INDEX}/_refresh", method="POST")


def differences(deployment: Deployment) -> list[str]:
    """By the oracle."""
    wanted = oracle.expected(deployment.dynamodb, members.TABLE, lambda item: str(item[members.HASH_KEY]))
    return oracle.differences(wanted, oracle.documents(deployment.search.url, INDEX))


def files_of(deployment: Deployment, run_id: str) -> Path:
    """Where the run keeps its files."""
    (folder,) = (deployment.airflow_home / "reports" / "reconcile" / "members").glob(
        run_id[:10].replace(":", "_") + "*"
    )
    return folder


def test_equal_sides_are_green_at_every_depth_and_say_so(deployment: Deployment) -> None:
    for depth, gate in (("approximate", "skipped"), ("count", "success"), ("keys", "success"), ("content", "success")):
        run_id, state, report = reconcile(deployment, depth=depth)
        assert state == "success", depth
        assert deployment.states(run_id, RECONCILE)["gate"] == {gate}
        assert report["verdict"] == ("approximate" if depth == "approximate" else "equal")
        assert report["index_count"] == ITEMS


def test_differences_are_red_with_their_numbers_then_planned_then_mended(deployment: Deployment) -> None:
    spoil(deployment)
    assert len(differences(deployment)) == 24

    run_id, state, report = reconcile(deployment, depth="count")
    assert (state, report["differences"]) == ("failed", 5)
    run_id, state, report = reconcile(deployment, depth="content", repair="plan")
    assert state == "failed"
    assert report["by_kind"] == {"missing": 12, "orphaned": 7, "stale": 5, "refused": 0}
    assert report["comparison"]["differing_fields"] == {"address.city": 5}
    gate = deployment.log(run_id, "gate", RECONCILE)
    assert "12 missing, 7 orphaned, 5 stale" in gate
    assert "apply" in gate
    assert len(differences(deployment)) == 24

    run_id, state, report = reconcile(deployment, depth="content", repair="apply")
    assert (state, report["mended"], report["differences"]) == ("success", 24, 0)
    assert differences(deployment) == []
