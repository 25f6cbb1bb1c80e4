"""The parking place and the reject files of a target, on an ObjectStoragePath."""

from collections.abc import Iterator
from pathlib import Path

import orjson
from airflow.sdk import ObjectStoragePath

from dynamo_opensearch.core.dead_letters.parking import ParkedMessage
from dynamo_opensearch.operators.object_storage import path_part, refusals_named, reports_path, stored_at
from dynamo_opensearch.wiring.target_connections import TargetConnections


def parking_of(connections: TargetConnections) -> "ObjectStorageParking":
    """The target's parking place: ``dead_letters.parking``, or parked/ below its reports."""
    settings = connections.environment.dead_letters
    configured = None if settings is None else settings.parking
    base = stored_at(configured) if configured else reports_path(connections.environment.reports) / "parked"
    return ObjectStorageParking(base / connections.target.name)


def reject_files_of(connections: TargetConnections) -> "ObjectStorageRejectFiles":
    """All files with documents that were refused in backfills, rebuilds and replays of the target."""
    return ObjectStorageRejectFiles(reports_path(connections.environment.reports) / "rejects" / connections.target.name)


class ObjectStorageParking:
    """One object for each parked message, named after its id, in a folder that only the writer may read."""

    def __init__(self, folder: ObjectStoragePath) -> None:
        self.folder = folder

    def put(self, parked: ParkedMessage) -> None:
        """Store it, whole."""
        with refusals_named(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.folder.protocol == "file":
                Path(self.folder.path).chmod(0o700)
            (self.folder / f"{path_part(parked.message.id)}.json").write_bytes(orjson.dumps(parked.to_json()))

    def names(self) -> Iterator[str]:
        """Of all that are there, in order."""
        with refusals_named(self.folder):
            if not self.folder.exists():
                return iter(())
            return iter(sorted(one.name for one in self.folder.iterdir() if one.name.endswith(".json")))

    def get(self, name: str) -> ParkedMessage | None:
        """One of them; None when it is gone."""
        with refusals_named(self.folder):
            try:
                return ParkedMessage.from_json(orjson.loads((self.folder / name).read_bytes()))
            except FileNotFoundError:
                return None

    def remove(self, name: str) -> None:
        """Let go of it."""
        with refusals_named(self.folder):
            (self.folder / name).unlink(missing_ok=True)


class ObjectStorageRejectFiles:
    """The files ``part-*.ndjson`` anywhere below a folder, by their path."""

    def __init__(self, folder: ObjectStoragePath) -> None:
        self.folder = folder

    def names(self) -> Iterator[str]:
        """Of all that are there, in order."""
        with refusals_named(self.folder):
            if not self.folder.exists():
                return iter(())
            return iter(sorted(str(one) for one in self.folder.rglob("part-*.ndjson")))

    def read(self, name: str) -> str | None:
        """A file's lines; None when it is gone."""
        with refusals_named(self.folder):
            try:
                return stored_at(name).read_text()
            except FileNotFoundError:
                return None

    def remove(self, name: str) -> None:
        """Let go of it."""
        with refusals_named(self.folder):
            stored_at(name).unlink(missing_ok=True)
