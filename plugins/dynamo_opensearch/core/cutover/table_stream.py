"""The table's stream: switched on where it is off, waited for, and never turned into one of another view type."""

from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, RequestRefusedError, ResourceMissingError
from dynamo_opensearch.core.cutover.readiness import Readiness
from dynamo_opensearch.core.dynamodb.table_description import TableNotReadyError
from dynamo_opensearch.core.errors import PassingError, PermanentError

_SERVING = frozenset({"ACTIVE", "UPDATING"})
_USABLE = _SERVING | {"CREATING"}
_BUSY = frozenset({"ResourceInUseException", "ValidationException"})
"""The table is being changed, or its stream was switched on in between: by another, or by this call sent again."""


class StreamViewError(PermanentError):
    """The stream is on, with images that are not those the target file asks for."""

    def __init__(self, table: str, view_type: str, wanted: str, arn: str) -> None:
        super().__init__(table, view_type, wanted, arn)
        self.table, self.view_type, self.wanted, self.arn = table, view_type, wanted, arn

    def __str__(self) -> str:
        off = f"aws dynamodb update-table --table-name {self.table} --stream-specification StreamEnabled=false"
        return (
            f"the stream of table {self.table!r} is on with {self.view_type}, the target file asks for {self.wanted}. "
            "Nothing was changed: a stream keeps its view type, so it would have to be switched off and made anew. "
            f"What the old one still holds ({self.arn}) is then lost to all that read it: to the indexer, whose event "
            "source mapping must be made anew, and to whoever else reads it. If your indexer does with "
            f"{self.view_type}, set `stream.view_type` in the target file to it. If not: stop whoever reads the "
            f"stream, in a quiet hour; {off}; wait until the table is ACTIVE; then start this DAG again: it switches "
            "the stream on and makes the mapping, and its backfill brings what was written meanwhile."
        )


class TableUnusableError(PermanentError):
    """The table is in a state that does not pass by itself."""

    def __init__(self, table: str, status: str) -> None:
        super().__init__(table, status)
        self.table, self.status = table, status

    def __str__(self) -> str:
        return (
            f"table {self.table!r} is {self.status}, so its stream cannot be used; nothing was changed. Check the "
            "table's name in the target file, and the table's own alerts in the console; then start this DAG again."
        )


class StreamNotSwitchedOnError(PassingError):
    """DynamoDB was asked for it, and the table does not show it."""

    def __init__(self, table: str, problem: str) -> None:
        super().__init__(table, problem)
        self.table, self.problem = table, problem

    def __str__(self) -> str:
        return f"the stream of table {self.table!r} was not switched on: {self.problem}. The task tries again."


@dataclass(frozen=True, kw_only=True)
class StreamSwitch:
    """What came of switching a table's stream on. ``arn`` is empty while DynamoDB has not said it yet."""

    table: str
    view_type: str
    arn: str
    was_on: bool

    def __str__(self) -> str:
        if self.was_on:
            return f"the stream of table {self.table!r} is on already, with {self.view_type}: {self.arn}"
        return f"the stream of table {self.table!r} was off, and is switched on with {self.view_type}"


def enable_stream(plane: ControlPlane, table: str, view_type: str) -> StreamSwitch:
    """Switch the stream on where it is off, and look whether it is. Safe to run again: one that is on stays as it is.

    Raises:
        StreamViewError: it is on with another view type. Nothing was changed.
        TableUnusableError: the table is being deleted, archived, or cannot be read.
        TableNotReadyError: the table is being created or changed.
        StreamNotSwitchedOnError: it is off afterwards.
        ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    described = _describe(plane, table)
    if _is_on(described):
        return _switched(described, table, view_type, was_on=True)
    if described.get("TableStatus") != "ACTIVE":
        raise TableNotReadyError(table, str(described.get("TableStatus")))
    try:
        after = _switch_on(plane, table, view_type)
    except RequestRefusedError as error:
        if error.code not in _BUSY:
            raise
        after = _describe(plane, table)
        if not _is_on(after):
            raise StreamNotSwitchedOnError(table, error.code) from error
    if not _is_on(after):
        raise StreamNotSwitchedOnError(table, "DynamoDB took the request, and says that it is off")
    return _switched(after, table, view_type, was_on=False)


def look_at_stream(plane: ControlPlane, table: str, view_type: str) -> Readiness:
    """Whether the stream can be read; ``value``: its ARN. Reads only.

    Raises:
        StreamViewError: it is on with another view type.
        TableUnusableError: the table is being deleted, archived, or cannot be read.
        ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    described = _describe(plane, table)
    if not _is_on(described):
        return Readiness(is_ready=False, seen=f"the stream of table {table!r} is off")
    arn = _switched(described, table, view_type, was_on=True).arn
    if not arn:
        return Readiness(is_ready=False, seen=f"table {table!r} does not name its stream yet")
    stream, status = _stream_status(plane, arn), str(described.get("TableStatus"))
    if stream != "ENABLED" or status not in _SERVING:
        return Readiness(is_ready=False, seen=f"stream {arn} is {stream}, its table {status}")
    return Readiness(is_ready=True, seen=f"stream {arn} is ENABLED, with {view_type}", value=arn)


def _switch_on(plane: ControlPlane, table: str, view_type: str) -> dict[str, Any]:
    """The table as DynamoDB says that it is now; another look may still show it as it was."""
    answer = plane.ask(
        "dynamodb",
        "update_table",
        table,
        TableName=table,
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view_type},
    )
    return dict(answer["TableDescription"])


def _stream_status(plane: ControlPlane, arn: str) -> str:
    try:
        stream = plane.ask("dynamodbstreams", "describe_stream", arn, StreamArn=arn, Limit=1)["StreamDescription"]
    except ResourceMissingError:
        return "not there yet"
    return str(stream.get("StreamStatus"))


def _describe(plane: ControlPlane, table: str) -> dict[str, Any]:
    described = dict(plane.ask("dynamodb", "describe_table", table, TableName=table)["Table"])
    status = str(described.get("TableStatus"))
    if status not in _USABLE:
        raise TableUnusableError(table, status)
    return described


def _is_on(described: dict[str, Any]) -> bool:
    return bool((described.get("StreamSpecification") or {}).get("StreamEnabled"))


def _switched(described: dict[str, Any], table: str, view_type: str, *, was_on: bool) -> StreamSwitch:
    """Raises StreamViewError where it is on with another view type."""
    found = str(described["StreamSpecification"].get("StreamViewType"))
    arn = str(described.get("LatestStreamArn") or "")
    if found != view_type:
        raise StreamViewError(table, found, view_type, arn)
    return StreamSwitch(table=table, view_type=view_type, arn=arn, was_on=was_on)
