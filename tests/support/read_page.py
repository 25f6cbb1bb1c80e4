"""A page as its reader's browser takes it apart, with the standard library's parser."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"meta", "br", "hr", "link", "img", "input", "source", "embed", "base"})


@dataclass
class Element:
    """One element; ``text``: all that is in it, inner elements included."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    inner: list["Element"] = field(default_factory=list)

    def all(self, name: str, class_: str = "") -> list["Element"]:
        """The elements of that name below it, with that class if one is asked for, in the order of the page."""
        found = []
        for one in self.inner:
            if one.name == name and (not class_ or class_ in one.attributes.get("class", "").split()):
                found.append(one)
            found += one.all(name, class_)
        return found

    def first(self, name: str, class_: str = "") -> "Element":
        return self.all(name, class_)[0]

    def everything(self) -> list["Element"]:
        """Each element below it."""
        return [one for inner in self.inner for one in (inner, *inner.everything())]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("#page", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inner.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> ends <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def read_page(text: str) -> Element:
    """The page, after a look at its nesting.

    Raises:
        AssertionError: an element is not closed, or not where it should be.
    """
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [reader.root], f"not closed: {[one.name for one in reader.open[1:]]}"
    return reader.root
