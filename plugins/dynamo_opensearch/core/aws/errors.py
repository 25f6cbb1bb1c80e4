"""botocore's errors, of whichever service: which pass, which are a refusal, and what may be told of them."""

import re

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

from dynamo_opensearch.core.errors import AccessDeniedError

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
        "403",  # a HEAD request of S3's: an answer without a body
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "NotAuthorizedException",  # Cognito's
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

_TOLD = re.compile(r'not authorized to perform:? ([a-z0-9-]+:\w+)(?: on resource:? "?(arn:[^\s",]+))?')
_DENY = re.compile(r"with an explicit deny in (an? [a-z -]{1,60}policy)")
"""What most services say in a refusal's text. Nothing else of it is told to anybody."""


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


def denied(error: Exception, service: str, action: str, resource: str) -> AccessDeniedError | None:
    """The refusal of a call; None where it was none.

    What AWS says goes first: the action that is missing need not be that of the call, as where a table's key may not be
    used.
    """
    code = denial(error)
    if code is None:
        return None
    message = _message(error)
    if by := _DENY.search(message):
        code = f"{code}, by a Deny in {by[1]}"
    told = _TOLD.search(message)
    if told is None:
        return AccessDeniedError(service, action, resource, code)
    missing, arn = told.groups()
    named = resource if missing.lower() == action.lower() else f"what {resource} is encrypted with or belongs to"
    return AccessDeniedError(service, missing, _without_key(arn) if arn else named, code)


def _without_key(arn: str) -> str:
    """The names of S3's objects are not told."""
    bucket, slash, _ = arn.partition("/")
    return f"{bucket}/*" if slash and ":s3:::" in arn else arn


def _message(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Message", "")) if isinstance(error, ClientError) else ""


def describe(error: Exception) -> str:
    """The error's code or class, without values."""
    return error_code(error) or type(error).__name__


def error_code(error: Exception) -> str | None:
    """The code that the service gave; None where the call did not get so far."""
    return str(error.response.get("Error", {}).get("Code", "unknown")) if isinstance(error, ClientError) else None
