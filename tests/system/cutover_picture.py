"""A picture of a cutover's grid for docs/cutover.md: `python -m tests.system.cutover_picture`. Needs Chromium."""

import sys
import tempfile
import urllib.parse
from pathlib import Path

from tests.support.recording_server import recording
from tests.system.cutovers import CUTOVER, indexer_once_it_is_called, ready_to_go_live
from tests.system.live_members import wait_for_end
from tools.screenshots import IMAGES, browser_page, find_browser

TASKS_SHOWN = "settle_api"


def main() -> int:
    """From nothing to live on the local servers, and its grid."""
    find_browser()
    with tempfile.TemporaryDirectory() as folder, recording() as api:
        api.answer = lambda _request: (200, {})
        with ready_to_go_live(Path(folder), api.url) as deployment, indexer_once_it_is_called(deployment):
            run_id = deployment.airflow.trigger(CUTOVER, {"approval": False})
            if wait_for_end(deployment, run_id, CUTOVER) != "success":
                return 1
            with browser_page() as page:
                page.show(f"{deployment.airflow.url}/dags/{CUTOVER}/runs/{urllib.parse.quote(run_id)}", TASKS_SHOWN)
                page.save(IMAGES / "cutover-run.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
