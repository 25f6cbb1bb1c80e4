"""The body of a bulk request, as bytes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import orjson

from dynamo_opensearch.core.offer.reading import Reading

VersionType = Literal["external", "external_gte"]

ANSWER_FIELDS = "errors,items.*._index,items.*.status,items.*.error.type,items.*.error.reason"
"""``filter_path``: one entry for each action stays, in order, at a tenth of the full answer's size."""

GUARD = b'{"index":{"_id":"dynamo-opensearch-require-alias","if_seq_no":9007199254740991,"if_primary_term":1}}\n{}\n'
"""An action that never succeeds, before a body of deletes only.

OpenSearch does not hold a delete to ``require_alias``, and one with an external version creates the index that it does
not find (seen on 3.8.0). One other action in the body keeps it from that. This one wants a document to be at a sequence
number that none has, so it ends in a conflict and writes nothing.
"""


def encode_bulk(readings: Iterable[Reading], version_type: VersionType) -> bytes:
    """Newline-delimited actions and sources; a document without source becomes a delete. Led by ``GUARD`` if all do.

    ``external_gte`` is for sending again what may have been carried out: it meets its own version as indexed.
    """
    dumps = orjson.dumps
    parts: list[bytes] = []
    add = parts.append
    has_source = False
    for reading in readings:
        version = b',"version":%d,"version_type":"%s"' % (reading.stamp_us, version_type.encode())
        for document_id, routing, source, _ in reading.documents:
            target = dumps(document_id) + version
            if routing is not None:
                target += b',"routing":' + dumps(routing)
            if source is None:
                add(b'{"delete":{"_id":' + target + b"}}\n")
            else:
                has_source = True
                add(b'{"index":{"_id":' + target + b"}}\n" + source + b"\n")
    if not has_source:
        parts.insert(0, GUARD)
    return b"".join(parts)


def without_guard(body: bytes, entries: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The entries of an answer to ``body`` that are of documents."""
    return entries[1:] if body.startswith(GUARD) else entries


class Seen(NamedTuple):
    """A document as it stood when it was looked at."""

    seq_no: int
    primary_term: int


def encode_conditional(readings: Iterable[Reading], seen: Mapping[str, Seen]) -> bytes:
    """Actions that succeed only if nobody has written since: ``create`` for a document that was not seen.

    A document without source must have been seen.
    """
    parts: list[bytes] = []
    for reading in readings:
        for document_id, routing, source, _ in reading.documents:
            target: dict[str, str | int] = {"_id": document_id}
            if routing is not None:
                target["routing"] = routing
            state = seen.get(document_id)
            if state is not None:
                target |= {"if_seq_no": state.seq_no, "if_primary_term": state.primary_term}
            if source is None:
                parts.append(orjson.dumps({"delete": target}) + b"\n")
            else:
                parts.append(orjson.dumps({"create" if state is None else "index": target}) + b"\n" + source + b"\n")
    return b"".join(parts)
