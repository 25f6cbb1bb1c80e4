"""One batch of stream records into the index behind the alias, until each key has come to its end."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import Document, DocumentBuilder, KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedRead
from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.offer.bulk_answer import DocumentAnswer, Verdict
from dynamo_opensearch.core.opensearch.cluster import PASSING_STATUSES, Cluster
from dynamo_opensearch.core.opensearch.errors import (
    ConnectionLostError,
    OpenSearchRequestError,
    RequestDeniedError,
    summarise,
)
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.indexer.bulk import Offer, write
from dynamo_opensearch.indexer.changes import NOT_AS_EXPECTED, KeyWork, read_event
from dynamo_opensearch.indexer.conflict import stored_version
from dynamo_opensearch.indexer.deadline import Deadline
from dynamo_opensearch.indexer.leading_index import Leading, LeadingIndex
from dynamo_opensearch.indexer.report import BatchReport, Outcome

log = logging.getLogger(__name__)

MOST_ROUNDS = 5
"""Conflicts that one key may meet; each is answered by a read and another offer."""


class ItemReader(Protocol):
    """Reads keys of the table, strongly consistent (``KeyedReader``)."""

    def read(self, keys: Sequence[KeyValues]) -> Iterator[KeyedRead]:
        """Groups of keys with their items."""
        ...


@dataclass(frozen=True, kw_only=True)
class IndexerPorts:
    """What a batch needs. ``reader_for``: a reader that keeps to this retry policy."""

    cluster: Cluster
    leading: LeadingIndex
    reader_for: Callable[[RetryPolicy], ItemReader]
    clock: Clock


class Indexer:
    """Indexes batches of one table's stream, one after the other. A batch may be indexed twice."""

    def __init__(
        self, ports: IndexerPorts, *, table: str, alias: str, key_attributes: Sequence[str], stamps: StampRule
    ) -> None:
        self._ports, self._table, self._alias = ports, table, alias
        self._key_attributes, self._margin_us = tuple(key_attributes), round(stamps.margin_s * 1e6)

    def index(self, event: Mapping[str, Any], remaining_s: float) -> BatchReport:
        """Write what the event's records say; what could not be written is among the report's ``failures``.

        Raises:
            MalformedEventError: not a batch of a stream.
            AccessDeniedError, TableMissingError, AliasIsIndexError, AliasAmbiguousError, TransformError and other
                permanent errors that concern every record: a person is needed.
        """
        latest_us = self._ports.clock.time_us() + self._margin_us
        work, malformed = read_event(event, self._key_attributes, self._table, latest_us)
        outcome = Outcome()
        for record in malformed:
            outcome.fail([record.sequence_number], f"malformed record: {record.problem}")
        deadline = Deadline(self._ports.clock, remaining_s)
        _Run(self._ports, self._alias, self._margin_us, deadline, outcome).through(work)
        report = outcome.report(len(event["Records"]), len(work))
        _log(report, outcome)
        return report


class _Built(NamedTuple):
    """A key's document; or why it has none."""

    document: Document | None
    problem: str = ""


