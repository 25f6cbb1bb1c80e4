"""Bulk requests through one alias: waited out, sent again and bisected until each document has its answer."""

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from dynamo_opensearch.core.backoff import Backoff
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.errors import ServiceUnavailableError
from dynamo_opensearch.core.offer.bulk_answer import DocumentAnswer, Verdict, all_indexed, read_entry
from dynamo_opensearch.core.offer.bulk_request import ANSWER_FIELDS, without_guard
from dynamo_opensearch.core.offer.destination import BulkAnswerError, Destination
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.reading import Batch, Reading, ToRead, count_documents, halves
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.offer.tally import Tally
from dynamo_opensearch.core.opensearch.cluster import PASSING_STATUSES, Cluster
from dynamo_opensearch.core.opensearch.errors import (
    SERVICE,
    ConnectionLostError,
    OpenSearchRequestError,
    RequestDeniedError,
    summarise,
)

log = logging.getLogger(__name__)

PAGE_AGE_LIMIT_S = 30.0
"""OpenSearch forgets a delete after index.gc_deletes (60 s); an older page could bring a deleted document back."""

_MAYBE_APPLIED = frozenset({500, 502, 504})
"""Statuses of a server that has lost sight of the request."""

Encode = Callable[[Batch, bool], bytes]
"""The body for a batch; the flag says that an earlier request with these documents may have been carried out."""

OnEnd = Callable[[Reading, list[Document], Verdict], None]
"""Told of the documents that are INDEXED, DELETED or STALE."""


@dataclass(slots=True)
class _Work:
    """Documents still to be sent. ``may_be_applied``: an earlier request with them got no answer."""

    batch: Batch
    may_be_applied: bool = False


@dataclass(slots=True)
class _Unsettled:
    """What one answer leaves to do: documents to send again, and those that another index took."""

    busy: Batch = field(default_factory=list)
    busy_reason: str = ""
    no_index: bool = False
    strayed: dict[tuple[int, str], list[Document]] = field(default_factory=lambda: defaultdict(list))


