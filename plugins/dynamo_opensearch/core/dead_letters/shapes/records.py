"""Records of a stream, and what indexers write in their place, to keys and times."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dynamo_opensearch.core.dead_letters.messages import KeyEvent, NotUnderstoodError, TableIdentity
from dynamo_opensearch.core.dead_letters.shapes.json_values import Number, object_of
from dynamo_opensearch.core.dead_letters.shapes.key_values import key_values

KEY_MEMBERS = ("Keys", "keys", "Key", "key")
_IMAGES = ("NewImage", "OldImage")
_TABLE_MEMBERS = ("table", "tableName", "TableName")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S = datetime(2012, 1, 1, tzinfo=UTC).timestamp()
_LAST_S = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
"""Between them lies every time that a table can have; milliseconds, taken for seconds, do not."""

_has_seconds = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d.*", re.ASCII).fullmatch


def key_events(records: Sequence[Any], table: TableIdentity) -> tuple[KeyEvent, ...]:
    """One for each record, in order.

    Raises:
        NotUnderstoodError: there are none, or one of them cannot be read.
    """
    if not records:
        raise NotUnderstoodError("it names no records")
    return tuple(key_event(record, table) for record in records)


def key_event(record: Any, table: TableIdentity) -> KeyEvent:
    """The key and the time of a stream record, or of an object that has nothing but the key. Removals are no exception.

    Raises:
        NotUnderstoodError: it names no key of this table.
    """
    fields = object_of(record, "a record")
    check_table(fields, table)
    change = object_of(fields["dynamodb"], "`dynamodb` of a record") if "dynamodb" in fields else fields
    key = key_values(_attributes(change), table)
    return KeyEvent(key, time_us(change.get("ApproximateCreationDateTime")))


def check_table(fields: Mapping[str, Any], table: TableIdentity) -> None:
    """If it says whose it is, it has to be this table's.

    Raises:
        NotUnderstoodError: it is another's.
    """
    check_arn(fields.get("eventSourceARN"), table)
    name = table.arn.partition(":table/")[2]
    for member in _TABLE_MEMBERS:
        if fields.get(member) not in (None, name):
            check_arn(fields[member], table)


def check_arn(arn: Any, table: TableIdentity) -> None:
    """The ARN of a stream or a table, where there is one, has to be of this table.

    Raises:
        NotUnderstoodError: it is of another.
    """
    if arn is not None and not (isinstance(arn, str) and arn.partition("/stream/")[0] == table.arn):
        raise NotUnderstoodError("of another table")


def time_us(value: Any) -> int | None:
    """Microseconds since 1970, from seconds since 1970 (a number or its text) or from ISO text with a time zone.

    None for whatever else: without a time an event is looked at twice, which is always right. A wrong time would not
    be, so text without seconds or zone, and years that a table cannot have, are none.
    """
    text = value.text if isinstance(value, Number) else value
    if not isinstance(text, str):
        return None
    try:
        return _moment_us(text) if _has_seconds(text) else _seconds_us(text)
    except (ValueError, OverflowError):
        return None


def _moment_us(text: str) -> int | None:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not _FIRST_S <= moment.timestamp() < _LAST_S:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _seconds_us(text: str) -> int | None:
    seconds = float(text)
    return round(seconds * 1e6) if _FIRST_S <= seconds < _LAST_S else None


def _attributes(change: Mapping[str, Any]) -> dict[str, Any]:
    """Where the key is: apart, or in the item as it is or was."""
    for member in (*KEY_MEMBERS, *_IMAGES):
        if change.get(member):
            return object_of(change[member], "the key of a record")
    raise NotUnderstoodError("a record without a key")
