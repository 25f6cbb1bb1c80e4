"""What came of deploying the indexer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class DeployedIndexer:
    """The version that is to be invoked. ``is_kept``: no package is named, so it is the one that the alias leads to.

    ``settings``: its configuration in a few words. ``doubts``: what the indexer's contract asks for and it lacks.
    """

    function: str
    version: str
    code_sha256: str
    was_uploaded: bool
    was_published: bool
    is_kept: bool
    settings: str
    doubts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self) | {"doubts": list(self.doubts)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**{**value, "doubts": tuple(value["doubts"])})

    def __str__(self) -> str:
        if self.is_kept:
            did = "no indexer.package in the target file: the version that the alias leads to stays"
        else:
            uploaded = "its code was uploaded" if self.was_uploaded else "the function has this code already"
            published = "published as a new version" if self.was_published else "published before: nothing was to do"
            did = f"{uploaded}, {published}"
        lines = (
            f"version {self.version} of {self.function}: {did}",
            f"  code {self.code_sha256}; {self.settings}",
            *(f"  warning: {one}" for one in self.doubts),
        )
        return "\n".join(lines)
