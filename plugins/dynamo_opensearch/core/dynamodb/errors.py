"""What DynamoDB refuses for good, and what to do about it."""

from botocore.exceptions import ClientError

from dynamo_opensearch.core.aws.errors import denied, describe, error_code
from dynamo_opensearch.core.errors import PermanentError, SyncError

SERVICE = "DynamoDB"


class TableMissingError(PermanentError):
    """There is no such table for this account and region."""

    def __init__(self, table: str, region: str) -> None:
        super().__init__(table, region)
        self.table, self.region = table, region

    def __str__(self) -> str:
        return (
            f"table {self.table!r} does not exist in region {self.region!r}. "
            "Check the table's name in the target file, and region and account of the AWS connection."
        )


class DynamoDbRequestError(PermanentError):
    """DynamoDB refuses a request as it stands."""

    def __init__(self, action: str, table: str, code: str, message: str) -> None:
        super().__init__(action, table, code, message)
        self.action, self.table, self.code, self.message = action, table, code, message

    def __str__(self) -> str:
        return f"DynamoDB refused {self.action} on table {self.table!r}: {self.code}: {self.message}"


def permanent_error(error: Exception, action: str, table: str, region: str) -> SyncError:
    """What to raise for a failure that waiting does not mend."""
    if refused := denied(error, SERVICE, f"dynamodb:{action}", f"{table} in {region}"):
        return refused
    if error_code(error) == "ResourceNotFoundException":
        return TableMissingError(table, region)
    message = error.response.get("Error", {}).get("Message", "") if isinstance(error, ClientError) else str(error)
    return DynamoDbRequestError(action, table, describe(error), message)
