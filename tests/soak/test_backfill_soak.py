"""A long backfill under a writer, with killed tasks and a restarted OpenSearch; what came of it in build/soak.json.

SOAK_ITEMS changes the size of the table (100,000; MiniStack takes few writes a second beside a larger one).
"""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support import oracle
from tests.support.soak_results import write_results
from tests.system.airflow_deployment import Deployment, deployed, wait_for
from tests.system.member_writer import Writer
from tools.local import members

ITEMS = int(os.environ.get("SOAK_ITEMS", "100000"))
KILLS = 4

pytestmark = pytest.mark.soak


def test_backfill_under_a_writer_survives_kills_and_a_restart_and_loses_nothing(tmp_path: Path) -> None:
    with deployed(tmp_path) as deployment:
        deployment.change_target(lambda text: text.replace("retry_delay_s: 1", "retry_delay_s: 1\n  retries: 20"))
        # There is no indexer here: all that the writer creates behind the copy's back is left to the comparison.
        deployment.change_target(lambda text: text.replace("budgets:", "budgets:\n  max_repairs: 0.2"))
        deployment.forget_everything(ITEMS)
        with Writer(deployment.dynamodb, first=ITEMS, changed=ITEMS, per_s=100) as writer:
            began_s = time.monotonic()
            run_id = deployment.start(segments=8)
            kills = [kill_a_copy(deployment, run_id) for _ in range(KILLS // 2)]
            deployment.search.kill()
            time.sleep(10)
            deployment.search.start()
            kills += [kill_a_copy(deployment, run_id) for _ in range(KILLS // 2)]
            state = deployment.finish(run_id, timeout_s=1_800)
            seconds = time.monotonic() - began_s
        report = deployment.returned(run_id, "verify")
        written_meanwhile = len(writer.created) + writer.changed
        stale_ids = documents_behind(deployment)
        # Nobody is writing any more: a second run has to bring all that was missed.
        second = deployment.start(segments=8)
        second_state = deployment.finish(second, timeout_s=1_800)
        second_report = deployment.returned(second, "verify")
        left = oracle.differences(expected(deployment), oracle.documents(deployment.search.url, "members-live"))

    write_results(
        "backfill",
        {
            "items": ITEMS,
            "kills_at_scanned": kills,
            "restarts_of_opensearch": 1,
            "seconds": round(seconds, 1),
            "writes_meanwhile": written_meanwhile,
            "writes_per_s": round(writer.changes_per_s, 1),
            "documents_behind_after_the_first_run": stale_ids,
            "first_run": report,
            "second_run": second_report,
            "differences_after_the_second_run": len(left),
        },
    )
    assert (state, second_state) == ("success", "success")
    assert len(kills) == KILLS
    assert writer.changes_per_s > 20
    assert report["offered"] == report["indexed"] + report["deleted"] + report["stale"] + report["rejected"]
    assert ITEMS <= report["scanned"] <= ITEMS + len(writer.created)
    assert stale_ids <= written_meanwhile, "only what was written during the run may be missing or older in the index"
    assert report["mended"] > 0, "what was created behind the copy's back is brought by the comparison"
    assert report["missing"] == report["orphaned"] == 0
    assert (second_report["in_motion"], second_report["mended"]) == (0, 0)
    assert left == []


def expected(deployment: Deployment) -> dict[str, oracle.Plain]:
    return oracle.expected(deployment.dynamodb, members.TABLE, lambda item: str(item["memberId"]))


def documents_behind(deployment: Deployment) -> int:
    """Documents that differ from the table, or are not there: what an indexer would have brought."""
    return len(oracle.differences(expected(deployment), oracle.documents(deployment.search.url, "members-live")))


def kill_a_copy(deployment: Deployment, run_id: str) -> int:
    """SIGKILL a copying process that has saved some progress since it started; how many items it had read."""
    seen: dict[int, int] = {}

    def moving() -> tuple[int, int] | None:
        for task in deployment.tasks(run_id, "copy"):
            saved = deployment.airflow.state(task, "progress")
            if task["state"] != "running" or not task["pid"] or not saved or saved["is_complete"]:
                continue
            if seen.setdefault(task["pid"], saved["scanned"]) < saved["scanned"]:
                return task["pid"], saved["scanned"]
        return None

    pid, scanned = wait_for(moving, 300, "a copy that gets on")
    os.kill(pid, signal.SIGKILL)
    return scanned
