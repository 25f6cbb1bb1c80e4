"""The published versions of a Lambda function."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane

LATEST = "$LATEST"
"""What is no version: each deployment overwrites it."""


def published_versions(plane: ControlPlane, function: str) -> Iterator[int]:
    """Their numbers, of all pages, in the order in which Lambda lists them.

    Raises:
        ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
    """
    arguments: dict[str, Any] = {"FunctionName": function}
    while True:
        answer = plane.ask("lambda", "list_versions_by_function", function, **arguments)
        yield from (int(one["Version"]) for one in answer["Versions"] if one["Version"] != LATEST)
        if not answer.get("NextMarker"):
            return
        arguments["Marker"] = answer["NextMarker"]
