"""Stream records, as Lambda hands them over, as changes of items; several of one key become one piece of work.

Records of one key come in the order of their changes (a key's records are all in one shard), so the last one of a
batch says what the item is after them all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.stamps import SMALLEST_STAMP_US

Record = Mapping[str, Any]

NOT_AS_EXPECTED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, PermanentError)
"""What reading something of another form than expected raises; their texts may quote values."""


class MalformedEventError(PermanentError):
    """The event as a whole cannot be answered: it is no batch of a DynamoDB stream."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the event {self.problem}. Let an event source mapping of a DynamoDB stream invoke this function."


class Change(NamedTuple):
    """One record. ``stamp_us``: its creation time; ``image``: the item afterwards, where the record has it."""

    sequence_number: str
    key: KeyValues
    document_id: str
    stamp_us: int
    image: Item | None
    is_removed: bool


class Malformed(NamedTuple):
    """A record that says nothing of use; ``problem`` holds no value of it."""

    sequence_number: str
    problem: str


@dataclass(slots=True)
class KeyWork:
    """What a batch has for one key. ``version``: what is offered next; ``rounds``: conflicts met so far."""

    changes: list[Change]
    version: int
    must_read: bool
    rounds: int = 0

    @classmethod
    def of(cls, changes: list[Change]) -> "KeyWork":
        """The work that these changes of one key make, in their order."""
        return cls(changes, *_first_offer(changes))

    @property
    def last(self) -> Change:
        """The change that says what the item is after all of them."""
        return self.changes[-1]

    @property
    def stamp_us(self) -> int:
        """The latest creation time of its records: those of one key may be out of order."""
        return max(change.stamp_us for change in self.changes)

    @property
    def sequence_numbers(self) -> list[str]:
        """Of all its records."""
        return [change.sequence_number for change in self.changes]

    def begin_again(self) -> None:
        """Offer as at first, to another index."""
        must_read = self.must_read
        self.version, self.must_read = _first_offer(self.changes)
        self.must_read |= must_read

    def without_last(self) -> "KeyWork | None":
        """What is left when the last change cannot be indexed."""
        return KeyWork.of(self.changes[:-1]) if len(self.changes) > 1 else None


def _first_offer(changes: Sequence[Change]) -> tuple[int, bool]:
    last = changes[-1]
    return max(change.stamp_us for change in changes), last.image is None and not last.is_removed


def read_event(
    event: Mapping[str, Any], key_attributes: Sequence[str], table: str, latest_us: int
) -> tuple[list[KeyWork], list[Malformed]]:
    """The work of a batch by key, in the order of the keys' first records, and the records that are malformed.

    ``latest_us``: a record created after that is malformed, for its version would hide what comes after it.

    Raises:
        MalformedEventError: not a batch of a stream, or a record that could not even be reported.
    """
    by_key: dict[str, list[Change]] = {}
    malformed: list[Malformed] = []
    for record in _records(event):
        sequence_number = _sequence_number(record)
        try:
            change = _read_record(record, sequence_number, key_attributes, table)
        except NOT_AS_EXPECTED as error:
            problem = error.problem if isinstance(error, MalformedEventError) else type(error).__name__
            malformed.append(Malformed(sequence_number, problem))
            continue
        if SMALLEST_STAMP_US <= change.stamp_us <= latest_us:
            by_key.setdefault(change.document_id, []).append(change)
        else:
            malformed.append(Malformed(sequence_number, "its creation time is not one of the years up to now"))
    return [KeyWork.of(changes) for changes in by_key.values()], malformed


def _records(event: Mapping[str, Any]) -> Sequence[Record]:
    records = event.get("Records")
    if not isinstance(records, list) or not records:
        raise MalformedEventError("has no Records")
    return records


def _sequence_number(record: Record) -> str:
    try:
        number = record["dynamodb"]["SequenceNumber"]
    except (LookupError, TypeError):
        number = None
    if not isinstance(number, str) or not number:
        raise MalformedEventError("holds a record without SequenceNumber, which cannot be reported as failed")
    return number


def _read_record(record: Record, sequence_number: str, key_attributes: Sequence[str], table: str) -> Change:
    arn = record.get("eventSourceARN")
    if arn is not None and arn.partition(":table/")[2].partition("/")[0] != table:
        raise MalformedEventError("of another table")
    event_name = record["eventName"]
    if event_name not in ("INSERT", "MODIFY", "REMOVE"):
        raise MalformedEventError("unknown eventName")
    stream_record = record["dynamodb"]
    keys = stream_record["Keys"]
    key = tuple(keys[attribute] for attribute in key_attributes)
    identity = document_id(key)
    identity.encode()
    is_removed = event_name == "REMOVE"
    return Change(
        sequence_number,
        key,
        identity,
        round(stream_record["ApproximateCreationDateTime"] * 1_000_000),
        None if is_removed else stream_record.get("NewImage"),
        is_removed,
    )
