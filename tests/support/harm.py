"""Documents written past everything, so that index and table differ in ways that a test knows by name.

Nothing here imports dynamo_opensearch.
"""

import hashlib
import json
import random
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from tests.support import oracle

TypedItem = dict[str, dict[str, Any]]
NESTED: dict[str, Any] = {
    "dynamic": False,
    "properties": {"address": {"type": "nested"}, "price": {"type": "double"}},
}
"""A mapping with a nested field, and with a number that OpenSearch indexes as a double."""

_LONGEST_ID, _PREFIX = 512, 446
_AT_ONCE = 1_000


class Difference(NamedTuple):
    """What a report has to say of one document; ``field``: the first one that differs."""

    id: str
    kind: str
    field: str | None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A table and its documents. ``values``: of the key of item ``number``, as boto3 takes them.

    With ``is_filtered`` every tenth item does not belong; with ``is_routed`` a document's routing is its partition key.
    """

    kinds: tuple[str, ...] = ("S",)
    values: Callable[[int], tuple[Any, ...]] = lambda number: (f"k{number:06}",)
    is_filtered: bool = False
    is_routed: bool = False
    is_unversioned: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key's attributes."""
        return ("PK", "SK")[: len(self.kinds)]

    @property
    def rules(self) -> dict[str, Any]:
        """As a target's file has them under ``documents``."""
        wanted = {"all": [{"attribute": "status", "equals": "on"}]}
        return ({"filter": wanted} if self.is_filtered else {}) | ({"routing": "PK"} if self.is_routed else {})

    def item(self, number: int) -> TypedItem:
        """Item ``number``, with a number of 38 digits and a nested field."""
        values = zip(self.key, self.kinds, self.values(number), strict=True)
        return {
            **{name: {kind: value} for name, kind, value in values},
            "price": {"N": f"{number % 9 + 1}2345678901234567890.12345678901234567{number % 8 + 1}"},
            "status": {"S": "on" if self.belongs(number) else "off"},
            "address": {"M": {"city": {"S": f"city {number % 13}"}, "geo": {"M": {"lat": {"N": "51.5"}}}}},
            "tags": {"SS": ["a", "b", f"t{number % 5}"]},
        }

    def belongs(self, number: int) -> bool:
        """Whether the index has a document of it."""
        return not self.is_filtered or number % 10 != 9

    def document_id(self, plain: oracle.Plain) -> str:
        """Of an item's document."""
        return document_id([plain[name] for name in self.key])

    def document(self, number: int) -> "Document":
        """As it should be."""
        plain = oracle.plain_item(self.item(number))
        return Document(self.document_id(plain), str(plain["PK"]) if self.is_routed else None, plain)


class Document(NamedTuple):
    """What is in an index, or is to be written there."""

    id: str
    routing: str | None
    content: oracle.Plain


def document_id(values: Iterable[Any]) -> str:
    """By the rule that docs and readers go by: escaped, joined, and cut with a hash where it is too long."""
    text = "|".join(str(value).replace("%", "%25").replace("|", "%7C") for value in values)
    encoded = text.encode()
    if len(encoded) <= _LONGEST_ID:
        return text
    return encoded[:_PREFIX].decode(errors="ignore") + "%~" + hashlib.sha256(encoded).hexdigest()


def _escaped(number: int) -> tuple[str, str]:
    """Separators and escapes in both parts; every seventh one is longer than an id may be."""
    return f"c|{number % 97}%7C%", f"%~{number}|" + ("é" * 300 if number % 7 == 3 else "%25")


def _numbers(number: int) -> tuple[str, bytes]:
    first = f"-{number}.5" if number % 2 else f"{number + 1}00000000000000000000000000000001"
    return first, number.to_bytes(4, "big") + b"|%\xff"


SHAPES = {
    "plain": Shape(),
    "escaped and hashed ids": Shape(kinds=("S", "S"), values=_escaped),
    "number and binary keys": Shape(kinds=("N", "B"), values=_numbers),
    "filtered and routed": Shape(kinds=("S", "S"), values=_escaped, is_filtered=True, is_routed=True),
    "unversioned": Shape(is_unversioned=True),
}


