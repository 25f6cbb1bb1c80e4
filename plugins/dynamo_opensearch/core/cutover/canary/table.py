"""A canary's item in the table: written, changed and removed on the condition that it is the canary's."""

from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, RequestRefusedError
from dynamo_opensearch.core.cutover.canary.attributes import get_at
from dynamo_opensearch.core.cutover.canary.item import Canary
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.dynamodb.keys import request_key
from dynamo_opensearch.core.errors import PermanentError

_ELSE = "ConditionalCheckFailedException"


class CanaryTakenError(PermanentError):
    """An item with the canary's key is there and is none of its states, or somebody has changed or removed it."""

    def __init__(self, table: str, action: str) -> None:
        super().__init__(table, action)
        self.table, self.action = table, action

    def __str__(self) -> str:
        return (
            f"the canary could not be {self.action} in table {self.table!r}: what stands under its key there is not as "
            "this run left it. Nothing of it was changed. Look for who else writes to the table under keys that hold "
            "'dynamo-opensearch-canary'; if indexer.canary in the target file was changed during the run, put it back. "
            "Then start this DAG again: each run has a key of its own."
        )


class CanaryRefusedError(PermanentError):
    """DynamoDB does not take the item."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table

    def __str__(self) -> str:
        return (
            f"table {self.table!r} does not take the canary (ValidationException): a key attribute, of the table or of "
            "an index, must have another type, or must not be empty. Give it in the target file below indexer.canary. "
            "Correct that, then clear this task."
        )


class CanaryTable:
    """One canary in one table. Every call is safe to run again."""

    def __init__(self, plane: ControlPlane, table: str, canary: Canary) -> None:
        self._plane, self._table, self._canary = plane, table, canary

    def put_first(self) -> None:
        """The item in its first state, where none is or an earlier try left it.

        Raises:
            CanaryTakenError, CanaryRefusedError, AccessDeniedError, ServiceUnavailableError: it is not written.
        """
        self._put(self._canary.first, "written", may_be_missing=True)

    def put_second(self) -> None:
        """The item in its second state; it must be there.

        Raises:
            CanaryTakenError, CanaryRefusedError, AccessDeniedError, ServiceUnavailableError: it is not changed.
        """
        self._put(self._canary.second, "changed", may_be_missing=False)

    def remove(self) -> bool:
        """No item any more; whether one was there.

        Raises:
            CanaryTakenError, AccessDeniedError, ServiceUnavailableError: it is not removed.
        """
        key = request_key(self._canary.key_of_item)
        answer = self._ask("delete_item", "removed", may_be_missing=True, Key=key, ReturnValues="ALL_OLD")
        return bool(answer.get("Attributes"))

    def meddled(self, wanted: Item) -> str | None:
        """What somebody else has made of the item; None where it is as wanted. A strongly consistent read.

        Raises:
            AccessDeniedError, ServiceUnavailableError: the table does not tell.
        """
        key = request_key(self._canary.key_of_item)
        answer = self._plane.ask(
            "dynamodb", "get_item", self._table, TableName=self._table, Key=key, ConsistentRead=True
        )
        if not answer.get("Item"):
            return "the table has the item no more: somebody, or its expiry, has removed it"
        return None if answer["Item"] == request_key(wanted) else "somebody has changed the item in the table"

    def _put(self, item: Item, action: str, *, may_be_missing: bool) -> None:
        self._ask("put_item", action, may_be_missing=may_be_missing, Item=request_key(item))

    def _ask(self, call: str, action: str, *, may_be_missing: bool, **arguments: Any) -> dict[str, Any]:
        condition = is_canary(self._canary, may_be_missing=may_be_missing)
        try:
            return self._plane.ask("dynamodb", call, self._table, TableName=self._table, **condition, **arguments)
        except RequestRefusedError as error:
            if error.code == _ELSE:
                raise CanaryTakenError(self._table, action) from error
            if error.code == "ValidationException" and call == "put_item":
                raise CanaryRefusedError(self._table) from error
            raise


def is_canary(canary: Canary, *, may_be_missing: bool) -> dict[str, Any]:
    """A ConditionExpression that holds for the canary in any state of any try, with boto3's names and values for it."""
    names, values = {}, {}
    terms = []
    for number, name in enumerate(sorted(canary.first.keys() - {*canary.key, canary.path[0]})):
        names[f"#n{number}"], values[f":n{number}"] = name, canary.first[name]
        terms.append(f"#n{number} = :n{number}")
    names |= {f"#p{number}": name for number, name in enumerate(canary.path)}
    place = ".".join(f"#p{number}" for number in range(len(canary.path)))
    ((kind, text),) = (get_at(canary.first, canary.path) or {}).items()
    values[":p"] = {"S": text if kind == "S" else kind}
    terms.append(f"begins_with({place}, :p)" if kind == "S" else f"attribute_type({place}, :p)")
    condition = " AND ".join(terms)
    if may_be_missing:
        names["#key"] = canary.key[0]
        condition = f"({condition}) OR attribute_not_exists(#key)"
    return {
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": request_key(values),
    }
