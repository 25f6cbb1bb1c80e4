"""botocore's errors as this package's: which pass, which need a person, and what to do about them."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as EndpointUnreachableError
from botocore.parsers import ResponseParserError
from orjson import JSONDecodeError

from dynamo_opensearch.core.errors import AccessDeniedError, PermanentError, SyncError

SERVICE = "DynamoDB"

CALL_ERRORS = (ClientError, BotoCoreError, ResponseParserError, JSONDecodeError)
"""What a call of a boto3 client raises; the last two where an answer was cut off in the middle."""

_THROTTLING = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "LimitExceededException",  # what DynamoDB Streams calls it
    }
)
_PASSING = frozenset({"InternalServerError", "InternalFailure", "ServiceUnavailable", "RequestTimeout"})
_DENIED = frozenset(
    {
        "AccessDeniedException",
        "AccessDenied",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "UnrecognizedClientException",
    }
)


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


def is_throttling(error: Exception) -> bool:
    """Whether DynamoDB asks for fewer requests."""
    return isinstance(error, ClientError) and _code(error) in _THROTTLING


def is_passing(error: Exception) -> bool:
    """Whether the same call may succeed later: throttling, a server's fault, a broken or cut-off answer."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _code(error) in _THROTTLING | _PASSING or status == 429 or status >= 500
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return False
    return isinstance(error, EndpointUnreachableError | HTTPClientError | JSONDecodeError | ResponseParserError)


def describe(error: Exception) -> str:
    """The error's code or class, without values."""
    return _code(error) if isinstance(error, ClientError) else type(error).__name__


def permanent_error(error: Exception, action: str, table: str, region: str) -> SyncError:
    """What to raise for a failure that waiting does not mend."""
    if isinstance(error, ClientError):
        code = _code(error)
        if code in _DENIED:
            return AccessDeniedError(SERVICE, f"dynamodb:{action}", f"{table} in {region}", code)
        if code == "ResourceNotFoundException":
            return TableMissingError(table, region)
        return DynamoDbRequestError(action, table, code, error.response.get("Error", {}).get("Message", ""))
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return AccessDeniedError(SERVICE, f"dynamodb:{action}", f"{table} in {region}", "no credentials were found")
    return DynamoDbRequestError(action, table, type(error).__name__, str(error))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
