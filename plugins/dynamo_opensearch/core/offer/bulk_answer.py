"""What one entry of a bulk answer means for its document."""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any


class Verdict(Enum):
    """The end of a document, or why it has none yet."""

    INDEXED = "indexed"
    DELETED = "deleted"
    STALE = "stale"
    """409: the index holds something newer."""
    REJECTED = "rejected"
    """Refused for good."""
    BUSY = "busy"
    """429, a server's fault (5xx), or a write block: send again."""
    NO_INDEX = "no index"
    """The alias led nowhere, or to several indices."""
    DENIED = "denied"
    """The caller may not write here."""
    STRAYED = "strayed"
    """Another index than the intended one took it: the alias was moved."""


@dataclass(frozen=True, slots=True)
class DocumentAnswer:
    """Verdict, the index that answered, and the error's type and reason (which may quote values)."""

    verdict: Verdict
    index: str
    error_type: str
    reason: str


def read_entry(entry: dict[str, dict[str, Any]], expected_index: str) -> DocumentAnswer:
    """The verdict on one action of a bulk request.

    A delete of a document that is not there succeeded: the tombstone is what counts. A 404 with an error is not
    that, but an alias or index that is gone.
    """
    ((verb, result),) = entry.items()
    error = result.get("error")
    index = result.get("_index", expected_index)
    if error is None:
        if index != expected_index:
            return DocumentAnswer(Verdict.STRAYED, index, "", "")
        return _deleted(index) if verb == "delete" else _indexed(index)
    error_type, reason = str(error.get("type", "unknown")), str(error.get("reason", ""))
    return DocumentAnswer(
        _failure(result.get("status", 0), error_type, reason, index, expected_index), index, error_type, reason
    )


def all_indexed(answers: list[DocumentAnswer]) -> bool:
    """Whether every document went well, which is the rule: then they need not be looked at one by one."""
    return bool(answers) and answers[0].verdict is Verdict.INDEXED and answers.count(answers[0]) == len(answers)


@lru_cache(maxsize=64)
def _indexed(index: str) -> DocumentAnswer:
    """One object for all documents that went well: making one for each cost more than reading the answer."""
    return DocumentAnswer(Verdict.INDEXED, index, "", "")


@lru_cache(maxsize=64)
def _deleted(index: str) -> DocumentAnswer:
    return DocumentAnswer(Verdict.DELETED, index, "", "")


def _failure(status: int, error_type: str, reason: str, index: str, expected_index: str) -> Verdict:
    if status == 429 or status >= 500 or (status == 403 and error_type == "cluster_block_exception"):
        return Verdict.BUSY
    if status in (401, 403):
        return Verdict.DENIED
    if error_type == "index_not_found_exception" or reason.startswith("no write index is defined"):
        return Verdict.NO_INDEX
    if index != expected_index:
        return Verdict.STRAYED
    return Verdict.STALE if status == 409 else Verdict.REJECTED
