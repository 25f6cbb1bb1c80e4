"""What DescribeTable says, as far as a copy depends on it."""

from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.errors import PassingError, PermanentError


class TableNotReadyError(PassingError):
    """The table is being created, restored or deleted."""

    def __init__(self, table: str, status: str) -> None:
        super().__init__(table, status)
        self.table, self.status = table, status

    def __str__(self) -> str:
        return f"table {self.table!r} is {self.status}, not ACTIVE. The task tries again; nothing was read or written."


class TableKeyError(PermanentError):
    """The target file and the table do not agree on the key."""

    def __init__(self, table: str, expected: tuple[str, ...], actual: tuple[str, ...]) -> None:
        super().__init__(table, expected, actual)
        self.table, self.expected, self.actual = table, expected, actual

    def __str__(self) -> str:
        return (
            f"table {self.table!r} has the key {list(self.actual)}, the target file says {list(self.expected)}. "
            "Correct `key` in the target file: partition key first, then the sort key if there is one."
        )


class TableReplacedError(PermanentError):
    """The table was deleted and made anew, or restored, under the same name since the run was planned."""

    def __init__(self, table: str, planned_id: str, actual_id: str) -> None:
        super().__init__(table, planned_id, actual_id)
        self.table, self.planned_id, self.actual_id = table, planned_id, actual_id

    def __str__(self) -> str:
        return (
            f"table {self.table!r} is another one than when this run was planned (table id {self.actual_id}, planned "
            f"with {self.planned_id}): it was restored or made anew under the same name. What is in the index may not "
            "be in the table. Start this DAG again, it will plan anew; then reconcile with depth `keys`."
        )


@dataclass(frozen=True, kw_only=True)
class TableDescription:
    """``items_estimated`` and ``size_bytes`` are DynamoDB's own figures, refreshed about every six hours.

    ``key_types``: S, N or B, in the order of ``key``.
    """

    table: str
    table_id: str
    key: tuple[str, ...]
    items_estimated: int
    size_bytes: int
    stream_arn: str | None
    arn: str = ""
    key_types: tuple[str, ...] = ()


def describe_table(client: TableClient) -> TableDescription:
    """The table as it is now.

    Raises:
        TableNotReadyError: it is not ACTIVE (UPDATING passes: it serves reads).
        TableMissingError, AccessDeniedError, ServiceUnavailableError: as ``TableClient.call``.
    """
    described = client.describe()
    status = described.get("TableStatus", "unknown")
    if status not in ("ACTIVE", "UPDATING"):
        raise TableNotReadyError(client.table, status)
    return TableDescription(
        table=client.table,
        table_id=_identity(described),
        key=_key_attributes(described),
        items_estimated=described.get("ItemCount", 0),
        size_bytes=described.get("TableSizeBytes", 0),
        stream_arn=described.get("LatestStreamArn") if _has_stream(described) else None,
        arn=described.get("TableArn", ""),
        key_types=_key_types(described),
    )


def check_key(description: TableDescription, key: tuple[str, ...]) -> None:
    """Raises TableKeyError where the target's key attributes are not the table's."""
    if description.key != key:
        raise TableKeyError(description.table, key, description.key)


def check_same_table(description: TableDescription, planned_id: str) -> None:
    """Raises TableReplacedError where the table is another one than planned."""
    if description.table_id != planned_id:
        raise TableReplacedError(description.table, planned_id, description.table_id)


def _identity(described: dict[str, Any]) -> str:
    """TableId; where a local server gives none, the creation time, which a new table changes as well."""
    return str(described.get("TableId") or described.get("CreationDateTime", ""))


def _key_attributes(described: dict[str, Any]) -> tuple[str, ...]:
    kinds = {part["KeyType"]: part["AttributeName"] for part in described["KeySchema"]}
    return tuple(kinds[kind] for kind in ("HASH", "RANGE") if kind in kinds)


def _key_types(described: dict[str, Any]) -> tuple[str, ...]:
    types = {one["AttributeName"]: one["AttributeType"] for one in described.get("AttributeDefinitions", ())}
    return tuple(types.get(attribute, "S") for attribute in _key_attributes(described))


def _has_stream(described: dict[str, Any]) -> bool:
    return bool(described.get("StreamSpecification", {}).get("StreamEnabled"))
