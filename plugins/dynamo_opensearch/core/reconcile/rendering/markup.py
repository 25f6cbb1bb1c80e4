"""HTML and SVG as text in which every text is escaped: what is not ``Html`` goes through ``html.escape``."""

import html
import re
from collections.abc import Iterable

_VOID = frozenset({"br", "hr", "meta"})
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, halves of surrogate pairs, and what turns the direction of the text around it."""
_LONGEST_NAME = 200


class Html(str):
    """Markup that is ready, and is not escaped again."""

    __slots__ = ()


def escape(text: str) -> Html:
    """A text that cannot be read as markup; what cannot be printed is shown as U+FFFD."""
    return text if isinstance(text, Html) else Html(html.escape(_UNPRINTABLE.sub("\ufffd", text)))


def element(name: str, /, *content: str | None, **attributes: str | float | bool | None) -> Html:
    """An element. ``class_`` and ``aria_label`` are the attributes class and aria-label; None and False: none."""
    opening = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{opening}>")
    return Html(f"<{name}{opening}>{together(*content)}</{name}>")


def together(*content: str | None) -> Html:
    """One after the other."""
    return Html("".join(escape(one) for one in content if one is not None))


def each(name: str, contents: Iterable[str], **attributes: str | float | bool | None) -> Html:
    """An element for each content."""
    return together(*(element(name, content, **attributes) for content in contents))


def code(name: str) -> Html:
    """A name that comes from data: set apart from the text around it, and cut where it is very long."""
    shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
    return element("code", shown)


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
