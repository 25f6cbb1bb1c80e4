"""Sending one batch until each of its documents has come to an end: the one function that every DAG ends in."""

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.errors import PermanentError, ServiceUnavailableError
from dynamo_opensearch.core.offer.bulk_answer import DocumentAnswer, Verdict, read_entry
from dynamo_opensearch.core.offer.bulk_request import ANSWER_FIELDS, encode_bulk
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.reading import Batch, Reading, count_documents, halves
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.offer.tally import Tally, TicketResult
from dynamo_opensearch.core.opensearch.cluster import PASSING_STATUSES, Cluster
from dynamo_opensearch.core.opensearch.errors import (
    SERVICE,
    ConnectionLostError,
    OpenSearchRequestError,
    summarise,
)

log = logging.getLogger(__name__)

PAGE_AGE_LIMIT_S = 30.0
"""OpenSearch forgets a delete after index.gc_deletes (60 s); an older page could bring a deleted document back."""

_MAYBE_APPLIED = frozenset({502, 504})
"""Statuses of a gateway that has lost sight of the request."""


class BulkAnswerError(PermanentError):
    """A bulk answer with another number of entries than the request had actions."""

    def __init__(self, sent: int, answered: int) -> None:
        super().__init__(sent, answered)
        self.sent, self.answered = sent, answered

    def __str__(self) -> str:
        return (
            f"OpenSearch answered {self.answered} of {self.sent} actions of a bulk request; is there a proxy between?"
        )


class AliasLostError(PermanentError):
    """Nothing is behind the alias that the documents were written to."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.alias = alias

    def __str__(self) -> str:
        return (
            f"alias {self.alias!r} was removed while documents were written to it; no index was created in its place. "
            "Start this DAG again, it will plan anew."
        )


class Sender(Protocol):
    """Sends a batch. Thread-safe."""

    def send(self, batch: Batch) -> list[TicketResult]:
        """What became of each document, by page."""
        ...


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a batch goes. ``alias`` carries the writes (``require_alias``); ``index_behind`` looks it up again."""

    alias: str
    index_behind: Callable[[], str | None]


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


