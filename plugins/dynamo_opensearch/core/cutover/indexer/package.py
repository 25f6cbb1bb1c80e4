"""The zip that a cutover deploys, and the way by which Lambda gets it."""

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from dynamo_opensearch.core.errors import PassingError, PermanentError

MOST_DIRECT_BYTES = 50 * 1024 * 1024
"""Of a zip that is sent with the request; Lambda takes a larger one from S3 only."""

_CHUNK_BYTES = 1024 * 1024


class PackageError(PermanentError):
    """The file cannot be what the function runs. Nothing was changed."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return (
            f"indexer.package {self.where!r} cannot be deployed, nothing was changed: {self.problem}. Correct it in "
            "the target file, or make the archive again (make indexer-zip makes the reference indexer's); then clear "
            "this task."
        )


class PackageUnreadableError(PassingError):
    """Reading broke off."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return f"indexer.package {self.where!r} could not be read: {self.problem}. The task tries again."


@dataclass(frozen=True, kw_only=True)
class S3Place:
    """Where Lambda itself finds it."""

    bucket: str
    key: str


@dataclass(frozen=True, kw_only=True)
class IndexerPackage:
    """``where``: as the target file names it. ``sha256``: base64, as Lambda's CodeSha256.

    ``upload``: the arguments of UpdateFunctionCode that hand it over.
    """

    where: str
    sha256: str
    size_bytes: int
    upload: Mapping[str, Any] = field(repr=False)


def read_package(where: str, file: BinaryIO, place: S3Place | None = None) -> IndexerPackage:
    """Read it once, from its beginning. Only what is not in S3 is kept in memory: at most 50 MB.

    ``place``: where it lies in S3; None: it is sent with the request.

    Raises:
        PackageError: it is no zip archive, or too large to be sent.
    """
    if not zipfile.is_zipfile(file):
        raise PackageError(where, "it is not a zip archive")
    file.seek(0)
    digest, size_bytes, kept = hashlib.sha256(), 0, bytearray()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        size_bytes += len(chunk)
        if place is None:
            kept += chunk
            _check_size(where, size_bytes)
    upload = {"ZipFile": bytes(kept)} if place is None else {"S3Bucket": place.bucket, "S3Key": place.key}
    return IndexerPackage(
        where=where, sha256=base64.b64encode(digest.digest()).decode(), size_bytes=size_bytes, upload=upload
    )


def _check_size(where: str, size_bytes: int) -> None:
    if size_bytes > MOST_DIRECT_BYTES:
        raise PackageError(
            where,
            f"it has more than {MOST_DIRECT_BYTES:,} bytes (50 MB), which Lambda takes from S3 only: put it into a "
            "bucket of the function's region, and name it as s3://bucket/key",
        )
