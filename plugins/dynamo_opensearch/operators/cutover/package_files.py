"""The indexer's package, from a path or from S3."""

from pathlib import Path
from typing import BinaryIO, cast

from botocore.exceptions import BotoCoreError

from dynamo_opensearch.core.aws.errors import describe
from dynamo_opensearch.core.cutover.indexer.package import (
    IndexerPackage,
    PackageError,
    PackageUnreadableError,
    S3Place,
    read_package,
)
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.targets.environment import Environment
from dynamo_opensearch.core.targets.include_folder import include_folder
from dynamo_opensearch.operators.object_storage import stored_at

_S3 = "s3://"


def indexer_package(environment: Environment) -> IndexerPackage | None:
    """What the environment names; None where it names nothing. Reads only.

    Raises:
        PackageError: it is not there, may not be read, or is nothing that can be deployed.
        PackageUnreadableError: reading broke off.
        AccessDeniedError: S3 refuses it.
    """
    where = None if environment.indexer is None else environment.indexer.package
    if where is None:
        return None
    try:
        if where.startswith(_S3):
            return _in_s3(where, environment.aws_conn_id)
        with (include_folder() / Path(where).expanduser()).open("rb") as file:
            return read_package(where, file)
    except FileNotFoundError as error:
        raise PackageError(where, "there is nothing of that name") from error
    except IsADirectoryError as error:
        raise PackageError(where, "it is a folder") from error
    except PermissionError as error:
        if where.startswith(_S3):
            raise AccessDeniedError("s3", "s3:GetObject", where, "access denied") from error
        raise PackageError(where, "this worker may not read it") from error
    except (OSError, BotoCoreError) as error:
        raise PackageUnreadableError(where, describe(error)) from error


def _in_s3(where: str, aws_conn_id: str) -> IndexerPackage:
    """By the connection in the path, else by the environment's."""
    names_connection = "@" in where.removeprefix(_S3).partition("/")[0]
    path = stored_at(where if names_connection else f"{_S3}{aws_conn_id}@{where.removeprefix(_S3)}")
    with path.open("rb") as file:  # type: ignore[no-untyped-call]
        return read_package(where, cast("BinaryIO", file), S3Place(bucket=path.bucket, key=path.key))
