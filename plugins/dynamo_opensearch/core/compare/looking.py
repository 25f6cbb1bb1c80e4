"""Looking at suspects: each item by a consistent read, each document in real time, whatever was refreshed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from dynamo_opensearch.core.compare.differing import first_difference, is_same_document
from dynamo_opensearch.core.compare.digest import decode_exact, plain_integer, value_digest
from dynamo_opensearch.core.compare.index_side import ShardsFailedError
from dynamo_opensearch.core.compare.join import Kind, Suspect
from dynamo_opensearch.core.compare.key_of_id import is_key_of, is_shortened, key_from_id
from dynamo_opensearch.core.compare.table_side import Depth
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import Document, DocumentBuilder, KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.dynamodb.keyed_reads import BATCH_KEYS, KeyedReader
from dynamo_opensearch.core.opensearch.errors import summarise
from dynamo_opensearch.core.opensearch.patient import PatientCluster


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a suspect saw.

    ``key``: None where no item can have it, or ``is_key_unknown`` (the id is shortened and nothing else tells it).
    ``item_state`` changes when the item does, and ``document_state``, sequence number and primary term, with each
    write. ``field``: the first one that differs. ``is_nobodys``: no item's document has this id and this routing.
    """

    suspect: Suspect
    kind: Kind
    key: KeyValues | None
    is_key_unknown: bool
    item_state: object
    document_state: tuple[int, int] | None
    field: str | None
    is_nobodys: bool = False


@dataclass(frozen=True, slots=True)
class _Stored:
    """A document as it is. ``state`` changes with every write; ``content`` is None where it was not asked for."""

    content: Any
    state: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a document should be: the content that the item makes; refused by the rules; or none at all."""

    item: Item | None = None
    content: Any = None
    is_refused: bool = False

    @property
    def state(self) -> object:
        return self.is_refused or (self.item is not None and value_digest(self.content))


_NOTHING = _Wanted()
_WHOLE: dict[str, Any] = {"_source": True}
_WHERE: dict[str, Any] = {"_source": False, "stored_fields": ["_routing"]}
"""What _mget is to say of a document: all of it, or only under which routing it lies, which it else leaves out."""


class Looker:
    """Looks at suspects of one index, 100 at a time. ``read_units``: what its reads have cost so far. One thread."""

    def __init__(
        self,
        index: str,
        depth: Depth,
        index_routing: str | None,
        key_kinds: Sequence[str],
        builder: DocumentBuilder,
        reader: KeyedReader,
        patient: PatientCluster,
    ) -> None:
        self._index, self._has_content, self._index_routing = index, depth == "content", index_routing
        self._key_kinds, self._builder, self._reader, self._patient = tuple(key_kinds), builder, reader, patient
        self.read_units = 0.0

    def look(self, suspects: Sequence[Suspect]) -> Iterator[Look]:
        """One look at each, in order.

        Raises:
            ShardsFailedError: OpenSearch could not say how a document is.
            ServiceUnavailableError, AccessDeniedError, WorkerClockError: as the reads.
        """
        for start in range(0, len(suspects), BATCH_KEYS):
            group = suspects[start : start + BATCH_KEYS]
            stored = self._documents(group)
            keys = [self._key(suspect, document) for suspect, document in zip(group, stored, strict=True)]
            wanted = self._wanted([key for key in keys if key is not None])
            for suspect, document, key in zip(group, stored, keys, strict=True):
                yield self._judge(suspect, document, key, wanted)

    def _judge(
        self, suspect: Suspect, stored: _Stored | None, key: KeyValues | None, wanted: dict[str, _Wanted]
    ) -> Look:
        is_somebodys = key is not None and (self._builder.routing_of(key) or self._index_routing) == suspect.routing
        want = wanted.get(suspect.id, _NOTHING) if is_somebodys else _NOTHING
        kind, field = self._kind(want, stored)
        is_key_unknown = key is None and is_shortened(suspect.id)
        is_nobodys = not is_somebodys and not is_key_unknown
        state = None if stored is None else stored.state
        return Look(suspect, kind, key, is_key_unknown, want.state, state, field, is_nobodys)

    def _kind(self, want: _Wanted, stored: _Stored | None) -> tuple[Kind, str | None]:
        if want.is_refused:
            return Kind.REFUSED, None
        if want.item is None:
            return (Kind.EQUAL if stored is None else Kind.ORPHANED), None
        if stored is None:
            return Kind.MISSING, None
        if not self._has_content or is_same_document(self._builder, want.item, want.content, stored.content):
            return Kind.EQUAL, None
        return Kind.STALE, first_difference(want.content, stored.content)

    def _wanted(self, keys: Sequence[KeyValues]) -> dict[str, _Wanted]:
        """By id; a key without an item that belongs is not there."""
        found: dict[str, _Wanted] = {}
        for read in self._reader.read(keys):
            self.read_units += read.read_units
            items = {document_id(self._builder.key_of(item)): item for item in read.items}
            built = self._builder.build(read.items)
            found |= {one.id: _Wanted(is_refused=True) for one in built.refused}
            found |= {one.id: _Wanted(items[one.id], _content(one)) for one in built.documents}
        return found

    def _documents(self, suspects: Sequence[Suspect]) -> list[_Stored | None]:
        """As the primary has them now; _mget is real-time."""
        wanted = [
            {"_id": one.id}
            | (_WHOLE if self._has_content or (one.key is None and is_shortened(one.id)) else _WHERE)
            | ({"routing": one.routing} if one.routing else {})
            for one in suspects
        ]
        answer = self._patient.request(
            "POST", f"/{quote(self._index)}/_mget", body=orjson.dumps({"docs": wanted}), decode=decode_exact
        )
        return [self._stored(one, suspect) for one, suspect in zip(answer["docs"], suspects, strict=True)]

    def _stored(self, answer: dict[str, Any], suspect: Suspect) -> _Stored | None:
        """The document, if it is the suspect: another routing may lead to the same shard."""
        if error := answer.get("error"):
            problem = summarise(str(error.get("type", "unknown")), str(error.get("reason", "")))
            raise ShardsFailedError(self._index, "_mget", str(problem))
        if not answer["found"] or answer.get("_routing") != suspect.routing:
            return None
        return _Stored(
            answer.get("_source"), (plain_integer(answer["_seq_no"]), plain_integer(answer["_primary_term"]))
        )

    def _key(self, suspect: Suspect, stored: _Stored | None) -> KeyValues | None:
        if suspect.key is not None:
            return suspect.key
        if not is_shortened(suspect.id):
            return key_from_id(suspect.id, self._key_kinds)
        return None if stored is None else self._key_in(stored.content, suspect.id)

    def _key_in(self, content: Any, document_id_text: str) -> KeyValues | None:
        """The key as the document's fields tell it, if they give this very id."""
        renames = self._builder.rules.renames
        values = [content.get(renames.get(name, name)) for name in self._builder.key_attributes]
        texts = [orjson.dumps(one).decode() if isinstance(one, orjson.Fragment) else one for one in values]
        key = tuple({kind: text} for kind, text in zip(self._key_kinds, texts, strict=True))
        return key if is_key_of(key, document_id_text) else None


def _content(document: Document) -> Any:
    return decode_exact((document.source or b"null").decode())