class BulkSender:
    """Offers with external versions. ``send`` may be called from several threads, and twice for the same documents."""

    def __init__(
        self,
        cluster: Cluster,
        destination: Destination,
        refresher: Refresher,
        limit: InFlightLimit,
        clock: Clock,
        retry: RetryPolicy,
        answer_timeout_s: float = 60.0,
    ) -> None:
        self._cluster, self._destination, self._refresher = cluster, destination, refresher
        self._limit, self._clock, self._retry = limit, clock, retry
        self._answer_timeout_s = answer_timeout_s

    def send(self, batch: Batch) -> list[TicketResult]:
        """Send until every document is indexed, deleted, stale or rejected.

        Raises:
            ServiceUnavailableError: OpenSearch took none of what is left for longer than the retry policy waits.
            AccessDeniedError: it refuses the caller.
            AliasLostError: the alias is gone.
            BulkAnswerError: an answer does not fit its request.
        """
        tally = Tally(batch)
        todo = [_Work(batch)]
        backoff = Backoff(self._retry, self._clock)
        while todo:
            work = self._freshened(todo.pop(), tally)
            try:
                answers = self._request(work)
            except ConnectionLostError as error:
                self._wait(backoff, error.problem, error)
                todo.append(self._again(work, tally, may_be_applied=True))
            except OpenSearchRequestError as error:
                todo += self._after_refusal(work, error, backoff, tally)
            else:
                left = self._settle(work, answers, tally)
                if count_documents(left.busy) < len(answers):
                    backoff = Backoff(self._retry, self._clock)
                todo += self._after_answer(work, left, backoff, tally)
        return tally.results()

    def _request(self, work: _Work) -> list[DocumentAnswer]:
        """One bulk request. Empty batches cost none."""
        sent = count_documents(work.batch)
        if not sent:
            return []
        left_s = max(0.1, PAGE_AGE_LIMIT_S - self._age_s(work.batch))
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
                body=encode_bulk(work.batch, "external_gte" if work.may_be_applied else "external"),
                timeout_s=left_s + self._answer_timeout_s,
            )
            refused = False
        finally:
            self._limit.record_answer(self._clock.monotonic_s() - began_s, refused=refused)
        entries = answer.get("items", [])
        if len(entries) != sent:
            raise BulkAnswerError(sent, len(entries))
        expected = [reading.index for reading in work.batch for _ in reading.documents]
        return [read_entry(entry, index) for entry, index in zip(entries, expected, strict=True)]

    def _settle(self, work: _Work, answers: list[DocumentAnswer], tally: Tally) -> _Unsettled:
        """Count the ends; collect what has none."""
        left = _Unsettled()
        position = 0
        for reading in work.batch:
            again: list[Document] = []
            for document in reading.documents:
                answer = answers[position]
                position += 1
                verdict = answer.verdict
                if verdict is Verdict.BUSY or verdict is Verdict.NO_INDEX:
                    again.append(document)
                    left.busy_reason = str(summarise(answer.error_type, answer.reason))
                    left.no_index |= verdict is Verdict.NO_INDEX
                elif verdict is Verdict.STRAYED:
                    left.strayed[reading.ticket, answer.index].append(document)
                elif verdict is Verdict.REJECTED:
                    tally.reject(reading.ticket, _reject(document, reading, answer.error_type, answer.reason))
                else:
                    tally.end(reading.ticket, verdict)
            if again:
                left.busy.append(reading.with_documents(again))
        return left

    def _after_answer(self, work: _Work, left: _Unsettled, backoff: Backoff, tally: Tally) -> list[_Work]:
        todo = []
        for (ticket, index), documents in left.strayed.items():
            tally.effort(ticket, "strayed", len(documents))
            todo.append(_Work(self._read_again(documents, index, ticket, tally)))
        if left.busy:
            self._limit.record_answer(0, refused=True)
            if left.no_index and self._destination.index_behind() is None:
                raise AliasLostError(self._destination.alias)
            self._wait(backoff, left.busy_reason, None)
            todo.append(self._again(_Work(left.busy, work.may_be_applied), tally))
        return todo

    def _after_refusal(self, work: _Work, error: OpenSearchRequestError, backoff: Backoff, tally: Tally) -> list[_Work]:
        """The whole request was refused: wait, or find the documents that are to blame."""
        if error.status in PASSING_STATUSES or error.status == 403:
            self._wait(backoff, f"{error.status} {error.summary}", error)
            return [self._again(work, tally, may_be_applied=error.status in _MAYBE_APPLIED)]
        if error.status not in (400, 413):
            raise error
        if count_documents(work.batch) > 1:
            left, right = halves(work.batch)
            return [_Work(right, work.may_be_applied), _Work(left, work.may_be_applied)]
        (reading,) = work.batch
        tally.reject(reading.ticket, _reject(reading.documents[0], reading, error.error_type, error.reason))
        return []

    def _again(self, work: _Work, tally: Tally, *, may_be_applied: bool = False) -> _Work:
        for reading in work.batch:
            tally.effort(reading.ticket, "resent", len(reading.documents))
        return _Work(work.batch, work.may_be_applied or may_be_applied)

    def _wait(self, backoff: Backoff, problem: str, cause: Exception | None) -> None:
        if not backoff.wait():
            raise ServiceUnavailableError(
                SERVICE,
                f"bulk writes to {self._destination.alias!r}",
                backoff.attempts,
                backoff.waited_s,
                problem,
            ) from cause
        log.info("OpenSearch bulk: %s, attempt %d follows", problem, backoff.attempts + 1)

    def _age_s(self, batch: Batch) -> float:
        return self._clock.monotonic_s() - min(reading.begun_s for reading in batch)

    def _freshened(self, work: _Work, tally: Tally) -> _Work:
        """The same documents, those that have grown too old to be sent read again."""
        now_s = self._clock.monotonic_s()
        if all(now_s - reading.begun_s <= PAGE_AGE_LIMIT_S for reading in work.batch):
            return work
        fresh: Batch = []
        for reading in work.batch:
            if now_s - reading.begun_s <= PAGE_AGE_LIMIT_S:
                fresh.append(reading)
            else:
                tally.effort(reading.ticket, "reread", len(reading.documents))
                fresh += self._read_again(reading.documents, reading.index, reading.ticket, tally)
        return _Work(fresh, work.may_be_applied)

    def _read_again(self, documents: list[Document], index: str, ticket: int, tally: Tally) -> Batch:
        batch: Batch = []
        for outcome in self._refresher.read_again(documents, index, ticket):
            if isinstance(outcome, Reject):
                tally.reject(ticket, outcome)
            elif outcome.documents:
                batch.append(outcome)
        return batch


def _reject(document: Document, reading: Reading, error_type: str, reason: str) -> Reject:
    return Reject(document.key, document, reading.index, reading.stamp_us, summarise(error_type, reason), reason)
