"""The dead letters of a target, wired to its servers."""

from dynamo_opensearch.core.dead_letters.messages import Depth
from dynamo_opensearch.core.dead_letters.queue import DeadLetterQueue
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.targets.environment import DeadLetterSettings
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.wiring.target_connections import TargetConnections


class NoDeadLetterQueueError(PermanentError):
    """The target's file names no dead-letter queue for this environment."""

    def __init__(self, target: str, environment: str) -> None:
        super().__init__(target, environment)
        self.target, self.environment = target, environment

    def __str__(self) -> str:
        return (
            f"target {self.target!r} has no dead-letter queue: set environments.{self.environment}.dead_letters.queue "
            "in its file to the name or URL of the queue that its indexer fails into."
        )


def dead_letter_settings(connections: TargetConnections) -> DeadLetterSettings:
    """What the target says of its dead letters.

    Raises:
        NoDeadLetterQueueError: nothing.
    """
    settings = connections.environment.dead_letters
    if settings is None:
        raise NoDeadLetterQueueError(connections.target.name, environment_name())
    return settings


def dead_letter_queue(connections: TargetConnections) -> DeadLetterQueue:
    """The queue that the indexer fails into. To be closed.

    Raises:
        NoDeadLetterQueueError: the target names none.
    """
    settings = dead_letter_settings(connections)
    client = connections.dynamodb.sqs_client()
    return DeadLetterQueue(client, settings.queue, connections.clock, connections.retry)


def dead_letter_depth(connections: TargetConnections) -> Depth:
    """About how many messages are in it.

    Raises:
        NoDeadLetterQueueError: the target names none.
        AccessDeniedError, QueueMissingError, QueueRequestError, ServiceUnavailableError: it cannot be asked.
    """
    with dead_letter_queue(connections) as queue:
        return queue.depth()
