"""Sample pages of reconciliations, to look at: `python -m tools.reconciliation_pages [FOLDER]`.

Writes one page for each situation to build/reconciliation-pages/, and with Chromium on the PATH pictures of them (wide
and narrow, light and dark, on paper) and those of docs/images.
"""

import base64
import json
import sys
from pathlib import Path

from tools.local import paths

sys.path.append(str(paths.ROOT / "plugins"))

from dynamo_opensearch.core.reconcile.page import render_page
from tools.reconciliation_samples import situations
from tools.screenshots import IMAGES, BrowserMissingError, Page, browser_page, find_browser

FOLDER = paths.BUILD / "reconciliation-pages"
LAST_WORDS = "About this run"
SHOWN = (
    "different",
    {"reconciliation-page.png": "main > :nth-child(-n+3)", "reconciliation-nights.png": "section:has(.charts)"},
)
"""The page that the documents show, and what of it."""
_MARGIN = 10
_PLACE = """(() => {
    const all = [...document.querySelectorAll(%s)].map(one => one.getBoundingClientRect());
    return [Math.min(...all.map(one => one.top)), Math.max(...all.map(one => one.bottom))];
})()"""


def write_pages(folder: Path) -> list[Path]:
    """Every page."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, one, earlier, differences_file in situations():
        page = folder / f"{name}.html"
        page.write_text(render_page(one, earlier, differences_file=differences_file), encoding="utf-8")
        written.append(page)
    return written


def take_pictures(page: Page, file: Path) -> None:
    """One page: wide and narrow, light and dark, whole; and on paper."""
    for width in (1200, 400):
        for scheme in ("light", "dark"):
            show(page, file, width, scheme)
            height = page.call("Page.getLayoutMetrics")["cssContentSize"]["height"]
            save(page, file.with_suffix(f".{width}.{scheme}.png"), width, 0, height)
    paper = page.call("Page.printToPDF", printBackground=True)
    file.with_suffix(".pdf").write_bytes(base64.b64decode(paper["data"]))


def take_shown(page: Page, folder: Path) -> None:
    """The pictures of the documents."""
    name, parts = SHOWN
    show(page, folder / f"{name}.html", 1200, "light")
    for picture, selector in parts.items():
        place = page.call("Runtime.evaluate", expression=_PLACE % json.dumps(selector), returnByValue=True)
        top, bottom = place["result"]["value"]
        save(page, IMAGES / picture, 1200, max(0, top - _MARGIN), bottom - top + 2 * _MARGIN)


def show(page: Page, file: Path, width: int, scheme: str) -> None:
    """The whole page, so wide, in the light or dark scheme."""
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.call("Emulation.setScrollbarsHidden", hidden=True)
    page.show(file.as_uri(), LAST_WORDS)


def save(page: Page, file: Path, width: int, top: float, height: float) -> None:
    """A strip of the page as PNG."""
    clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
    shot = page.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
    file.write_bytes(base64.b64decode(shot["data"]))


def main() -> int:
    """Write the pages and take their pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    written = write_pages(folder)
    print(f"{len(written)} pages are in {folder}")
    try:
        find_browser()
    except BrowserMissingError as error:
        print(f"No pictures: {error}")
        return 0
    with browser_page() as page:
        for file in written:
            take_pictures(page, file)
        take_shown(page, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