@dataclass(frozen=True, kw_only=True)
class Harm:
    """Numbers of items. ``orphans``: their documents are written, and there are no such items that belong."""

    deleted: tuple[int, ...] = ()
    orphans: tuple[int, ...] = ()
    nested: tuple[int, ...] = ()
    digits: tuple[int, ...] = ()

    @classmethod
    def among(cls, shape: Shape, items: int, *, deleted: int, orphans: int, nested: int, digits: int) -> "Harm":
        """So many of each, here and there in a table of so many items, and some that are not in it."""
        chance = random.Random(items)
        mine = [number for number in range(items) if shape.belongs(number)]
        others = [number for number in range(items) if not shape.belongs(number)]
        chosen = chance.sample(mine, deleted + nested + digits)
        beyond = [number for number in range(items, items + 2 * orphans) if shape.belongs(number)]
        return cls(
            deleted=tuple(chosen[:deleted]),
            orphans=tuple((others[: orphans // 3] + beyond)[:orphans]),
            nested=tuple(chosen[deleted : deleted + nested]),
            digits=tuple(chosen[deleted + nested :]),
        )

    def differences(self, shape: Shape, depth: str = "content") -> set[Difference]:
        """What a report of this depth has to say, and nothing else."""
        found = {Difference(shape.document(number).id, "missing", None) for number in self.deleted}
        found |= {Difference(shape.document(number).id, "orphaned", None) for number in self.orphans}
        if depth == "content":
            found |= {Difference(shape.document(number).id, "stale", "address.geo.lat") for number in self.nested}
            found |= {Difference(shape.document(number).id, "stale", "price") for number in self.digits}
        return found

    def counts(self, shape: Shape, depth: str = "content") -> dict[str, int]:
        """By kind."""
        return dict(Counter(one.kind for one in self.differences(shape, depth)))

    def do(self, shape: Shape, url: str, index: str) -> None:
        """Write it."""
        delete_documents(url, index, [shape.document(number) for number in self.deleted])
        write_documents(url, index, [*self._written(shape)])

    def _written(self, shape: Shape) -> Iterator[Document]:
        for number in self.orphans:
            yield shape.document(number)
        for number in self.nested:
            document = shape.document(number)
            document.content["address"]["geo"]["lat"] += 1
            yield document
        for number in self.digits:
            document = shape.document(number)
            document.content["price"] = neighbour(document.content["price"])
            yield document


def neighbour(number: Decimal) -> Decimal:
    """Another number of as many digits, 38, that is the same as a double."""
    text = str(number)
    other = Decimal(text[:-1] + str(int(text[-1]) + 1))
    assert len(number.as_tuple().digits) == len(other.as_tuple().digits) == 38
    assert other != number
    assert float(other) == float(number)
    return other


def write_documents(url: str, index: str, documents: Sequence[Document]) -> None:
    """As they are, with all digits of their numbers; without versions, so that each goes up by one."""
    _bulk(url, index, [[_target("index", one), exact_json(one.content)] for one in documents])


def delete_documents(url: str, index: str, documents: Sequence[Document]) -> None:
    """They are there before."""
    _bulk(url, index, [[_target("delete", one)] for one in documents])


def _target(verb: str, document: Document) -> bytes:
    routing = {} if document.routing is None else {"routing": document.routing}
    return json.dumps({verb: {"_id": document.id} | routing}).encode()


def _bulk(url: str, index: str, actions: list[list[bytes]]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for start in range(0, len(actions), _AT_ONCE):
        body = b"".join(line + b"\n" for action in actions[start : start + _AT_ONCE] for line in action)
        request = urllib.request.Request(
            f"{url}/{index}/_bulk", data=body, headers={"Content-Type": "application/x-ndjson"}
        )
        with opener.open(request, timeout=120) as answer:
            items = json.loads(answer.read())["items"]
        statuses = Counter(one["status"] for item in items for one in item.values())
        assert statuses.keys() <= {200, 201}, statuses


def exact_json(value: Any) -> bytes:
    """JSON with all digits of Decimal numbers."""
    if isinstance(value, Decimal):
        return f"{value:f}".encode()
    if isinstance(value, Mapping):
        return b"{" + b",".join(exact_json(name) + b":" + exact_json(it) for name, it in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(exact_json, value)) + b"]"
    return json.dumps(value).encode()
