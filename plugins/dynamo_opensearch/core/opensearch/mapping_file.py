"""A mapping file: the settings and mappings that an index is created with, and their fingerprint."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from dynamo_opensearch.core.errors import PermanentError


class MappingFileError(PermanentError):
    """A mapping file that cannot be used."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(file, problem)
        self.file, self.problem = file, problem

    def __str__(self) -> str:
        return f"mapping file {self.file!r} {self.problem}"


class MappingRefusedError(PermanentError):
    """OpenSearch does not take the mapping file."""

    def __init__(self, file: str, error_type: str, reason: str) -> None:
        super().__init__(file, error_type, reason)
        self.file, self.error_type, self.reason = file, error_type, reason

    def __str__(self) -> str:
        return f"OpenSearch refuses mapping file {self.file!r}: {self.error_type}: {self.reason}"


@dataclass(frozen=True)
class MappingFile:
    """Body of an index creation: ``mappings`` and, optionally, ``settings``."""

    file: str
    mappings: dict[str, Any]
    settings: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """SHA-256 (first 16 digits) of the content, whatever its layout."""
        canonical = orjson.dumps([self.mappings, self.settings], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(canonical).hexdigest()[:16]


def read_mapping_file(path: Path) -> MappingFile:
    """Read and check the file's form; OpenSearch itself judges the content.

    Raises:
        MappingFileError: not there, not JSON, or not an object with ``mappings`` and ``settings`` only.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise MappingFileError(path.name, "is not there; it belongs below include/mappings") from error
    except orjson.JSONDecodeError as error:
        raise MappingFileError(
            path.name, f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("mappings"), dict):
        raise MappingFileError(path.name, 'must be an object with "mappings"')
    if unknown := sorted(set(content) - {"mappings", "settings"}):
        raise MappingFileError(path.name, f"has {unknown}; only mappings and settings are used (aliases are the DAGs')")
    settings = content.get("settings", {})
    if not isinstance(settings, dict):
        raise MappingFileError(path.name, "has settings that are not an object")
    return MappingFile(path.name, content["mappings"], _flat_settings(settings))


def _flat_settings(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names below ``index.``, the form in which OpenSearch answers with flat_settings."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(value, dict):
            flat |= _flat_settings(value, path)
        else:
            flat[path if path.startswith("index.") else f"index.{path}"] = value
    return flat
