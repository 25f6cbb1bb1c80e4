"""The role that an AWS connection may name, to be assumed before anything is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from dynamo_opensearch.core.aws.errors import denied


@contextmanager
def assuming(hook: Any) -> Iterator[None]:
    """While a session or client of an Amazon provider's hook is made.

    Raises:
        AccessDeniedError: the role of the connection cannot be assumed.
    """
    try:
        yield
    except ClientError as error:
        role = f"the role of connection {hook.aws_conn_id!r}, {hook.conn_config.role_arn}"
        if refused := denied(error, "STS", f"sts:{error.operation_name}", role):
            raise refused from error
        raise
