"""Files that tasks hand to each other: no task depends on another's disk."""

from pathlib import Path
from typing import Protocol

from dynamo_opensearch.core.errors import PermanentError


class WorkFileMissingError(PermanentError):
    """A task's input is not there: an earlier task's files were removed when a later run began."""

    def __init__(self, name: str, folder: str) -> None:
        super().__init__(name, folder)
        self.name, self.folder = name, folder

    def __str__(self) -> str:
        return (
            f"{self.name} is not in {self.folder}: a later run of this DAG has removed what this one had read, or the "
            "place is not shared by all workers (`reports` of the target's environment). Start this DAG again."
        )


class WorkFiles(Protocol):
    """Files of one run, by name. Storing one again replaces it."""

    def put(self, name: str, file: Path) -> None:
        """Store a local file, durably and whole, before this returns."""
        ...

    def get(self, name: str, file: Path) -> None:
        """Bring it into a local file.

        Raises:
            WorkFileMissingError: it is not there.
        """
        ...


def side_name(side: str, part: int, partition: int) -> str:
    """The file with one part's rows of one partition."""
    return f"{side}-{part:04d}-{partition:04d}.parquet"


def suspects_name(partition: int) -> str:
    """The file with what differed in one partition at the first reading."""
    return f"suspects-{partition:04d}.parquet"


FOUND = "found.parquet"
"""What stood still after the settling time: what a repair works off."""
