"""What lies between the table and the index, for whoever has to find out where a change was lost."""

from collections.abc import Iterator

from dynamo_opensearch.core.aws.control_plane import ControlPlane
from dynamo_opensearch.core.errors import SyncError
from dynamo_opensearch.core.targets.environment import Environment


def where_to_look(plane: ControlPlane, target: str, environment: Environment, mapping: str | None) -> str:
    """The parts on the way by their names, and what Lambda says of the event source mapping (``mapping``: its UUID)."""
    return " ".join(_sentences(plane, target, environment, mapping))


def _sentences(plane: ControlPlane, target: str, environment: Environment, mapping: str | None) -> Iterator[str]:
    if mapping is not None:
        yield f"Event source mapping {mapping} {_said(plane, mapping)}."
    if environment.dead_letters is not None:
        queue = environment.dead_letters.queue.rsplit("/", 1)[-1]
        yield f"What the indexer failed on is in queue {queue}: start {target}_dlq_replay with dry_run."
    if environment.indexer is not None:
        function = environment.indexer.function.rsplit(":", 1)[-1]
        yield f"Its own log is /aws/lambda/{function}."
    yield (
        f"The checks event_source_mapping, indexer_function, dead_letters and index_mapping of {target}_preflight say "
        "what is not as it should be."
    )


def _said(plane: ControlPlane, mapping: str) -> str:
    try:
        found = plane.ask("lambda", "get_event_source_mapping", mapping, UUID=mapping)
    except SyncError as error:
        return f"could not be asked ({error})"
    result = found.get("LastProcessingResult")
    return f"is {found.get('State', 'unknown')}" + (f", its last result {result!r}" if result else "")
