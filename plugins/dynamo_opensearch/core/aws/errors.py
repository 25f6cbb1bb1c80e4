"""botocore's errors, of whichever service: which pass, which are a refusal, and what may be told of them."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as EndpointUnreachableError
from botocore.parsers import ResponseParserError
from orjson import JSONDecodeError

CALL_ERRORS = (ClientError, BotoCoreError, ResponseParserError, JSONDecodeError)
"""What a call of a boto3 client raises; the last two where an answer was cut off in the middle."""

_THROTTLING = frozenset(
    {
        "KMS.ThrottlingException",  # the key of a queue or bucket
        "KmsThrottled",
        "LimitExceededException",  # what DynamoDB Streams calls it
        "OverLimit",  # SQS: too many messages in flight
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_PASSING = frozenset(
    {"InternalError", "InternalFailure", "InternalServerError", "RequestTimeout", "ServiceUnavailable"}
)
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",  # EC2's, as UnauthorizedOperation
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
_CUT_OFF = (
    EndpointUnreachableError,
    HTTPClientError,
    FlexibleChecksumError,
    IncompleteReadError,
    JSONDecodeError,
    ResponseParserError,
)


def is_throttling(error: Exception) -> bool:
    """Whether the service asks for fewer requests."""
    return isinstance(error, ClientError) and error_code(error) in _THROTTLING


def is_passing(error: Exception) -> bool:
    """Whether the same call may succeed later: throttling, a server's fault, a broken or cut-off answer."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error_code(error) in _THROTTLING | _PASSING or status == 429 or status >= 500
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return False
    return isinstance(error, _CUT_OFF)


def denial(error: Exception) -> str | None:
    """Why the caller's identity or right was refused, or that it has none; None where it was not."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return "no credentials were found"
    code = error_code(error)
    return code if code in _DENIED else None


def describe(error: Exception) -> str:
    """The error's code or class, without values."""
    return error_code(error) or type(error).__name__


def error_code(error: Exception) -> str | None:
    """The code that the service gave; None where the call did not get so far."""
    return str(error.response.get("Error", {}).get("Code", "unknown")) if isinstance(error, ClientError) else None
