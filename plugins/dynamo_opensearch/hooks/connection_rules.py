"""What a connection may hold: no keys where it leads to AWS, no logins in its addresses; and that it is there."""

from typing import Any
from urllib.parse import urlsplit

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook

from dynamo_opensearch.core.credentials import fields_with_keys, fields_with_logins
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.loopback import is_loopback

_DEFAULT_AWS = "aws_default"
"""May be missing: boto3's chain is what is meant."""

_S3 = ("s3", "s3a", "s3n")


class ConnectionMissingError(PermanentError):
    """An environment names a connection that this Airflow does not have."""

    def __init__(self, conn_id: str) -> None:
        super().__init__(conn_id)
        self.conn_id = conn_id

    def __str__(self) -> str:
        return f"this Airflow has no connection {self.conn_id!r}. Define it, or correct its name in the target file."


class LiteralCredentialsError(PermanentError):
    """Access keys stand in a connection that leads to AWS. ``fields``: where in it."""

    def __init__(self, conn_id: str, fields: tuple[str, ...]) -> None:
        super().__init__(conn_id, fields)
        self.conn_id, self.fields = conn_id, fields

    def __str__(self) -> str:
        return (
            f"connection {self.conn_id!r} holds access keys ({', '.join(self.fields)}); they are accepted with a "
            "loopback endpoint only. Remove them: boto3 finds the task's role, the execution role, the instance "
            "profile or the environment."
        )


class LoginInAddressError(PermanentError):
    """An address in a connection has a login in it, which would get into messages and logs. ``fields``: where."""

    def __init__(self, conn_id: str, fields: tuple[str, ...]) -> None:
        super().__init__(conn_id, fields)
        self.conn_id, self.fields = conn_id, fields

    def __str__(self) -> str:
        return (
            f"connection {self.conn_id!r} has a login in an address ({', '.join(self.fields)}). Take it out: AWS's "
            "services know no login, and a proxy's belongs into the worker's environment (HTTPS_PROXY)."
        )


def check_connection(conn_id: str) -> None:
    """Refuse a connection that is not there: for one of AWS the provider would take whatever credentials it finds.

    Raises:
        ConnectionMissingError: this Airflow does not have it.
    """
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        if conn_id != _DEFAULT_AWS:
            raise ConnectionMissingError(conn_id) from error


def check_aws_connection(hook: AwsGenericHook[Any]) -> None:
    """Before anything is made of it: a session may ask STS for a role at once, with the keys of the connection.

    Raises:
        ConnectionMissingError: as ``check_connection``.
        LoginInAddressError: an address in it has a login.
        LiteralCredentialsError: it holds keys, and an STS of AWS is to give a role for them.
    """
    config = hook.conn_config
    if hook.aws_conn_id and not config:
        check_connection(hook.aws_conn_id)
    if logins := fields_with_logins(config.extra_config):
        raise LoginInAddressError(str(hook.aws_conn_id), logins)
    if config.role_arn:
        check_keys(hook, config.get_service_endpoint_url("sts", sts_connection_assume=True))


def check_keys(hook: AwsGenericHook[Any], url: str | None) -> None:
    """Keys in a connection are for a loopback endpoint. ``url``: where the connection leads; None: to AWS.

    Raises:
        LiteralCredentialsError: it holds keys, and the endpoint is another one.
    """
    config = hook.conn_config
    named = tuple(name for name, value in (("login", config.login), ("password", config.password)) if value)
    fields = (*named, *fields_with_keys(config.extra_config))
    if fields and not (url and is_loopback(url)):
        raise LiteralCredentialsError(str(hook.aws_conn_id), fields)


def check_place(url: str) -> None:
    """The connection that an ObjectStoragePath names before the @, where it is of S3.

    Raises:
        ConnectionMissingError, LoginInAddressError: as ``check_aws_connection``.
        LiteralCredentialsError: it holds keys, and no loopback endpoint for S3.
    """
    place = urlsplit(url)
    conn_id = place.netloc.rpartition("@")[0]
    if conn_id and place.scheme in _S3:
        hook: AwsGenericHook[Any] = AwsGenericHook(aws_conn_id=conn_id, client_type="s3")
        check_aws_connection(hook)
        check_keys(hook, hook.conn_config.get_service_endpoint_url("s3"))
