"""How each kind of difference looks, by colour and by pattern; legends, and the sign of a verdict."""

from dataclasses import dataclass

from dynamo_opensearch.core.reconcile.rendering.markup import Html, element, together
from dynamo_opensearch.core.reconcile.report import KINDS, Verdict


@dataclass(frozen=True)
class Mark:
    """A kind of difference in words; its colour is the CSS variable of its name."""

    name: str
    title: str
    meaning: str

    @property
    def fill(self) -> str:
        """What a shape is filled with."""
        return f"url(#fill-{self.name})"


MISSING = Mark("missing", "missing", "items whose document is not in the index")
ORPHANED = Mark("orphaned", "orphaned", "documents without an item that belongs")
STALE = Mark("stale", "stale", "documents that are not as their items make them")
REFUSED = Mark("refused", "refused", "items of which the field rules make no document")
UNKNOWN = Mark("unknown", "not known by kind", "by how much the counts differ beyond what was written meanwhile")
MENDED = Mark("mended", "mended", "found and mended in the same run")

BY_KIND = dict(zip(KINDS, (MISSING, ORPHANED, STALE, REFUSED), strict=True))
_PATTERNS = {
    "missing": "",
    "orphaned": "M-2 2 l4 -4 M0 8 l8 -8 M6 10 l4 -4",
    "stale": "M2 2 h.01 M6 6 h.01",
    "refused": "M0 2 h8 M0 6 h8",
    "unknown": "M-2 2 l4 -4 M0 8 l8 -8 M6 10 l4 -4",
    "mended": "M2 0 v8 M6 0 v8",
}
_SIGNS: dict[Verdict, str] = {
    "equal": "M13 24.5 l7.5 7.5 L35.5 16.5",
    "different": "M14 19.5 h20 M14 28.5 h20 M30 13 L18 35",
    "in motion": "M13 19 h19 m-6 -6 l6 6 -6 6 M35 30 h-19 m6 -6 l-6 6 6 6",
    "approximate": "M13 21 q5.5 -6 11 -1.5 t11 -1.5 M13 31 q5.5 -6 11 -1.5 t11 -1.5",
}


def fills() -> Html:
    """The patterns, once for the whole page."""
    patterns = (
        element(
            "pattern",
            element("rect", width=8, height=8, class_=f"ground {name}"),
            element("path", d=path, class_=f"figure {name}"),
            id=f"fill-{name}",
            width=8,
            height=8,
            patternUnits="userSpaceOnUse",
        )
        for name, path in _PATTERNS.items()
    )
    return element(
        "svg", element("defs", *patterns), class_="fills", width=0, height=0, aria_hidden="true", focusable="false"
    )


def swatch(mark: Mark) -> Html:
    """A small piece of a mark's bar."""
    rectangle = element("rect", x=1, y=1, width=14, height=12, rx=2, fill=mark.fill, class_=f"bar {mark.name}")
    return element("svg", rectangle, class_="swatch", width=16, height=14, aria_hidden="true")


def sign(verdict: Verdict) -> Html:
    """The verdict as a picture."""
    return element(
        "svg",
        element("circle", cx=24, cy=24, r=22),
        element("path", d=_SIGNS[verdict]),
        class_="sign",
        viewBox="0 0 48 48",
        width=48,
        height=48,
        aria_hidden="true",
    )


def legend(*entries: Html) -> Html:
    """Entries side by side."""
    return element("ul", *(element("li", entry) for entry in entries), class_="legend")


def legend_entry(picture: Html, text: str, value: str = "") -> Html:
    """A picture, what it stands for, and the number of this run."""
    return together(picture, element("span", text), element("b", value) if value else None)
