"""Pictures of a finished backfill in Airflow's UI for README.md: `python -m tools.screenshots`.

Needs Chromium (Debian: `apt install chromium`), driven headless over its own debugging protocol. SCREENSHOT_ITEMS says
how many members are copied (20,000).
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tools.local import demo, http, paths
from tools.local.airflow_api import DagMissingError
from tools.local.lifetime import ended_in_order, only_one
from tools.local.processes import ServerError

IMAGES = paths.ROOT / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
WIDTH, HEIGHT = 1440, 900
WAIT_S = 60.0
SETTLE_S = 2.0


class BrowserMissingError(RuntimeError):
    """No Chromium on the search path."""

    def __str__(self) -> str:
        return f"none of {', '.join(BROWSERS)} is on the PATH; on Debian: apt install chromium"


class PageError(RuntimeError):
    """A page never showed what it should."""

    def __init__(self, url: str, wanted: str, shown: str) -> None:
        super().__init__(url, wanted, shown)
        self.url, self.wanted, self.shown = url, wanted, shown

    def __str__(self) -> str:
        return f"{self.url} did not show {self.wanted!r} within {WAIT_S:.0f} s, but:\n{self.shown[:2_000]}"


class Page:
    """One tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One call of the protocol and its result; events are passed over."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while (answer := json.loads(self._connection.recv(timeout=WAIT_S))).get("id") != self._number:
            pass
        result: dict[str, Any] = answer["result"]
        return result

    def text(self) -> str:
        """What a reader sees."""
        result = self.call("Runtime.evaluate", expression="document.body ? document.body.innerText : ''")
        return str(result["result"].get("value", ""))

    def show(self, url: str, wanted: str) -> None:
        """Go there and wait until the text is on the page.

        Raises:
            PageError: it did not come.
        """
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + WAIT_S
        while wanted not in (shown := self.text()):
            if time.monotonic() > deadline:
                raise PageError(url, wanted, shown)
            time.sleep(0.5)
        time.sleep(SETTLE_S)

    def save(self, file: Path) -> None:
        """What is on the screen now, as PNG."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


def find_browser() -> str:
    """The path of a Chromium.

    Raises:
        BrowserMissingError: there is none.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise BrowserMissingError
    return found


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of a browser of its own, which ends with the context."""
    command = find_browser()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [command, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_page_address(Path(profile)), max_size=None) as connection:
                yield Page(connection)
        finally:
            process.terminate()
            process.wait()


def _page_address(profile: Path) -> str:
    told = profile / "DevToolsActivePort"
    deadline = time.monotonic() + WAIT_S
    while not told.exists() or not told.read_text().strip():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the browser did not start within {WAIT_S:.0f} s")
        time.sleep(0.1)
    port = told.read_text().splitlines()[0]
    pages = http.call(f"http://127.0.0.1:{port}/json/list")
    return str(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))


def take_pictures(page: Page, stack: demo.Stack) -> None:
    """The run's grid, and the log of its last task."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    runs = stack.airflow.call(f"/dags/{demo.DAG_ID}/dagRuns")["dag_runs"]
    run = f"{stack.airflow.url}/dags/{demo.DAG_ID}/runs/{urllib.parse.quote(runs[-1]['dag_run_id'])}"
    page.show(run, "restore_settings")
    page.save(IMAGES / "backfill-run.png")
    page.show(f"{run}/tasks/verify", "documents offered")
    page.save(IMAGES / "backfill-verify.png")


def main() -> int:
    """Run a small backfill and take its pictures."""
    find_browser()
    count = int(os.environ.get("SCREENSHOT_ITEMS", "20000"))
    with ended_in_order(), only_one(demo.FOLDER), demo.servers() as stack:
        demo.load(stack.dynamodb, count)
        if not demo.backfill(stack):
            return 1
        with browser_page() as page:
            take_pictures(page, stack)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; everything is stopped.")
    except (BrowserMissingError, PageError, ServerError, DagMissingError) as error:
        sys.exit(str(error))