class _Run:
    """One batch."""

    def __init__(self, ports: IndexerPorts, alias: str, margin_us: int, deadline: Deadline, outcome: Outcome) -> None:
        self._ports, self._alias, self._margin_us = ports, alias, margin_us
        self._deadline, self._outcome = deadline, outcome

    def through(self, work: list[KeyWork]) -> None:
        """Offer every key's state, and again, until each has ended or the time is up."""
        while work:
            try:
                leading = self._ports.leading.look_up(self._deadline.request_s)
            except (ConnectionLostError, OpenSearchRequestError) as error:
                work = self._waited(work, _passing_problem(error))
                continue
            offers, left = self._offers(work, leading)
            work = left + self._settled(offers, leading)

    def _offers(self, work: list[KeyWork], leading: Leading) -> tuple[list[Offer], list[KeyWork]]:
        """The documents of all keys by the leading index's rules; and what is left of keys that gave none."""
        readable, items = self._read(work, leading.builder)
        offers: list[Offer] = []
        left: list[KeyWork] = []
        for one in readable:
            built = _build(one, items, leading.builder)
            if built.document is None:
                left += self._without_last(one, built.problem)
            else:
                offers.append(Offer(one, built.document))
        return offers, left

    def _read(self, work: list[KeyWork], builder: DocumentBuilder) -> tuple[list[KeyWork], dict[str, Item]]:
        """The items of keys that must be read, by document id; and the work without what could not be read."""
        keys = [one.last.key for one in work if one.must_read]
        try:
            reader = self._ports.reader_for(self._deadline.retry_policy())
            items = [item for read in reader.read(keys) for item in read.items] if keys else []
        except PassingError as error:
            for one in work:
                if one.must_read:
                    self._outcome.fail(one.sequence_numbers, f"its item could not be read: {type(error).__name__}")
            return [one for one in work if not one.must_read], {}
        return work, {document_id(builder.key_of(item)): item for item in items}

    def _settled(self, offers: list[Offer], leading: Leading) -> list[KeyWork]:
        """Write; what is left to do afterwards."""
        if not offers:
            return []
        answers = write(self._ports.cluster, self._alias, leading.index, offers, self._deadline.request_s)
        left: list[KeyWork] = []
        busy: list[KeyWork] = []
        problem = ""
        for offer, answer in zip(offers, answers, strict=True):
            if answer.verdict in (Verdict.BUSY, Verdict.NO_INDEX):
                busy.append(offer.work)
                problem = str(summarise(answer.error_type, answer.reason))
            else:
                left += self._after(offer, answer)
        if len(busy) < len(offers):
            self._deadline.went_on()
        return left + (self._waited(busy, problem) if busy else [])

    def _after(self, offer: Offer, answer: DocumentAnswer) -> list[KeyWork]:
        """What one answer leaves of its key's work."""
        verdict, work = answer.verdict, offer.work
        if verdict in (Verdict.INDEXED, Verdict.DELETED):
            self._outcome.ends[verdict.value] += 1
            return []
        if verdict is Verdict.STALE:
            return self._after_conflict(work, stored_version(answer.reason))
        if verdict is Verdict.STRAYED:
            self._ports.leading.forget()
            work.begin_again()
            return self._next_round(work, "its index changed in every round")
        if verdict is Verdict.DENIED:
            raise RequestDeniedError("POST", "bulk writes", answer.index, answer.error_type)
        return self._without_last(work, f"refused: {summarise(answer.error_type, answer.reason)}")

    def _after_conflict(self, work: KeyWork, stored: int | None) -> list[KeyWork]:
        """Something stands there: known to be newer, or of about the same time, which only a read can tell."""
        if stored is None:
            return self._failed(work, "a version conflict whose text could not be read")
        if stored >= work.stamp_us + self._margin_us:
            self._outcome.ends["stale"] += 1
            return []
        self._outcome.ends["settled"] += 1
        work.version, work.must_read = stored + 1, True
        return self._next_round(work, "conflicts in every round")

    def _next_round(self, work: KeyWork, problem: str) -> list[KeyWork]:
        work.rounds += 1
        return [work] if work.rounds <= MOST_ROUNDS else self._failed(work, problem)

    def _failed(self, work: KeyWork, problem: str) -> list[KeyWork]:
        self._outcome.fail(work.sequence_numbers, problem)
        return []

    def _without_last(self, work: KeyWork, problem: str) -> list[KeyWork]:
        """The key's last record is reported; the one before it, if there is one, is what can be indexed."""
        self._outcome.fail([work.last.sequence_number], problem)
        earlier = work.without_last()
        return [earlier] if earlier else []

    def _waited(self, work: list[KeyWork], problem: str) -> list[KeyWork]:
        """The same work after a wait; none when the time is up."""
        self._ports.leading.forget()
        if self._deadline.wait():
            log.info("OpenSearch: %s, %d keys wait", problem, len(work))
            return work
        for one in work:
            self._failed(one, f"OpenSearch did not take it in time: {problem}")
        return []


def _build(work: KeyWork, items: Mapping[str, Item], builder: DocumentBuilder) -> _Built:
    """The document of a key: from the item as it was read, or from the last record's image."""
    last = work.last
    item = items.get(last.document_id) if work.must_read else last.image
    try:
        if item is None:
            return _Built(builder.gone(last.key))
        page = builder.build([item])
        if page.refused:
            return _Built(None, f"not a document by the index's rules: {page.refused[0].error}")
        document = page.documents[0] if page.documents else builder.gone(last.key)
        if document.id != last.document_id:
            return _Built(None, "malformed record: the image has another key")
    except NOT_AS_EXPECTED as error:
        return _Built(None, f"malformed record: {type(error).__name__}")
    return _Built(document)


def _passing_problem(error: ConnectionLostError | OpenSearchRequestError) -> str:
    """What to wait for; an error that no wait mends is raised."""
    if isinstance(error, ConnectionLostError):
        return error.problem
    if error.status not in PASSING_STATUSES and error.status not in (403, 404):
        raise error
    return f"{error.status} {error.summary}"


def _log(report: BatchReport, outcome: Outcome) -> None:
    for reason, numbers in outcome.reasons.items():
        log.warning("%d records failed, the first is %s: %s", len(numbers), numbers[0], reason)
    log.info("%s", report)