class Delivery:
    """Sends batches through one alias. Thread-safe."""

    def __init__(
        self,
        cluster: Cluster,
        destination: Destination,
        limit: InFlightLimit,
        clock: Clock,
        answer_timeout_s: float,
    ) -> None:
        self._cluster, self._destination, self._limit, self._clock = cluster, destination, limit, clock
        self._answer_timeout_s = answer_timeout_s

    def deliver(self, batch: Batch, encode: Encode, tally: Tally, backoff: Backoff, on_end: OnEnd) -> list[ToRead]:
        """Send until every document has ended, was refused for good (``tally`` counts that), or must be read again.

        Read again must be what has grown too old to be sent, and what another index took.

        Raises:
            ServiceUnavailableError: OpenSearch took none of what is left for longer than the retry policy waits.
            AccessDeniedError: it refuses the caller.
            AliasLostError: the alias is gone.
            BulkAnswerError: an answer does not fit its request.
        """
        to_read: list[ToRead] = []
        todo = [_Work(batch)]
        while todo:
            work = self._without_aged(todo.pop(), tally, to_read)
            if not work.batch:
                continue
            try:
                answers = self._request(work, encode)
            except ConnectionLostError as error:
                self.wait(backoff, error.problem, error)
                todo.append(_again(work, tally, may_be_applied=True))
            except OpenSearchRequestError as error:
                todo += self._after_refusal(work, error, backoff, tally)
            else:
                left = self._settle(work, answers, tally, on_end)
                if count_documents(left.busy) < len(answers):
                    backoff.reset()
                todo += self._after_answer(work, left, backoff, tally, to_read)
        return to_read

    def wait(self, backoff: Backoff, problem: str, cause: Exception | None) -> None:
        """Wait for the next try.

        Raises:
            ServiceUnavailableError: the retry policy's time is up.
        """
        if not backoff.wait():
            raise ServiceUnavailableError(
                SERVICE,
                f"bulk writes to {self._destination.alias!r}",
                backoff.attempts,
                backoff.waited_s,
                problem,
            ) from cause
        log.info("OpenSearch bulk: %s, attempt %d follows", problem, backoff.attempts + 1)

    def _request(self, work: _Work, encode: Encode) -> list[DocumentAnswer]:
        """One bulk request."""
        left_s = max(0.1, PAGE_AGE_LIMIT_S - max(map(self._age_s, work.batch)))
        body = encode(work.batch, work.may_be_applied)
        began_s = self._clock.monotonic_s()
        refused = True
        try:
            answer = self._cluster.request(
                "POST",
                f"/{self._destination.alias}/_bulk",
                params={
                    "filter_path": ANSWER_FIELDS,
                    "require_alias": "true",
                    "timeout": f"{left_s * 1000:.0f}ms",
                },
                body=body,
                timeout_s=left_s + self._answer_timeout_s,
            )
            if not isinstance(answer, dict):
                raise ConnectionLostError("the answer is no JSON object")
            refused = False
        finally:
            self._limit.record_answer(self._clock.monotonic_s() - began_s, refused=refused)
        entries = without_guard(body, answer.get("items", []))
        if len(entries) != (sent := count_documents(work.batch)):
            raise BulkAnswerError(sent, len(entries))
        expected = [reading.index for reading in work.batch for _ in reading.documents]
        return [read_entry(entry, index) for entry, index in zip(entries, expected, strict=True)]

    def _settle(self, work: _Work, answers: list[DocumentAnswer], tally: Tally, on_end: OnEnd) -> _Unsettled:
        """Count the ends; collect what has none."""
        left = _Unsettled()
        position = 0
        for reading in work.batch:
            mine = answers[position : position + len(reading.documents)]
            position += len(mine)
            if all_indexed(mine):
                on_end(reading, reading.documents, Verdict.INDEXED)
                continue
            again: list[Document] = []
            for document, answer in zip(reading.documents, mine, strict=True):
                verdict = answer.verdict
                if verdict is Verdict.BUSY or verdict is Verdict.NO_INDEX:
                    again.append(document)
                    left.busy_reason = str(summarise(answer.error_type, answer.reason))
                    left.no_index |= verdict is Verdict.NO_INDEX
                elif verdict is Verdict.STRAYED:
                    left.strayed[reading.ticket, answer.index].append(document)
                elif verdict is Verdict.REJECTED:
                    tally.reject(reading.ticket, _reject(document, reading, answer.error_type, answer.reason))
                elif verdict is Verdict.DENIED:
                    raise RequestDeniedError("POST", "bulk writes", answer.index, answer.error_type)
                else:
                    on_end(reading, [document], verdict)
            if again:
                left.busy.append(reading.with_documents(again))
        return left

    def _after_answer(
        self, work: _Work, left: _Unsettled, backoff: Backoff, tally: Tally, to_read: list[ToRead]
    ) -> list[_Work]:
        for (ticket, index), documents in left.strayed.items():
            tally.effort(ticket, "strayed", len(documents))
            to_read.append(ToRead(documents, index, ticket))
        if not left.busy:
            return []
        self._limit.record_answer(0, refused=True)
        if left.no_index:
            self._destination.check_is_there()
        self.wait(backoff, left.busy_reason, None)
        return [_again(_Work(left.busy, work.may_be_applied), tally)]

    def _after_refusal(self, work: _Work, error: OpenSearchRequestError, backoff: Backoff, tally: Tally) -> list[_Work]:
        """The whole request was refused: wait, or find the documents that are to blame."""
        if error.status in PASSING_STATUSES or error.status == 403:
            self.wait(backoff, f"{error.status} {error.summary}", error)
            return [_again(work, tally, may_be_applied=error.status in _MAYBE_APPLIED)]
        if error.status not in (400, 413):
            raise error
        if count_documents(work.batch) > 1:
            left, right = halves(work.batch)
            return [_Work(right, work.may_be_applied), _Work(left, work.may_be_applied)]
        (reading,) = work.batch
        tally.reject(reading.ticket, _reject(reading.documents[0], reading, error.error_type, error.reason))
        return []

    def _age_s(self, reading: Reading) -> float:
        return self._clock.monotonic_s() - reading.begun_s

    def _without_aged(self, work: _Work, tally: Tally, to_read: list[ToRead]) -> _Work:
        """The same documents, without those that have grown too old to be sent."""
        young: Batch = []
        for reading in work.batch:
            if self._age_s(reading) <= PAGE_AGE_LIMIT_S:
                young.append(reading)
            else:
                tally.effort(reading.ticket, "reread", len(reading.documents))
                to_read.append(ToRead(reading.documents, reading.index, reading.ticket))
        return _Work(young, work.may_be_applied)


def _again(work: _Work, tally: Tally, *, may_be_applied: bool = False) -> _Work:
    for reading in work.batch:
        tally.effort(reading.ticket, "resent", len(reading.documents))
    return _Work(work.batch, work.may_be_applied or may_be_applied)


def _reject(document: Document, reading: Reading, error_type: str, reason: str) -> Reject:
    return Reject(document.key, document, reading.index, reading.stamp_us, summarise(error_type, reason), reason)
