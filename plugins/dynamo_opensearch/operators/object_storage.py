"""Files that tasks leave for people and for other DAGs, on an ObjectStoragePath."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.sdk import ObjectStoragePath
from botocore.exceptions import ClientError

from dynamo_opensearch.core.aws.errors import denied
from dynamo_opensearch.core.errors import AccessDeniedError

_S3 = "S3"
_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListObjectsV2": "ListBucket",
    "UploadPart": "PutObject",
}
"""Calls that are allowed as another action."""


def stored_at(url: str) -> ObjectStoragePath:
    """A place by its address; of one in S3 the connection is held to the same rules as any other of AWS.

    They come first: making the path makes a session of the connection.

    Raises:
        LiteralCredentialsError, LoginInAddressError, ConnectionMissingError: as ``check_place``.
    """
    if "@" in urlsplit(url).netloc:
        # Brings in boto3, which the API server does not need for pages on a disk.
        from dynamo_opensearch.hooks.connection_rules import check_place

        check_place(url)
    return ObjectStoragePath(url)


def reports_path(configured: str | None) -> ObjectStoragePath:
    """The environment's ``reports``, or reports/ below Airflow's home.

    Raises:
        LiteralCredentialsError, LoginInAddressError, ConnectionMissingError: as ``stored_at``.
    """
    if configured:
        return stored_at(configured)
    home = Path(os.environ.get("AIRFLOW_HOME", conf.get("core", "dags_folder") + "/.."))
    return ObjectStoragePath(f"file://{home.resolve()}/reports")


def path_part(text: str) -> str:
    """A run id or the like as one part of a path, which never leads out of its folder."""
    part = re.sub(r"[^\w.+-]", "_", text)
    return part if part.strip(".") else "_" * max(1, len(part))


@contextmanager
def refusals_named(place: ObjectStoragePath) -> Iterator[None]:
    """Say of a refusal of S3's which action is missing; the filesystem's own error says only that it was refused.

    Raises:
        AccessDeniedError: S3 refused a call.
    """
    try:
        yield
    except PermissionError as error:
        raise _refusal(error, place) or error from error


def _refusal(error: PermissionError, place: ObjectStoragePath) -> AccessDeniedError | None:
    """None where it is no refusal of S3's."""
    cause = error.__cause__ or error.__context__
    if not isinstance(cause, ClientError):
        return None
    action = _ACTIONS.get(cause.operation_name, cause.operation_name)
    bucket = f"arn:aws:s3:::{place.bucket}"
    return denied(cause, _S3, f"s3:{action}", bucket if action == "ListBucket" else f"{bucket}/*")


class ObjectStorageRejectSink:
    """Refused documents as ``part-00000.ndjson`` and so on below one folder, which only the writer may read.

    Each part is one object, written whole; so it works where objects cannot be appended to.
    """

    def __init__(self, folder: ObjectStoragePath) -> None:
        self.folder = folder

    def write(self, part: int, lines: bytes) -> None:
        """Store a part; writing it again replaces it.

        Raises:
            AccessDeniedError: S3 refuses it.
        """
        with refusals_named(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.folder.protocol == "file":
                Path(self.folder.path).chmod(0o700)
            self._part(part).write_bytes(lines)

    def forget_from(self, part: int) -> None:
        """Remove this part and all later ones.

        Raises:
            AccessDeniedError: S3 refuses it.
        """
        with refusals_named(self.folder):
            while self._part(part).exists():
                self._part(part).unlink()
                part += 1

    def _part(self, part: int) -> ObjectStoragePath:
        return self.folder / f"part-{part:05d}.ndjson"
